//! PF-13, PF-18, PF-23: every fuzz target over its corpus and over seeded bytes. `CONCLAVE_LONG=1` tries many more.
// The number of tries comes from the environment; which input fails is printed.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub
)]

mod run;

fn smoke(name: &str, tries: u64) {
    run::over_corpus_and_seeds(env!("CARGO_MANIFEST_DIR"), &fuzz::TARGETS, name, fuzz::seeded, tries);
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
