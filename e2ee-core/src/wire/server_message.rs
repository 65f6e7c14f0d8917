//! How a [`ServerMessage`] is read: all fields that any of them has, in one pass, then the ones that this `type` has.
//!
//! What serde derives for a tagged enum reads every message into a tree first and brings a reader for each variant,
//! twice. A browser loads all of that; this is a tenth of it.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as Unfit, StringDeserializer};

use super::bytes::Bytes;
use super::delivery::{ErrorCode, GroupEpoch, IceServer, Ready, ServerMessage};
use super::receipt::Receipt;

/// Fields that a message's `type` does not have are left alone, as unknown ones are.
#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(rename = "type")]
    kind: Kind,
    protocol: Option<u16>,
    room: Option<String>,
    participant: Option<String>,
    device: Option<String>,
    trust_root: Option<Bytes>,
    service_chain: Option<Vec<Bytes>>,
    log_chain: Option<Vec<Bytes>>,
    log_origin: Option<String>,
    relay_url: Option<String>,
    relay_token: Option<String>,
    /// Left out where there are none.
    ice_servers: Option<Vec<IceServer>>,
    chain: Option<Vec<Bytes>>,
    at: Option<GroupEpoch>,
    group_id: Option<Bytes>,
    receipt: Option<Receipt>,
    receipts: Option<Vec<Receipt>>,
    roster_salt: Option<Bytes>,
    welcome: Option<Bytes>,
    ratchet_tree: Option<Bytes>,
    proposals: Option<Vec<Bytes>>,
    commit: Option<Bytes>,
    /// A name from one of two lists.
    reason: Option<String>,
    detail: Option<String>,
    leaf: Option<u32>,
    live: Option<Vec<u32>>,
    /// Base64 in `application`, text in `error`.
    message: Option<String>,
    token: Option<String>,
    expires_in: Option<u64>,
    code: Option<ErrorCode>,
    fatal: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Ready,
    Certificate,
    Create,
    CreateAccepted,
    Joined,
    Proposals,
    Commit,
    CommitRefused,
    Ack,
    Presence,
    Application,
    Ended,
    RelayToken,
    Error,
    Pong,
}

/// Why the fields are no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoMessage {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("not base64url without padding: {0}")]
    Base64(#[from] base64::DecodeError),
}

fn need<T>(field: Option<T>, name: &'static str) -> Result<T, NoMessage> {
    field.ok_or(NoMessage::Missing(name))
}

/// One of a list of names.
fn named<'de, T: Deserialize<'de>>(field: Option<String>, name: &'static str) -> Result<T, NoMessage> {
    let text: StringDeserializer<Unfit> = need(field, name)?.into_deserializer();
    Ok(T::deserialize(text)?)
}

impl TryFrom<Fields> for ServerMessage {
    type Error = NoMessage;

    fn try_from(fields: Fields) -> Result<Self, NoMessage> {
        Ok(match fields.kind {
            Kind::Ready => Self::Ready(Ready {
                protocol: need(fields.protocol, "protocol")?,
                room: need(fields.room, "room")?,
                participant: need(fields.participant, "participant")?,
                device: need(fields.device, "device")?,
                trust_root: need(fields.trust_root, "trust_root")?,
                service_chain: need(fields.service_chain, "service_chain")?,
                log_chain: need(fields.log_chain, "log_chain")?,
                log_origin: need(fields.log_origin, "log_origin")?,
                relay_url: need(fields.relay_url, "relay_url")?,
                relay_token: need(fields.relay_token, "relay_token")?,
                ice_servers: need(fields.ice_servers, "ice_servers")?,
            }),
            Kind::Certificate => Self::Certificate {
                chain: need(fields.chain, "chain")?,
                receipt: need(fields.receipt, "receipt")?,
            },
            Kind::Create => Self::Create {
                group_id: need(fields.group_id, "group_id")?,
            },
            Kind::CreateAccepted => Self::CreateAccepted {
                at: need(fields.at, "at")?,
                receipt: need(fields.receipt, "receipt")?,
                roster_salt: need(fields.roster_salt, "roster_salt")?,
            },
            Kind::Joined => Self::Joined {
                at: need(fields.at, "at")?,
                welcome: need(fields.welcome, "welcome")?,
                ratchet_tree: need(fields.ratchet_tree, "ratchet_tree")?,
                receipts: need(fields.receipts, "receipts")?,
            },
            Kind::Proposals => Self::Proposals {
                at: need(fields.at, "at")?,
                proposals: need(fields.proposals, "proposals")?,
                receipts: need(fields.receipts, "receipts")?,
            },
            Kind::Commit => Self::Commit {
                at: need(fields.at, "at")?,
                commit: need(fields.commit, "commit")?,
                receipt: need(fields.receipt, "receipt")?,
                roster_salt: need(fields.roster_salt, "roster_salt")?,
            },
            Kind::CommitRefused => Self::CommitRefused {
                at: need(fields.at, "at")?,
                reason: named(fields.reason, "reason")?,
                detail: need(fields.detail, "detail")?,
            },
            Kind::Ack => Self::Ack {
                at: need(fields.at, "at")?,
                leaf: need(fields.leaf, "leaf")?,
            },
            Kind::Presence => Self::Presence {
                at: need(fields.at, "at")?,
                live: need(fields.live, "live")?,
            },
            Kind::Application => Self::Application {
                at: need(fields.at, "at")?,
                message: Bytes::from_base64(&need(fields.message, "message")?)?,
            },
            Kind::Ended => Self::Ended {
                group_id: need(fields.group_id, "group_id")?,
                reason: named(fields.reason, "reason")?,
            },
            Kind::RelayToken => Self::RelayToken {
                token: need(fields.token, "token")?,
                expires_in: need(fields.expires_in, "expires_in")?,
                ice_servers: need(fields.ice_servers, "ice_servers")?,
            },
            Kind::Error => Self::Error {
                code: need(fields.code, "code")?,
                message: need(fields.message, "message")?,
                fatal: need(fields.fatal, "fatal")?,
            },
            Kind::Pong => Self::Pong {},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::delivery::{CommitRefusal, EndReason};

    /// One of each, every field of it filled.
    fn all() -> Vec<ServerMessage> {
        let at = GroupEpoch {
            group_id: Bytes(vec![1, 2]),
            epoch: 7,
        };
        let receipt = Receipt {
            index: 3,
            entry: Bytes(vec![4]),
            proof: vec![Bytes(vec![5; 32])],
            checkpoint: "note".into(),
        };
        let (bytes, text) = (|n: u8| Bytes(vec![n; 3]), |text: &str| text.to_owned());
        let ice_server = IceServer {
            urls: vec![text("turns:turn.example:5349")],
            username: text("1:p"),
            credential: text("secret"),
        };
        vec![
            ServerMessage::Ready(Ready {
                protocol: 1,
                room: text("room"),
                participant: text("participant"),
                device: text("device"),
                trust_root: bytes(1),
                service_chain: vec![bytes(2)],
                log_chain: vec![bytes(3), bytes(4)],
                log_origin: text("origin"),
                relay_url: text("/relay"),
                relay_token: text("token"),
                ice_servers: vec![ice_server.clone()],
            }),
            ServerMessage::Certificate {
                chain: vec![bytes(5)],
                receipt: receipt.clone(),
            },
            ServerMessage::Create { group_id: bytes(6) },
            ServerMessage::CreateAccepted {
                at: at.clone(),
                receipt: receipt.clone(),
                roster_salt: bytes(7),
            },
            ServerMessage::Joined {
                at: at.clone(),
                welcome: bytes(8),
                ratchet_tree: bytes(9),
                receipts: vec![receipt.clone()],
            },
            ServerMessage::Proposals {
                at: at.clone(),
                proposals: vec![bytes(10)],
                receipts: Vec::new(),
            },
            ServerMessage::Commit {
                at: at.clone(),
                commit: bytes(11),
                receipt,
                roster_salt: bytes(12),
            },
            ServerMessage::CommitRefused {
                at: at.clone(),
                reason: CommitRefusal::EpochTaken,
                detail: text("detail"),
            },
            ServerMessage::Ack {
                at: at.clone(),
                leaf: 9,
            },
            ServerMessage::Presence {
                at: at.clone(),
                live: vec![0, 2],
            },
            ServerMessage::Application { at, message: bytes(13) },
            ServerMessage::Ended {
                group_id: bytes(14),
                reason: EndReason::Removed,
            },
            ServerMessage::RelayToken {
                token: text("token"),
                expires_in: 60,
                ice_servers: vec![ice_server],
            },
            ServerMessage::Error {
                code: ErrorCode::TooLarge,
                message: text("not base64!"),
                fatal: true,
            },
            ServerMessage::Pong {},
        ]
    }

    #[test]
    fn every_message_is_read_as_it_was_written_in_any_order_and_with_what_is_unknown() {
        for message in all() {
            let written = serde_json::to_value(&message).unwrap();
            assert_eq!(
                serde_json::from_value::<ServerMessage>(written.clone()).unwrap(),
                message
            );
            let mut fields: Vec<_> = written.as_object().unwrap().iter().collect();
            fields.reverse();
            let reversed: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            let text = format!("{{\"new\":[1.5,{{}}],{}}}", reversed.join(","));
            assert_eq!(serde_json::from_str::<ServerMessage>(&text).unwrap(), message);
        }
    }

    #[test]
    fn a_message_without_one_of_its_fields_or_with_null_for_it_is_refused() {
        for message in all() {
            let written = serde_json::to_value(&message).unwrap();
            for name in written.as_object().unwrap().keys() {
                let mut without = written.clone();
                without.as_object_mut().unwrap().remove(name);
                assert!(
                    serde_json::from_value::<ServerMessage>(without).is_err(),
                    "{message:?} without {name}"
                );
                let mut null = written.clone();
                null[name] = serde_json::Value::Null;
                assert!(
                    serde_json::from_value::<ServerMessage>(null).is_err(),
                    "{message:?}, {name} null"
                );
            }
        }
    }

    #[test]
    fn what_is_none_of_the_messages_is_refused() {
        for text in [
            r#"{"type":"become-admin"}"#,
            r#"{"type":"Pong"}"#,
            r#"{"type":"pong","type":"pong"}"#,
            r#"{}"#,
            r#""pong""#,
            r#"null"#,
            r#"{"type":"ended","group_id":"AQ","reason":"epoch-taken"}"#,
            r#"{"type":"application","at":{"group_id":"AQ","epoch":1},"message":"AQ=="}"#,
            r#"{"type":"application","at":{"group_id":"AQ","epoch":1,"and":2},"message":"AQ"}"#,
            r#"{"type":"ack","at":{"group_id":"AQ","epoch":1},"leaf":4294967296}"#,
        ] {
            assert!(serde_json::from_str::<ServerMessage>(text).is_err(), "{text}");
        }
    }
}
