//! Keys in files, for trying it out. One JSON file per key, mode 0600, **not encrypted**.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    Backend, Description, Error, InputError, KeyKind, KeyLabel, Keystore, PublicKey, Signature, StorageError, UseError,
    wrapped,
};

/// A folder of key files. Opening it logs a warning; [`Description::warning`] has it again.
pub struct SoftwareKeystore {
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileKind {
    P256,
    Ed25519,
    Aes256,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct KeyFile {
    version: u32,
    kind: FileKind,
    /// 32 bytes for every kind: scalar, seed or AES key; base64url.
    secret: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

struct Secret {
    kind: FileKind,
    bytes: Zeroizing<[u8; 32]>,
}

impl SoftwareKeystore {
    /// Opens the folder, made with mode 0700 if missing.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(StorageError::io(folder))?;
        let keystore = Self {
            folder: folder.to_owned(),
        };
        if let Some(warning) = keystore.describe().warning() {
            tracing::warn!("{warning}");
        }
        Ok(keystore)
    }

    fn path(&self, label: &KeyLabel) -> PathBuf {
        self.folder.join(format!("{label}.json"))
    }

    fn load(&self, label: &KeyLabel) -> Result<Option<Secret>, Error> {
        let path = self.path(label);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => return Err(StorageError::Corrupt(path).into()),
            Err(e) => return Err(StorageError::io(&path)(e)),
        };
        let mode = fs::metadata(&path)
            .map_err(StorageError::io(&path))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(StorageError::TooOpen(path).into());
        }
        let corrupt = || Error::from(StorageError::Corrupt(path.clone()));
        let file: KeyFile = serde_json::from_str(&text).map_err(|_| corrupt())?;
        if file.version != 1 {
            return Err(corrupt());
        }
        let decoded = Zeroizing::new(URL_SAFE_NO_PAD.decode(&file.secret).map_err(|_| corrupt())?);
        let mut bytes = Zeroizing::new([0; 32]);
        if decoded.len() != bytes.len() {
            return Err(corrupt());
        }
        bytes.copy_from_slice(&decoded);
        Ok(Some(Secret { kind: file.kind, bytes }))
    }

    fn require(&self, label: &KeyLabel) -> Result<Secret, Error> {
        self.load(label)?
            .ok_or_else(|| UseError::NoSuchKey(label.clone()).into())
    }

    fn ensure(&self, label: &KeyLabel, kind: FileKind) -> Result<Secret, Error> {
        if let Some(secret) = self.load(label)? {
            return Ok(secret);
        }
        self.store(label, &generate(kind))?;
        // Read back: another process may have been first, and then its key is the key.
        self.require(label)
    }

    /// Whole file or no file, and never over an existing key: written beside, synced, then linked under its name.
    fn store(&self, label: &KeyLabel, secret: &Secret) -> Result<(), Error> {
        let path = self.path(label);
        let beside = self.folder.join(format!(".{label}.{:016x}", rand::rng().next_u64()));
        let file = KeyFile {
            version: 1,
            kind: secret.kind,
            secret: URL_SAFE_NO_PAD.encode(*secret.bytes),
        };
        let text = Zeroizing::new(serde_json::to_string(&file).map_err(|_| StorageError::Corrupt(path.clone()))?);
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()));
        let linked = written.and_then(|()| match fs::hard_link(&beside, &path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
        let removed = fs::remove_file(&beside);
        linked.and(removed).map_err(StorageError::io(&path))?;
        fs::File::open(&self.folder)
            .and_then(|dir| dir.sync_all())
            .map_err(StorageError::io(&self.folder))
    }

    fn aead(&self, label: &KeyLabel) -> Result<LessSafeKey, Error> {
        let secret = self.require(label)?;
        if secret.kind != FileKind::Aes256 {
            return Err(UseError::NoSuchKey(label.clone()).into());
        }
        let key = UnboundKey::new(&AES_256_GCM, &*secret.bytes).map_err(|_| StorageError::Corrupt(self.path(label)))?;
        Ok(LessSafeKey::new(key))
    }
}

fn generate(kind: FileKind) -> Secret {
    let mut bytes = Zeroizing::new([0; 32]);
    loop {
        rand::rng().fill_bytes(&mut *bytes);
        // A scalar must be in 1..n; all but one in 2^32 of random ones are.
        if kind != FileKind::P256 || p256::SecretKey::from_slice(&*bytes).is_ok() {
            return Secret { kind, bytes };
        }
    }
}

enum Signer {
    P256(p256::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl SoftwareKeystore {
    fn signer(&self, label: &KeyLabel, secret: &Secret) -> Result<Signer, Error> {
        match secret.kind {
            FileKind::P256 => p256::ecdsa::SigningKey::from_slice(&*secret.bytes)
                .map(Signer::P256)
                .map_err(|_| StorageError::Corrupt(self.path(label)).into()),
            FileKind::Ed25519 => Ok(Signer::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(
                &secret.bytes,
            )))),
            FileKind::Aes256 => Err(UseError::NoSuchKey(label.clone()).into()),
        }
    }
}

impl Signer {
    fn public_key(&self) -> Result<PublicKey, Error> {
        match self {
            Self::P256(key) => PublicKey::parse(KeyKind::P256, key.verifying_key().to_encoded_point(false).as_bytes()),
            Self::Ed25519(key) => PublicKey::parse(KeyKind::Ed25519, key.verifying_key().as_bytes()),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        use p256::ecdsa::signature::Signer as _;
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                Signature::parse(KeyKind::P256, &signature.to_bytes())
            }
            Self::Ed25519(key) => Signature::parse(KeyKind::Ed25519, &key.sign(message).to_bytes()),
        }
    }
}

impl Keystore for SoftwareKeystore {
    fn ensure_key(&self, label: &KeyLabel, kind: KeyKind) -> Result<PublicKey, Error> {
        let file_kind = match kind {
            KeyKind::P256 => FileKind::P256,
            KeyKind::Ed25519 => FileKind::Ed25519,
        };
        let secret = self.ensure(label, file_kind)?;
        if secret.kind != file_kind {
            return Err(UseError::WrongKind {
                label: label.clone(),
                expected: kind,
            }
            .into());
        }
        self.signer(label, &secret)?.public_key()
    }

    fn public_key(&self, label: &KeyLabel) -> Result<PublicKey, Error> {
        self.signer(label, &self.require(label)?)?.public_key()
    }

    fn sign(&self, label: &KeyLabel, message: &[u8]) -> Result<Signature, Error> {
        self.signer(label, &self.require(label)?)?.sign(message)
    }

    fn ensure_wrapping_key(&self, label: &KeyLabel) -> Result<(), Error> {
        self.ensure(label, FileKind::Aes256)?;
        self.aead(label).map(drop)
    }

    fn wrap(&self, label: &KeyLabel, context: &[u8], data_key: &[u8]) -> Result<Vec<u8>, Error> {
        wrapped::check_size(data_key)?;
        let key = self.aead(label)?;
        let mut nonce = [0; wrapped::NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let mut sealed = data_key.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(wrapped::aad(label, context)),
            &mut sealed,
        )
        .map_err(|_| UseError::WrapSize(data_key.len()))?;
        Ok(wrapped::seal(&nonce, &sealed))
    }

    fn unwrap(&self, label: &KeyLabel, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = self.aead(label)?;
        let (nonce, sealed) = wrapped::open(wrapped)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(wrapped::aad(label, context)),
                &mut opened,
            )
            .map_err(|_| InputError::WrapNotAuthentic)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    fn describe(&self) -> Description {
        Description {
            backend: Backend::Software,
            model: "unencrypted files".to_owned(),
            token_label: self
                .folder
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            serial: String::new(),
            is_hardware_boundary: false,
            keys_non_extractable: false,
        }
    }
}
