//! Messages between a client and the delivery service, over one WebSocket per client
//! (`GET /api/rooms/{room}/delivery`, JSON text frames).
//!
//! The order of a session: `hello` -> `ready`; `certificate-request` -> `certificate`; `join` ->
//! `create` (nobody is there: make the group) or, once a member has committed the Add, `joined`.
//! From then on `proposals`, `commit` and `application` arrive in the one order the service gave them.
//!
//! Nothing here is trusted for its content: a client checks MLS signatures, certificates and the policy
//! itself. What the service alone can say (who is connected, who acknowledged) only ever costs time.

use serde::{Deserialize, Serialize};

use super::{bytes::Bytes, receipt::Receipt};

/// The version in [`ClientMessage::Hello`]. Raised when a message changes its meaning.
pub const PROTOCOL: u16 = 1;

/// The largest JSON text that a service accepts, and of proposals that it sends, in bytes.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// The largest JSON text that a client accepts, in bytes. A Welcome with ratchet tree and receipts of 1,000 members fits, in the
/// experimental profile too, whose keys are long.
pub const MAX_FROM_SERVICE: usize = 8 * 1024 * 1024;

/// The largest chat or heartbeat message (an MLS `PrivateMessage`), in bytes.
pub const MAX_APPLICATION: usize = 16 * 1024;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
pub enum ClientMessage {
    /// First message on every connection. `resume` names the group and epoch the client still holds
    /// after a lost connection; the service answers with `ready` and then, for every epoch from there on, its
    /// `proposals` (commits only refer to them) and its `commit`, and last the proposals of the current epoch.
    /// Whoever was removed meanwhile is sent everything up to and including that commit.
    Hello {
        protocol: u16,
        session: String,
        resume: Option<GroupEpoch>,
    },
    /// Asks for a leaf certificate on the MLS signature key. `proof` is that key's signature over
    /// [`certificate_request_tbs`], which binds the request to the signed-in session.
    CertificateRequest { public_key: Bytes, proof: Bytes },
    /// A fresh `KeyPackage` (`MLSMessage`): "let me in". With `replaces`, the leaf of this same device
    /// whose state was lost: the service proposes its Remove together with the Add.
    Join {
        key_package: Bytes,
        replaces: Option<GroupEpoch>,
    },
    /// Answer to `create`: the group's `GroupInfo` (`MLSMessage`, with the ratchet tree extension) at epoch 0.
    Created { group_id: Bytes, group_info: Bytes },
    /// A commit (`MLSMessage` holding a `PublicMessage`) made in `at.epoch`, and the Welcome for those it adds.
    Commit {
        at: GroupEpoch,
        commit: Bytes,
        welcome: Option<Bytes>,
    },
    /// The client holds the receive keys of this epoch.
    Ack { at: GroupEpoch },
    /// Chat, heartbeats: an `MLSMessage` holding a `PrivateMessage`.
    Application { at: GroupEpoch, message: Bytes },
    /// The client refused something the service delivered, and rejoins.
    Refused { at: GroupEpoch, reason: String },
    /// "I am going": the service proposes the Remove at once.
    Leave {},
    /// Liveness. At least one every [`PING_SECONDS`].
    Ping {},
}

/// A client pings this often; silence of [`GONE_SECONDS`] means that it is gone.
pub const PING_SECONDS: u64 = 2;
/// A connection silent or lost for this long means that its member is gone and is removed.
pub const GONE_SECONDS: u64 = 6;

/// A group (one generation of a room) and an epoch of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEpoch {
    pub group_id: Bytes,
    pub epoch: u64,
}

/// What the delivery service sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "snake_case")]
#[serde(try_from = "super::server_message::Fields")]
pub enum ServerMessage {
    /// Answer to `hello`.
    Ready(Ready),
    /// The certificate asked for (chain without the root, leaf first, DER) and the proof that it is on the log.
    Certificate {
        chain: Vec<Bytes>,
        receipt: Receipt,
    },
    /// Nobody is in the room: make the group with this id, then answer `created`.
    Create {
        group_id: Bytes,
    },
    /// The `created` group was accepted; the sender is its only member, at epoch 0. `receipt` and `roster_salt` as in
    /// `commit`.
    CreateAccepted {
        at: GroupEpoch,
        receipt: Receipt,
        roster_salt: Bytes,
    },
    /// A member's commit added the receiver and made epoch `at.epoch`. `ratchet_tree` is the tree of that epoch, TLS
    /// encoding; `receipts` hold, for each leaf that is not blank in order, the log's receipt for its certificate.
    Joined {
        at: GroupEpoch,
        welcome: Bytes,
        ratchet_tree: Bytes,
        receipts: Vec<Receipt>,
    },
    /// Proposals by the service (`MLSMessage` holding a `PublicMessage` of sender type external), to be committed
    /// together in `at.epoch`. A later message for the same epoch adds to the earlier ones.
    /// `receipts` hold, for each Add in order, the log's receipt for the certificate in it.
    Proposals {
        at: GroupEpoch,
        proposals: Vec<Bytes>,
        receipts: Vec<Receipt>,
    },
    /// The one commit that ends `at.epoch`, sent to all members, its committer included, with the receipt of
    /// the new epoch's record on the log and the salt of the roster commitment in it.
    Commit {
        at: GroupEpoch,
        commit: Bytes,
        receipt: Receipt,
        roster_salt: Bytes,
    },
    /// A commit was not taken. The winning one, if there is one, arrives as `commit`.
    CommitRefused {
        at: GroupEpoch,
        reason: CommitRefusal,
        detail: String,
    },
    /// The member at `leaf` holds the keys of this epoch.
    Ack {
        at: GroupEpoch,
        leaf: u32,
    },
    /// Leaves whose connection is up, in leaf order. Sent after each change. Decides who commits first, nothing else.
    Presence {
        at: GroupEpoch,
        live: Vec<u32>,
    },
    Application {
        at: GroupEpoch,
        message: Bytes,
    },
    /// This generation of the room is over for the receiver; it may `join` again.
    Ended {
        group_id: Bytes,
        reason: EndReason,
    },
    /// A fresh token for the relay, well before the old one expires.
    RelayToken {
        token: String,
        expires_in: u64,
        /// As in [`Ready`], with fresh credentials.
        ice_servers: Vec<IceServer>,
    },
    Error {
        code: ErrorCode,
        message: String,
        fatal: bool,
    },
    Pong {},
}

/// What a client learns when its connection is accepted. Every chain leads to the root whose hash is in the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub protocol: u16,
    pub room: String,
    /// Opaque id of the person in this room, the same that the relay sees and the certificate names.
    pub participant: String,
    /// Opaque id of this device of the person, as in the certificate.
    pub device: String,
    /// Self-signed root certificate, DER.
    pub trust_root: Bytes,
    /// Certificate of the service's Ed25519/P-256 key that signs external proposals.
    pub service_chain: Vec<Bytes>,
    /// Certificate of the log's Ed25519 key.
    pub log_chain: Vec<Bytes>,
    /// First line of the log's checkpoints and the name of its key.
    pub log_origin: String,
    /// Where the relay's signalling WebSocket is (path on this origin, or a whole URL), and the token for it.
    pub relay_url: String,
    pub relay_token: String,
    /// TURN servers, for those whom the relay is not reachable for otherwise.
    pub ice_servers: Vec<IceServer>,
}

/// A TURN server as `RTCPeerConnection` takes it, with credentials for this person and a short while.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    pub urls: Vec<String>,
    pub username: String,
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitRefusal {
    /// Another commit for this epoch was first.
    EpochTaken,
    /// The epoch named is not the group's current one.
    WrongEpoch,
    /// OpenMLS or the room's policy refuses it.
    Invalid,
    /// It adds members and brings no Welcome for all of them.
    WelcomeMissing,
    /// It leaves out a pending proposal.
    ProposalsMissing,
    TooLarge,
    RateLimited,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Nobody live was left to commit.
    Abandoned,
    /// The receiver was removed.
    Removed,
    /// The room was closed.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    UnsupportedProtocol,
    /// The session token is unknown, expired or for another room.
    SessionInvalid,
    /// JSON that is no message of this protocol.
    Malformed,
    /// A message that does not fit the session's state.
    UnexpectedMessage,
    TooLarge,
    RateLimited,
    CertificateRefused,
    KeyPackageRefused,
    /// The service itself failed; try again.
    Unavailable,
}

/// What the signature key signs to ask for a certificate: a label, the session and the key itself, each with its
/// length, so that a proof serves one session and one key (PF-16).
pub fn certificate_request_tbs(session: &str, public_key: &[u8]) -> Vec<u8> {
    let mut tbs = Vec::with_capacity(64 + session.len() + public_key.len());
    for part in [
        b"Conclave 1.0 CertificateRequest".as_slice(),
        session.as_bytes(),
        public_key,
    ] {
        tbs.extend_from_slice(&(part.len() as u32).to_be_bytes());
        tbs.extend_from_slice(part);
    }
    tbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_tagged_in_kebab_case_and_unknown_fields_are_refused() {
        let hello = ClientMessage::Hello {
            protocol: 1,
            session: "s".into(),
            resume: None,
        };
        assert_eq!(
            serde_json::to_string(&hello).unwrap(),
            r#"{"type":"hello","protocol":1,"session":"s","resume":null}"#
        );
        assert_eq!(
            serde_json::from_str::<ClientMessage>(r#"{"type":"leave"}"#).unwrap(),
            ClientMessage::Leave {}
        );
        assert!(serde_json::from_str::<ClientMessage>(r#"{"type":"leave","and":1}"#).is_err());
        assert!(serde_json::from_str::<ClientMessage>(r#"{"type":"become-admin"}"#).is_err());
    }

    #[test]
    fn a_certificate_request_is_bound_to_session_and_key_without_ambiguity() {
        assert_ne!(certificate_request_tbs("ab", b"c"), certificate_request_tbs("a", b"bc"));
    }
}
