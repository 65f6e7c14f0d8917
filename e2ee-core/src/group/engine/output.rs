//! What the engine tells whoever runs it.

use serde::Serialize;

use crate::identity::Roster;
use crate::media::MediaEpoch;
use crate::sframe::CipherSuite;
use crate::time::UnixMillis;
use crate::wire::delivery::{ClientMessage, IceServer};

/// To be carried out in the order given.
#[derive(Debug)]
pub enum Output {
    /// Send this to the delivery service, as one JSON text frame.
    Send(ClientMessage),
    /// The connection is dead although it looks alive: close it and open another.
    Reconnect,
    /// Who is in. Comes before the `SwitchSender` of its epoch (C2), and again when somebody's connection changes.
    Roster(RosterView),
    /// Install the receive keys of this epoch now. Never leaves the worker.
    Epoch(EpochKeys),
    /// Seal with this epoch's keys from now on.
    SwitchSender {
        epoch: u64,
        /// Somebody joined: have the encoders make one key frame.
        key_frame: bool,
    },
    /// A code for people to compare: the same for all who are in the same epoch of the same group.
    MeetingCode {
        epoch: u64,
        code: String,
    },
    Chat(ChatMessage),
    /// Where the relay is, the token for it, and TURN servers with their credentials; again when the token is renewed.
    Relay {
        url: String,
        token: String,
        ice_servers: Vec<IceServer>,
    },
    Status(Status),
    /// Something is wrong that the engine lives with. In words.
    Warning(String),
    /// Something of the service's or a member's was refused. The engine recovers by itself.
    Refused {
        reason: String,
    },
    /// It is over for good. Drop the engine.
    Ended {
        cause: EndCause,
        /// In words.
        reason: String,
    },
    /// Call `handle` with `Tick` at this time. Replaces the former one.
    WakeAt(UnixMillis),
}

/// An epoch's media keys.
#[derive(Debug)]
pub struct EpochKeys {
    pub media: MediaEpoch,
    pub suite: CipherSuite,
    /// The first epoch of a group that this client was not in before: start with new `MediaKeys`.
    pub fresh: bool,
}

/// The roster for the page. Everything in it comes from checked certificates and the MLS tree, but `connected`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RosterView {
    pub epoch: u64,
    /// In leaf order.
    pub members: Vec<MemberView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberView {
    pub leaf: u32,
    pub name: String,
    pub org: String,
    /// Opaque ids, as the relay and the certificate name them.
    pub person: String,
    pub device: String,
    /// `guest`, `member` or `host`.
    pub role: &'static str,
    /// The certificate's code: eight groups of five digits.
    pub certificate_code: String,
    /// Unix time in milliseconds.
    pub not_after: u64,
    pub own: bool,
    /// The service's word, for reading only.
    pub connected: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChatMessage {
    pub leaf: u32,
    pub name: String,
    pub text: String,
    pub epoch: u64,
    pub own: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub state: Phase,
    pub words: String,
}

/// Why it is over, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndCause {
    /// By this person's own wish.
    Left,
    /// By a commit of the others.
    Removed,
    /// The same device is in the call from elsewhere.
    Replaced,
    /// The room is no more.
    Closed,
    /// The server's root certificate is not the one that the link pins.
    WrongRoot,
    /// The server speaks another version of the protocol.
    Version,
    /// Members were told different stories (C4).
    Split,
    /// The server or this device refused something that it cannot go on without.
    Refused,
}

/// Where the engine is, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Connecting,
    Identifying,
    AwaitingAdmission,
    InCall,
    Reconnecting,
    Rejoining,
    Ended,
}

impl RosterView {
    pub(super) fn new(epoch: u64, roster: &Roster, own_leaf: u32, connected: impl Fn(u32) -> bool) -> Self {
        let members = roster
            .iter()
            .map(|member| MemberView {
                leaf: member.leaf(),
                name: member.name().to_owned(),
                org: member.org().to_owned(),
                person: member.person().to_owned(),
                device: member.device().to_owned(),
                role: member.role().as_str(),
                certificate_code: member.fingerprint().code(),
                not_after: member.not_after().0,
                own: member.leaf() == own_leaf,
                connected: member.leaf() == own_leaf || connected(member.leaf()),
            })
            .collect();
        Self { epoch, members }
    }
}
