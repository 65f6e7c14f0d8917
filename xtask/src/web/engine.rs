//! The protocol engine for browsers: compiled, given its JavaScript, made smaller.

use super::{Care, Engine, digest, guard, toolchain};
use crate::{layout, run, say};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const PROFILE: &str = "wasm";

/// The generator of the JavaScript, as pinned in the workspace's Cargo.toml.
pub(crate) const WASM_BINDGEN: &str = "0.2.130";

/// The optimiser must be told what the compiler was allowed to use: rustc's defaults for the target. SIMD only where it is meant
/// to be, so that none gets into the engine for browsers without it.
///
/// For size: what ciphers is straight lines of vector instructions, and runs as fast as after -O3.
///
/// It comes from npm, pinned with the bundler. Debian's (version 108) exports the wrong one of two tables, and the engine
/// then does not start.
const WASM_OPT: &[&str] = &[
    "-Oz",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-call-indirect-overlong",
    "--enable-mutable-globals",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-multivalue",
];
const SIMD: &str = "--enable-simd";
const NO_SIMD: &str = "--disable-simd";

fn wasm_opt_flags(engine: Engine) -> Vec<&'static str> {
    let simd = match engine {
        Engine::Simd(_) => SIMD,
        Engine::Baseline => NO_SIMD,
    };
    WASM_OPT.iter().copied().chain([simd]).collect()
}

/// Puts `conclave.js`, `conclave.d.ts` and `conclave_bg.wasm` where the web app's sources import them from.
pub(super) fn build(engine: Engine, care: Care) -> Result<()> {
    let compiled = compile(engine)?;
    let wasm = std::fs::read(&compiled).with_context(|| format!("cannot read {}", compiled.display()))?;

    let optimiser = optimiser()?;
    let inputs = digest::Inputs::default()
        .text(&hex::encode(digest::of_bytes(&wasm)))
        .text(WASM_BINDGEN)
        .text(&optimiser)
        .text(if care == Care::Draft { "draft" } else { "full" })
        .text(&wasm_opt_flags(engine).join(" "))
        .digest();
    let folder = engine.generated();
    let stamp = folder.join(".inputs");
    if digest::is_current(&stamp, &inputs) {
        return Ok(());
    }

    let step = say::step(&format!(
        "making the {} engine ready for browsers - whole-program optimisation",
        engine.name()
    ));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    bind(&wasm, engine, &folder)?;
    if !engine.is_for_tests() {
        guard::engine_has_no_tap(&std::fs::read_to_string(folder.join("conclave.d.ts"))?)?;
    }
    if care == Care::Full {
        optimise(&folder.join("conclave_bg.wasm"), engine)?;
    }
    digest::write_stamp(&stamp, &inputs)?;
    step.done();
    Ok(())
}

/// The optimiser's version, for the manifest too.
pub(crate) fn optimiser() -> Result<String> {
    Ok(run::quietly(wasm_opt().arg("--version"))?.trim().to_owned())
}

fn wasm_opt() -> Command {
    Command::new(layout::web().join("node_modules/.bin/wasm-opt"))
}

fn compile(engine: Engine) -> Result<PathBuf> {
    let Some(toolchain) = toolchain::find() else {
        bail!("nothing here compiles for browsers; `cargo xtask setup` tells what is missing");
    };
    let step = say::step(&format!(
        "compiling the {} engine for browsers - some minutes the first time, with all its dependencies",
        engine.name()
    ));
    let simd = engine != Engine::Baseline;
    let mut build = toolchain.cargo_build(simd)?;
    build.args(["--package", "wasm-client", "--lib", "--profile", PROFILE]);
    if engine.is_for_tests() {
        // With the experimental profile, so that the tests in browsers run it too.
        build.args(["--features", "tap,pq"]);
    }
    if std::env::var_os("CI").is_some() {
        build.arg("--locked");
    }
    run::loudly(&mut build)?;
    step.done();
    Ok(toolchain::output(PROFILE, simd)?.join("wasm_client.wasm"))
}

/// The JavaScript side, for a module worker that fetches the WebAssembly from an address it is given.
fn bind(wasm: &[u8], engine: Engine, folder: &Path) -> Result<()> {
    wasm_bindgen_cli_support::Bindgen::new()
        .input_bytes("conclave", wasm.to_vec())
        .web(true)?
        .typescript(true)
        .omit_default_module_path(true)
        // Names of functions are worth their bytes only where somebody reads stack traces.
        .remove_name_section(!engine.is_for_tests())
        .remove_producers_section(true)
        .generate(folder)
        .context("wasm-bindgen cannot make the engine's JavaScript")
}

fn optimise(wasm: &Path, engine: Engine) -> Result<()> {
    let smaller = wasm.with_extension("opt");
    let names = engine.is_for_tests().then_some("--debuginfo");
    run::quietly(
        wasm_opt()
            .args(wasm_opt_flags(engine))
            .args(names)
            .arg(wasm)
            .arg("-o")
            .arg(&smaller),
    )?;
    std::fs::rename(&smaller, wasm).context("cannot replace the engine by its optimised form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_wasm_bindgen_is_the_one_in_the_lock_file() {
        let lock = std::fs::read_to_string(layout::root().join("Cargo.lock")).unwrap();
        for package in ["wasm-bindgen", "wasm-bindgen-cli-support"] {
            assert!(
                lock.contains(&format!("name = \"{package}\"\nversion = \"{WASM_BINDGEN}\"")),
                "{package}"
            );
        }
    }
}
