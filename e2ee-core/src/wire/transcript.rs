//! The public handshake of a room, as the key server exports it and the auditor replays it. JSON, one document.
//!
//! It holds no secret: handshake messages are `PublicMessage`s, and the roster's salts only hide the roster from
//! readers of the log who do not have this bundle.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::bytes::Bytes;

/// Version of the bundle's format.
pub const TRANSCRIPT_VERSION: u16 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    pub version: u16,
    pub room: String,
    /// Self-signed root certificate, DER. The auditor compares its SHA-256 with the one it was given.
    pub trust_root: Bytes,
    pub service_chain: Vec<Bytes>,
    pub log_chain: Vec<Bytes>,
    pub log_origin: String,
    /// One for each group the room has had, oldest first.
    pub generations: Vec<Generation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    pub group_id: Bytes,
    /// `MLSMessage(GroupInfo)` of epoch 0, with the ratchet tree extension.
    pub group_info: Bytes,
    /// The record of epoch 0 on the log.
    pub genesis: EpochEvidence,
    /// One for each later epoch, in order.
    pub epochs: Vec<Epoch>,
}

/// How an epoch came to be: the proposals that were committed, then the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The epoch that the commit made (that of the message is one less).
    pub epoch: u64,
    /// All proposals delivered in the epoch before, in order.
    pub proposals: Vec<Bytes>,
    pub commit: Bytes,
    /// Unix time in milliseconds at which the service stored the commit. Its word, for reading only.
    pub stored_at: u64,
    pub evidence: EpochEvidence,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochEvidence {
    /// Index of the epoch's record on the log.
    pub log_index: u64,
    /// 32 bytes: the salt of the roster commitment in the record.
    pub roster_salt: Bytes,
}

/// The MLS group id of a room's generation: 16 bytes of `SHA-256("Conclave 1.0 Group" || generation || room)`, then the
/// generation, u32, big endian.
///
/// Group ids stand on the public log. Whoever has the room's id can tell which of them are the room's, and so notices a
/// generation that a transcript leaves out; whoever has not learns neither the room nor that two groups are of one room.
pub fn group_id(room: &str, generation: u32) -> [u8; 20] {
    let generation = generation.to_be_bytes();
    let hash = Sha256::new()
        .chain_update("Conclave 1.0 Group")
        .chain_update(generation)
        .chain_update(room)
        .finalize();
    let mut id = [0; 20];
    id[..16].copy_from_slice(&hash[..16]);
    id[16..].copy_from_slice(&generation);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_id_is_of_one_room_and_one_generation() {
        let id = group_id("room", 7);
        assert_eq!(id[16..], [0, 0, 0, 7]);
        assert_eq!(id, group_id("room", 7));
        for other in [group_id("room", 8), group_id("Room", 7), group_id("", 7)] {
            assert_ne!(id[..16], other[..16]);
        }
    }
}
