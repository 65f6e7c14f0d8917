//! How the key server is run.

use std::path::PathBuf;
use std::time::Duration;

use callers::Proxies;
use e2ee_core::wire::delivery::GONE_SECONDS;

use crate::turn::Turn;

/// Configuration. [`Config::new`] has defaults for all but the places.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Folder for the database and the log.
    pub data: PathBuf,
    /// The built web app; without it only the API is served.
    pub web: Option<PathBuf>,
    /// The organisation's name in certificates. Taken at the first start only.
    pub org: String,
    /// First line of the log's checkpoints. Taken at the first start only; by default derived from the root certificate.
    pub log_origin: Option<String>,
    /// Where the relay's signalling WebSocket is: a path on this origin, or a `ws://` or `wss://` address.
    pub relay_url: String,
    /// A TURN server for those whom the relay does not reach otherwise.
    pub turn: Option<Turn>,
    /// Reverse proxies whose `X-Forwarded-For` is believed. Without them limits count by the connection's address.
    pub trusted_proxies: Proxies,
    /// How long a session lasts.
    pub session_lifetime: Duration,
    /// How long a member's certificate lasts; no longer than its session in any case.
    pub certificate_lifetime: Duration,
    /// How long things may take.
    pub timing: Timing,
    /// How much anybody may ask for.
    pub limits: Limits,
}

/// Waiting times of the delivery service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timing {
    /// Arrivals and departures are gathered this long into one commit.
    pub gather: Duration,
    /// A member whose connection is lost or silent for this long is removed.
    pub gone: Duration,
    /// Proposals that nobody has committed hold later ones back for this long.
    pub settle: Duration,
    /// Whoever was asked to make the group has this long.
    pub create: Duration,
    /// A connection must say hello within this time.
    pub hello: Duration,
    /// A fresh relay token is sent this often; tokens live for twice as long, at most ten minutes.
    pub relay_token: Duration,
}

/// Token buckets: how many at once, and how many a second afterwards. Per session, whatever its number of connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Messages of any kind.
    pub messages: (u32, f64),
    /// Connections: each costs a signature, and resuming one up to two hundred commits.
    pub hellos: (u32, f64),
    /// Transcripts of the room.
    pub transcripts: (u32, f64),
    /// Commits.
    pub commits: (u32, f64),
    /// Chat and heartbeats.
    pub applications: (u32, f64),
    /// Requests to join.
    pub joins: (u32, f64),
    /// Certificate requests.
    pub certificates: (u32, f64),
    /// Rooms and sessions made, per address; an IPv6 client's whole /64 is one.
    pub sign_ins: (u32, f64),
    /// The largest commit or Welcome, in bytes.
    pub max_handshake: usize,
    /// Members and arrivals of a room.
    pub max_members: usize,
}

impl Config {
    /// Everything by default but the data folder.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self {
            data,
            web: None,
            org: "Conclave".to_owned(),
            log_origin: None,
            relay_url: "/relay/v1".to_owned(),
            turn: None,
            trusted_proxies: Proxies::default(),
            session_lifetime: Duration::from_secs(12 * 3600),
            certificate_lifetime: Duration::from_secs(8 * 3600),
            timing: Timing {
                gather: Duration::from_millis(150),
                gone: Duration::from_secs(GONE_SECONDS),
                settle: Duration::from_millis(1500),
                create: Duration::from_secs(5),
                hello: Duration::from_secs(5),
                relay_token: Duration::from_secs(240),
            },
            limits: Limits {
                messages: (200, 60.0),
                hellos: (8, 0.2),
                transcripts: (4, 0.1),
                commits: (20, 6.0),
                applications: (60, 20.0),
                joins: (8, 0.5),
                certificates: (6, 0.2),
                sign_ins: (300, 5.0),
                max_handshake: 2 * 1024 * 1024,
                max_members: 1000,
            },
        }
    }
}
