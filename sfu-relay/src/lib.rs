//! The blind SFU: forwards ciphertext by RTP header and Dependency Descriptor alone.
//!
//! ```text
//! signal/  WebSocket sessions, the protocol's messages
//!    |  Command, Event
//! engine/  the sans-IO core: rooms, peers, negotiation, media, clock
//!    |
//! congestion/ per receiver: what its line carries, and what fits on it
//! forward/ per producer: layers, history, loss; per consumer: layer choice, rewriting
//! sdp/     offers read, answers written        dd/  Dependency Descriptor
//! rtp/     headers, RTCP, transport-wide feedback
//! net/     demultiplexer, STUN, DTLS, SRTP, TCP, and the threads with the sockets
//! ```
//!
//! The relay holds no media key: what SRTP protects on each hop is SFrame ciphertext inside. It has no dependency on `e2ee-core` or
//! `openmls`, and a test proves that from `cargo metadata`.
#![forbid(unsafe_code)]

mod arena;
mod config;
pub mod congestion;
pub mod dd;
mod directory;
pub mod engine;
mod forward;
mod load;
pub mod net;
mod operations;
mod peer;
mod relay;
mod room;
pub mod rtp;
pub mod sdp;
pub mod signal;
mod stats;
mod tap;

pub use config::{Config, Limits};
pub use operations::operations;
pub use relay::{Relay, StartError};
pub use signal::{PATH, router};
pub use stats::{Counters, RelayStats};
