//! Sealing and opening frames in browsers' workers, beside LiveKit's frame cryptor and DAVE, which `peers/web` brings from npm and
//! nothing else installs.

use crate::test::browser_command;
use crate::web::{self, Variant};
use crate::{layout, run, setup};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Stdio;

const SCRIPT: &str = "bench/frame-web.js";

pub(crate) fn run() -> Result<Vec<Value>> {
    setup::node::packages(&layout::root().join("peers/web"))?;
    // The test build: its engine has a way into a group without a server.
    web::build(Variant::Tap)?;
    let mut node = browser_command()?;
    node.current_dir(layout::browser_tests())
        .arg(SCRIPT)
        .stdin(Stdio::null());
    run::quietly(&mut node)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{SCRIPT} printed no JSON: {line}")))
        .collect()
}
