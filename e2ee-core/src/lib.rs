//! The Conclave protocol, without a clock, a socket or a thread: SFrame frames in constant shells, the MLS group
//! engine, identity and log verification. The same code runs in a browser worker, in native clients, in the key
//! server's checks and in the auditor.
#![forbid(unsafe_code)]

mod aead;
pub mod group;
pub mod identity;
pub mod log;
pub mod media;
pub mod sframe;
pub mod shell;
pub mod time;
pub mod wire;
