//! What a browser loads before a meeting can start.

use crate::web::{self, Variant};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Of the engine in WebAssembly, in bytes.
const GOAL: u64 = 1_200_000;
const GOAL_GZIP: u64 = 500_000;

pub(crate) fn run() -> Result<Vec<Value>> {
    let assets = web::build(Variant::Plain)?.join("assets");
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(&assets)? {
        let path = entry?.path();
        let kind = path
            .extension()
            .and_then(|end| end.to_str())
            .unwrap_or_default()
            .to_owned();
        // Maps are loaded by developer tools only.
        if kind != "map" {
            // "worker-3OF7STOS.js" -> "worker": the same name from build to build.
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .context("a file without a UTF-8 name")?;
            let what = name.rsplit_once('-').map_or(name, |(stem, _)| stem);
            let (bytes, packed) = (std::fs::metadata(&path)?.len(), gzipped(&path)?);
            let engine = kind == "wasm";
            lines.push(line(&format!("{what}.{kind}"), bytes, engine.then_some(GOAL)));
            lines.push(line(
                &format!("{what}.{kind}, gzip"),
                packed,
                engine.then_some(GOAL_GZIP),
            ));
        }
    }
    lines.sort_by_key(|line| line["case"].to_string());
    Ok(lines)
}

fn line(case: &str, bytes: u64, goal: Option<u64>) -> Value {
    json!({
        "case": case,
        "unit": "bytes",
        "ours": bytes,
        "peers": {},
        "goal": goal.map(|goal| format!("< {goal}")),
        "holds": goal.map(|goal| bytes < goal),
    })
}

fn gzipped(path: &Path) -> Result<u64> {
    let output = Command::new("gzip")
        .args(["-9", "--stdout"])
        .arg(path)
        .output()
        .context("cannot start gzip")?;
    anyhow::ensure!(output.status.success(), "gzip failed on {}", path.display());
    Ok(u64::try_from(output.stdout.len())?)
}
