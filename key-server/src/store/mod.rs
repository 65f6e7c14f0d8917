//! The one place where state lives: SQLite through sqlx. Everything else is derived from it and can be derived again.
//!
//! Writes happen in `BEGIN IMMEDIATE` transactions, so that a transaction that read what it decides on is not refused
//! at its first write, and with `synchronous = FULL`: what was answered survives a power cut.

pub(crate) mod certificates;
pub(crate) mod facts;
pub(crate) mod groups;
pub(crate) mod sessions;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::StorageError;

/// Connections to the file, and those of them that readers from outside may hold at a time: whatever is asked for by HTTP, rooms go on.
const CONNECTIONS: u32 = 8;
const READERS: usize = 3;

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
    readers: Arc<Semaphore>,
}

/// A write in progress. Dropped without [`commit`](Transaction::commit), it never happened.
pub(crate) type Write = Transaction<'static, Sqlite>;

impl Store {
    /// Opens the database file, makes it if missing, and brings its schema up to date.
    pub(crate) async fn open(file: &Path) -> Result<Self, StorageError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .connect_with(options)
            .await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self {
            pool,
            readers: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Begins a write; others wait.
    pub(crate) async fn write(&self) -> Result<Write, StorageError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A consistent view for reading.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, StorageError> {
        Ok(self.pool.begin().await?)
    }

    /// Waits until a reader from outside may take a connection; while the turn is held, it counts.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.readers.clone().acquire_owned().await.ok()
    }

    /// Waits for what is under way and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Where statements run: any open transaction.
pub(crate) type Db = SqliteConnection;

/// SQLite has signed integers only. Our counters and times never get near 2^63.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The way back; a negative number in the file is damage.
pub(crate) fn unsigned(value: i64) -> Result<u64, StorageError> {
    u64::try_from(value).map_err(|_| StorageError::Corrupt("a negative number"))
}
