//! A transparency log in memory. Proofs by the definition of RFC 6962 section 2.1; whole subtrees are remembered.

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
    /// Hashes of the whole subtrees: level l has one for each 2^l entries.
    whole: Vec<Vec<Hash>>,
}

impl TestLog {
    pub fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            entries: Vec::new(),
            whole: Vec::new(),
        }
    }

    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub fn append(&mut self, entry: &LogEntry) -> u64 {
        let bytes = entry.to_bytes().unwrap();
        let mut hash = leaf_hash(&bytes);
        self.entries.push(bytes);
        for level in 0.. {
            if self.whole.len() == level {
                self.whole.push(Vec::new());
            }
            self.whole[level].push(hash);
            let [.., left, right] = &self.whole[level][..] else {
                break;
            };
            if self.whole[level].len() % 2 == 1 {
                break;
            }
            hash = node_hash(left, right);
        }
        self.size() - 1
    }

    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The receipt for an entry under the newest checkpoint.
    pub fn receipt(&self, index: u64) -> Receipt {
        let at = usize::try_from(index).unwrap();
        Receipt {
            index,
            entry: self.entries[at].clone().into(),
            proof: self
                .path(at, 0, self.entries.len())
                .iter()
                .map(|h| h.to_vec().into())
                .collect(),
            checkpoint: self.note(self.size(), &self.root(0, self.entries.len())),
        }
    }

    fn root(&self, start: usize, len: usize) -> Hash {
        if len == 0 {
            return empty_root();
        }
        if len.is_power_of_two() {
            let level = len.trailing_zeros() as usize;
            return self.whole[level][start >> level];
        }
        let left = split(len);
        node_hash(&self.root(start, left), &self.root(start + left, len - left))
    }

    fn path(&self, index: usize, start: usize, len: usize) -> Vec<Hash> {
        if len <= 1 {
            return Vec::new();
        }
        let left = split(len);
        let (mut out, sibling) = if index < left {
            (self.path(index, start, left), self.root(start + left, len - left))
        } else {
            (
                self.path(index - left, start + left, len - left),
                self.root(start, left),
            )
        };
        out.push(sibling);
        out
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
