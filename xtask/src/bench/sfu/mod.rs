//! Our relay beside a minimal str0m relay and Janus VideoRoom: the same peers, media and pacing by one load generator (`tests/load`).

mod relays;
mod watched;
mod wire;

use crate::setup::apt;
use crate::{layout, run, say};
use anyhow::{Context, Result, bail};
use relays::{Relay, Which};
use serde_json::{Value, json};
use std::process::Command;
use wire::Wire;

/// A meeting. The steps are packets a second out of the relay, each run for some seconds, as far as a relay can follow.
struct Case {
    name: &'static str,
    publishers: u32,
    subscribers: u32,
    size: u32,
    audio: bool,
    simulcast: bool,
    steps: &'static [u32],
}

const SECONDS: u32 = 4;
const STEPS: &[u32] = &[15_000, 30_000, 60_000, 120_000, 200_000, 300_000];
const CASES: &[Case] = &[
    Case {
        name: "1 to 20, 1,100 B",
        publishers: 1,
        subscribers: 20,
        size: 1_100,
        audio: false,
        simulcast: false,
        steps: STEPS,
    },
    Case {
        name: "1 to 100, 1,100 B",
        publishers: 1,
        subscribers: 100,
        size: 1_100,
        audio: false,
        simulcast: false,
        steps: STEPS,
    },
    Case {
        name: "10 to 300 audio, 160 B",
        publishers: 10,
        subscribers: 300,
        size: 160,
        audio: true,
        simulcast: false,
        // The last is fifty packets a second of each speaker: a meeting's rate, not one to be raised.
        steps: &[30_000, 60_000, 150_000],
    },
    Case {
        name: "15 to 15, three layers",
        publishers: 15,
        subscribers: 15,
        size: 1_100,
        audio: false,
        simulcast: true,
        // 1.7 Mbit/s of each is the second step.
        steps: &[20_000, 43_000, 90_000, 150_000],
    },
];
/// Subscribers of one publisher, for the memory that each takes.
const CROWDS: &[u32] = &[50, 100, 200, 400];

/// A relay follows a step when this share of the packets arrives.
const FOLLOWED: f64 = 0.995;
const PACKETS_GOAL: f64 = 200_000.0;
const DELAY_GOAL_MS: f64 = 2.0;
const JOIN_GOAL_MS: f64 = 50.0;
const SETUP_GOAL_MS: f64 = 10.0;

/// What one relay came to in one case.
struct Figures {
    per_core: f64,
    delay_p50_ms: f64,
    delay_p99_ms: f64,
    kilobytes_per_peer: f64,
    join_p99_ms: f64,
    setup_cpu_ms: f64,
}

/// `part`: of the names of the cases to measure.
pub(crate) fn run(part: Option<&str>) -> Result<Vec<Value>> {
    apt::install(&[relays::JANUS])?;
    let step = say::step("building the load generator and the relay");
    run::loudly(run::cargo().args(["build", "--release", "--locked", "--package", "load"]))?;
    run::loudly(
        run::cargo()
            .args(["build", "--release", "--locked", "--manifest-path"])
            .arg(relays::str0m_manifest())
            .arg("--target-dir")
            .arg(relays::peers_target()?),
    )?;
    step.done();
    let wire = Wire::lay();
    let mut lines = Vec::new();
    let wanted = |name: &str| part.is_none_or(|part| name.contains(part));
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        let mut ours = None;
        let mut peers = Vec::new();
        for which in Which::ALL {
            if which == Which::Janus && case.simulcast {
                continue; // it passes no simulcast on to receivers that are offered one stream
            }
            if which == Which::Janus && !wire.is_private() {
                say::warn("Janus takes no loopback address and is left out: making a network of its own needs root");
                continue;
            }
            let step = say::step(&format!("{}: {}", case.name, which.name()));
            let figures = measure(case, which, &wire, 1).and_then(|report| figures(&report));
            match (figures, which) {
                (Ok(figures), Which::Ours) => ours = Some(figures),
                (Ok(figures), _) => peers.push((which, figures)),
                (Err(error), Which::Ours) => return Err(error),
                // A peer that cannot take the load is a result, but not one with figures.
                (Err(error), _) => say::warn(&format!("{} gave up: {error:#}", which.name())),
            }
            step.done();
        }
        let ours = ours.context("our relay was not measured")?;
        lines.extend(report(case, &ours, &peers));
    }
    if wanted("crowds") {
        lines.extend(crowds(&wire)?);
    }
    if wanted("threads") {
        lines.push(two_threads(&wire)?);
    }
    if wanted("watched") {
        lines.extend(watched::run(&wire)?);
    }
    Ok(lines)
}

/// Memory a peer, in meetings of several sizes: whether it grows with the peers alone.
fn crowds(wire: &Wire) -> Result<Vec<Value>> {
    let mut lines = Vec::new();
    for subscribers in CROWDS {
        let case = Case {
            name: "crowd",
            publishers: 1,
            subscribers: *subscribers,
            size: 1_100,
            audio: false,
            simulcast: false,
            steps: &[4_000],
        };
        let memory = |which| {
            let report = measure(&case, which, wire, 1).ok()?;
            Some(rounded(report["bytes_per_peer"].as_f64()? / 1024.0))
        };
        let step = say::step(&format!("1 to {subscribers}: memory"));
        let ours = memory(Which::Ours).context("our relay was not measured")?;
        let mut peers = serde_json::Map::new();
        // Janus takes a minute to let 400 in.
        for which in [Which::Str0m, Which::Janus] {
            if which == Which::Janus && (*subscribers > 100 || !wire.is_private()) {
                continue;
            }
            if let Some(figure) = memory(which) {
                peers.insert(which.name().to_owned(), json!(figure));
            }
        }
        step.done();
        let least = peers.values().filter_map(Value::as_f64).fold(f64::INFINITY, f64::min);
        lines.push(
            json!({ "case": format!("crowds: memory a peer, 1 to {subscribers}"), "unit": "KiB", "ours": ours, "peers": peers,
                "goal": if least.is_finite() { json!(least) } else { Value::Null }, "holds": ours <= least }),
        );
    }
    Ok(lines)
}

/// What a room costs where there is a second thread, whose datagrams have to be handed over: packets out of a busy core, beside one thread.
fn two_threads(wire: &Wire) -> Result<Value> {
    let case = CASES.first().context("there is no case")?;
    let step = say::step("ours with one thread and with two");
    let of = |threads| Ok::<f64, anyhow::Error>(figures(&measure(case, Which::Ours, wire, threads)?)?.per_core);
    let (one, two) = (of(1)?, of(2)?);
    step.done();
    Ok(
        json!({ "case": format!("threads: {}, a room on one of two: packets out of a busy core", case.name), "unit": "packets/s",
        "ours": rounded(two), "peers": { "one thread": rounded(one) }, "goal": PACKETS_GOAL, "holds": two >= PACKETS_GOAL }),
    )
}

/// What the load tells of one relay.
fn measure(case: &Case, which: Which, wire: &Wire, threads: u32) -> Result<Value> {
    let relay = Relay::start(which, wire, threads)?;
    let mut load = Command::new(layout::target()?.join("release/load"));
    load.args(["drive", "--target", which.name(), "--signalling", &relay.signalling]);
    load.args(["--local", &wire.near, "--pid", &relay.pid().to_string()]);
    load.args(["--publishers", &case.publishers.to_string()]);
    load.args(["--subscribers", &case.subscribers.to_string()]);
    load.args(["--size", &case.size.to_string()]);
    if case.audio {
        load.arg("--audio");
    }
    if case.simulcast {
        load.arg("--simulcast");
    }
    for step in case.steps {
        load.args(["--phase", &format!("{step}:{SECONDS}")]);
    }
    if case.steps.len() > 1 {
        load.args(["--half", &SECONDS.to_string()]);
    }
    let report: Value = serde_json::from_str(&run::quietly(&mut load)?)?;
    for phase in report["phases"]
        .as_array()
        .into_iter()
        .flatten()
        .chain([&report["half"]])
    {
        say::note(&format!("{phase}"));
    }
    Ok(report)
}

/// The best step that the relay followed, and the delays at half of what a core of it can do.
fn figures(report: &Value) -> Result<Figures> {
    let number = |value: &Value, key: &str| value[key].as_f64().with_context(|| format!("the load tells no {key}"));
    let phases = report["phases"].as_array().context("the load tells no phases")?;
    let followed = phases.iter().filter(|phase| {
        let share = phase["share"].as_f64();
        share.is_some_and(|share| share >= FOLLOWED)
    });
    let followed: Vec<&Value> = followed.collect();
    let mut per_core = 0.0_f64;
    for phase in &followed {
        per_core = per_core.max(number(phase, "per_core")?);
    }
    if followed.is_empty() {
        bail!("packets were lost at every rate");
    }
    let half = &report["half"];
    Ok(Figures {
        per_core,
        delay_p50_ms: number(half, "delay_us_p50")? / 1e3,
        delay_p99_ms: number(half, "delay_us_p99")? / 1e3,
        kilobytes_per_peer: number(report, "bytes_per_peer")? / 1024.0,
        join_p99_ms: number(report, "join_ms_p99")?,
        setup_cpu_ms: number(report, "setup_cpu_ms_per_peer")?,
    })
}

fn report(case: &Case, ours: &Figures, peers: &[(Which, Figures)]) -> Vec<Value> {
    type Pick = fn(&Figures) -> f64;
    let line = |what: &str, unit: &str, pick: Pick, goal: f64, more: bool| {
        let own = pick(ours);
        let of_peers: serde_json::Map<String, Value> = peers
            .iter()
            .map(|(which, figures)| (which.name().to_owned(), json!(rounded(pick(figures)))))
            .collect();
        let holds = if more { own >= goal } else { own <= goal };
        json!({ "case": format!("{}: {what}", case.name), "unit": unit, "ours": rounded(own), "peers": of_peers,
            "goal": rounded(goal), "holds": holds })
    };
    let of_peers = |pick: Pick| peers.iter().map(move |(_, figures)| pick(figures));
    let best_rate = of_peers(|f| f.per_core).fold(0.0, f64::max);
    let least_memory = of_peers(|f| f.kilobytes_per_peer).fold(f64::INFINITY, f64::min);
    vec![
        line(
            "packets out of a busy core",
            "packets/s",
            |f| f.per_core,
            PACKETS_GOAL.max(2.0 * best_rate),
            true,
        ),
        line(
            "added delay p50 at half load",
            "ms",
            |f| f.delay_p50_ms,
            DELAY_GOAL_MS,
            false,
        ),
        line(
            "added delay p99 at half load",
            "ms",
            |f| f.delay_p99_ms,
            DELAY_GOAL_MS,
            false,
        ),
        line(
            "memory a peer",
            "KiB",
            |f| f.kilobytes_per_peer,
            if peers.is_empty() {
                f64::from(1 << 20)
            } else {
                least_memory
            },
            false,
        ),
        line(
            "joining to first packet p99",
            "ms",
            |f| f.join_p99_ms,
            JOIN_GOAL_MS,
            false,
        ),
        line(
            "the relay's CPU time for a peer's setup",
            "ms",
            |f| f.setup_cpu_ms,
            SETUP_GOAL_MS,
            false,
        ),
    ]
}

/// Three digits tell all that a run on a shared machine can.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powf(2.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::{figures, rounded};
    use serde_json::json;

    fn phase(asked: f64, share: f64, per_core: f64, delay: f64) -> serde_json::Value {
        json!({ "asked": asked, "share": share, "per_core": per_core, "delay_us_p50": delay, "delay_us_p99": 2.0 * delay })
    }

    #[test]
    fn a_step_that_lost_packets_does_not_count_and_delays_are_those_at_half_load() {
        let report = json!({ "bytes_per_peer": 2048, "join_ms_p99": 5.0, "setup_cpu_ms_per_peer": 3.0, "phases": [
            phase(15_000.0, 1.0, 80_000.0, 100.0), phase(60_000.0, 0.999, 100_000.0, 300.0), phase(51_000.0, 0.7, 130_000.0, 900.0),
        ], "half": phase(50_000.0, 1.0, 90_000.0, 200.0) });
        let figures = figures(&report).unwrap();
        assert_eq!(figures.per_core, 100_000.0);
        assert_eq!((figures.delay_p50_ms, figures.delay_p99_ms), (0.2, 0.4));
        assert_eq!(figures.kilobytes_per_peer, 2.0);
    }

    #[test]
    fn a_report_without_a_step_that_was_followed_is_an_error() {
        let report = json!({ "bytes_per_peer": 1, "join_ms_p99": 5.0, "setup_cpu_ms_per_peer": 3.0, "phases": [phase(15_000.0, 0.5, 80_000.0, 1.0)] });
        assert!(figures(&report).is_err());
        assert!(figures(&json!({})).is_err());
    }

    #[test]
    fn figures_are_told_with_three_digits() {
        assert_eq!(rounded(123_456.0), 123_000.0);
        assert_eq!(rounded(0.012_345), 0.0123);
        assert_eq!(rounded(0.0), 0.0);
    }
}
