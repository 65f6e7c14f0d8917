//! What `vector-aes` is held to. Each check panics where it fails. They run natively as tests of this crate, on the array, and
//! as WebAssembly in Node and browsers, on `v128`.
#![forbid(unsafe_code)]

pub mod against_aes_gcm;
pub mod bench;
pub mod export;
pub mod known_answers;
pub mod refusals;

/// Each check by its name.
pub const CHECKS: &[(&str, fn())] = &[
    ("the specification's test cases come out", known_answers::come_out),
    (
        "each opens what the other sealed, at every length to 600 bytes",
        against_aes_gcm::at_every_length,
    ),
    (
        "each opens what the other sealed, around each border of 256 bytes",
        against_aes_gcm::around_borders,
    ),
    (
        "each opens what the other sealed, with data of every length beside the text",
        against_aes_gcm::with_every_aad,
    ),
    (
        "each opens what the other sealed, a million bytes long",
        against_aes_gcm::a_million_bytes,
    ),
    (
        "each opens what the other sealed, under a thousand keys",
        against_aes_gcm::under_many_keys,
    ),
    (
        "every flipped bit is refused, and the text not touched",
        refusals::of_every_flipped_bit,
    ),
    (
        "what is shortened, extended or moved over is refused",
        refusals::of_other_lengths,
    ),
    ("tags that somebody might guess are refused", refusals::of_guessed_tags),
];
