//! Errors, split by who has to act. What a client is told is decided at the edge (`api`, `delivery`), not here.

use std::path::PathBuf;

/// Why the key server cannot start, or failed while it ran.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator has to act.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The database or the log's folder failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The keystore failed, or refused.
    #[error("keystore: {0}")]
    Keystore(#[from] hsm_adapter::Error),
    /// The software contradicts itself; nobody else is to blame.
    #[error("internal: {0}")]
    Bug(&'static str),
}

/// For the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Another token, or a new one: its certificates would not lead to the root in people's links.
    #[error(
        "the keystore's root key is not the one whose certificate this data folder holds; restore the token or start anew"
    )]
    OtherRootKey,
    /// The log would have to contradict a checkpoint it signed.
    #[error(
        "the log folder {folder} holds a checkpoint of size {published}, which the database ({stored} entries) does not lead to; \
         was an old database restored? Refusing to sign another history"
    )]
    LogAhead {
        /// The log's folder.
        folder: PathBuf,
        /// Size in the checkpoint.
        published: u64,
        /// Entries in the database.
        stored: u64,
    },
    /// Not usable as a name.
    #[error("the organisation's name cannot stand in a certificate: {0}")]
    OrgName(e2ee_core::identity::NameError),
    /// Key names in signed notes have neither white space nor `+`.
    #[error("{0:?} is no valid log origin")]
    LogOrigin(String),
    /// A folder or file cannot be made.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Database and files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The database refused or failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("database schema: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A file of the log could not be written.
    #[error("log folder: {path}: {source}")]
    LogFile {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was read cannot have been written by us.
    #[error("the stored data is damaged: {0}")]
    Corrupt(&'static str),
    /// An entry that the format cannot hold.
    #[error("a log entry of {0} bytes is too long; 65,535 is the most")]
    EntryTooLong(usize),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.into())
    }
}
