//! A load for relays: many WebRTC peers from one process, the same media with the same pacing whichever relay it is put on.
//!
//! `load drive` joins publishers and subscribers one after another, then runs the phases asked for and prints one JSON object;
//! `load watch` has viewers look at one stream over lines that lose and delay, and prints one JSON object a line;
//! `load relay` is our own relay alone in a process.
#![forbid(unsafe_code)]

mod drive;
mod measure;
mod media;
mod peer;
mod relay;
mod sdp;
mod swarm;
mod target;
mod viewer;
mod watch;

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Parser;

#[derive(Parser)]
#[command(about)]
enum Cli {
    /// Put a load on a relay and print what came of it
    Drive(drive::Args),
    /// Look at a relay's picture over bad lines and print how it was
    Watch(watch::Args),
    /// Run our relay alone
    Relay {
        /// Address of the signalling; media goes over a port of the same address
        #[arg(long)]
        signalling: SocketAddr,
        /// Threads that forward
        #[arg(long, default_value = "1")]
        threads: NonZeroUsize,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse() {
        Cli::Drive(args) => drive::run(&args),
        Cli::Watch(args) => watch::run(&args),
        Cli::Relay { signalling, threads } => relay::run(signalling, threads),
    }
}
