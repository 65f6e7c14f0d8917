//! The trait, and what a keystore says about itself.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::{Error, KeyKind, KeyLabel, Pkcs11Keystore, PublicKey, SetupError, Signature, SoftwareKeystore, softhsm};

/// Where private keys are made, kept and used. Calls block; call from `spawn_blocking` in async code.
pub trait Keystore: Send + Sync {
    /// The key of that label, made now if there is none. Fails if the label belongs to a key of another kind.
    fn ensure_key(&self, label: &KeyLabel, kind: KeyKind) -> Result<PublicKey, Error>;

    /// The public half of an existing key.
    fn public_key(&self, label: &KeyLabel) -> Result<PublicKey, Error>;

    /// Signs the whole message: ECDSA hashes it with SHA-256 first, Ed25519 takes it as it is.
    fn sign(&self, label: &KeyLabel, message: &[u8]) -> Result<Signature, Error>;

    /// Makes the AES-256 key that [`wrap`](Self::wrap) uses, if it is not there.
    fn ensure_wrapping_key(&self, label: &KeyLabel) -> Result<(), Error>;

    /// Wraps a data key (1 to 1,024 bytes) with AES-256-GCM. `context` is authenticated, not stored: say there what the key is for.
    fn wrap(&self, label: &KeyLabel, context: &[u8], data_key: &[u8]) -> Result<Vec<u8>, Error>;

    /// Undoes [`wrap`](Self::wrap); another label, another context or any changed byte is refused.
    fn unwrap(&self, label: &KeyLabel, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error>;

    /// What this keystore is, honestly.
    fn describe(&self) -> Description;
}

/// How keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// A PKCS#11 module.
    Pkcs11,
    /// Plain files.
    Software,
}

/// What a keystore says about itself, for the start-up banner, the log and the auditor.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Description {
    /// Which backend.
    pub backend: Backend,
    /// Maker and model of the token, or of our own files.
    pub model: String,
    /// The token's label, or the folder's name.
    pub token_label: String,
    /// The token's serial number.
    pub serial: String,
    /// The slot claims to be hardware (CKF_HW_SLOT). SoftHSM2 does not.
    pub is_hardware_boundary: bool,
    /// The interface refuses to give private keys out. True for PKCS#11, also for SoftHSM2, whose files
    /// somebody with the machine and the PIN can still decrypt.
    pub keys_non_extractable: bool,
}

impl Description {
    /// What an operator must be told at start, loudly, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        match (self.backend, self.is_hardware_boundary) {
            (Backend::Software, _) => Some(
                "SOFTWARE KEYSTORE: the organisation's private keys lie unencrypted in files of this machine. Good for a first try; never for people's real meetings.",
            ),
            (Backend::Pkcs11, false) => Some(
                "SOFTWARE TOKEN: the keys are behind PKCS#11, but not in hardware. Whoever has this machine and the PIN has the keys.",
            ),
            (Backend::Pkcs11, true) => None,
        }
    }
}

/// SoftHSM2 where it is installed, files where it is not, in `folder`.
///
/// Never switches silently once a folder holds keys: that would start another organisation under the same name.
pub fn open_preferred(folder: &Path) -> Result<Arc<dyn Keystore>, Error> {
    let token_folder = folder.join("softhsm");
    let files_folder = folder.join("software");
    if files_folder.is_dir() && !token_folder.is_dir() {
        return Ok(Arc::new(SoftwareKeystore::open(&files_folder)?));
    }
    if softhsm::find_module().is_some() {
        let config = softhsm::provision(&token_folder, "conclave")?;
        return Ok(Arc::new(Pkcs11Keystore::open(&config)?));
    }
    if token_folder.is_dir() {
        return Err(SetupError::TokenWithoutModule(token_folder).into());
    }
    Ok(Arc::new(SoftwareKeystore::open(&files_folder)?))
}
