//! The MLS group of a room (RFC 9420): the room's policy, the checks that every member, the key server and the
//! auditor share, and the client's engine.
//!
//! ```text
//! engine (a client)      public (key server, auditor)
//!        \                  /
//!         check: proposals, commits, trees  ->  policy: what a room is
//!          rules: the same without keys, for the model too
//! delivery: what the service decides, without sockets and stores  ->  pace: how soon an epoch may follow
//! batch: how much of it goes into one message
//! ```

pub mod batch;
pub mod check;
pub mod delivery;
pub mod engine;
mod key_package;
pub mod pace;
pub mod policy;
pub mod provider;
pub mod public;
pub mod randomness;
mod refusal;
pub mod rules;
mod signature;

pub use engine::Engine;
pub use key_package::{CheckedKeyPackage, MAX_KEY_PACKAGE, MAX_KEY_PACKAGE_LIFETIME_SECS};
pub use policy::{Profile, ProfileError, RoomPolicy, Scheme};
pub use public::PublicRoom;
pub use randomness::Randomness;
pub use refusal::Refusal;
