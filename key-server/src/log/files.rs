//! The log's folder: tile paths, and files that are whole or not there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{SetupError, StorageError};

pub(super) const CHECKPOINT: &str = "checkpoint";

/// `tile/<L>/<N>[.p/<W>]`, or `tile/entries/...` for bundles; N in groups of three digits, all but the last with an `x`.
pub(super) fn path(level: Option<u8>, n: u64, width: u32) -> String {
    let mut groups = vec![format!("{:03}", n % 1000)];
    let mut rest = n / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let level = level.map_or_else(|| "entries".to_owned(), |l| l.to_string());
    let partial = if width == 1 << super::HEIGHT {
        String::new()
    } else {
        format!(".p/{width}")
    };
    format!("tile/{level}/{}{partial}", groups.join("/"))
}

/// The reverse, strict: one path for each tile.
pub(crate) fn parse(text: &str) -> Option<(Option<u8>, u64, u32)> {
    let rest = text.strip_prefix("tile/")?;
    let (level, rest) = rest.split_once('/')?;
    let level = match level {
        "entries" => None,
        digits => Some(digits.parse::<u8>().ok().filter(|l| *l < 64)?),
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|w| *w < 1 << super::HEIGHT)?),
        None => (rest, 1 << super::HEIGHT),
    };
    let mut n: u64 = 0;
    for group in index.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        n = n.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    (path(level, n, width) == text).then_some((level, n, width))
}

/// Where tiles and checkpoint go. A trait, so that the tests can make every write fail.
pub(super) trait Folder: Send + Sync {
    /// Replaces the file as a whole.
    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError>;
    /// The file's content, if it is there.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError>;
    /// Removes the file, if that is possible.
    fn remove(&self, path: &str);
    /// For messages.
    fn path(&self) -> PathBuf;
}

/// A folder on a disk.
pub(super) struct DiskFolder {
    root: PathBuf,
}

impl DiskFolder {
    pub(super) fn new(root: &Path) -> Result<Self, SetupError> {
        fs::create_dir_all(root).map_err(|source| SetupError::Folder {
            path: root.to_owned(),
            source,
        })?;
        Ok(Self { root: root.to_owned() })
    }
}

impl Folder for DiskFolder {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let target = self.root.join(path);
        // Written beside and renamed: a reader sees the old file or the new one. Not synced: after a power cut the
        // folder is derived again from the database, which is.
        let beside = self.root.join(".new");
        let write = || {
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&beside, bytes)?;
            fs::rename(&beside, &target)
        };
        write().map_err(|source| StorageError::LogFile {
            path: target.clone(),
            source,
        })
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let target = self.root.join(path);
        match fs::read(&target) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StorageError::LogFile { path: target, source }),
        }
    }

    fn remove(&self, path: &str) {
        let target = self.root.join(path);
        let _ = fs::remove_file(&target);
        // The folder `<N>.p` goes with its last file; a folder that is not empty stays.
        if let Some(parent) = target.parent().filter(|p| p.extension().is_some_and(|e| e == "p")) {
            let _ = fs::remove_dir(parent);
        }
    }

    fn path(&self) -> PathBuf {
        self.root.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tlog_1_paths_are_those_of_c2sp_tlog_tiles() {
        assert_eq!(path(Some(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(Some(2), 0, 7), "tile/2/000.p/7");
        assert_eq!(path(None, 1000, 255), "tile/entries/x001/000.p/255");
        for n in [0, 1, 999, 1000, 1_000_000, u64::MAX] {
            for width in [1, 255, 256] {
                for level in [None, Some(0), Some(63)] {
                    assert_eq!(parse(&path(level, n, width)), Some((level, n, width)));
                }
            }
        }
    }

    #[test]
    fn a_path_that_is_not_exactly_a_tiles_is_none() {
        for bad in [
            "tile/0/0",
            "tile/00/000",
            "tile/0/x000/001",
            "tile/0/000.p/256",
            "tile/0/000.p/0x",
            "tile/0/../000",
            "tile/64/000",
            "tile/data/000",
            "tile/0/000/",
            "tile//000",
            "checkpoint",
            "tile/0/000.p/",
            "tile/0/001/000",
            "tile/+1/000",
            "tile/0/+01",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
