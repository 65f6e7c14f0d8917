//! Unit and integration tests of all crates.

use super::tally::Tally;
use crate::{peers, run, say};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Tests with random inputs or seeds try many more of them when this is set.
pub(crate) const LONG: &str = "CONCLAVE_LONG";

pub(crate) fn run(filter: Option<&str>, long: bool) -> Result<Tally> {
    let step = say::step("running the unit and integration tests - compiles them first");
    let mut cargo = run::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    if std::env::var_os("CI").is_some() {
        cargo.arg("--locked");
    }
    cargo.arg("--").args(filter);
    if long {
        cargo.arg("--include-ignored").env(LONG, "1");
    }
    let tally = harness(&mut cargo)?;
    step.done();
    Ok(tally)
}

/// Ours against other implementations, in the crate that holds those; with each of their engines.
pub(crate) fn against_peers(filter: Option<&str>) -> Result<Tally> {
    let mut tally = Tally::default();
    for engine in ["sframe-ring", "sframe-rust-crypto"] {
        let step = say::step(&format!("running the tests against other implementations, {engine}"));
        let mut cargo = peers::cargo("test")?;
        cargo.args(["--features", engine, "--"]).args(filter);
        tally += harness(&mut cargo)?;
        step.done();
    }
    Ok(tally)
}

/// Runs tests, shows what they say, and counts.
fn harness(cargo: &mut Command) -> Result<Tally> {
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", run::shown(cargo)))?;

    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().context("cargo has no output")?).lines() {
        let line = line.context("cannot read what the tests say")?;
        eprintln!("{line}");
        if let Some(counts) = Tally::of_harness_line(&line) {
            tally += counts;
        }
    }
    let status = child.wait()?;
    // Failed tests are counted; failing otherwise (not compiling, a crash) is this stage's own failure.
    if !status.success() && tally.failed == 0 {
        bail!("`{}` ended with {status}", run::shown(cargo));
    }
    Ok(tally)
}
