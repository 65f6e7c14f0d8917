//! ICE-TCP (RFC 6544): for whom UDP does not reach. One listening port, passive candidates, RFC 4571 framing.
//!
//! ```text
//! door        accepts, waits for the first check, and passes the connection to the thread that has the peer
//! connection  one peer's stream: frames in, a bounded queue out
//! framing     RFC 4571
//! outbox      what waits to be written, and what is left out where a receiver is slow
//! ```
//!
//! Requirements held here: RELY-43, RELY-44, RELY-45.

mod connection;
pub(super) mod door;
mod framing;
mod outbox;

pub(super) use connection::{Connection, Happening, serve};
pub(crate) use door::Caller;
