//! The delivery service: one WebSocket per client, one task per room.
//!
//! ```text
//! socket (reads, limits, certificates) -> Command -> room task (orders, stores, fans out) -> outbox -> socket (writes)
//! ```
//! The room's task is the only writer of its room in this process; that no other process is either is decided by the
//! database (DLVR-1). It holds nothing that is not stored, but who is connected: when anything fails it drops its
//! connections and ends, and the clients resume with a task that has replayed the room from the database.

mod room;
mod rooms;
mod signer;
mod socket;

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::ws::Utf8Bytes;
use e2ee_core::wire::delivery::{ClientMessage, ErrorCode, GroupEpoch, ServerMessage};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub(crate) use rooms::Rooms;
pub(crate) use socket::{buckets, serve};

use crate::store::sessions::Session;

/// Messages that may wait for one client. Whoever is further behind is disconnected, and resumes.
const OUTBOX: usize = 1024;
/// Commands that may wait for one room; then its sockets wait.
const INBOX: usize = 256;

/// One WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(u64);

impl ConnectionId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What sockets tell a room.
pub(crate) enum Command {
    /// Somebody said hello. Dropping `out` closes the socket.
    Connect {
        id: ConnectionId,
        session: Box<Session>,
        out: mpsc::Sender<Utf8Bytes>,
        /// Told whether the session's device holds a leaf.
        member: watch::Sender<bool>,
        resume: Option<GroupEpoch>,
    },
    /// A message that is for the room.
    Message {
        id: ConnectionId,
        message: Box<ClientMessage>,
    },
    /// The socket is gone; nothing was heard on it since then.
    Disconnect { id: ConnectionId, heard: Instant },
}

/// As it goes over the wire.
fn encode(message: &ServerMessage) -> Utf8Bytes {
    // Our own types: strings, numbers and byte strings, which always serialise.
    serde_json::to_string(message).unwrap_or_default().into()
}

fn error(code: ErrorCode, message: &str, fatal: bool) -> ServerMessage {
    ServerMessage::Error {
        code,
        message: message.to_owned(),
        fatal,
    }
}
