//! Errors, split by who has to act.

use std::path::PathBuf;

use crate::{KeyKind, KeyLabel};

/// Whatever a keystore may answer instead of what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator has to act: a module, token, PIN or folder is not what the configuration says.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The calling code asked for something that cannot be.
    #[error(transparent)]
    Use(#[from] UseError),
    /// What was handed in did not verify. Nothing is wrong with the keystore.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The token or its driver failed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Files of ours could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// For the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No SoftHSM2 library in any usual place.
    #[error(
        "no PKCS#11 module found (looked for libsofthsm2.so in the usual places; install `softhsm2` or name a module)"
    )]
    ModuleNotFound,
    /// The library could not be loaded.
    #[error("the PKCS#11 module {path} cannot be loaded: {reason}")]
    ModuleUnusable {
        /// The library.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
    /// SoftHSM reads its configuration once per process, and this process already uses another folder.
    #[error("SoftHSM2 already runs in this process with the tokens of {running}; it cannot also use those of {asked}")]
    SoftHsmFolderFixed {
        /// Folder in use.
        running: PathBuf,
        /// Folder asked for.
        asked: PathBuf,
    },
    /// No token with that label.
    #[error("no initialised token labelled {label:?} in {module}")]
    TokenNotFound {
        /// Label asked for.
        label: String,
        /// The library.
        module: PathBuf,
    },
    /// More than one token carries the label, and guessing which one would be guessing whose key signs.
    #[error("{count} tokens are labelled {label:?}; labels must be unique")]
    TokenAmbiguous {
        /// Label asked for.
        label: String,
        /// How many carry it.
        count: usize,
    },
    /// The module offers no empty slot for a new token.
    #[error("no free slot for a new token")]
    NoFreeSlot,
    /// The PIN was refused.
    #[error("wrong PIN for token {0:?}")]
    WrongPin(String),
    /// Too many wrong PINs.
    #[error("the PIN of token {0:?} is locked or expired; a security officer must reset it")]
    PinLocked(String),
    /// The PIN's file or variable is missing or empty.
    #[error("no PIN: {0}")]
    NoPin(String),
    /// The token was provisioned here before; falling back to files would silently start a new organisation.
    #[error(
        "{0} holds a SoftHSM2 token, but libsofthsm2.so is not installed any more; refusing to make new keys in its place"
    )]
    TokenWithoutModule(PathBuf),
}

/// For the programmer who calls.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UseError {
    /// No such key.
    #[error("no key labelled {0}")]
    NoSuchKey(KeyLabel),
    /// The label belongs to a key of another kind.
    #[error("key {label} is not {expected}")]
    WrongKind {
        /// The label.
        label: KeyLabel,
        /// What it was expected to be.
        expected: KeyKind,
    },
    /// Two keys carry the label.
    #[error("{count} keys are labelled {label}; refusing to choose one")]
    Ambiguous {
        /// The label.
        label: KeyLabel,
        /// How many.
        count: usize,
    },
    /// Labels are file names in one backend, so they are kept simple in all.
    #[error("a key label is 1 to 64 of a-z, 0-9 and '-', beginning with a letter")]
    BadLabel,
    /// Only data keys are wrapped: a keystore is no bulk cipher.
    #[error("{0} bytes cannot be wrapped: 1 to {max} are allowed", max = crate::wrapped::MAX_PLAINTEXT)]
    WrapSize(usize),
}

/// About what was handed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Too short, of an unknown version, or not authentic under this key and context.
    #[error("the wrapped key is not authentic")]
    WrapNotAuthentic,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    SignatureInvalid,
}

/// About the device and its driver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A PKCS#11 call failed.
    #[error("the token failed: {call} returned {code}")]
    Call {
        /// The C function.
        call: String,
        /// The CKR name.
        code: String,
    },
    /// Something below the C functions.
    #[error("the PKCS#11 module misbehaved: {0}")]
    Driver(String),
    /// A public key or signature from the token is not of the shape the standard gives it.
    #[error("the token answered with a malformed {0}")]
    Malformed(&'static str),
    /// Under a label that this process has used there is another key now, or none: another token answers, or somebody replaced the key.
    #[error(
        "the key labelled {0} is not the one that this process began with; is it still the same token? Nothing is signed with another"
    )]
    AnotherKey(KeyLabel),
}

/// About files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// An operating system error.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a key file of ours.
    #[error("{0} is not a readable key file")]
    Corrupt(PathBuf),
    /// Others may read the file.
    #[error("{0} is readable by others; it must have mode 0600")]
    TooOpen(PathBuf),
}

impl StorageError {
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
        move |source| {
            Error::Storage(Self::Io {
                path: path.to_owned(),
                source,
            })
        }
    }
}
