//! The crate that holds other implementations, with a lock file and a build of its own.

use crate::{layout, run};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// Cargo in that crate, to build or test with `--features` that the caller adds.
pub(crate) fn cargo(command: &str) -> Result<Command> {
    let mut cargo = run::cargo();
    cargo
        .args([command, "--locked", "--manifest-path"])
        .arg(layout::root().join("peers/Cargo.toml"))
        .arg("--target-dir")
        .arg(target()?);
    Ok(cargo)
}

pub(crate) fn target() -> Result<PathBuf> {
    Ok(layout::target()?.join("peers"))
}
