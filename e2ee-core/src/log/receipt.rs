//! From a [`Receipt`] to an entry that is known to be on the log.

use super::merkle::{Hash, leaf_hash, verify_inclusion};
use super::{Checkpoint, LogError, LogKey};
use crate::log::entry::LogEntry;
use crate::wire::Receipt;

/// A tree of 2^64 entries has no longer audit path.
const MAX_PROOF: usize = 64;

/// An entry whose inclusion was verified under a verified checkpoint. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    index: u64,
    checkpoint: Checkpoint,
}

impl Logged {
    pub fn index(&self) -> u64 {
        self.index
    }

    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl LogKey {
    /// LOGV-3, LOGV-4: the receipt is for exactly this entry, and the entry is in the tree that the log signed.
    pub fn verify_receipt(&self, receipt: &Receipt, expected: &LogEntry) -> Result<Logged, LogError> {
        let expected = expected.to_bytes().map_err(|_| LogError::OtherEntry)?;
        if receipt.entry.as_slice() != expected {
            return Err(LogError::OtherEntry);
        }
        let checkpoint = self.verify(&receipt.checkpoint)?;
        if receipt.proof.len() > MAX_PROOF {
            return Err(LogError::NotIncluded);
        }
        let proof = receipt
            .proof
            .iter()
            .map(|node| Hash::try_from(node.as_slice()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| LogError::NotIncluded)?;
        verify_inclusion(
            &leaf_hash(&expected),
            receipt.index,
            checkpoint.size(),
            &proof,
            checkpoint.root(),
        )?;
        Ok(Logged {
            index: receipt.index,
            checkpoint,
        })
    }

    /// [`Self::verify_receipt`] for a certificate.
    pub fn verify_certificate_receipt(&self, receipt: &Receipt, der: &[u8]) -> Result<Logged, LogError> {
        self.verify_receipt(receipt, &LogEntry::Certificate { der: der.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::log::checkpoint::tests::note;
    use crate::log::merkle::tests::{inclusion, root};

    fn log() -> (LogKey, Vec<LogEntry>, impl Fn(usize) -> Receipt) {
        let signer = SigningKey::from_bytes(&[3; 32]);
        let key = LogKey::new(signer.verifying_key().as_bytes(), "log.example/1").unwrap();
        let entries: Vec<LogEntry> = (0..5).map(|n| LogEntry::Certificate { der: vec![n; 40] }).collect();
        let bytes: Vec<Vec<u8>> = entries.iter().map(|e| e.to_bytes().unwrap()).collect();
        let receipt = move |index: usize| {
            let leaves: Vec<Hash> = bytes.iter().map(|e| leaf_hash(e)).collect();
            Receipt {
                index: index as u64,
                entry: bytes[index].clone().into(),
                proof: inclusion(index, &leaves).iter().map(|h| h.to_vec().into()).collect(),
                checkpoint: note("log.example/1", 5, &root(&leaves), &signer),
            }
        };
        (key, entries, receipt)
    }

    #[test]
    fn logv_3_a_receipt_proves_its_entry() {
        let (key, entries, receipt) = log();
        for (index, entry) in entries.iter().enumerate() {
            let logged = key.verify_receipt(&receipt(index), entry).unwrap();
            assert_eq!((logged.index(), logged.checkpoint().size()), (index as u64, 5));
        }
    }

    #[test]
    fn logv_4_a_receipt_for_another_entry_or_with_a_changed_proof_is_refused() {
        let (key, entries, receipt) = log();
        assert_eq!(key.verify_receipt(&receipt(1), &entries[2]), Err(LogError::OtherEntry));
        let mut swapped = receipt(1);
        swapped.entry = receipt(2).entry;
        assert_eq!(key.verify_receipt(&swapped, &entries[2]), Err(LogError::NotIncluded));
        let mut moved = receipt(1);
        moved.index = 0;
        assert_eq!(key.verify_receipt(&moved, &entries[1]), Err(LogError::NotIncluded));
        let mut short = receipt(1);
        short.proof[0].0.pop();
        assert_eq!(key.verify_receipt(&short, &entries[1]), Err(LogError::NotIncluded));
        let mut long = receipt(1);
        long.proof.resize(65, vec![0; 32].into());
        assert_eq!(key.verify_receipt(&long, &entries[1]), Err(LogError::NotIncluded));
    }
}
