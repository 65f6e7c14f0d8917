//! What travels inside MLS application messages.
//!
//! ```text
//! struct {
//!     uint8 kind;                      // 0 chat, 1 heartbeat
//!     select (kind) {
//!         case 0: opaque text[rest];   // UTF-8, not empty, at most MAX_CHAT bytes
//!         case 1: Heartbeat;
//!     };
//! } Content;
//! struct {
//!     uint64 epoch;
//!     opaque authenticator[32];        // SHA-256("Conclave 1.0 Heartbeat" || epoch_authenticator)
//!     uint64 log_size;                 // of the newest checkpoint seen, 0 and zeros for none
//!     opaque log_root[32];
//! } Heartbeat;
//! ```

use sha2::{Digest, Sha256};
use tls_codec::{DeserializeBytes, Serialize, TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The longest chat message, in bytes.
pub const MAX_CHAT: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Chat(String),
    Heartbeat(Heartbeat),
}

/// What a member holds and saw, to be compared by the others (C4).
#[derive(Clone, Debug, PartialEq, Eq, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub(super) struct Heartbeat {
    pub(super) epoch: u64,
    pub(super) authenticator: [u8; 32],
    pub(super) log_size: u64,
    pub(super) log_root: [u8; 32],
}

/// A member sent content that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a member sent a message that this software cannot read")]
pub(super) struct Unreadable;

impl Content {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::new();
        match self {
            Self::Chat(text) => {
                out.push(0);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Heartbeat(beat) => {
                out.push(1);
                beat.tls_serialize(&mut out).map_err(|_| Unreadable)?;
            }
        }
        Ok(out)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((0, text)) if !text.is_empty() && text.len() <= MAX_CHAT => {
                let text = std::str::from_utf8(text).map_err(|_| Unreadable)?;
                Ok(Self::Chat(text.to_owned()))
            }
            Some((1, beat)) => Heartbeat::tls_deserialize_exact_bytes(beat)
                .map(Self::Heartbeat)
                .map_err(|_| Unreadable),
            _ => Err(Unreadable),
        }
    }
}

/// The epoch authenticator (RFC 9420 section 8.7) in a form that may be sent.
pub(super) fn authenticator(epoch_authenticator: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"Conclave 1.0 Heartbeat")
        .chain_update(epoch_authenticator)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_round_trips_and_everything_else_is_refused() {
        let beat = Content::Heartbeat(Heartbeat {
            epoch: 3,
            authenticator: [1; 32],
            log_size: 9,
            log_root: [2; 32],
        });
        for content in [Content::Chat("héllo".into()), beat.clone()] {
            assert_eq!(Content::from_bytes(&content.to_bytes().unwrap()), Ok(content));
        }
        let mut longer = beat.to_bytes().unwrap();
        longer.push(0);
        let shorter = &beat.to_bytes().unwrap()[..80];
        let big = [vec![0], vec![b'a'; MAX_CHAT + 1]].concat();
        for bad in [&longer[..], shorter, &[], &[0], &[2, 1], &[0, 0xFF], &big] {
            assert_eq!(Content::from_bytes(bad), Err(Unreadable));
        }
    }
}
