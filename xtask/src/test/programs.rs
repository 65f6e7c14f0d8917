//! The server in both variants, each under a name of its own: what forwards with a tap is never where the plain one is.

use crate::web::Variant;
use crate::{layout, run, say};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Where the tests find a variant of the server.
pub(crate) fn path(variant: Variant) -> Result<PathBuf> {
    let name = match variant {
        Variant::Plain => "conclave",
        Variant::Tap => "conclave-tap",
    };
    Ok(layout::target()?.join("tested").join(name))
}

pub(crate) fn build_both() -> Result<()> {
    // Cargo writes both to one place, so each is copied at once; the plain one last, since `up` finds it there.
    build(Variant::Tap)?;
    build(Variant::Plain)
}

pub(crate) fn build(variant: Variant) -> Result<()> {
    let step = say::step(&format!("building the {} server", variant.name()));
    let mut build = run::cargo();
    build.args(["build", "--package", "conclave"]);
    if variant == Variant::Tap {
        build.args(["--features", "tap,pq"]);
    }
    run::loudly(&mut build)?;

    let (built, kept) = (layout::target()?.join("debug/conclave"), path(variant)?);
    std::fs::create_dir_all(kept.parent().context("a path without a folder")?)?;
    // Beside and then renamed: a server that still runs keeps its file.
    let fresh = kept.with_extension("new");
    std::fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    std::fs::rename(&fresh, &kept)?;
    step.done();
    Ok(())
}
