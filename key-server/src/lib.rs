//! The key server: rooms, identity, ordered MLS handshakes, the transparency log, and the web app's files.
//!
//! It may refuse and it may delay; it can neither read nor let anybody in unseen. What it orders, members verify; what it
//! issues stands on the log.
#![forbid(unsafe_code)]

mod api;
mod clock;
mod config;
mod delivery;
mod error;
mod identity;
mod ids;
mod limits;
mod log;
mod purge;
mod relay;
mod server;
mod store;
mod turn;

pub use config::{Config, Limits, Timing};
pub use error::{Error, SetupError, StorageError};
pub use server::{KeyServer, Removal, start};
pub use turn::{Turn, TurnError};
