//! The relays a load can be put on, each with the signalling it speaks.

mod conclave;
mod http;
mod janus;
mod str0m;

use anyhow::Result;

use crate::sdp::{Kind, Remote};

pub(crate) use conclave::TOKEN_SEED;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    Conclave,
    Str0m,
    Janus,
}

/// A published stream, as the target calls it.
pub(crate) type Published = String;

/// A relay's signalling. Calls wait for the answer.
pub(crate) trait Target {
    /// Announces a peer that sends one stream.
    fn publish(&mut self, fingerprint: &[u8; 32], kind: Kind, ssrc: u32) -> Result<(Published, Remote)>;

    /// Announces a peer that receives these streams.
    fn subscribe(&mut self, fingerprint: &[u8; 32], streams: &[(Published, Kind)]) -> Result<Remote>;

    /// Whether publishers send the Dependency Descriptor.
    fn takes_descriptor(&self) -> bool {
        false
    }
}

/// `signalling`: host and port. `room`: for our relay, the others have one.
pub(crate) fn open(name: Name, signalling: &str, room: &str) -> Box<dyn Target> {
    match name {
        Name::Conclave => Box::new(conclave::Conclave::new(signalling, room)),
        Name::Str0m => Box::new(str0m::Str0m::new(signalling)),
        Name::Janus => Box::new(janus::Janus::new(signalling)),
    }
}

/// The relay's host address in its candidates must be the one its signalling is at.
fn is_at(signalling: &str, candidate: &std::net::SocketAddr) -> bool {
    signalling
        .rsplit_once(':')
        .is_some_and(|(host, _)| host == candidate.ip().to_string())
}
