//! The frame half of `e2ee-core`: the same files, compiled without the group engine. See this crate's Cargo.toml.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "what only the group engine uses is not used here")]

#[path = "../../../e2ee-core/src/aead/mod.rs"]
mod aead;
#[path = "../../../e2ee-core/src/media/mod.rs"]
pub mod media;
#[path = "../../../e2ee-core/src/sframe/mod.rs"]
pub mod sframe;
#[path = "../../../e2ee-core/src/shell/mod.rs"]
pub mod shell;
#[path = "../../../e2ee-core/src/time.rs"]
pub mod time;
