//! A tile log written by another implementation (`tlog_tiles`), so that ours is not measured by itself.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2ee_core::log::entry::LogEntry;
use ed25519_dalek::Signer as _;
use sha2::{Digest, Sha256};
use tlog_tiles::{Hash, HashReader, Tile, stored_hash_index, stored_hashes, tree_hash};

use super::ca::Key;

pub const ORIGIN: &str = "log.example/1";

#[derive(Clone, Default)]
pub struct TestLog {
    pub entries: Vec<Vec<u8>>,
}

struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(positions.iter().map(|at| self.0[*at as usize]).collect())
    }
}

impl TestLog {
    pub fn append(&mut self, entry: &LogEntry) -> u64 {
        self.entries.push(entry.to_bytes().unwrap());
        self.entries.len() as u64 - 1
    }

    fn stored(&self) -> Stored {
        let mut stored = Stored(Vec::new());
        for (index, entry) in self.entries.iter().enumerate() {
            let hashes = stored_hashes(index as u64, entry, &stored).unwrap();
            assert_eq!(stored.0.len() as u64, stored_hash_index(0, index as u64));
            stored.0.extend(hashes);
        }
        stored
    }

    /// The whole folder, with a checkpoint over everything.
    pub fn write(&self, folder: &Path, key: &Key) {
        self.write_of_size(folder, key, self.entries.len());
    }

    /// The folder as it was when the log had `size` entries.
    pub fn write_of_size(&self, folder: &Path, key: &Key, size: usize) {
        let log = Self {
            entries: self.entries[..size].to_vec(),
        };
        let stored = log.stored();
        for tile in Tile::new_tiles(8, 0, size as u64) {
            // tlog_tiles spells the height out: tile/8/<L>/...
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            put(folder, &path, &tile.read_data(&stored).unwrap());
            if tile.level() == 0 {
                let first = tile.level_index() as usize * 256;
                let bundle = log.entries[first..first + tile.width() as usize]
                    .iter()
                    .flat_map(|entry| {
                        let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
                        length.into_iter().chain(entry.iter().copied())
                    });
                put(
                    folder,
                    &path.replacen("tile/0/", "tile/entries/", 1),
                    &bundle.collect::<Vec<_>>(),
                );
            }
        }
        let root = tree_hash(size as u64, &stored).unwrap();
        put(folder, "checkpoint", checkpoint(size as u64, &root.0, key).as_bytes());
    }
}

pub fn checkpoint(size: u64, root: &[u8; 32], key: &Key) -> String {
    let text = format!("{ORIGIN}\n{size}\n{}\n", STANDARD.encode(root));
    let mut blob = key_id(key).to_vec();
    blob.extend(key.0.sign(text.as_bytes()).to_bytes());
    format!("{text}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(blob))
}

/// As C2SP signed notes write a verifier key.
pub fn verifier_key(key: &Key) -> String {
    let encoded = [&[1][..], &key.public()].concat();
    format!("{ORIGIN}+{}+{}", hex::encode(key_id(key)), STANDARD.encode(encoded))
}

fn key_id(key: &Key) -> [u8; 4] {
    let hash = Sha256::digest([ORIGIN.as_bytes(), &[0x0A, 1], &key.public()].concat());
    hash[..4].try_into().unwrap()
}

fn put(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
