//! Measurements in real browsers: scripts of `tests/browser/bench`, which print one JSON object a line.

use crate::test::{browser_command, build_for_browsers};
use crate::{layout, run};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Stdio;

/// Joining a running call: from the click to the first picture.
pub(crate) fn join() -> Result<Vec<Value>> {
    script("join.js")
}

fn script(name: &str) -> Result<Vec<Value>> {
    build_for_browsers()?;
    let mut node = browser_command()?;
    node.current_dir(layout::browser_tests())
        .arg(layout::browser_tests().join("bench").join(name))
        .stdin(Stdio::null());
    run::quietly(&mut node)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{name} printed no JSON: {line}")))
        .collect()
}
