//! A transparency log in memory. Proofs by the definition of RFC 6962 section 2.1, which is slow and clear.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use e2ee_core::log::entry::LogEntry;
use e2ee_core::log::merkle::{Hash, empty_root, leaf_hash, node_hash};
use e2ee_core::wire::Receipt;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

pub const ORIGIN: &str = "log.test/1";

#[derive(Clone)]
pub struct TestLog {
    key: SigningKey,
    entries: Vec<Vec<u8>>,
}

impl TestLog {
    pub fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            entries: Vec::new(),
        }
    }

    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub fn append(&mut self, entry: &LogEntry) -> u64 {
        self.entries.push(entry.to_bytes().unwrap());
        self.entries.len() as u64 - 1
    }

    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The receipt for an entry under the newest checkpoint.
    pub fn receipt(&self, index: u64) -> Receipt {
        let leaves: Vec<Hash> = self.entries.iter().map(|e| leaf_hash(e)).collect();
        let at = usize::try_from(index).unwrap();
        Receipt {
            index,
            entry: self.entries[at].clone().into(),
            proof: path(at, &leaves).iter().map(|h| h.to_vec().into()).collect(),
            checkpoint: self.note(leaves.len() as u64, &root(&leaves)),
        }
    }

    pub fn note(&self, size: u64, root: &Hash) -> String {
        let text = format!("{ORIGIN}\n{size}\n{}\n", STANDARD.encode(root));
        let id = Sha256::new()
            .chain_update(ORIGIN)
            .chain_update([0x0A, 1])
            .chain_update(self.public())
            .finalize();
        let mut blob = id[..4].to_vec();
        blob.extend(self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(blob))
    }
}

fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut out, sibling) = if index < left.len() {
        (path(index, left), root(right))
    } else {
        (path(index - left.len(), right), root(left))
    };
    out.push(sibling);
    out
}
