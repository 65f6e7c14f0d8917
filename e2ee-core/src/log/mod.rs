//! What a client and an auditor verify of the transparency log: entries, checkpoints, inclusion.

pub mod checkpoint;
pub mod entry;
pub mod merkle;
pub mod receipt;

pub use checkpoint::{Checkpoint, LogKey};
pub use receipt::{Logged, Receipts};

/// Why the log's word was not taken. All of it is the log's, or a forger's, fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    #[error("the log's certificate was refused: {0}")]
    Certificate(#[from] crate::identity::CertificateError),
    #[error("the log's key is not an Ed25519 key")]
    KeyKind,
    #[error("the log's name is not one that a signed note can carry")]
    Name,
    #[error("the checkpoint is malformed: {0}")]
    Malformed(&'static str),
    #[error("the checkpoint is of another log")]
    OtherLog,
    #[error("the checkpoint is not signed by the log's key")]
    NotSigned,
    #[error("the signature on the checkpoint is wrong")]
    SignatureInvalid,
    #[error("the receipt is for another entry than the one it came with")]
    OtherEntry,
    #[error("the inclusion proof does not lead to the checkpoint's root")]
    NotIncluded,
    #[error("the consistency proof does not lead from the older to the newer root")]
    Inconsistent,
    #[error("the log showed two different trees of size {0}")]
    Forked(u64),
    #[error("the log shrank")]
    Shrank,
}
