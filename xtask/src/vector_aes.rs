//! `vector-aes` as WebAssembly: its checks, for the tests, and its measurement, for the bench.

use crate::web::toolchain;
use crate::{layout, run, say};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Optimised as what the browser loads is.
const PROFILE: &str = "wasm";

/// The scripts that run it.
pub(crate) fn scripts() -> PathBuf {
    layout::root().join("vector-aes/checks/js")
}

/// Compiles the checks and gives back the folder with `checks.js` and its WebAssembly.
pub(crate) fn build() -> Result<PathBuf> {
    let Some(toolchain) = toolchain::find() else {
        bail!("nothing here compiles for browsers; `cargo xtask setup` tells what is missing");
    };
    let step = say::step("compiling vector-aes and its checks for browsers");
    let mut build = toolchain.cargo_build(true)?;
    build.args(["--package", "vector-aes-checks", "--lib", "--profile", PROFILE]);
    if std::env::var_os("CI").is_some() {
        build.arg("--locked");
    }
    run::loudly(&mut build)?;
    let wasm = std::fs::read(toolchain::output(PROFILE, true)?.join("vector_aes_checks.wasm"))?;
    let folder = layout::target()?.join("vector-aes");
    wasm_bindgen_cli_support::Bindgen::new()
        .input_bytes("checks", wasm)
        .web(true)?
        .typescript(false)
        .generate(&folder)
        .context("wasm-bindgen cannot make the checks' JavaScript")?;
    // Node takes it for a module only where a package says so.
    std::fs::write(folder.join("package.json"), r#"{"private":true,"type":"module"}"#)?;
    step.done();
    Ok(folder)
}

/// Node, told where the built checks are.
pub(crate) fn command() -> Result<Command> {
    let mut node = Command::new("node");
    node.env("VECTOR_AES_CHECKS", build()?);
    Ok(node)
}
