//! Key material and its derivation (RFC 9605 section 4.4.2).

use std::fmt;

use hkdf::Hkdf;
use sha2::{Sha256, Sha512};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::suite::{CipherSuite, Hash};
use crate::aead::NONCE_LEN;

/// Bytes that are wiped when dropped and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Secret(bytes)
    }

    /// The bytes themselves. Only key derivation and known-answer tests have a use for them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// A base key is not Nk bytes long. The caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a base key for {suite:?} has {expected} bytes, not {found}")]
pub struct WrongKeyLength {
    pub suite: CipherSuite,
    pub expected: usize,
    pub found: usize,
}

/// The `base_key` of section 4.4.1, after HKDF-Extract: one of these serves every KID that shares the base key, so
/// the extraction is paid once an epoch and not once a sender.
#[derive(Clone)]
pub struct BaseKey {
    suite: CipherSuite,
    secret: Secret,
}

impl BaseKey {
    /// SFRM-3: `sframe_secret = HKDF-Extract("", base_key)`.
    ///
    /// Section 4.4.2 takes base keys of any length; see [`from_mls_exporter`](Self::from_mls_exporter) for the one
    /// length that section 5.2 prescribes.
    pub fn new(suite: CipherSuite, base_key: &[u8]) -> Self {
        let secret = match suite.hash() {
            Hash::Sha256 => take_over(&mut Hkdf::<Sha256>::extract(None, base_key).0),
            Hash::Sha512 => take_over(&mut Hkdf::<Sha512>::extract(None, base_key).0),
        };
        BaseKey { suite, secret }
    }

    /// PF-39: section 5.2 exports exactly Nk bytes; another length is a deviation and refused.
    pub fn from_mls_exporter(suite: CipherSuite, exported: &[u8]) -> Result<Self, WrongKeyLength> {
        if exported.len() != suite.key_len() {
            return Err(WrongKeyLength {
                suite,
                expected: suite.key_len(),
                found: exported.len(),
            });
        }
        Ok(Self::new(suite, exported))
    }

    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The pseudorandom key, for known-answer tests.
    pub fn sframe_secret(&self) -> &Secret {
        &self.secret
    }

    /// SFRM-4: `sframe_key` and `sframe_salt` of one KID.
    pub fn derive(&self, key_id: u64) -> DerivedKey {
        let mut key = Zeroizing::new([0; MAX_KEY_LEN]);
        let mut salt = [0; NONCE_LEN];
        let key_len = self.suite.key_len();
        let (kid, suite) = (key_id.to_be_bytes(), self.suite.number().to_be_bytes());
        self.expand([
            (label(KEY_LABEL, &kid, &suite), &mut key[..key_len]),
            (label(SALT_LABEL, &kid, &suite), &mut salt),
        ]);
        DerivedKey {
            suite: self.suite,
            key_id,
            key,
            salt: Zeroizing::new(salt),
        }
    }

    fn expand(&self, wanted: [([&[u8]; 3], &mut [u8]); 2]) {
        // These calls can fail only for sizes that no suite has: a secret is Nh bytes, and a key at most 96.
        let secret = self.secret.expose();
        let done = match self.suite.hash() {
            Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret).is_ok_and(|kdf| {
                let mut wanted = wanted.into_iter();
                wanted.all(|(info, out)| kdf.expand_multi_info(&info, out).is_ok())
            }),
            Hash::Sha512 => Hkdf::<Sha512>::from_prk(secret).is_ok_and(|kdf| {
                let mut wanted = wanted.into_iter();
                wanted.all(|(info, out)| kdf.expand_multi_info(&info, out).is_ok())
            }),
        };
        debug_assert!(done, "HKDF sizes are fixed by the suite");
    }
}

impl fmt::Debug for BaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

/// What derivation yields for one KID, before it becomes a [`FrameKey`](super::FrameKey).
pub struct DerivedKey {
    pub(crate) suite: CipherSuite,
    pub(crate) key_id: u64,
    key: Zeroizing<[u8; MAX_KEY_LEN]>,
    pub(crate) salt: Zeroizing<[u8; NONCE_LEN]>,
}

impl DerivedKey {
    /// `sframe_key`, Nk bytes, for known-answer tests.
    pub fn expose_key(&self) -> &[u8] {
        &self.key[..self.suite.key_len()]
    }

    /// `sframe_salt`, Nn bytes, for known-answer tests.
    pub fn expose_salt(&self) -> &[u8] {
        &self.salt[..]
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedKey")
            .field("suite", &self.suite)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Nk of the largest suites (AES-256-CTR with HMAC-SHA-512).
const MAX_KEY_LEN: usize = 96;

const KEY_LABEL: &[u8] = b"SFrame 1.0 Secret key ";
const SALT_LABEL: &[u8] = b"SFrame 1.0 Secret salt ";

/// Moves a derived value into a [`Secret`] and wipes where it was.
fn take_over(bytes: &mut [u8]) -> Secret {
    let secret = Secret::new(bytes.to_vec());
    bytes.zeroize();
    secret
}

/// `label || KID (8 bytes) || cipher suite (2 bytes)`, in pieces so that nothing is copied.
fn label<'a>(text: &'a [u8], key_id: &'a [u8; 8], suite: &'a [u8; 2]) -> [&'a [u8]; 3] {
    [text, key_id, suite]
}
