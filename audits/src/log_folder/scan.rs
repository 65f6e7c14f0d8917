//! The whole log, read once: entries against level 0, each level against the one below, the root against the checkpoint.

use e2ee_core::log::merkle::{Hash, leaf_hash};

use super::entries::split;
use super::path::FULL;
use super::tree::Frontier;
use super::{LogFolder, Resource};
use crate::Error;

/// Something in the folder does not fit the checkpoint. Every one means that the log, or this copy of it, is not what the
/// log's key signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogProblem {
    #[error("{path} is missing, though the checkpoint says that the log has {size} entries")]
    Missing { path: String, size: u64 },
    #[error("{path} cannot be read: {why}")]
    Malformed { path: String, why: String },
    #[error("entry {index} in {entries} does not have the hash that stands in {tile}{}", who(*altered))]
    Entry {
        index: u64,
        entries: String,
        tile: String,
        altered: Option<Altered>,
    },
    #[error("hash {position} in {path} is not that of the tree below it")]
    Tile { path: String, position: usize },
    #[error("the entries make a tree with the root {computed}, and the checkpoint signs {signed}")]
    Root { computed: String, signed: String },
}

/// Which of two that disagree is not what the checkpoint signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Altered {
    Entry,
    Tile,
}

fn who(altered: Option<Altered>) -> &'static str {
    match altered {
        Some(Altered::Entry) => ": the entry was altered",
        Some(Altered::Tile) => ": the tile was altered",
        None => "",
    }
}

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Entries that could be read and were handed on.
    pub entries: u64,
    /// Tile files that were compared.
    pub tiles: u64,
    pub problems: Vec<LogProblem>,
}

impl LogFolder {
    /// Reads entries 0 to `size`, hands each with its index to `each`, and checks every file of the log against
    /// `size` and `root`, which are the checkpoint's. Stops early only where both the entries and their hashes are gone.
    pub fn scan(&self, size: u64, root: &Hash, each: &mut dyn FnMut(u64, &[u8])) -> Result<Scan, Error> {
        let mut scan = Scan::default();
        // Two trees, one by the entries and one by the tiles: where they differ, the signed root says which was altered.
        let (mut by_entries, mut by_tiles) = (Tree::default(), Tree::default());
        let mut done = 0;
        while done < size {
            let index = done / u64::from(FULL);
            // At most FULL, so it fits.
            let width = (size - done).min(u64::from(FULL)) as u16;
            let bundle = Resource::Entries { index, width };
            let tile = Resource::Tile { level: 0, index, width };
            let hashed = self.hash_entries(bundle, size, &mut scan, done, each)?;
            let listed = self.listed_hashes(tile, size, &mut scan)?;
            let (Some(hashed), Some(listed)) =
                (hashed.as_ref().or(listed.as_ref()), listed.as_ref().or(hashed.as_ref()))
            else {
                break;
            };
            for (at, (hashed, listed)) in hashed.iter().zip(listed).enumerate() {
                if hashed != listed {
                    scan.problems.push(LogProblem::Entry {
                        index: done + at as u64,
                        entries: bundle.path(),
                        tile: tile.path(),
                        altered: None,
                    });
                }
            }
            self.compare(tile, [hashed, listed], &mut scan)?;
            by_entries.push_tile(hashed);
            by_tiles.push_tile(listed);
            done += u64::from(width);
        }
        if done >= size {
            self.check_upper(&by_entries, &by_tiles, size, &mut scan)?;
        }
        settle(&mut scan, root, &by_entries.frontier.root(), &by_tiles.frontier.root());
        Ok(scan)
    }

    fn hash_entries(
        &self,
        wanted: Resource,
        size: u64,
        scan: &mut Scan,
        first: u64,
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Option<Vec<Hash>>, Error> {
        let Some(found) = self.find(wanted) else {
            scan.problems.push(LogProblem::Missing {
                path: wanted.path(),
                size,
            });
            return Ok(None);
        };
        let bundle = self.read(found)?;
        match split(&bundle, usize::from(found.width())) {
            Ok(entries) => {
                let entries = &entries[..usize::from(wanted.width())];
                for (at, entry) in entries.iter().enumerate() {
                    each(first + at as u64, entry);
                }
                scan.entries += entries.len() as u64;
                Ok(Some(entries.iter().map(|entry| leaf_hash(entry)).collect()))
            }
            Err(why) => {
                scan.problems.push(LogProblem::Malformed {
                    path: found.path(),
                    why: why.to_string(),
                });
                Ok(None)
            }
        }
    }

    /// The hashes of the narrowest file that is wide enough.
    fn listed_hashes(&self, wanted: Resource, size: u64, scan: &mut Scan) -> Result<Option<Vec<Hash>>, Error> {
        let Some(found) = self.find(wanted) else {
            scan.problems.push(LogProblem::Missing {
                path: wanted.path(),
                size,
            });
            return Ok(None);
        };
        // A file of the wrong length is reported by `compare`, which looks at all of them.
        Ok(hashes(&self.read(found)?, found).ok().map(|mut hashes| {
            hashes.truncate(usize::from(wanted.width()));
            hashes
        }))
    }

    /// Every file of this tile, narrower and wider ones too, must agree as far as the checkpoint reaches. What differs
    /// between the two ways to know it has been reported with the entry.
    fn compare(&self, tile: Resource, expected: [&[Hash]; 2], scan: &mut Scan) -> Result<(), Error> {
        for variant in self.variants(tile) {
            scan.tiles += 1;
            match hashes(&self.read(variant)?, variant) {
                Ok(found) => {
                    let known = expected[0].iter().zip(expected[1]);
                    if let Some(position) = found
                        .iter()
                        .zip(known)
                        .position(|(hash, (a, b))| hash != a && hash != b)
                    {
                        scan.problems.push(LogProblem::Tile {
                            path: variant.path(),
                            position,
                        });
                    }
                }
                Err(problem) => scan.problems.push(problem),
            }
        }
        Ok(())
    }

    /// Levels 1 and up: there is a hash for each full tile below, and no more.
    fn check_upper(&self, by_entries: &Tree, by_tiles: &Tree, size: u64, scan: &mut Scan) -> Result<(), Error> {
        for (level, (a, b)) in (1_u8..).zip(by_entries.upper.iter().zip(&by_tiles.upper)) {
            let chunks = a.chunks(usize::from(FULL)).zip(b.chunks(usize::from(FULL)));
            for (index, (a, b)) in (0_u64..).zip(chunks) {
                let width = a.len() as u16;
                let tile = Resource::Tile { level, index, width };
                if self.find(tile).is_none() {
                    scan.problems.push(LogProblem::Missing {
                        path: tile.path(),
                        size,
                    });
                }
                self.compare(tile, [a, b], scan)?;
            }
        }
        Ok(())
    }
}

/// Names the altered side of each disagreement, and the root if it is the one that does not fit.
fn settle(scan: &mut Scan, signed: &Hash, by_entries: &Hash, by_tiles: &Hash) {
    let verdict = match (by_entries == signed, by_tiles == signed) {
        (true, false) => Some(Altered::Tile),
        (false, true) => Some(Altered::Entry),
        _ => None,
    };
    for problem in &mut scan.problems {
        if let LogProblem::Entry { altered, .. } = problem {
            *altered = verdict;
        }
    }
    let incomplete = scan.problems.iter().any(|p| matches!(p, LogProblem::Missing { .. }));
    if by_entries != signed && by_tiles != signed && !incomplete {
        scan.problems.push(LogProblem::Root {
            computed: hex::encode(by_entries),
            signed: hex::encode(signed),
        });
    }
}

fn hashes(bytes: &[u8], of: Resource) -> Result<Vec<Hash>, LogProblem> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() && hashes.len() == usize::from(of.width()) {
        Ok(hashes.to_vec())
    } else {
        Err(LogProblem::Malformed {
            path: of.path(),
            why: format!("it has {} bytes instead of {}", bytes.len(), of.max_bytes()),
        })
    }
}

/// A tree, with the hashes that stand in the tiles above its leaves: one for each full tile of the level below.
#[derive(Debug, Default)]
struct Tree {
    frontier: Frontier,
    upper: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tile of leaf hashes, in order; only the last may be partial.
    fn push_tile(&mut self, tile: &[Hash]) {
        for leaf in tile {
            self.frontier.push(*leaf);
        }
        let mut level = 0;
        let mut full = root_of_full(tile);
        while let Some(hash) = full {
            if self.upper.len() == level {
                self.upper.push(Vec::new());
            }
            let hashes = &mut self.upper[level];
            hashes.push(hash);
            let last = hashes.chunks_exact(usize::from(FULL)).next_back();
            full = last
                .filter(|_| hashes.len().is_multiple_of(usize::from(FULL)))
                .and_then(root_of_full);
            level += 1;
        }
    }
}

fn root_of_full(tile: &[Hash]) -> Option<Hash> {
    (tile.len() == usize::from(FULL)).then(|| {
        let mut frontier = Frontier::default();
        for hash in tile {
            frontier.push(*hash);
        }
        frontier.root()
    })
}
