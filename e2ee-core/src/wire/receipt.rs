//! The log's word that an entry is on it: an inclusion proof (RFC 6962 section 2.1.1, RFC 9162 section 2.1.3)
//! and the checkpoint it leads to.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Index of the entry, from 0.
    pub index: u64,
    /// The entry as it stands on the log; its leaf hash is SHA-256(0x00 || entry).
    pub entry: Bytes,
    /// Audit path from the leaf to the root, lowest first, 32 bytes each.
    pub proof: Vec<Bytes>,
    /// Signed note (C2SP signed-note, tlog-checkpoint), whole text.
    pub checkpoint: String,
}
