//! The transparency log, C2SP tlog-tiles (<https://c2sp.org/tlog-tiles>).
//!
//! | part | trusted for | may be lost |
//! |---|---|---|
//! | entries and subtree hashes in the database | everything | never: they are written in the transaction of what they record |
//! | the token's Ed25519 key | checkpoints | never |
//! | tiles, entry bundles and checkpoint in the folder | nothing | at any time: derived, and derived again at start |
//!
//! An entry is appended together with what it records ([`append`]); [`Log::publish`] writes tiles, signs a checkpoint and
//! writes that; [`Log::receipt`] hands out what it takes to verify one entry. The one promise that cannot be mended later
//! is never to sign two histories, so [`Log::open`] refuses a database that does not lead to the checkpoint in the folder.

mod checkpoint;
mod files;
mod tree;

use std::path::Path;
use std::sync::Arc;

use e2ee_core::log::entry::LogEntry;
use e2ee_core::wire::{Bytes, Receipt};
use hsm_adapter::{KeyLabel, Keystore, PublicKey};
use tlog_tiles::Tile;
use tokio::sync::Mutex;

pub(crate) use self::files::parse as parse_path;
use self::files::{DiskFolder, Folder};
use crate::error::{Error, SetupError, StorageError};
use crate::store::{Db, Store};

/// The log's key in the token.
pub(crate) const LOG_KEY: KeyLabel = KeyLabel::from_static("log");

/// 2^8 hashes a tile.
const HEIGHT: u8 = 8;

/// Appends an entry in the caller's transaction: it is on the log exactly if what it records is stored.
pub(crate) async fn append(db: &mut Db, entry: &LogEntry) -> Result<u64, StorageError> {
    let bytes = entry.to_bytes().map_err(|_| StorageError::EntryTooLong(usize::MAX))?;
    // TLOG-2: the entry bundle's length field has 16 bits.
    if bytes.len() > usize::from(u16::MAX) {
        return Err(StorageError::EntryTooLong(bytes.len()));
    }
    tree::append(db, &bytes).await
}

/// The log as a whole; the key server has one.
pub(crate) struct Log {
    store: Store,
    keystore: Arc<dyn Keystore>,
    public_key: PublicKey,
    origin: String,
    folder: Arc<dyn Folder>,
    /// Serialises publishing, so that entries that wait for it are published together.
    published: Mutex<Published>,
}

#[derive(Clone)]
struct Published {
    /// Of the latest checkpoint.
    size: u64,
    note: String,
    /// The folder holds the tiles of a tree of this size.
    tiles: u64,
}

impl Log {
    /// Opens the log: checks that the folder's checkpoint is part of this history, derives whatever is missing or wrong in
    /// the folder, and publishes what was appended but not published before a crash.
    pub(crate) async fn open(
        store: Store,
        keystore: Arc<dyn Keystore>,
        origin: &str,
        folder: &Path,
    ) -> Result<Self, Error> {
        Self::open_with(store, keystore, origin, Arc::new(DiskFolder::new(folder)?)).await
    }

    async fn open_with(
        store: Store,
        keystore: Arc<dyn Keystore>,
        origin: &str,
        folder: Arc<dyn Folder>,
    ) -> Result<Self, Error> {
        if !signed_note::is_key_name_valid(origin) {
            return Err(SetupError::LogOrigin(origin.to_owned()).into());
        }
        let public_key = blocking({
            let keystore = keystore.clone();
            move || Ok(keystore.ensure_key(&LOG_KEY, hsm_adapter::KeyKind::Ed25519)?)
        })
        .await?;
        let published = Mutex::new(Published {
            size: 0,
            note: String::new(),
            tiles: 0,
        });
        let log = Self {
            store,
            keystore,
            public_key,
            origin: origin.to_owned(),
            folder,
            published,
        };
        log.check_continuity().await?;
        let tiles = log.derive_all().await?;
        log.published.lock().await.tiles = tiles;
        log.publish().await?;
        Ok(log)
    }

    /// The log's public key, Ed25519.
    #[cfg(test)]
    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// First line of the checkpoints.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Tiles, then the checkpoint that covers every entry committed before the call. Returns its size.
    pub(crate) async fn publish(&self) -> Result<u64, Error> {
        let mut published = self.published.lock().await;
        let mut db = self.store.read().await?;
        let size = tree::size(&mut db).await?;
        if size == published.size {
            return Ok(size);
        }
        // TLOG-3: whatever a checkpoint covers can be read before the checkpoint can.
        let writes = contents(&mut db, &Tile::new_tiles(HEIGHT, published.tiles, size)).await?;
        let root = tree::root(&mut db, size).await?;
        drop(db);
        let text = checkpoint::text(&self.origin, size, root)?;
        let (folder, keystore, public_key, origin) = (
            self.folder.clone(),
            self.keystore.clone(),
            self.public_key,
            self.origin.clone(),
        );
        let obsolete = partial_paths(published.size);
        let note = blocking(move || {
            for (path, bytes) in &writes {
                folder.put(path, bytes)?;
            }
            let note = checkpoint::sign(&text, &origin, &public_key, |message| {
                Ok(keystore.sign(&LOG_KEY, message)?)
            })?;
            folder.put(files::CHECKPOINT, note.as_bytes())?;
            // Partial tiles of the size before are prefixes of what is there now. Left over after a crash they do no harm.
            for path in obsolete
                .iter()
                .filter(|path| !writes.iter().any(|(written, _)| written == *path))
            {
                folder.remove(path);
            }
            Ok(note)
        })
        .await?;
        *published = Published {
            size,
            note,
            tiles: size,
        };
        tracing::debug!(size, "published a checkpoint");
        Ok(size)
    }

    /// Entry, inclusion proof and checkpoint. Publishes first if no checkpoint covers the entry yet.
    pub(crate) async fn receipt(&self, index: u64) -> Result<Receipt, Error> {
        let mut published = self.published.lock().await.clone();
        if published.size <= index {
            self.publish().await?;
            published = self.published.lock().await.clone();
        }
        if published.size <= index {
            return Err(Error::Bug("receipt asked for an entry that is not on the log"));
        }
        let mut db = self.store.read().await?;
        let entry = tree::entry(&mut db, index).await?;
        let proof = tree::inclusion(&mut db, published.size, index).await?;
        let proof = proof.into_iter().map(|hash| Bytes(hash.0.to_vec())).collect();
        Ok(Receipt {
            index,
            entry: Bytes(entry),
            proof,
            checkpoint: published.note,
        })
    }

    /// The latest checkpoint; empty before the first entry.
    pub(crate) async fn checkpoint(&self) -> String {
        self.published.lock().await.note.clone()
    }

    /// A hash tile or, with `level` None, an entry bundle, of a width that some published checkpoint had. None if beyond.
    pub(crate) async fn tile(&self, level: Option<u8>, n: u64, width: u32) -> Result<Option<Vec<u8>>, Error> {
        let size = self.published.lock().await.size;
        let below = u32::from(level.unwrap_or(0)) * u32::from(HEIGHT);
        let last = n
            .checked_mul(1 << HEIGHT)
            .and_then(|first| first.checked_add(u64::from(width)));
        let (Some(last), Some(available)) = (last, size.checked_shr(below)) else {
            return Ok(None);
        };
        if !(1..=1 << HEIGHT).contains(&width) || last > available {
            return Ok(None);
        }
        let mut db = self.store.read().await?;
        Ok(Some(match level {
            Some(level) => tree::tile(&mut db, &Tile::new(HEIGHT, level, n, width, false)).await?,
            None => tree::bundle(&mut db, n, width).await?,
        }))
    }

    /// TLOG-5: never a second history. The folder's checkpoint, if it is one of ours, must be a prefix of the database.
    async fn check_continuity(&self) -> Result<(), Error> {
        let folder = self.folder.clone();
        let Some(note) = blocking(move || Ok(folder.get(files::CHECKPOINT)?)).await? else {
            return Ok(());
        };
        // Not a checkpoint of ours (half written on a full disk, another key): nothing that anybody could hold against us.
        let Some((published, root)) = checkpoint::verify(&note, &self.origin, &self.public_key) else {
            return Ok(());
        };
        let mut db = self.store.read().await?;
        let stored = tree::size(&mut db).await?;
        if published > stored || tree::root(&mut db, published).await? != root {
            return Err(SetupError::LogAhead {
                folder: self.folder.path(),
                published,
                stored,
            }
            .into());
        }
        Ok(())
    }

    /// Writes every tile of the current size that is not in the folder as it should be. Returns that size.
    async fn derive_all(&self) -> Result<u64, Error> {
        let mut db = self.store.read().await?;
        let size = tree::size(&mut db).await?;
        // A few at a time: a large log does not fit into memory.
        for tiles in Tile::new_tiles(HEIGHT, 0, size).chunks(32) {
            let files = contents(&mut db, tiles).await?;
            let folder = self.folder.clone();
            blocking(move || {
                for (path, bytes) in &files {
                    if folder.get(path)?.as_ref() != Some(bytes) {
                        folder.put(path, bytes)?;
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(size)
    }
}

/// Paths and contents of these tiles, each of the lowest level with its entry bundle.
async fn contents(db: &mut Db, tiles: &[Tile]) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
    let mut out = Vec::new();
    for tile in tiles {
        let (level, n, width) = (tile.level(), tile.level_index(), tile.width());
        if level == 0 {
            out.push((files::path(None, n, width), tree::bundle(db, n, width).await?));
        }
        out.push((files::path(Some(level), n, width), tree::tile(db, tile).await?));
    }
    Ok(out)
}

/// The partial tiles of a tree of that size: at most one on each level.
fn partial_paths(size: u64) -> Vec<String> {
    let mut out = Vec::new();
    let (mut level, mut hashes) = (0, size);
    while hashes > 0 {
        // Below 256, so it fits.
        let (n, width) = (hashes >> HEIGHT, (hashes % (1 << HEIGHT)) as u32);
        if width > 0 {
            out.push(files::path(Some(level), n, width));
            if level == 0 {
                out.push(files::path(None, n, width));
            }
        }
        (level, hashes) = (level + 1, n);
    }
    out
}

/// Runs what blocks (files, token) on a thread for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Bug("a blocking task panicked"))?
}

impl From<checkpoint::Unsignable> for Error {
    fn from(_: checkpoint::Unsignable) -> Self {
        Self::Bug("a checkpoint that cannot be a signed note")
    }
}

#[cfg(test)]
mod tests;
