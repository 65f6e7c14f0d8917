//! Set-up, build and test commands: `cargo xtask <command>`.
//!
//! Progress goes to standard error, one line a step; what a program might read (benchmark results) goes to standard
//! output. Every command may be run again at any time and does only what is missing.
#![forbid(unsafe_code)]

mod bench;
mod deny;
mod layout;
mod peers;
mod run;
mod say;
mod setup;
mod test;
mod up;
mod vector_aes;
mod web;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Set-up, build and test commands of Conclave.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what a command needs and this machine lacks (Debian packages, npm packages)
    ///
    /// The other commands do this by themselves; run it alone to prepare a machine or an image. Needs root or sudo only
    /// when a Debian package is missing, and then says which command would install it.
    Setup(setup::Args),

    /// Build the web app: the protocol engine as WebAssembly and the page around it
    ///
    /// The first build compiles all of the engine's dependencies for the browser and takes some minutes; later ones
    /// compile what changed. The result is in wasm-client/web/dist/plain (with --tap: dist/tap).
    BuildWeb(web::Args),

    /// Build everything and run a complete Conclave on this machine
    ///
    /// Starts key server, relay and web app in one process and prints the address. Ctrl-C stops it; what it knows is
    /// kept for the next start unless --fresh is given. All arguments go to `conclave up`; see `cargo xtask up -- --help`.
    Up(up::Args),

    /// Run the unit, integration and browser tests
    Test(test::Args),

    /// Measure, print one JSON object a line on standard output
    Bench(bench::Args),

    /// Check licences, banned and doubled crates and their sources (cargo-deny)
    Deny(deny::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::BuildWeb(args) => web::run(&args),
        Command::Up(args) => up::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Deny(args) => deny::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            say::failed(&error);
            ExitCode::FAILURE
        }
    }
}
