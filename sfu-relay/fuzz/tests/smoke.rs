//! RELY-19, PF-13, PF-23: every fuzz target over its corpus and over seeded bytes. `CONCLAVE_LONG=1` tries many more.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../../../fuzz/tests/run/mod.rs"]
mod run;

fn smoke(name: &str, tries: u64) {
    run::over_corpus_and_seeds(
        env!("CARGO_MANIFEST_DIR"),
        &relay_fuzz::TARGETS,
        name,
        relay_fuzz::seeded,
        tries,
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
