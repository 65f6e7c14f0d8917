//! `cargo xtask build-web`: the engine as WebAssembly, its glue, and the bundle around it.

mod bundle;
mod digest;
mod engine;
mod guard;
mod manifest;
pub(crate) mod toolchain;

use crate::{layout, say, setup};
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The variant for tests: what the worker seals can be read by the test. Never serve it to people
    #[arg(long)]
    tap: bool,

    /// A draft for a quick look: types are not checked and the engine is not optimised a second time. `up` and `test`
    /// never take a draft for the real thing
    #[arg(long, alias = "skip-types")]
    draft: bool,
}

/// Which web app. They share nothing that is written, so that neither can be taken for the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Plain,
    Tap,
}

impl Variant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tap => "tap",
        }
    }

    /// What a server serves.
    pub(crate) fn dist(self) -> PathBuf {
        layout::web().join("dist").join(self.name())
    }
}

/// A compilation of the engine. The sources import the one with SIMD as `conclave-wasm`, the other as
/// `conclave-wasm-baseline`, and the worker takes one of them when it starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Simd(Variant),
    /// For browsers without SIMD. One for both web apps: it has no tap, and tests need none of it but that it starts.
    Baseline,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Simd(variant) => variant.name(),
            Self::Baseline => "baseline",
        }
    }

    fn is_for_tests(self) -> bool {
        self == Self::Simd(Variant::Tap)
    }

    /// WebAssembly with its JavaScript and types.
    pub(crate) fn generated(self) -> PathBuf {
        layout::web().join("generated").join(self.name())
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::prepare(setup::Purpose::Up)?;
    let variant = if args.tap { Variant::Tap } else { Variant::Plain };
    let dist = build_with(variant, if args.draft { Care::Draft } else { Care::Full })?;
    say::note(&format!("the web app is in {}", dist.display()));
    Ok(ExitCode::SUCCESS)
}

/// Builds one variant as far as it is out of date and gives back the folder to serve.
pub(crate) fn build(variant: Variant) -> Result<PathBuf> {
    build_with(variant, Care::Full)
}

/// How much is done before something is called built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    Full,
    Draft,
}

fn build_with(variant: Variant, care: Care) -> Result<PathBuf> {
    engine::build(Engine::Simd(variant), care)?;
    engine::build(Engine::Baseline, care)?;
    bundle::build(variant, care)?;
    Ok(variant.dist())
}
