//! PF-13, PF-18, PF-23: every fuzz target over its corpus and over seeded bytes. `CONCLAVE_LONG=1` tries many more.
// The number of tries comes from the environment; which input fails is printed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn smoke(name: &str, tries: u64) {
    let (_, target) = fuzz::TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let long = std::env::var_os("CONCLAVE_LONG").is_some();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/{name}.txt"));
    let kept = std::fs::read_to_string(corpus).unwrap();
    let kept = kept
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| hex::decode(line).unwrap());
    let tries = if long { tries * 20 } else { tries };
    let mut failed = Vec::new();
    for input in kept.chain((0..tries).map(fuzz::seeded)) {
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            failed.push(hex::encode(&input));
        }
    }
    assert!(
        failed.is_empty(),
        "inputs that fail, for corpus/{name}.txt: {failed:#?}"
    );
}

#[test]
fn pf_13_headers() {
    smoke("header", 20_000);
}

#[test]
fn pf_13_pf_26_frames_altered_or_made_with_the_right_key() {
    smoke("open", 4_000);
}

#[test]
fn pf_13_shells() {
    smoke("shell", 20_000);
}

#[test]
fn certificates() {
    smoke("certificate", 2_000);
}

#[test]
fn pf_23_whatever_the_server_says_in_every_state() {
    smoke("server_message", 60);
}

#[test]
fn pf_21_pf_18_welcomes_altered_along_their_structure() {
    smoke("welcome", 40);
}

#[test]
fn pf_14_pf_18_commits_and_proposals_altered_along_their_structure() {
    smoke("commit", 40);
}
