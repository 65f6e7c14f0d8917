//! Whole meetings from a seed, with a hostile network and a hostile or dying server, in virtual time. What must hold at
//! each step is written down in `simulator/src/{ledger,air,watch}.rs`, what must hold in the end in `play.rs`.
//!
//! A failing seed is printed with the command that replays it. `CONCLAVE_LONG=1` plays 10,000 seeds and more;
//! `SIM_SEED=<n>` plays one, `SIM_SEEDS=<from>-<to>` a range.
// The seeds to replay come from the environment and are printed.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::delivery::Timing;
use e2ee_core::group::pace::Spacing;
use simulator::churn::{Churned, Pace, churn};
use simulator::play;
use simulator::service::{Death, Dies};

const PLAIN: u64 = 200;
const LONG: u64 = 10_240;

fn is_long() -> bool {
    std::env::var_os("CONCLAVE_LONG").is_some()
}

fn seeds() -> std::ops::Range<u64> {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.parse().unwrap();
        return seed..seed + 1;
    }
    if let Ok(range) = std::env::var("SIM_SEEDS") {
        let (from, to) = range.split_once('-').unwrap();
        return from.parse().unwrap()..to.parse().unwrap();
    }
    0..if is_long() { LONG } else { PLAIN }
}

#[test]
fn whatever_network_and_server_do_who_holds_keys_is_who_is_shown_and_whoever_is_behind_knows() {
    let mut failed = Vec::new();
    for seed in seeds() {
        if catch_unwind(AssertUnwindSafe(|| play::meeting(seed))).is_err() {
            println!(
                "seed {seed} ({:?}) fails; replay: SIM_SEED={seed} cargo test -p e2ee-core --test simulation whatever",
                play::Kind::of(seed)
            );
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
}

#[test]
fn pf_38_a_server_that_tells_two_stories_is_noticed_by_all_who_are_told_either() {
    for seed in [7, 15] {
        assert_eq!(play::Kind::of(seed), play::Kind::Forking);
        play::meeting(seed);
    }
}

/// Not by chance, but one after the other.
#[test]
fn a_server_that_dies_at_any_step_of_storing_loses_nobody() {
    let steps = play::stores_of_a_small_meeting(None);
    assert!(steps >= 10, "{steps} steps");
    for store in 1..=steps {
        for dies in [Dies::Before, Dies::After, Dies::Having(1), Dies::Having(2)] {
            play::stores_of_a_small_meeting(Some(Death { store, dies }));
        }
    }
}

/// As much as a large meeting has when everybody arrives or goes.
const BUSY: Pace = (300, 1500);
/// Two epochs a second for as long as it lasts.
const RUSH: Pace = (20, 500);

/// A thousand events with `CONCLAVE_LONG`, fewer without.
fn people_come_and_go(pace: Pace, profile: Profile, timing: Timing) -> Churned {
    let events = if is_long() { 1000 } else { 150 };
    let run = churn(0, events, pace, profile, timing);
    let tally = &run.tally;
    println!(
        "{profile:?}, {events} events {pace:?} ms apart: {} epochs, {} frames sealed, {} opened, {} waited for their \
         epoch, {} lost to keys, {} outrun by three epochs, openable for {:?} after a removal, in after {:?} (p50), {:?} \
         (p95), {} refusals",
        run.epochs,
        tally.sealed,
        tally.opened,
        tally.waited,
        tally.lost_to_keys.len(),
        tally.outrun,
        tally.openable_after_removal,
        run.join_within(50),
        run.join_within(95),
        run.refusals
    );
    assert!(run.epochs > events as u64 / 4, "the run was one of churn");
    assert!(
        tally.lost_to_keys.is_empty(),
        "{:#?}",
        &tally.lost_to_keys[..tally.lost_to_keys.len().min(20)]
    );
    assert!(tally.openable_after_removal < Duration::from_secs(1));
    assert_eq!(run.refusals, 0);
    run
}

#[test]
fn pf_25_epoc_12_arrivals_and_departures_lose_no_frame() {
    for profile in Profile::ALL {
        let run = people_come_and_go(BUSY, profile, Timing::default());
        assert_eq!(run.tally.outrun, 0);
    }
}

#[test]
fn pf_25_epoc_12_a_rush_of_arrivals_and_departures_loses_no_frame() {
    let run = people_come_and_go(RUSH, Profile::Standard, Timing::default());
    assert_eq!(run.tally.outrun, 0);
}

/// That the tests before this would see it: without the rule, frames are outrun.
#[test]
fn epoc_12_where_epochs_follow_as_fast_as_they_can_frames_are_lost() {
    let spacing = Spacing {
        flight: Duration::ZERO,
        ways: Duration::ZERO,
    };
    let timing = Timing {
        gather: Duration::ZERO,
        spacing,
        ..Timing::default()
    };
    let run = people_come_and_go(RUSH, Profile::Standard, timing);
    assert!(run.tally.outrun > 0);
}
