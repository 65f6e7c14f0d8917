//! Sealing and opening frames, beside raw ring, the `sframe` crate and DAVE. The measuring itself is in `peers/`, which
//! nothing else compiles.

use crate::{layout, peers, run};
use anyhow::{Context, Result};
use serde_json::Value;

pub(crate) fn run(part: Option<&str>) -> Result<Vec<Value>> {
    let mut build = peers::cargo("build")?;
    build.args(["--release", "--bin", "frame", "--features", "frame-bench"]);
    run::loudly(&mut build)?;
    let program = peers::target()?.join("release/frame");
    let text = run::quietly(
        std::process::Command::new(program)
            .args(part)
            .current_dir(layout::root()),
    )?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("`{line}` is not a figure")))
        .collect()
}
