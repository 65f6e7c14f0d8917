//! Node and the npm packages of the web app and of the browser tests, exactly as their lock files say.

use crate::{run, say};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;

const OLDEST_NODE: u32 = 20;

pub(crate) fn check() -> Result<()> {
    let advice =
        format!("Node {OLDEST_NODE} or later with npm is needed to build the web app; install it and try again");
    let version = run::quietly(Command::new("node").arg("--version")).with_context(|| advice.clone())?;
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|text| text.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST_NODE) {
        bail!("this Node is {}; {advice}", version.trim());
    }
    if run::find_program("npm").is_none() {
        bail!("there is Node but no npm; {advice}");
    }
    Ok(())
}

/// `npm ci` in a folder, unless what is installed there came from this very lock file.
pub(crate) fn packages(folder: &Path) -> Result<()> {
    let lock = std::fs::read(folder.join("package-lock.json"))
        .with_context(|| format!("{} has no package-lock.json", folder.display()))?;
    let wanted = hex::encode(Sha256::digest(&lock));
    let stamp = folder.join("node_modules/.conclave-lock");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let name = folder.strip_prefix(crate::layout::root()).unwrap_or(folder);
    let step = say::step(&format!(
        "installing the npm packages of {} - downloads",
        name.display()
    ));
    run::quietly(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder),
    )?;
    std::fs::write(&stamp, wanted).context("cannot note which npm packages are installed")?;
    step.done();
    Ok(())
}
