//! The one binary: the whole meeting system, its parts one by one, and the auditor.
#![forbid(unsafe_code)]

mod cli;
mod keystore;
mod logging;
mod relay;
mod sfu;
mod stop;
mod turn;
mod up;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if let Some(filter) = cli.command.log_filter() {
        logging::init(filter);
    }
    let outcome = match cli.command {
        cli::Command::Up(args) => up::run(args),
        cli::Command::KeyServer(args) => up::key_server(args),
        cli::Command::Sfu(args) => sfu::run(&args),
        cli::Command::Audit(args) => return audit(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conclave: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// 0 all holds, 1 the evidence is wrong, 2 the audit could not be run.
fn audit(args: audits::cli::AuditArgs) -> ExitCode {
    let outcome = audits::cli::run(args, &mut std::io::stdout().lock());
    if let Err(error) = &outcome {
        eprintln!("conclave: {error}");
    }
    ExitCode::from(audits::cli::exit_code(&outcome))
}
