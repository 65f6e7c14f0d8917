//! A small world for tests: a certification authority, a transparency log, a delivery service, a relay and clients, all
//! in memory, with virtual time and chance from a seed. The service uses the same `PublicRoom` as the real key server
//! does, the clients are the real engines, and frames are sealed and opened with the real media keys.
//!
//! ```text
//! play: whole meetings from a seed          churn: a thousand arrivals and departures
//!    world: clients, service, time, wires ── storm: what becomes of a message
//!    ledger: who holds which key ── air: what becomes of a frame ── watch: who is behind and does not know
//! ```
#![forbid(unsafe_code)]
// Each test file uses its part of it; the closures of a lying service have long types; the machine's clock is read once.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::type_complexity,
    clippy::disallowed_methods
)]

pub mod air;
pub mod ca;
pub mod churn;
pub mod client;
pub mod dice;
pub mod ledger;
pub mod log;
pub mod play;
pub mod raw;
pub mod service;
pub mod storm;
pub mod tape;
pub mod voice;
pub mod watch;
pub mod world;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2ee_core::time::UnixMillis;

/// Where virtual time starts: 20 hours ago, because OpenMLS compares lifetimes with the machine's clock and a test may
/// let hours pass.
pub fn start_of_time() -> UnixMillis {
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(real.as_millis()).unwrap()) - Duration::from_secs(20 * 3600)
}

/// A list that a lying service's closure and the test share.
pub struct Shared;

impl Shared {
    #[allow(clippy::new_ret_no_self)]
    pub fn new<T>() -> (Arc<Mutex<Vec<T>>>, Arc<Mutex<Vec<T>>>) {
        let list = Arc::new(Mutex::new(Vec::new()));
        (list.clone(), list)
    }
}
