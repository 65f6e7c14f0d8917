//! `cargo xtask bench`: measurements, one JSON object a line on standard output.

mod browser;
mod congestion;
mod frame;
mod frame_web;
mod mls;
mod sfu;
mod web_size;

use crate::{say, setup};
use anyhow::{Result, bail};
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

#[derive(clap::Args)]
#[command(after_help = list())]
pub(crate) struct Args {
    /// Which measurement; without it, all of them
    name: Option<String>,
    /// Of `sfu` and `frame`: the cases whose name contains this; of `mls`: the profile
    part: Option<String>,
}

/// A measurement gives lines, each an object; the dispatcher adds its name.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(Option<&str>) -> Result<Vec<Value>>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "aead",
        about: "AES-GCM in WebAssembly: ours beside aes-gcm and WebCrypto, in Node, Chromium and Firefox",
        run: |_| browser::aead(),
    },
    Bench {
        name: "frame",
        about: "sealing and opening a frame, natively, beside raw ring, `sframe` and `davey`",
        run: frame::run,
    },
    Bench {
        name: "frame-web",
        about: "sealing and opening a frame in browsers' workers, beside LiveKit's frame cryptor and DAVE",
        run: |_| frame_web::run(),
    },
    Bench {
        name: "join",
        about: "in real browsers, from pressing Join to the first picture of somebody else",
        run: |_| browser::join(),
    },
    Bench {
        name: "recovery",
        about: "in real browsers, from a failure of the encryption engine to the next picture",
        run: |_| browser::recovery(),
    },
    Bench {
        name: "call",
        about: "in Chromium, what the transform costs in a running call, beside none and LiveKit's",
        run: |_| browser::call(),
    },
    Bench {
        name: "mls",
        about: "joining, committing, following commits with 2 to 1,000 members, natively and in WASM, beside mls-rs",
        run: mls::run,
    },
    Bench {
        name: "ready",
        about: "in real browsers, from the page's address to the engine running in its worker",
        run: |_| browser::ready(),
    },
    Bench {
        name: "web-size",
        about: "what a browser loads: bytes as they are and gzipped",
        run: |_| web_size::run(),
    },
    Bench {
        name: "sfu",
        about: "the relay beside a minimal str0m relay and Janus: packets of a core, delay, memory, joining",
        run: sfu::run,
    },
    Bench {
        name: "congestion",
        about: "our congestion control beside str0m's on emulated lines: use, queue, loss, time to follow",
        run: congestion::run,
    },
];

fn list() -> String {
    let lines = BENCHES
        .iter()
        .map(|bench| format!("  {:10}  {}", bench.name, bench.about));
    std::iter::once("Measurements:".to_owned())
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let chosen: Vec<&Bench> = BENCHES
        .iter()
        .filter(|bench| args.name.as_ref().is_none_or(|name| name == bench.name))
        .collect();
    if chosen.is_empty() {
        bail!(
            "there is no measurement `{}`\n\n{}",
            args.name.as_deref().unwrap_or_default(),
            list()
        );
    }
    setup::prepare(setup::Purpose::Bench)?;
    let mut out = std::io::stdout().lock();
    for bench in chosen {
        let step = say::step(&format!("measuring {}: {}", bench.name, bench.about));
        for mut line in (bench.run)(args.part.as_deref())? {
            if let Some(object) = line.as_object_mut() {
                object.insert("bench".to_owned(), bench.name.into());
            }
            writeln!(out, "{line}")?;
        }
        step.done();
    }
    Ok(ExitCode::SUCCESS)
}
