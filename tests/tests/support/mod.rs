//! Whole meetings without a browser: the real key server on a real port, and the members' engines on real WebSockets.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod member;
pub mod server;

use std::time::{SystemTime, UNIX_EPOCH};

use e2ee_core::time::UnixMillis;

pub use member::{Member, Way, agreed};
pub use server::Server;

pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}
