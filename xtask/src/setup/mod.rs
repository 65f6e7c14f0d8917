//! `cargo xtask setup`: what a command needs and this machine lacks.

pub(crate) mod apt;
pub(crate) mod node;
mod tools;

pub(crate) use tools::cargo_deny;

use crate::say;
use crate::web::toolchain;
use anyhow::Result;
use std::process::ExitCode;

/// What is going to be done, and so what must be there.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// Build and run a Conclave on this machine
    Up,
    /// Run all tests, in Chromium and Firefox too
    Test,
    /// Measure
    Bench,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to prepare for
    #[arg(long = "for", value_name = "PURPOSE", default_value = "up")]
    purpose: Purpose,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    prepare(args.purpose)?;
    say::note("everything needed is here");
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that everything `purpose` needs is there. Silent when it is.
pub(crate) fn prepare(purpose: Purpose) -> Result<()> {
    let browsers = matches!(purpose, Purpose::Test | Purpose::Bench);
    node::check()?;

    let mut needs = vec![apt::SOFTHSM];
    if browsers {
        needs.extend([apt::CHROMIUM, apt::FIREFOX, apt::FONTS]);
    }
    if purpose == Purpose::Test {
        needs.extend([apt::COTURN, apt::OPENSSL]);
    }
    if !toolchain::is_there() {
        toolchain::try_rustup();
    }
    if !toolchain::is_there() {
        needs.extend(toolchain::DEBIAN_PACKAGES);
    }
    apt::install(&needs)?;

    node::packages(&crate::layout::web())?;
    if browsers {
        node::packages(&crate::layout::browser_tests())?;
    }
    Ok(())
}
