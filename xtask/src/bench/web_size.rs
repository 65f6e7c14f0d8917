//! What a browser loads before a meeting can start.

use crate::web::{self, Variant};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

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
            let bytes = std::fs::metadata(&path)?.len();
            lines.push(json!({ "what": what, "kind": kind, "bytes": bytes, "gzip_bytes": gzipped(&path)? }));
        }
    }
    lines.sort_by_key(|line| line["what"].to_string());
    Ok(lines)
}

fn gzipped(path: &Path) -> Result<usize> {
    let output = Command::new("gzip")
        .args(["-9", "--stdout"])
        .arg(path)
        .output()
        .context("cannot start gzip")?;
    anyhow::ensure!(output.status.success(), "gzip failed on {}", path.display());
    Ok(output.stdout.len())
}
