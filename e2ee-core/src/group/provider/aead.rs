//! The AEADs of the suites: what seals handshakes, chat and the secrets that HPKE carries.

use zeroize::Zeroizing;

use crate::aead::{AesSize, Algorithm, FrameCipher, MAX_TAG_LEN, NONCE_LEN};

/// Both with a nonce of 12 bytes and a tag of 16 behind the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aead {
    /// On the engine that seals frames, so that a browser loads one.
    Aes128Gcm,
    #[cfg(feature = "pq")]
    ChaCha20Poly1305,
}

impl Aead {
    /// RFC 9180 section 7.3.
    pub(super) const fn id(self) -> u16 {
        match self {
            Self::Aes128Gcm => 0x0001,
            #[cfg(feature = "pq")]
            Self::ChaCha20Poly1305 => 0x0003,
        }
    }

    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            #[cfg(feature = "pq")]
            Self::ChaCha20Poly1305 => 32,
        }
    }

    pub(super) fn seal(self, key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Aes128Gcm => {
                let cipher = FrameCipher::new(Algorithm::Gcm(AesSize::Aes128), key).ok()?;
                let mut out = Vec::with_capacity(plain.len() + MAX_TAG_LEN);
                out.extend_from_slice(plain);
                let tag = cipher.seal(nonce, aad, &mut out).ok()?;
                out.extend_from_slice(&tag);
                Some(out)
            }
            #[cfg(feature = "pq")]
            Self::ChaCha20Poly1305 => {
                use chacha20poly1305::aead::{Aead as _, KeyInit, Payload};
                let cipher = chacha20poly1305::ChaCha20Poly1305::new_from_slice(key).ok()?;
                cipher.encrypt(nonce.into(), Payload { msg: plain, aad }).ok()
            }
        }
    }

    /// `None`, and nothing of the text, where the tag does not verify. The engines compare tags in constant time.
    pub(super) fn open(self, key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Aes128Gcm => {
                let cipher = FrameCipher::new(Algorithm::Gcm(AesSize::Aes128), key).ok()?;
                let (text, tag) = sealed.split_at_checked(sealed.len().checked_sub(MAX_TAG_LEN)?)?;
                let mut text = Zeroizing::new(text.to_vec());
                cipher.open(nonce, aad, &mut text, 0, tag).ok()?;
                Some(std::mem::take(&mut *text))
            }
            #[cfg(feature = "pq")]
            Self::ChaCha20Poly1305 => {
                use chacha20poly1305::aead::{Aead as _, KeyInit, Payload};
                let cipher = chacha20poly1305::ChaCha20Poly1305::new_from_slice(key).ok()?;
                cipher.decrypt(nonce.into(), Payload { msg: sealed, aad }).ok()
            }
        }
    }
}
