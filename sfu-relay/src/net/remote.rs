//! Where a peer is, on either transport.

use std::net::SocketAddr;

/// What tells one peer's datagrams from another's, and where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remote {
    Udp(SocketAddr),
    /// A TCP connection (RFC 6544), by a number that never comes again: whoever connects from the same address later is somebody new.
    Tcp {
        connection: u64,
        address: SocketAddr,
    },
}

impl Remote {
    pub fn address(self) -> SocketAddr {
        match self {
            Remote::Udp(address) | Remote::Tcp { address, .. } => address,
        }
    }

    pub fn is_udp(self) -> bool {
        matches!(self, Remote::Udp(_))
    }
}

impl PartialEq<Remote> for SocketAddr {
    fn eq(&self, other: &Remote) -> bool {
        Remote::Udp(*self) == *other
    }
}

impl From<SocketAddr> for Remote {
    fn from(address: SocketAddr) -> Self {
        Remote::Udp(address)
    }
}
