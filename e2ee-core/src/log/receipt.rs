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
        self.receipts().verify(receipt, expected)
    }

    /// [`Self::verify_receipt`] for a certificate.
    pub fn verify_certificate_receipt(&self, receipt: &Receipt, der: &[u8]) -> Result<Logged, LogError> {
        self.receipts().verify_certificate(receipt, der)
    }

    /// For receipts that came together.
    pub fn receipts(&self) -> Receipts<'_> {
        Receipts {
            log: self,
            newest: None,
        }
    }
}

/// Verifies receipts one after the other. Those that come together mostly lead to one checkpoint, letter by letter, and
/// the log's signature on that is checked once.
#[derive(Debug)]
pub struct Receipts<'a> {
    log: &'a LogKey,
    /// The one verified last.
    newest: Option<(&'a str, Checkpoint)>,
}

impl<'a> Receipts<'a> {
    /// See [`LogKey::verify_certificate_receipt`].
    pub fn verify_certificate(&mut self, receipt: &'a Receipt, der: &[u8]) -> Result<Logged, LogError> {
        self.verify(receipt, &LogEntry::Certificate { der: der.to_vec() })
    }

    /// See [`LogKey::verify_receipt`].
    pub fn verify(&mut self, receipt: &'a Receipt, expected: &LogEntry) -> Result<Logged, LogError> {
        let expected = expected.to_bytes().map_err(|_| LogError::OtherEntry)?;
        if receipt.entry.as_slice() != expected {
            return Err(LogError::OtherEntry);
        }
        let checkpoint = self.checkpoint(&receipt.checkpoint)?;
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

    fn checkpoint(&mut self, note: &'a str) -> Result<Checkpoint, LogError> {
        if let Some((text, checkpoint)) = &self.newest
            && *text == note
        {
            return Ok(checkpoint.clone());
        }
        let checkpoint = self.log.verify(note)?;
        self.newest = Some((note, checkpoint.clone()));
        Ok(checkpoint)
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

    /// The signature is checked once for receipts that share it, and for each checkpoint that is another by one letter.
    #[test]
    fn logv_4_of_receipts_that_come_together_each_is_checked() {
        let (key, entries, receipt) = log();
        let good: Vec<Receipt> = (0..5).map(receipt).collect();
        let (mut forged, mut moved) = (good[1].clone(), good[2].clone());
        forged.checkpoint = forged.checkpoint.replacen("\n5\n", "\n6\n", 1);
        moved.index = 3;
        let mut receipts = key.receipts();
        assert!(receipts.verify(&good[0], &entries[0]).is_ok());
        assert_eq!(receipts.verify(&forged, &entries[1]), Err(LogError::SignatureInvalid));
        assert_eq!(receipts.verify(&moved, &entries[2]), Err(LogError::NotIncluded));
        assert_eq!(receipts.verify(&good[3], &entries[4]), Err(LogError::OtherEntry));
        for (receipt, entry) in good.iter().zip(&entries) {
            assert_eq!(receipts.verify(receipt, entry), key.verify_receipt(receipt, entry));
        }
        // A forgery that comes first is not what the next is compared with.
        let mut receipts = key.receipts();
        for _ in 0..2 {
            assert_eq!(receipts.verify(&forged, &entries[1]), Err(LogError::SignatureInvalid));
        }
        assert!(receipts.verify(&good[1], &entries[1]).is_ok());
    }
}
