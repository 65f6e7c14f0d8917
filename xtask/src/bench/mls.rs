//! MLS at 2 to 1,000 members: the engine natively and in WebAssembly, beside bare OpenMLS and mls-rs.

use crate::web::{self, Variant};
use crate::{layout, peers, run};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

/// What the experimental profile needs, and the measuring program.
const FEATURES: &str = "bench,pq";
const PEER: &str = "mls-rs 0.57";

pub(crate) fn run(profile: Option<&str>) -> Result<Vec<Value>> {
    let tapes = layout::target()?.join("bench/mls");
    if tapes.exists() {
        std::fs::remove_dir_all(&tapes)?;
    }
    let only = profile.into_iter().flat_map(|profile| ["--profile", profile]);
    let ours = figures(Command::new(ours()?).arg("--tapes").arg(&tapes).args(only))?;
    let theirs = figures(&mut Command::new(theirs()?))?;
    web::build(Variant::Plain)?;
    let script = layout::root().join("tests/bench/mls.mjs");
    let in_wasm = figures(
        Command::new("node")
            .arg(script)
            .arg(&tapes)
            .arg(web::Engine::Simd(Variant::Plain).generated()),
    )?;
    Ok(beside(ours, theirs).into_iter().chain(in_wasm).collect())
}

fn ours() -> Result<PathBuf> {
    let mut build = run::cargo();
    build.args(["build", "--release", "--package", "simulator", "--bin", "mls"]);
    run::loudly(build.args(["--features", FEATURES]))?;
    Ok(layout::target()?.join("release/mls"))
}

fn theirs() -> Result<PathBuf> {
    let mut build = peers::cargo("build")?;
    run::loudly(build.args(["--release", "--bin", "mls", "--features", "mls-bench"]))?;
    Ok(peers::target()?.join("release/mls"))
}

fn figures(program: &mut Command) -> Result<Vec<Value>> {
    run::quietly(program.current_dir(layout::root()))?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("`{line}` is not a figure")))
        .collect()
}

/// Theirs to the case that it is of. What they have no suite for stays without.
fn beside(mut ours: Vec<Value>, theirs: Vec<Value>) -> Vec<Value> {
    let theirs: HashMap<String, Value> = theirs
        .into_iter()
        .filter_map(|line| Some((line["case"].as_str()?.to_owned(), line[PEER].clone())))
        .collect();
    for line in &mut ours {
        let case = line["case"].as_str().unwrap_or_default().to_owned();
        if let Some(figure) = theirs.get(&case) {
            line["peers"][PEER] = figure.clone();
        }
        line["goal"] = json!(null);
        line["holds"] = json!(null);
    }
    ours
}
