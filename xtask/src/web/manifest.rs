//! `build.json`: what was built and the digest of every file that is served. The key server logs it, so that a web
//! origin which serves other bytes can be found out (PF-04).

use super::{Variant, digest, engine, toolchain};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

pub(crate) const NAME: &str = "build.json";

#[derive(Serialize)]
struct Manifest {
    format: &'static str,
    variant: &'static str,
    tools: Tools,
    files: Vec<File>,
}

#[derive(Serialize)]
struct Tools {
    rustc: String,
    wasm_bindgen: &'static str,
    wasm_opt: String,
}

#[derive(Serialize)]
struct File {
    path: String,
    sha256: String,
    size: usize,
}

/// Writes the manifest of everything below `dist` into it.
pub(crate) fn write(variant: Variant, dist: &Path) -> Result<()> {
    let mut files = Vec::new();
    for file in digest::files_below(dist)? {
        let bytes = std::fs::read(&file)?;
        let path = file
            .strip_prefix(dist)?
            .to_str()
            .context("a file of the web app has no UTF-8 name")?
            .to_owned();
        files.push(File {
            path,
            sha256: hex::encode(digest::of_bytes(&bytes)),
            size: bytes.len(),
        });
    }
    let rustc = toolchain::find()
        .context("the compiler for browsers is gone")?
        .version()?;
    let tools = Tools {
        rustc,
        wasm_bindgen: engine::WASM_BINDGEN,
        wasm_opt: engine::optimiser()?,
    };
    let manifest = Manifest {
        format: "conclave-web-build/1",
        variant: variant.name(),
        tools,
        files,
    };
    std::fs::write(dist.join(NAME), serde_json::to_vec_pretty(&manifest)?).context("cannot write the build manifest")
}
