//! Our congestion control and str0m's, each on the same lines, in virtual time: one JSON line for each figure.
//!
//! `congestion-beside-str0m [part of a scenario's name] [--course]`: with the last, each half second of each run is printed instead.
#![forbid(unsafe_code)]

#[path = "../../../../sfu-relay/tests/common/ours.rs"]
mod ours;
mod theirs;

use std::time::{Duration, Instant};

use emulator::scenarios::{Scenario, all};
use emulator::trial::{Outcome, Source, run};
use serde_json::{Value, json};

const SEEDS: [u64; 3] = [7, 8, 9];
const LAYERS: &[u64] = &[150_000, 500_000, 1_700_000];

fn main() {
    let mut part = String::new();
    let mut course = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--course" => course = true,
            _ => part = argument,
        }
    }
    str0m::crypto::from_feature_flags().install_process_default();
    let sources = [
        ("an encoder that follows", Source::Following { most: 5_000_000 }),
        ("three layers", Source::Layers(LAYERS)),
    ];
    for scenario in all().iter().filter(|scenario| scenario.name.contains(&part)) {
        for (name, source) in &sources {
            let (ours, theirs) = both(scenario, source);
            if course {
                print_course(scenario.name, name, &ours[0], &theirs[0]);
            } else {
                report(&format!("{}; {name}", scenario.name), &ours, &theirs);
            }
        }
    }
}

fn both(scenario: &Scenario, source: &Source) -> (Vec<Outcome>, Vec<Outcome>) {
    let start = Instant::now();
    // An encoder that sends all that str0m allows fills every queue to its end: its figures are better with some room, so it gets that.
    let share = match source {
        Source::Following { .. } => 0.9,
        Source::Layers(_) => 1.0,
    };
    let of = |seed| {
        let ours = run(ours::Ours::new(start), scenario, source, seed, start);
        let theirs = run(theirs::Theirs::new(start, share), scenario, source, seed, start);
        (ours, theirs)
    };
    SEEDS.into_iter().map(of).unzip()
}

fn mean(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
}

/// Never is told as the length of the scenario.
fn seconds(outcomes: &[Outcome], of: impl Fn(&Outcome) -> Option<Duration>) -> f64 {
    mean(outcomes, |outcome| of(outcome).map_or(60.0, |time| time.as_secs_f64()))
}

fn report(case: &str, ours: &[Outcome], theirs: &[Outcome]) {
    type Pick = fn(&Outcome) -> f64;
    let shares: [(&str, Pick, bool); 4] = [
        ("of the line used", |o| 100.0 * o.used, true),
        ("of all packets lost", |o| 100.0 * o.lost, false),
        ("of the sound lost", |o| 100.0 * o.audio_lost, false),
        ("of all bytes padding and repetitions", |o| 100.0 * o.padding, false),
    ];
    for (what, pick, more) in shares {
        line(case, what, "%", (mean(ours, pick), mean(theirs, pick)), (more, 2.0));
    }
    line(case, "queue p50", "ms", (mean(ours, |o| o.queue_p50), mean(theirs, |o| o.queue_p50)), (false, 5.0));
    line(case, "queue p95", "ms", (mean(ours, |o| o.queue_p95), mean(theirs, |o| o.queue_p95)), (false, 10.0));
    line(case, "changes of layer", "", (mean(ours, |o| f64::from(o.switches)), mean(theirs, |o| f64::from(o.switches))), (false, 2.0));
    if ours[0].down.is_some() || theirs[0].down.is_some() {
        line(case, "until the queue is short", "s", (seconds(ours, |o| o.down), seconds(theirs, |o| o.down)), (false, 0.5));
    }
    if ours[0].up.is_some() || theirs[0].up.is_some() {
        line(case, "until four fifths are used", "s", (seconds(ours, |o| o.up), seconds(theirs, |o| o.up)), (false, 0.5));
    }
}

/// The goal is the peer's figure; within `slack` it is as good.
fn line(case: &str, what: &str, unit: &str, (ours, theirs): (f64, f64), (more, slack): (bool, f64)) {
    let holds = if more { ours >= theirs - slack } else { ours <= theirs + slack };
    let rounded = |value: f64| (value * 10.0).round() / 10.0;
    let value: Value = json!({ "case": format!("{case}: {what}"), "unit": unit, "ours": rounded(ours),
        "peers": { "str0m": rounded(theirs) }, "goal": rounded(theirs), "holds": holds });
    println!("{value}");
}

fn print_course(scenario: &str, source: &str, ours: &Outcome, theirs: &Outcome) {
    println!("{scenario}; {source}: capacity, then estimate, arrived (kbit/s) and queue (ms) of ours and of str0m's");
    for (i, (a, b)) in ours.course.iter().zip(&theirs.course).enumerate() {
        println!(
            "{:5.1} {:6} | {:6} {:6} {:4.0} | {:6} {:6} {:4.0}",
            i as f64 / 2.0,
            a.2 / 1_000,
            a.0 / 1_000,
            a.1 / 1_000,
            a.3,
            b.0 / 1_000,
            b.1 / 1_000,
            b.3
        );
    }
}
