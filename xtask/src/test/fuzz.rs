//! libFuzzer on each target of `fuzz/`, a minute each: a part of `--long`.
//!
//! It needs neither a nightly compiler nor cargo-fuzz: the coverage that guides libFuzzer comes from a pass that every
//! rustc has. What it does not have is the address sanitizer, and there is no unsafe code of ours to watch with it.

use super::tally::Tally;
use crate::{layout, run, say};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const SECONDS_EACH: u32 = 60;
/// Inputs longer than this say nothing new.
const MAX_LEN: u32 = 2048;

/// What `cargo fuzz` passes to rustc, without the sanitizer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

pub(crate) fn run(filter: Option<&str>) -> Result<Tally> {
    let targets: Vec<String> = targets()?
        .into_iter()
        .filter(|name| filter.is_none_or(|part| name.contains(part)))
        .collect();
    let mut tally = Tally::default();
    if targets.is_empty() {
        return Ok(tally);
    }
    let built = build()?;
    for name in targets {
        let step = say::step(&format!("fuzzing {name} for {SECONDS_EACH} s"));
        let folder = layout::target()?.join("fuzz").join(&name);
        let corpus = folder.join("corpus");
        fs::create_dir_all(&corpus)?;
        unpack(&name, &corpus)?;
        let mut fuzzer = Command::new(built.join(format!("fuzz_{name}")));
        fuzzer
            .arg(&corpus)
            .arg(format!("-artifact_prefix={}/", folder.display()))
            .arg(format!("-max_total_time={SECONDS_EACH}"))
            .arg(format!("-max_len={MAX_LEN}"))
            .args(["-print_final_stats=1", "-verbosity=0", "-timeout=20"]);
        match run::loudly(&mut fuzzer) {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                say::failed(&error);
                tally.failed += 1;
            }
        }
        step.done();
    }
    Ok(tally)
}

fn targets() -> Result<Vec<String>> {
    let folder = layout::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn build() -> Result<std::path::PathBuf> {
    let step = say::step("building the fuzzers - compiles everything anew, with coverage");
    // With a target named, build scripts and macros are compiled without the flags: they have no libFuzzer to link.
    let host = host()?;
    let folder = layout::target()?.join("fuzz");
    let mut build = run::cargo();
    build
        .args([
            "build",
            "--package",
            "fuzz",
            "--features",
            "libfuzzer",
            "--bins",
            "--target",
            &host,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", COVERAGE);
    run::loudly(&mut build)?;
    step.done();
    Ok(folder.join(host).join("debug"))
}

fn host() -> Result<String> {
    let about = run::quietly(Command::new("rustc").arg("-vV").stderr(Stdio::null()))?;
    about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc does not say for what machine it compiles")
}

/// The kept corpus is text, one input a line in hexadecimal; libFuzzer wants a file each.
fn unpack(name: &str, corpus: &Path) -> Result<()> {
    let kept = layout::root().join(format!("fuzz/corpus/{name}.txt"));
    let text = fs::read_to_string(&kept).with_context(|| format!("cannot read {}", kept.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (number, line) in lines.enumerate() {
        fs::write(corpus.join(format!("kept-{number}")), bytes(line)?)?;
    }
    Ok(())
}

fn bytes(line: &str) -> Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = line
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect()),
        _ => bail!("not hexadecimal: {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_corpus_is_bytes_or_refused() {
        assert_eq!(bytes("00ff7a").unwrap(), [0x00, 0xFF, 0x7A]);
        assert!(bytes("0").is_err() && bytes("0g").is_err());
    }

    #[test]
    fn every_target_has_a_kept_corpus_that_can_be_read() {
        for name in targets().unwrap() {
            let text = fs::read_to_string(layout::root().join(format!("fuzz/corpus/{name}.txt"))).unwrap();
            assert!(
                text.lines()
                    .filter(|line| !line.starts_with('#'))
                    .all(|line| bytes(line).is_ok()),
                "{name}"
            );
        }
    }
}
