//! Our congestion control beside str0m's, on the same emulated lines in virtual time. The measuring itself is in
//! `tests/peers/congestion`, which nothing else compiles.

use crate::{layout, run};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Command;

/// `case`: a part of a scenario's name.
pub(crate) fn run(case: Option<&str>) -> Result<Vec<Value>> {
    let target = layout::target()?.join("peers");
    run::loudly(
        run::cargo()
            .args(["build", "--release", "--locked", "--manifest-path"])
            .arg(layout::root().join("tests/peers/congestion/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target),
    )?;
    let text = run::quietly(Command::new(target.join("release/congestion-beside-str0m")).args(case))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("`{line}` is not a figure")))
        .collect()
}
