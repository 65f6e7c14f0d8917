//! COMM-1 to COMM-3, PF-36, ADMT-6, HEAL-12: no order of messages, timers, crashes and lies within the bounds breaks the
//! committer protocol.
//!
//! Small meetings are explored breadth first, so that a counterexample is a shortest one; meetings of five also along
//! random walks from a seed, which reach the end of a history in every walk. The plain test stops after so many states;
//! `CONCLAVE_LONG=1` goes 40 times as far.
// The bound comes from the environment; how far it went is printed.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use conclave_model::{Budget, Meeting};
use stateright::{Checker, Model, UniformChooser};

const NOTHING: Budget = Budget {
    crashes: 0,
    leaves: 0,
    joins: 0,
    lies: 0,
    forged_adds: 0,
    forks: 0,
    timers: 8,
};

fn bound(plain: usize) -> usize {
    if std::env::var_os("CONCLAVE_LONG").is_some() {
        plain * 40
    } else {
        plain
    }
}

/// Breadth first, as far as the bound goes; and, since no history ends within it, some random ones to their ends.
fn explore(name: &str, meeting: Meeting, plain: usize) {
    let checker = meeting.checker().target_state_count(bound(plain)).spawn_bfs().join();
    judge(name, &checker, &["an epoch ends"]);
    walk(name, meeting, plain / 10);
}

/// Random walks to the end of a history.
fn walk(name: &str, meeting: Meeting, plain: usize) {
    let checker = meeting
        .checker()
        .target_state_count(bound(plain))
        .spawn_simulation(1, UniformChooser)
        .join();
    judge(name, &checker, &["an epoch ends", "all is quiet again"]);
}

fn judge(name: &str, checker: &impl Checker<Meeting>, must_be: &[&'static str]) {
    println!(
        "{name}: {} states, depth {}",
        checker.state_count(),
        checker.max_depth()
    );
    let mut found = checker.discoveries();
    for wanted in must_be {
        assert!(found.contains_key(wanted), "{name}: {wanted}: never");
    }
    // What is to be possible, and not broken.
    for possible in [
        "an epoch ends",
        "all is quiet again",
        "a deputy commits",
        "a generation ends and the next begins",
    ] {
        found.remove(possible);
    }
    if let Some((broken, path)) = found.into_iter().next() {
        panic!("{name}: not so: {broken}, after {:#?}", path.into_actions());
    }
}

#[test]
fn pf_36_three_members_with_a_crash_and_a_leave() {
    let budget = Budget {
        crashes: 1,
        leaves: 1,
        timers: 5,
        ..NOTHING
    };
    explore("three, crash", Meeting { members: 3, budget }, 300_000);
}

#[test]
fn heal_12_two_members_and_a_lie() {
    let budget = Budget {
        joins: 1,
        lies: 1,
        timers: 5,
        ..NOTHING
    };
    explore("two, lie", Meeting { members: 2, budget }, 300_000);
}

#[test]
fn pf_36_five_members_one_leaves_one_comes_and_two_may_crash_at_any_time() {
    let budget = Budget {
        crashes: 2,
        leaves: 1,
        joins: 1,
        ..NOTHING
    };
    walk("five, crashes", Meeting { members: 5, budget }, 150_000);
}

#[test]
fn comm_1_to_3_five_members_while_some_come_and_some_go() {
    let budget = Budget {
        leaves: 2,
        joins: 2,
        timers: 12,
        ..NOTHING
    };
    walk("five, churn", Meeting { members: 5, budget }, 150_000);
}

#[test]
fn heal_12_five_members_and_a_server_that_withholds_doubles_and_reorders() {
    let budget = Budget {
        leaves: 1,
        joins: 1,
        lies: 2,
        timers: 12,
        ..NOTHING
    };
    walk("five, lies", Meeting { members: 5, budget }, 150_000);
}

#[test]
fn admt_6_five_members_and_a_server_that_invents_a_newcomer_and_shows_a_losers_commit() {
    let budget = Budget {
        leaves: 1,
        joins: 1,
        forged_adds: 1,
        forks: 1,
        timers: 12,
        ..NOTHING
    };
    walk("five, forgeries", Meeting { members: 5, budget }, 150_000);
}
