//! `cargo xtask up`: a complete Conclave on this machine.

use crate::{layout, run, say, setup, web};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Forget everything an earlier start kept: rooms, log and keys
    #[arg(long)]
    fresh: bool,

    /// Further arguments, as `conclave up --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    passed_on: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    setup::prepare(setup::Purpose::Up)?;
    let web = web::build(web::Variant::Plain)?;

    let step = say::step("building the server - some minutes the first time, with all its dependencies");
    run::loudly(run::cargo().args(["build", "--package", "conclave"]))?;
    step.done();

    let mut conclave = Command::new(layout::target()?.join("debug/conclave"));
    conclave.arg("up");
    if args.fresh {
        conclave.arg("--fresh");
    }
    conclave.args(&args.passed_on);
    // By environment, so that what the person typed wins.
    for (name, value) in [("CONCLAVE_WEB", web), ("CONCLAVE_DATA", layout::root().join("data"))] {
        if std::env::var_os(name).is_none() {
            conclave.env(name, value);
        }
    }
    // The server takes our place: Ctrl-C and its exit code are its own, and nothing is left between it and the shell.
    let error = conclave.exec();
    Err(error).with_context(|| format!("cannot start `{}`", run::shown(&conclave)))
}
