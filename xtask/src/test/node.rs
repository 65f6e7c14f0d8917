//! What Node runs: the page's own unit tests, and whole meetings in real browsers.

use super::tally::Tally;
use super::{programs, rust};
use crate::web::Variant;
use crate::{layout, run, say, vector_aes};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// No single test may take longer. To Node a whole file is a test too, with all that is in it.
const TEST_LIMIT_MS: u32 = 600_000;

/// The page's pure parts, without a browser.
pub(crate) fn page(filter: Option<&str>, long: bool) -> Result<Tally> {
    let step = say::step("running the page's unit tests");
    let tally = test(&mut Command::new("node"), &layout::web().join("test"), filter, long)?;
    step.done();
    Ok(tally)
}

/// The checks of `vector-aes` as WebAssembly.
pub(crate) fn vector_aes(filter: Option<&str>, long: bool) -> Result<Tally> {
    let mut node = vector_aes::command()?;
    let step = say::step("running the checks of vector-aes as WebAssembly");
    let tally = test(&mut node, &vector_aes::scripts(), filter, long)?;
    step.done();
    Ok(tally)
}

/// Whole meetings in Chromium and Firefox.
pub(crate) fn browsers(filter: Option<&str>, long: bool) -> Result<Tally> {
    let step = say::step("running the browser tests - real calls take their time");
    let tally = test(&mut browser_command()?, &layout::browser_tests(), filter, long)?;
    step.done();
    Ok(tally)
}

/// Node, told where everything is that a script with browsers needs.
pub(crate) fn browser_command() -> Result<Command> {
    let mut node = Command::new("node");
    node.env("CONCLAVE_TEST_WEB", Variant::Plain.dist())
        .env("CONCLAVE_TEST_WEB_TAP", Variant::Tap.dist())
        .env("CONCLAVE_TEST_PROGRAM", programs::path(Variant::Plain)?)
        .env("CONCLAVE_TEST_PROGRAM_TAP", programs::path(Variant::Tap)?);
    Ok(node)
}

fn test(node: &mut Command, folder: &Path, filter: Option<&str>, long: bool) -> Result<Tally> {
    let mut files = files(folder)?;
    if files.is_empty() {
        bail!("there are no tests in {}", folder.display());
    }
    // The name of a file means all that is in it.
    let named: Vec<PathBuf> = files.iter().filter(|file| filter == stem(file)).cloned().collect();
    let filter = filter.filter(|_| named.is_empty());
    if !named.is_empty() {
        files = named;
    }
    let reports = layout::target()?.join("tested");
    std::fs::create_dir_all(&reports)?;
    let report = reports.join("node.tap");
    node.current_dir(folder)
        // One file at a time: two browsers and a server are enough for one machine.
        .args(["--test", "--test-concurrency=1"])
        .arg(format!("--test-timeout={TEST_LIMIT_MS}"))
        .args([
            "--test-reporter=spec",
            "--test-reporter-destination=stderr",
            "--test-reporter=tap",
        ])
        .arg(format!("--test-reporter-destination={}", report.display()))
        .args(filter.map(|text| format!("--test-name-pattern={}", literally(text))))
        .args(files);
    if long {
        node.env(rust::LONG, "1");
    }
    let status = node
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", run::shown(node)))?;
    let text = std::fs::read_to_string(&report).context("node left no report of its tests")?;
    let tally = Tally::of_tap(&text).context("the report of node's tests has no end")?;
    if !status.success() && tally.failed == 0 {
        bail!("the tests in {} ended with {status}", folder.display());
    }
    Ok(tally)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.to_str().is_some_and(|name| name.ends_with(".test.js")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `call` of `call.test.js`.
fn stem(file: &Path) -> Option<&str> {
    file.file_name()?.to_str()?.strip_suffix(".test.js")
}

/// The filter is a part of a name, as for Rust's tests; Node takes a regular expression.
fn literally(text: &str) -> String {
    let special = |sign: char| !sign.is_alphanumeric() && !sign.is_whitespace() && sign != '_' && sign != '-';
    text.chars()
        .flat_map(|sign| special(sign).then_some('\\').into_iter().chain([sign]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_means_what_it_says() {
        assert_eq!(literally("PF-19 (tap)"), r"PF-19 \(tap\)");
    }
}
