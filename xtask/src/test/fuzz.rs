//! libFuzzer on each target of `fuzz/` and `sfu-relay/fuzz/`, a minute each: a part of `--long`.
//!
//! It needs neither a nightly compiler nor cargo-fuzz: the coverage that guides libFuzzer comes from a pass that every
//! rustc has. What it does not have is the address sanitizer, and there is no unsafe code of ours to watch with it.

use super::tally::Tally;
use crate::{layout, run, say};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SECONDS_EACH: u32 = 60;
/// Inputs longer than this say nothing new.
const MAX_LEN: u32 = 2048;

/// What `cargo fuzz` passes to rustc, without the sanitizer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// A crate of targets: its folder and name. The relay has one of its own, which is not built with the core.
const CRATES: [(&str, &str); 2] = [("fuzz", "fuzz"), ("sfu-relay/fuzz", "relay-fuzz")];

struct Target {
    folder: &'static str,
    package: &'static str,
    name: String,
}

pub(crate) fn run(filter: Option<&str>) -> Result<Tally> {
    let targets: Vec<Target> = targets()?
        .into_iter()
        .filter(|target| filter.is_none_or(|part| target.name.contains(part)))
        .collect();
    let mut tally = Tally::default();
    if targets.is_empty() {
        return Ok(tally);
    }
    let packages: Vec<&str> = CRATES.iter().map(|(_, package)| *package).collect();
    let wanted = |package: &&str| targets.iter().any(|target| target.package == *package);
    let built = build(packages.into_iter().filter(wanted))?;
    for Target { folder: of, name, .. } in targets {
        let step = say::step(&format!("fuzzing {name} for {SECONDS_EACH} s"));
        let folder = layout::target()?.join("fuzz").join(&name);
        let corpus = folder.join("corpus");
        fs::create_dir_all(&corpus)?;
        unpack(of, &name, &corpus)?;
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

fn targets() -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (folder, package) in CRATES {
        let doors = layout::root().join(folder).join("fuzz_targets");
        for entry in fs::read_dir(&doors).with_context(|| format!("cannot list {}", doors.display()))? {
            let path = entry?.path();
            if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
                targets.push(Target {
                    folder,
                    package,
                    name: name.to_owned(),
                });
            }
        }
    }
    targets.sort_by(|a, b| (a.package, &a.name).cmp(&(b.package, &b.name)));
    Ok(targets)
}

fn build(packages: impl Iterator<Item = &'static str>) -> Result<PathBuf> {
    let step = say::step("building the fuzzers - compiles everything anew, with coverage");
    // With a target named, build scripts and macros are compiled without the flags: they have no libFuzzer to link.
    let host = host()?;
    let folder = layout::target()?.join("fuzz");
    for package in packages {
        let mut build = run::cargo();
        build
            .args(["build", "--package", package, "--features", "libfuzzer", "--bins"])
            .args(["--target", &host])
            .arg("--target-dir")
            .arg(&folder)
            .env("RUSTFLAGS", COVERAGE);
        run::loudly(&mut build)?;
    }
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
fn unpack(folder: &str, name: &str, corpus: &Path) -> Result<()> {
    let kept = kept(folder, name);
    let text = fs::read_to_string(&kept).with_context(|| format!("cannot read {}", kept.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for (number, line) in lines.enumerate() {
        fs::write(corpus.join(format!("kept-{number}")), bytes(line)?)?;
    }
    Ok(())
}

fn kept(folder: &str, name: &str) -> PathBuf {
    layout::root().join(folder).join("corpus").join(format!("{name}.txt"))
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
        for Target { folder, name, .. } in targets().unwrap() {
            let text = fs::read_to_string(kept(folder, &name)).unwrap();
            assert!(
                text.lines()
                    .filter(|line| !line.starts_with('#'))
                    .all(|line| bytes(line).is_ok()),
                "{name}"
            );
        }
    }
}
