//! Rust programs that the checks need, pinned and kept beside the build, not in the user's own folder.

use crate::{layout, run, say};
use anyhow::Result;
use std::path::PathBuf;

const CARGO_DENY: &str = "0.20.2";

/// The pinned cargo-deny, installed when it is not there.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    // The version is in the folder's name: another pin is another folder.
    let home = layout::target()?.join("tools").join(format!("cargo-deny-{CARGO_DENY}"));
    let program = home.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    let step = say::step(&format!(
        "installing cargo-deny {CARGO_DENY} - compiles it once, some minutes"
    ));
    let mut install = run::cargo();
    install
        .args(["install", "--locked", "--quiet", "--version", CARGO_DENY, "--root"])
        .arg(&home)
        .arg("cargo-deny");
    run::loudly(&mut install)?;
    step.done();
    Ok(program)
}
