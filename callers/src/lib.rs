//! Whose address a request is of, and how often an address may call.
//!
//! A limit per address means little where all requests come from one reverse proxy, and nothing where one client has a whole /64. So
//! [`Proxies`] names the proxies that are believed when they say for whom they ask, and [`one_client`] gives addresses of one client the
//! same limit.
#![forbid(unsafe_code)]

mod address;
mod bucket;

pub use address::{Network, NotANetwork, Proxies, one_client};
pub use bucket::{Bucket, Forgettable, PerKey};
