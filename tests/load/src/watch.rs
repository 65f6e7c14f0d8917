//! Receivers on bad lines: the same scenarios for each relay, drawn from the same seeds, and what a viewer sees.
//!
//! The line is in the generator, between a receiver's socket and its viewer, as kernels without `netem` have none. What goes to the relay
//! takes as long, and is lost in the outage alone: losses are the receivers' own, on the side where the media is.

use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use emulator::{Capacity, Line, Loss, Profile, Reordering};
use serde_json::json;

use crate::media::Stream;
use crate::sdp::Kind;
use crate::swarm::Swarm;
use crate::target::{self, Name};
use crate::viewer::{FREEZE, Tally, Viewer};

const PATIENCE: Duration = Duration::from_secs(10);
/// 1.6 Mbit/s of media.
const PACKETS: f64 = 180.0;
const CAPACITY: u64 = 10_000_000;
/// Until estimators have settled on a line that is good yet, and between one that is bad and the end.
const SETTLE: Duration = Duration::from_secs(4);
const OUTAGE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long, value_enum)]
    target: Name,
    /// Host and port of the relay's signalling
    #[arg(long)]
    signalling: String,
    /// The address the peers' sockets are bound to
    #[arg(long, default_value = "127.0.0.1")]
    local: IpAddr,
    #[arg(long, default_value_t = 8)]
    viewers: usize,
    /// Of each scenario
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Only scenarios whose name contains this
    #[arg(long, default_value = "")]
    part: String,
}

/// Both directions between a socket and its viewer.
pub(crate) struct Lines {
    pub(crate) down: Line<Vec<u8>>,
    pub(crate) up: Line<Vec<u8>>,
}

impl Lines {
    pub(crate) fn good(now: Instant) -> Self {
        Lines::of(&Profile::steady(CAPACITY), 0, now)
    }

    fn of(profile: &Profile, seed: u64, now: Instant) -> Self {
        let back = Profile {
            capacity: profile.capacity.clone(),
            queue: profile.queue,
            ..Profile::steady(CAPACITY)
        };
        Lines {
            down: Line::new(profile.clone(), seed, now),
            up: Line::new(back, seed ^ 0xFFFF, now),
        }
    }
}

fn scenarios() -> Vec<(&'static str, Profile)> {
    let loss = |loss| Profile {
        loss,
        ..Profile::steady(CAPACITY)
    };
    vec![
        ("no loss", loss(Loss::None)),
        ("loss of 5 %", loss(Loss::Random(0.05))),
        ("loss of 10 %", loss(Loss::Random(0.10))),
        ("loss of 20 %", loss(Loss::Random(0.20))),
        (
            // A dozen packets long, of which half are lost.
            "bursts of loss, 5 % in all",
            loss(Loss::Bursts {
                begin: 0.008,
                end: 0.08,
                lost: 0.55,
            }),
        ),
        (
            "one in ten 20 ms late",
            Profile {
                reordering: Some(Reordering {
                    probability: 0.1,
                    detour: Duration::from_millis(20),
                }),
                ..Profile::steady(CAPACITY)
            },
        ),
        (
            "outage of 5 s",
            Profile {
                capacity: Capacity::Steps(vec![(Duration::ZERO, CAPACITY), (OUTAGE.0, 0), (OUTAGE.1, CAPACITY)]),
                // What stands in queues when the way is back is next to nothing.
                queue: 12_000,
                ..Profile::steady(CAPACITY)
            },
        ),
    ]
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for (number, (name, profile)) in scenarios().into_iter().enumerate() {
        if name.contains(&args.part) {
            scenario(args, number, name, &profile)?;
        }
    }
    Ok(())
}

fn scenario(args: &Args, number: usize, name: &str, profile: &Profile) -> Result<()> {
    let mut swarm = Swarm::new(args.local)?;
    let fingerprint = *swarm.identity.fingerprint();
    let mut target = target::open(args.target, &args.signalling, &format!("watched-{number}"));
    swarm.rate = PACKETS;
    let publisher = swarm.add_peer()?;
    let ssrc = 1_000 + number as u32;
    let (id, remote) = target.publish(&fingerprint, Kind::Watched, ssrc)?;
    swarm.peers[publisher].connect(remote)?;
    ensure!(
        swarm.run_until(PATIENCE, |swarm| swarm.peers[publisher].is_connected())?,
        "the publisher did not connect"
    );
    // Some relays take a moment until a publisher can be asked for.
    swarm.run(SETTLE / 4)?;
    let descriptor = target.takes_descriptor();
    swarm
        .streams
        .push(Stream::new(publisher, Kind::Watched, ssrc, 1_100, descriptor));
    let published = [(id, Kind::Watched)];
    for _ in 0..args.viewers {
        let peer = swarm.add_peer()?;
        let now = Instant::now();
        swarm.peers[peer].watch(Viewer::new(now), Lines::good(now));
        let remote = target.subscribe(&fingerprint, &published)?;
        swarm.peers[peer].connect(remote)?;
        ensure!(
            swarm.run_until(PATIENCE, |swarm| swarm.peers[peer].is_connected())?,
            "viewer {peer} did not connect"
        );
    }
    swarm.run(SETTLE)?;
    let (now, sent) = (Instant::now(), swarm.streams[0].sent);
    let watching = || 1..=args.viewers;
    for peer in watching() {
        let lines = Lines::of(profile, 100 * number as u64 + peer as u64, now);
        if let Some((viewer, old)) = &mut swarm.peers[peer].watching {
            viewer.begin(now);
            *old = lines;
        }
    }
    let frames = swarm.streams[0].frame();
    swarm.run(Duration::from_secs_f64(args.seconds))?;
    let now = Instant::now();
    let (sent, frames) = (swarm.streams[0].sent - sent, swarm.streams[0].frame() - frames);
    let mut all = Vec::new();
    let mut lost_on_the_way = 0;
    for peer in watching() {
        if let Some((viewer, lines)) = &mut swarm.peers[peer].watching {
            all.push(viewer.end(now).clone());
            lost_on_the_way += lines.down.tally.lost + lines.down.tally.dropped;
        }
    }
    let sum = |of: fn(&Tally) -> u64| all.iter().map(of).sum::<u64>();
    let freezes: Vec<Duration> = all.iter().flat_map(|tally| tally.freezes.iter().copied()).collect();
    let watched = args.seconds * args.viewers as f64;
    let expected = (sent * args.viewers as u64).max(1) as f64;
    let line = json!({
        "case": name,
        "longer_than_ms": FREEZE.as_millis(),
        "freezes_a_minute": freezes.len() as f64 * 60.0 / watched,
        "longest_freeze_ms": freezes.iter().max().map_or(0, Duration::as_millis),
        "frozen_share": freezes.iter().sum::<Duration>().as_secs_f64() / watched,
        "shown_share": sum(|tally| tally.shown) as f64 / (u64::from(frames) * args.viewers as u64).max(1) as f64,
        "lost_on_the_way": lost_on_the_way,
        "lost_after_repair": 1.0 - (sum(|tally| tally.packets) as f64 / expected).min(1.0),
        "asked": sum(|tally| tally.asked),
        "repaired": sum(|tally| tally.repaired),
        "key_frames_asked": sum(|tally| tally.key_frames_asked),
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
