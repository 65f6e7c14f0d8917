//! A whole run: everybody joins, then phase after phase is measured.

use std::io::Write;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::measure::{cpu_seconds, quantile, resident};
use crate::media::{self, Stream};
use crate::sdp::{Kind, LAYERS};
use crate::swarm::Swarm;
use crate::target::{self, Name, Target};

/// How long a peer may take to connect, and to get its first packet.
const PATIENCE: Duration = Duration::from_secs(10);
/// Publishers' packets a second while the others join: little, so that who joins last does not meet a relay that is busy already.
const JOINING_VIDEO: f64 = 200.0;
const JOINING_AUDIO: f64 = 10.0;
/// The share of packets that has to arrive for the next phase to be tried, and for a phase to count as one that the relay followed.
const ENOUGH: f64 = 0.9;
const FOLLOWED: f64 = 0.995;
/// Before a phase counts, and after its last packet left.
const SETTLE: Duration = Duration::from_millis(700);
const DRAIN: Duration = Duration::from_millis(200);

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
    /// The relay's process
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Each gets all that is published
    #[arg(long, default_value_t = 20)]
    subscribers: usize,
    /// Bytes of an RTP packet without header extensions
    #[arg(long, default_value_t = 1_100, value_parser = clap::value_parser!(u16).range(64..=1_200))]
    size: u16,
    /// The room, for several loads on one relay of ours
    #[arg(long, default_value = "load")]
    room: String,
    /// Publishers send audio
    #[arg(long)]
    audio: bool,
    /// Publishers send three simulcast layers; rates are those of the highest
    #[arg(long, conflicts_with = "audio")]
    simulcast: bool,
    /// `<packets a second out of the relay>:<seconds>`, run one after another
    #[arg(long = "phase", required = true)]
    phases: Vec<Phase>,
    /// Afterwards, for so many seconds, half of what a core was found to do, for the delays
    #[arg(long)]
    half: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Phase {
    out: f64,
    duration: Duration,
}

impl FromStr for Phase {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (out, seconds) = text
            .split_once(':')
            .context("a phase is <packets a second>:<seconds>")?;
        Ok(Phase {
            out: out.parse()?,
            duration: Duration::try_from_secs_f64(seconds.parse()?)?,
        })
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut swarm = Swarm::new(args.local)?;
    let empty = resident(args.pid)?;
    // Held to the end: signalling connections that close are participants that leave.
    let mut target = target::open(args.target, &args.signalling, &args.room);
    let before = cpu_seconds(args.pid)?;
    let mut joins = join(args, target.as_mut(), &mut swarm)?;
    let setup = cpu_seconds(args.pid)? - before;
    let joined = resident(args.pid)?;
    let (mut phases, mut best) = (Vec::new(), 0.0_f64);
    for phase in &args.phases {
        let (figures, share) = measure(args, &mut swarm, *phase)?;
        if share >= FOLLOWED {
            best = best.max(figures["per_core"].as_f64().unwrap_or(0.0));
        }
        phases.push(figures);
        // Too much already: more would only tell how it fails.
        if share < ENOUGH {
            break;
        }
    }
    let mut half = Value::Null;
    if let Some(seconds) = args.half.filter(|_| best > 0.0) {
        swarm.pace = media::SPREAD;
        let phase = Phase {
            out: best / 2.0,
            duration: Duration::try_from_secs_f64(seconds)?,
        };
        half = measure(args, &mut swarm, phase)?.0;
    }
    let peers = (args.publishers + args.subscribers) as u64;
    let report = json!({
        "peers": peers,
        "bytes_per_peer": joined.saturating_sub(empty) / peers,
        // With the little media that flows meanwhile: an upper bound.
        "setup_cpu_ms_per_peer": setup * 1e3 / peers as f64,
        "join_ms_p50": quantile(&mut joins, 0.5) as f64 / 1e6,
        "join_ms_p99": quantile(&mut joins, 0.99) as f64 / 1e6,
        "phases": phases,
        "half": half,
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

/// Nanoseconds from each subscriber's first word to its first packet.
fn join(args: &Args, target: &mut dyn Target, swarm: &mut Swarm) -> Result<Vec<u64>> {
    let fingerprint = *swarm.identity.fingerprint();
    let kind = match (args.audio, args.simulcast) {
        (true, _) => Kind::Audio,
        (_, true) => Kind::Layers,
        _ => Kind::Video,
    };
    swarm.rate = if args.audio { JOINING_AUDIO } else { JOINING_VIDEO };
    let mut published = Vec::new();
    for _ in 0..args.publishers {
        let peer = swarm.add_peer()?;
        let ssrc = 1_000 + 10 * peer as u32;
        let (id, remote) = target.publish(&fingerprint, kind, ssrc)?;
        swarm.peers[peer].connect(remote)?;
        ensure!(
            swarm.run_until(PATIENCE, |swarm| swarm.peers[peer].is_connected())?,
            "publisher {peer} did not connect"
        );
        published.push((id, kind));
        let descriptor = target.takes_descriptor();
        let stream = |ssrc| Stream::new(peer, kind, ssrc, usize::from(args.size), descriptor);
        if args.simulcast {
            let layers = (0..LAYERS.len()).map(|layer| stream(ssrc + layer as u32).of_layer(layer));
            swarm.streams.extend(layers);
        } else {
            swarm.streams.push(stream(ssrc));
        }
    }
    swarm.run(SETTLE)?;
    let mut joins = Vec::new();
    for _ in 0..args.subscribers {
        let peer = swarm.add_peer()?;
        let start = Instant::now();
        let remote = target.subscribe(&fingerprint, &published)?;
        swarm.peers[peer].connect(remote)?;
        ensure!(
            swarm.run_until(PATIENCE, |swarm| swarm.peers[peer].received.first.is_some())?,
            "subscriber {peer} got nothing"
        );
        let first = swarm.peers[peer].received.first.context("no first packet")?;
        joins.push(first.saturating_duration_since(start).as_nanos() as u64);
        // Media goes on while nobody joins, so that no relay sees the pause of a slow signalling as an end.
        swarm.run(Duration::from_millis(5))?;
    }
    Ok(joins)
}

fn measure(args: &Args, swarm: &mut Swarm, phase: Phase) -> Result<(Value, f64)> {
    swarm.rate = phase.out / (args.publishers * args.subscribers) as f64;
    swarm.run(SETTLE)?;
    swarm.pause(DRAIN)?;
    for peer in &mut swarm.peers {
        peer.received = Default::default();
    }
    let sent_before = sent(swarm);
    let (cpu, start) = (cpu_seconds(args.pid)?, Instant::now());
    swarm.run(phase.duration)?;
    let took = start.elapsed().as_secs_f64();
    swarm.pause(DRAIN)?;
    let cpu = cpu_seconds(args.pid)? - cpu;
    let sent = sent(swarm) - sent_before;
    let received = || swarm.peers.iter().map(|peer| &peer.received);
    let delivered: u64 = received().map(|received| received.packets).sum();
    let broken: u64 = received().map(|received| received.broken).sum();
    ensure!(broken == 0, "{broken} packets arrived broken");
    let mut delays: Vec<u64> = received()
        .flat_map(|received| received.delays.iter().copied())
        .collect();
    let share = delivered as f64 / (sent * args.subscribers as u64).max(1) as f64;
    let figures = json!({
        "asked": phase.out,
        "out_per_second": delivered as f64 / took,
        "delivered": delivered,
        "share": share,
        "cpu_seconds": cpu,
        "per_core": delivered as f64 / cpu.max(0.01),
        "sampled": delays.len(),
        "delay_us_p50": quantile(&mut delays, 0.5) as f64 / 1e3,
        "delay_us_p99": quantile(&mut delays, 0.99) as f64 / 1e3,
    });
    Ok((figures, share))
}

/// Packets sent so far of what receivers get.
fn sent(swarm: &Swarm) -> u64 {
    let received = swarm.streams.iter().filter(|stream| stream.is_received());
    received.map(|stream| stream.sent).sum()
}

#[cfg(test)]
mod tests {
    use super::Phase;
    use std::time::Duration;

    #[test]
    fn a_phase_is_a_rate_and_a_time() {
        let phase: Phase = "60000:2.5".parse().expect("a phase");
        assert_eq!(phase.out, 60_000.0);
        assert_eq!(phase.duration, Duration::from_millis(2_500));
        for wrong in ["", "60000", "x:1", "1:-1", "1:x"] {
            assert!(wrong.parse::<Phase>().is_err(), "{wrong}");
        }
    }
}
