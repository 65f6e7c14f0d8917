//! The committer protocol, admission and the order of delivery, explored by stateright in every interleaving of
//! messages and timers, with crashes and a lying server, up to a bound.
//!
//! **What is the product's own code here, and what is not.** MLS groups can be neither cloned nor hashed, and replaying
//! real engines from histories explores a few thousand states where these rules need millions. So what decides was made
//! pure and is used by both: [`e2ee_core::group::engine::committer`] (when a member commits, sends again, holds back),
//! [`e2ee_core::group::engine::pursuit`] (how it notices that something was withheld), [`e2ee_core::group::rules`]
//! (what a commit must hold and where it seats people; members, key server and auditor apply it by way of
//! `group::check`) and [`e2ee_core::group::delivery`] (when the service proposes and whom, which commit it looks at, when a
//! generation is over). What is modelled is the world around: queues, a store that keeps one commit an epoch, and of MLS
//! that a key is known to exactly those who entered its epoch. The real engines with real keys are driven by the
//! simulator (`e2ee-core/simulator`), by chance instead of exhaustively.
#![forbid(unsafe_code)]

mod member;
mod service;
mod world;

pub use member::{Group, Member};
pub use service::{Commit, CommitRefusalKind, Down, Proposal, Service, Up};
pub use world::{Action, Budget, Meeting, State, Used};

/// A person's device, by number.
pub type Device = u8;
/// Stands for an epoch's secret: two are equal if and only if the histories that lead there are.
pub type Key = u64;
/// Who sits where.
pub type Seats = std::collections::BTreeMap<u32, Device>;

/// The key of the epoch that a commit makes.
fn next_key(before: Key, by: u32, nonce: u8, takes: &[u16]) -> Key {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (before, by, nonce, takes).hash(&mut hasher);
    hasher.finish()
}
