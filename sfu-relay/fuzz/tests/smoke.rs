//! RELY-19, PF-13, PF-23: every fuzz target over its corpus and over seeded bytes. `CONCLAVE_LONG=1` tries many more.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn smoke(name: &str, tries: u64) {
    let (_, target) = relay_fuzz::TARGETS
        .into_iter()
        .find(|(target, _)| *target == name)
        .unwrap();
    let long = std::env::var_os("CONCLAVE_LONG").is_some();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/{name}.txt"));
    let kept = std::fs::read_to_string(corpus).unwrap();
    let kept = kept
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| hex::decode(line).unwrap());
    let tries = if long { tries * 20 } else { tries };
    let mut failed = Vec::new();
    for input in kept.chain((0..tries).map(relay_fuzz::seeded)) {
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
fn rely_10_rely_19_connectivity_checks() {
    smoke("stun", 5_000);
}

#[test]
fn rely_19_media_headers() {
    smoke("rtp", 20_000);
}

#[test]
fn rely_19_control() {
    smoke("rtcp", 20_000);
}

#[test]
fn rely_11_rely_19_protected_media_and_control() {
    smoke("srtp", 2_000);
}

#[test]
fn rely_19_descriptors() {
    smoke("descriptor", 20_000);
}

#[test]
fn rely_16_rely_19_offers_and_what_is_answered() {
    smoke("offer", 2_000);
}

#[test]
fn rely_6_rely_19_signalling() {
    smoke("signalling", 5_000);
}

#[test]
fn pf_23_rely_19_handshakes_altered_on_the_way() {
    smoke("handshake", 100);
}

#[test]
fn pf_23_rely_19_anything_from_anywhere_in_a_running_call() {
    smoke("datagram", 100);
}
