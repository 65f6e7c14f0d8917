//! What stands on the log. TLS presentation language (RFC 8446 section 3), so that an entry has one encoding only:
//!
//! ```text
//! struct {
//!     uint8  version = 1;
//!     uint8  type;              // 1 certificate, 2 epoch
//!     select (type) {
//!         case certificate: opaque der<0..2^32-1>;
//!         case epoch:       EpochRecord;
//!     };
//! } LogEntry;
//! ```
//!
//! Lengths are those of MLS (`<V>`, RFC 9420 section 2.1.2).

use sha2::{Digest, Sha256};
use tls_codec::{DeserializeBytes, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

/// The version byte of every entry this crate writes and reads.
pub const ENTRY_VERSION: u8 = 1;

/// One entry of the transparency log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// A certificate that the organisation's key issued, whole, DER.
    Certificate { der: Vec<u8> },
    /// An epoch that a room's group entered.
    Epoch(EpochRecord),
}

/// Who could decrypt from this epoch on, without saying who to readers of the log.
#[derive(Clone, Debug, PartialEq, Eq, TlsSize, TlsSerialize, TlsDeserializeBytes)]
pub struct EpochRecord {
    pub group_id: VLBytes,
    /// The epoch entered; 0 for the group's creation.
    pub epoch: u64,
    /// SHA-256 of the commit's `MLSMessage`; of the `GroupInfo`'s for epoch 0.
    pub commit_hash: [u8; 32],
    /// RFC 9420 section 8.2, after the commit.
    pub confirmed_transcript_hash: VLBytes,
    /// RFC 9420 section 7.8, after the commit.
    pub tree_hash: VLBytes,
    /// [`roster_commitment`] of the members after the commit.
    pub roster_commitment: [u8; 32],
}

/// An entry's bytes are not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("log entry has version {0}, this software reads version {ENTRY_VERSION}")]
    Version(u8),
    #[error("log entry has unknown type {0}")]
    Type(u8),
    #[error("log entry is malformed: {0}")]
    Malformed(tls_codec::Error),
    #[error("log entry has {0} bytes too many")]
    Trailing(usize),
}

impl LogEntry {
    pub fn to_bytes(&self) -> Result<Vec<u8>, tls_codec::Error> {
        use tls_codec::Serialize;
        let mut out = vec![ENTRY_VERSION];
        match self {
            Self::Certificate { der } => {
                out.push(1);
                VLBytes::new(der.clone()).tls_serialize(&mut out)?;
            }
            Self::Epoch(record) => {
                out.push(2);
                record.tls_serialize(&mut out)?;
            }
        }
        Ok(out)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        let (version, rest) = u8::tls_deserialize_bytes(bytes).map_err(EntryError::Malformed)?;
        if version != ENTRY_VERSION {
            return Err(EntryError::Version(version));
        }
        let (kind, rest) = u8::tls_deserialize_bytes(rest).map_err(EntryError::Malformed)?;
        let (entry, rest) = match kind {
            1 => {
                let (der, rest) = VLBytes::tls_deserialize_bytes(rest).map_err(EntryError::Malformed)?;
                (Self::Certificate { der: der.into() }, rest)
            }
            2 => {
                let (record, rest) = EpochRecord::tls_deserialize_bytes(rest).map_err(EntryError::Malformed)?;
                (Self::Epoch(record), rest)
            }
            other => return Err(EntryError::Type(other)),
        };
        if rest.is_empty() {
            Ok(entry)
        } else {
            Err(EntryError::Trailing(rest.len()))
        }
    }
}

/// SHA-256 over a label, the salt (32 bytes) and, in leaf order, each member's leaf index and the SHA-256 of its
/// leaf certificate. The salt keeps readers of the log from guessing at rosters.
pub fn roster_commitment<'a>(salt: &[u8; 32], members: impl IntoIterator<Item = (u32, &'a [u8])>) -> [u8; 32] {
    let hashed = |(leaf, certificate)| (leaf, Sha256::digest(certificate).into());
    commitment_to_hashes(salt, members.into_iter().map(hashed))
}

/// The same where the certificates' hashes are known.
pub(crate) fn commitment_to_hashes(salt: &[u8; 32], members: impl Iterator<Item = (u32, [u8; 32])>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"Conclave 1.0 Roster");
    hash.update(salt);
    for (leaf, certificate) in members {
        hash.update(leaf.to_be_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch() -> LogEntry {
        LogEntry::Epoch(EpochRecord {
            group_id: VLBytes::new(b"room".to_vec()),
            epoch: 7,
            commit_hash: [1; 32],
            confirmed_transcript_hash: VLBytes::new(vec![2; 32]),
            tree_hash: VLBytes::new(vec![3; 32]),
            roster_commitment: roster_commitment(&[4; 32], [(0, b"cert".as_slice())]),
        })
    }

    #[test]
    fn entries_round_trip() {
        for entry in [LogEntry::Certificate { der: vec![0x30; 700] }, epoch()] {
            assert_eq!(LogEntry::from_bytes(&entry.to_bytes().unwrap()).unwrap(), entry);
        }
    }

    #[test]
    fn a_foreign_truncated_or_lengthened_entry_is_refused_by_name() {
        let bytes = epoch().to_bytes().unwrap();
        for end in 0..bytes.len() {
            assert!(matches!(
                LogEntry::from_bytes(&bytes[..end]),
                Err(EntryError::Malformed(_))
            ));
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(LogEntry::from_bytes(&longer), Err(EntryError::Trailing(1)));
        let mut other = bytes.clone();
        other[0] = 2;
        assert_eq!(LogEntry::from_bytes(&other), Err(EntryError::Version(2)));
        other[0] = 1;
        other[1] = 9;
        assert_eq!(LogEntry::from_bytes(&other), Err(EntryError::Type(9)));
    }

    #[test]
    fn the_roster_commitment_changes_with_salt_leaf_certificate_and_order() {
        let base = roster_commitment(&[0; 32], [(0, b"a".as_slice()), (1, b"b")]);
        assert_ne!(base, roster_commitment(&[1; 32], [(0, b"a".as_slice()), (1, b"b")]));
        assert_ne!(base, roster_commitment(&[0; 32], [(0, b"b".as_slice()), (1, b"a")]));
        assert_ne!(base, roster_commitment(&[0; 32], [(1, b"b".as_slice()), (0, b"a")]));
        assert_ne!(base, roster_commitment(&[0; 32], [(0, b"a".as_slice())]));
    }
}
