//! What the relay does with bytes that anybody may send: each function takes any bytes and panics where a promise is broken. The tests run
//! them over a kept corpus and some thousand seeded inputs; `cargo xtask test --long` lets libFuzzer search for a minute each.
//!
//! There is a target for each parser, and two for the whole engine. Where something is protected, the keys are right: what is altered is met
//! behind the tag as well as before it.
#![forbid(unsafe_code)]
// A panic is how a fuzz target says what is wrong.
#![allow(clippy::unwrap_used)]

/// The relay's own tests' meetings: real ICE, DTLS and SRTP, without sockets.
#[path = "../../tests/common/mod.rs"]
mod common;
mod engine;
/// The reading of a fuzzer's bytes is that of the core's targets.
#[allow(unreachable_pub)]
#[path = "../../../fuzz/src/input.rs"]
mod input;
mod parsers;
mod protected;

pub use engine::{datagram, handshake};
pub use parsers::{descriptor, offer, rtcp, rtp, signalling};
pub use protected::{srtp, stun};

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("stun", stun),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("srtp", srtp),
    ("descriptor", descriptor),
    ("offer", offer),
    ("signalling", signalling),
    ("handshake", handshake),
    ("datagram", datagram),
];

/// Pseudo-random bytes for the tests; 0 to 255 of them.
pub fn seeded(seed: u64) -> Vec<u8> {
    use rand::{Rng, SeedableRng};
    let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
    let len = dice.random_range(0..256);
    (0..len).map(|_| dice.random()).collect()
}
