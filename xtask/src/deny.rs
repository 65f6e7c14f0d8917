//! `cargo xtask deny`: licences, bans and sources, by the rules in deny.toml.

use crate::{layout, run, say, setup};
use anyhow::Result;
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Check for known vulnerabilities too; this downloads the advisory database from its Git server
    #[arg(long)]
    advisories: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let cargo_deny = setup::cargo_deny()?;
    let step = say::step("checking licences, bans and sources of all dependencies");
    let mut deny = Command::new(cargo_deny);
    deny.current_dir(layout::root())
        .args(["--all-features", "check", "--hide-inclusion-graph"]);
    deny.args(["bans", "licenses", "sources"]);
    if args.advisories {
        deny.arg("advisories");
    }
    run::loudly(&mut deny)?;
    step.done();
    Ok(ExitCode::SUCCESS)
}
