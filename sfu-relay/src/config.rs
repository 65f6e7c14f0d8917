//! What a relay is told at start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;

use callers::Proxies;

use crate::net::ice::MAX_SHARDS;

/// Configuration of one relay.
#[derive(Clone, Debug)]
pub struct Config {
    /// The UDP port for all media, and the address to bind. An unspecified address means both families on this port, where the machine has
    /// both. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The TCP port for media of those whom UDP does not reach, and the address to bind, as above. `None`: UDP only.
    pub listen_tcp: Option<SocketAddr>,
    /// Threads that forward, each with rooms of its own. `None`: as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// The addresses by which clients reach this machine, each offered as a host candidate. Empty: loopback and the address of the
    /// default route.
    pub public_addresses: Vec<IpAddr>,
    /// The public half of the key server's token key (Ed25519).
    pub token_key: [u8; 32],
    /// Reverse proxies in front of signalling whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Proxies,
    /// Signalling connections that one address may make at once, and a second in the long run; an IPv6 client's whole /64 is one. Where
    /// signalling is served without the address of who connects, nobody is limited.
    pub connects: (u32, f64),
    pub limits: Limits,
}

impl Config {
    /// A relay on `listen` for tokens by `token_key`, everything else as usual.
    pub fn new(listen: SocketAddr, token_key: [u8; 32]) -> Self {
        Config {
            listen,
            listen_tcp: None,
            threads: None,
            public_addresses: Vec::new(),
            token_key,
            trusted_proxies: Proxies::default(),
            // Hundreds in one building come back at once when a relay was restarted.
            connects: (1_000, 50.0),
            limits: Limits::default(),
        }
    }
}

/// What one participant may use, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub producers_per_peer: usize,
    pub consumers_per_peer: usize,
    pub peers_per_room: usize,
    /// In all rooms of the process.
    pub peers: usize,
    /// Nobody new is let in while a thread is busy for so many thousandths of its time.
    pub busy_permille: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            producers_per_peer: 8,
            consumers_per_peer: 400,
            peers_per_room: 1_000,
            peers: 10_000,
            busy_permille: 850,
        }
    }
}

/// How many threads: as asked for, or one a core.
pub(crate) fn thread_count(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    config.threads.map_or_else(cores, NonZeroUsize::get).min(MAX_SHARDS)
}

/// Loopback and the address packets to the world would leave from. Nothing is sent to find out.
pub(crate) fn default_addresses() -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    // Documentation addresses (RFC 5737, RFC 3849): connecting a UDP socket only asks the routing table.
    let probes: [(SocketAddr, SocketAddr); 2] = [
        (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
        ),
        (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
        ),
    ];
    for (bind, target) in probes {
        let found = UdpSocket::bind(bind).and_then(|socket| {
            socket.connect(target)?;
            socket.local_addr()
        });
        if let Ok(address) = found
            && !address.ip().is_loopback()
            && !address.ip().is_unspecified()
        {
            addresses.push(address.ip());
        }
    }
    addresses
}
