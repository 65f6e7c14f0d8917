//! Why an audit could not be run.

use std::io;
use std::path::PathBuf;

/// The command could not do its work. Evidence that is wrong is never an error: it is a [`Finding`](crate::report::Finding).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder that was named cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file is larger than any of its kind may be.
    #[error("{} is larger than {max} bytes, which no {what} is", path.display())]
    TooLarge {
        path: PathBuf,
        what: &'static str,
        max: u64,
    },
    /// The bundle is not JSON of the transcript's form.
    #[error("{} is not a transcript: {source}", path.display())]
    NotATranscript { path: PathBuf, source: serde_json::Error },
    /// The folder holds no tile log.
    #[error("{} is no log folder: {why}", path.display())]
    NotALog { path: PathBuf, why: &'static str },
    /// The root's hash on the command line is neither of the two forms.
    #[error(
        "the trust root's SHA-256 must be 43 characters of base64url (as after the # of a room's link) or 64 hex digits"
    )]
    RootHash,
    /// The link names a profile that this program does not know.
    #[error("the link names another profile than this program knows: {0}")]
    Profile(#[from] e2ee_core::group::ProfileError),
    /// The log's key on the command line is no C2SP verifier key.
    #[error("the log's key is not of the form <origin>+<key id>+<base64 key> of an Ed25519 key: {0}")]
    LogKey(&'static str),
    /// The capture is not of the documented form.
    #[error("{}: {why} (record {record}, at byte {offset})", path.display())]
    Capture {
        path: PathBuf,
        record: u64,
        offset: u64,
        why: &'static str,
    },
    /// A comparison of nothing would pass, and prove nothing.
    #[error("there is nothing to compare: {0}")]
    NothingToCompare(&'static str),
    /// The report could not be written.
    #[error("cannot write the report: {0}")]
    Write(#[source] io::Error),
}

impl Error {
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}
