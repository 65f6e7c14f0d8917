//! Measurements in real browsers: scripts of `tests/browser/bench`, which print one JSON object a line.

use crate::setup::node;
use crate::test::{browser_command, build_for_browsers, build_tapped_for_browsers};
use crate::web::{self, Variant};
use crate::{layout, run, vector_aes};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::{Command, Stdio};

/// Joining a running call: from the click to the first picture.
pub(crate) fn join() -> Result<Vec<Value>> {
    build_for_browsers()?;
    script(&mut browser_command()?, "join.js")
}

/// Loading the page: until the engine runs in its worker.
pub(crate) fn ready() -> Result<Vec<Value>> {
    web::build(Variant::Plain)?;
    script(&mut browser_command()?, "ready.js")
}

/// AES-GCM in WebAssembly: ours beside `aes-gcm` and WebCrypto.
pub(crate) fn aead() -> Result<Vec<Value>> {
    script(&mut vector_aes::command()?, "aead.js")
}

/// Sound and picture again after the encryption engine failed. The failures are ordered through the test build's tap.
pub(crate) fn recovery() -> Result<Vec<Value>> {
    build_tapped_for_browsers()?;
    script(&mut browser_command()?, "recovery.js")
}

/// What the transform costs in a running call, beside none and beside LiveKit's.
pub(crate) fn call() -> Result<Vec<Value>> {
    node::packages(&layout::root().join("peers/web"))?;
    build_for_browsers()?;
    script(&mut browser_command()?, "call.js")
}

fn script(node: &mut Command, name: &str) -> Result<Vec<Value>> {
    node.current_dir(layout::browser_tests())
        .arg(layout::browser_tests().join("bench").join(name))
        .stdin(Stdio::null());
    run::quietly(node)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{name} printed no JSON: {line}")))
        .collect()
}
