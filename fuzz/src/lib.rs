//! What the core does with bytes that anybody may send: each function takes any bytes and panics where a promise is
//! broken. The tests run them over a kept corpus and some thousand seeded mutations; `cargo xtask test --long` lets
//! libFuzzer search for a minute each, and `cargo fuzz run fuzz_<name> --features libfuzzer` as long as you like.
//!
//! None of them only parses: the keys are right, the certificates good, the members in a call, so that what is altered
//! is met behind the tag and the signature too (PF-13).
#![forbid(unsafe_code)]
// A panic is how a fuzz target says what is wrong.
#![allow(clippy::unwrap_used)]

mod frames;
mod identity;
mod input;
mod meeting;
mod mls;
mod seeded;

pub use frames::{header, open, shell};
pub use identity::certificate;
pub use input::Input;
pub use meeting::{commit, server_message, welcome};
pub use seeded::seeded;

/// A target's name and body.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("header", header),
    ("open", open),
    ("shell", shell),
    ("certificate", certificate),
    ("server_message", server_message),
    ("welcome", welcome),
    ("commit", commit),
];
