//! The Merkle tree of RFC 6962 over the database: subtree hashes are stored once, at positions as tlog numbers them.

use std::cell::RefCell;
use std::collections::HashMap;

use sqlx::{QueryBuilder, Sqlite};
use tlog_tiles::{
    Hash, HashReader, Tile, prove_record, record_hash, stored_hash_index, stored_hashes_for_record_hash, tree_hash,
};

use crate::error::StorageError;
use crate::store::{Db, signed, unsigned};

pub(super) async fn size(db: &mut Db) -> Result<u64, StorageError> {
    let last: Option<i64> = sqlx::query_scalar("SELECT MAX(idx) FROM log_entry")
        .fetch_one(db)
        .await?;
    last.map_or(Ok(0), |last| Ok(unsigned(last)? + 1))
}

pub(super) async fn append(db: &mut Db, entry: &[u8]) -> Result<u64, StorageError> {
    let index = size(db).await?;
    sqlx::query("INSERT INTO log_entry (idx, entry) VALUES (?, ?)")
        .bind(signed(index))
        .bind(entry)
        .execute(&mut *db)
        .await?;
    let leaf = record_hash(entry);
    let hashes = with_hashes(db, |known| stored_hashes_for_record_hash(index, leaf, known)).await?;
    for (position, hash) in (stored_hash_index(0, index)..).zip(hashes) {
        sqlx::query("INSERT INTO log_node (pos, hash) VALUES (?, ?)")
            .bind(signed(position))
            .bind(&hash.0[..])
            .execute(&mut *db)
            .await?;
    }
    Ok(index)
}

pub(super) async fn entry(db: &mut Db, index: u64) -> Result<Vec<u8>, StorageError> {
    let entry = sqlx::query_scalar("SELECT entry FROM log_entry WHERE idx = ?")
        .bind(signed(index))
        .fetch_optional(db)
        .await?;
    entry.ok_or(StorageError::Corrupt("a log entry is missing"))
}

pub(super) async fn root(db: &mut Db, size: u64) -> Result<Hash, StorageError> {
    with_hashes(db, |known| tree_hash(size, known)).await
}

/// Audit path of `index` in the tree of `size` entries, lowest first.
pub(super) async fn inclusion(db: &mut Db, size: u64, index: u64) -> Result<Vec<Hash>, StorageError> {
    with_hashes(db, |known| prove_record(size, index, known)).await
}

pub(super) async fn tile(db: &mut Db, tile: &Tile) -> Result<Vec<u8>, StorageError> {
    with_hashes(db, |known| tile.read_data(known)).await
}

/// Entries `256 n` to `256 n + width`, each with its length in 16 bits, big-endian.
pub(super) async fn bundle(db: &mut Db, n: u64, width: u32) -> Result<Vec<u8>, StorageError> {
    let first = n << super::HEIGHT;
    let entries: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT entry FROM log_entry WHERE idx >= ? AND idx < ? ORDER BY idx")
            .bind(signed(first))
            .bind(signed(first + u64::from(width)))
            .fetch_all(db)
            .await?;
    if entries.len() != width as usize {
        return Err(StorageError::Corrupt("a log entry is missing"));
    }
    let mut out = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| StorageError::EntryTooLong(entry.len()))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&entry);
    }
    Ok(out)
}

/// The tree's algorithms want hashes at once, the database gives them later: so compute once to learn which are wanted,
/// fetch them, and compute again.
async fn with_hashes<T>(
    db: &mut Db,
    compute: impl Fn(&Known) -> Result<T, tlog_tiles::Error>,
) -> Result<T, StorageError> {
    let mut known = Known::default();
    loop {
        let result = compute(&known);
        let wanted = known.missing.take();
        if wanted.is_empty() {
            return result.map_err(|_| StorageError::Corrupt("the log's tree"));
        }
        fetch(db, &wanted, &mut known.hashes).await?;
    }
}

#[derive(Default)]
struct Known {
    hashes: HashMap<u64, Hash>,
    missing: RefCell<Vec<u64>>,
}

impl HashReader for Known {
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let hash = |position: &u64| {
            self.hashes.get(position).copied().unwrap_or_else(|| {
                self.missing.borrow_mut().push(*position);
                Hash([0; 32])
            })
        };
        Ok(positions.iter().map(hash).collect())
    }
}

async fn fetch(db: &mut Db, positions: &[u64], into: &mut HashMap<u64, Hash>) -> Result<(), StorageError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT pos, hash FROM log_node WHERE pos IN (");
    let mut list = query.separated(", ");
    for position in positions {
        list.push_bind(signed(*position));
    }
    query.push(")");
    let rows: Vec<(i64, Vec<u8>)> = query.build_query_as().fetch_all(db).await?;
    for (position, hash) in rows {
        let hash = hash
            .try_into()
            .map_err(|_| StorageError::Corrupt("a hash of the log"))?;
        into.insert(unsigned(position)?, Hash(hash));
    }
    // Otherwise the next round would want it again, for ever.
    if positions.iter().any(|position| !into.contains_key(position)) {
        return Err(StorageError::Corrupt("a hash of the log is missing"));
    }
    Ok(())
}
