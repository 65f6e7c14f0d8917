//! Where things lie.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder of the workspace: the one we are called in, which need not be the one that we were compiled in.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let here = std::env::current_dir().unwrap_or_default();
        let compiled_in = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1);
        here.ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .or(compiled_in)
            .unwrap_or(Path::new("."))
            .to_owned()
    })
}

/// Cargo's target folder, from the environment, a configuration file or the default, as cargo itself sees it.
pub(crate) fn target() -> Result<&'static Path> {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    if let Some(known) = TARGET.get() {
        return Ok(known);
    }
    let text = crate::run::quietly(crate::run::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let folder = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target folder")?;
    Ok(TARGET.get_or_init(|| PathBuf::from(folder)))
}

/// The web app's sources.
pub(crate) fn web() -> PathBuf {
    root().join("wasm-client/web")
}

/// The browser tests.
pub(crate) fn browser_tests() -> PathBuf {
    root().join("tests/browser")
}
