//! A transparency log as files, in the layout of C2SP tlog-tiles:
//!
//! ```text
//! checkpoint                      the signed note: origin, size, root
//! tile/<L>/<N>[.p/<W>]            256 (or W) hashes of level L
//! tile/entries/<N>[.p/<W>]        256 (or W) entries, each with a 16-bit big-endian length
//! ```
//!
//! Nothing here is believed: [`LogFolder::scan`] hashes every entry again, compares every tile file it finds with the
//! result, and the tree's root with the one in the checkpoint.

mod entries;
mod path;
mod scan;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub use path::Resource;
pub use scan::{LogProblem, Scan};

use crate::Error;
use crate::files::read_bounded;

/// A checkpoint is three short lines and a few signatures.
const MAX_CHECKPOINT: u64 = 64 * 1024;
/// How deep `tile/` may be nested: level, six groups of three digits, the partial's folder.
const MAX_DEPTH: usize = 12;

/// A folder that holds a tile log.
#[derive(Debug)]
pub struct LogFolder {
    folder: PathBuf,
    checkpoint: String,
    /// What lies in `tile/`. The files of one tile are neighbours, narrowest first.
    tiles: BTreeSet<Resource>,
    strays: Vec<String>,
}

impl LogFolder {
    /// Reads the checkpoint and lists the tiles. Fails if there is no log; what the log says is judged elsewhere.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let not_a_log = |why| Error::NotALog {
            path: folder.to_owned(),
            why,
        };
        if !fs::metadata(folder).map_err(Error::read(folder))?.is_dir() {
            return Err(not_a_log("it is not a folder"));
        }
        let checkpoint = folder.join("checkpoint");
        if !checkpoint.is_file() {
            return Err(not_a_log("there is no file `checkpoint` in it"));
        }
        let checkpoint = String::from_utf8(read_bounded(&checkpoint, "checkpoint", MAX_CHECKPOINT)?)
            .map_err(|_| not_a_log("its checkpoint is not text"))?;
        let mut log = Self {
            folder: folder.to_owned(),
            checkpoint,
            tiles: BTreeSet::new(),
            strays: Vec::new(),
        };
        if folder.join("tile").is_dir() {
            log.list("tile", 0)?;
        }
        Ok(log)
    }

    /// The checkpoint's text, signatures and all.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Files below `tile/` whose names are none of a tile log's.
    pub fn strays(&self) -> &[String] {
        &self.strays
    }

    /// Symbolic links are followed by nobody who copies a log, so they are not followed here.
    fn list(&mut self, below: &str, depth: usize) -> Result<(), Error> {
        let folder = self.folder.join(below);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::read(&folder))? {
            let entry = entry.map_err(Error::read(&folder))?;
            let kind = entry.file_type().map_err(Error::read(entry.path()))?;
            names.push((entry.file_name().to_string_lossy().into_owned(), kind));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in names {
            let path = format!("{below}/{name}");
            if kind.is_dir() && depth < MAX_DEPTH {
                self.list(&path, depth + 1)?;
            } else if let Some(resource) = Resource::parse(&path).filter(|_| kind.is_file()) {
                self.tiles.insert(resource);
            } else {
                self.strays.push(path);
            }
        }
        Ok(())
    }

    /// The file to read for a tile of which `width` hashes or entries are needed: the exact one, or a wider one, which
    /// the log may have written since (C2SP tlog-tiles, "Partial Tiles").
    fn find(&self, wanted: Resource) -> Option<Resource> {
        let widest = wanted.with_width(path::FULL);
        self.tiles.range(wanted..=widest).next().copied()
    }

    /// Every file there is of that tile, narrowest first.
    fn variants(&self, of: Resource) -> impl Iterator<Item = Resource> + '_ {
        self.tiles.range(of.with_width(1)..=of.with_width(path::FULL)).copied()
    }

    fn read(&self, resource: Resource) -> Result<Vec<u8>, Error> {
        read_bounded(&self.folder.join(resource.path()), "tile", resource.max_bytes())
    }
}
