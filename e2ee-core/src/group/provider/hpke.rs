//! HPKE in base mode (RFC 9180), single-shot, with HKDF-SHA256 and AES-128-GCM: what the two room profiles need.
//!
//! MLS uses a context for one message or one export (RFC 9420 section 5.1.3), so there is no sequence number here: the
//! nonce is the base nonce.

use zeroize::Zeroizing;

use super::kem::{Kem, KemError, KeyPair, Labels, Secret};
use crate::aead::{AesSize, Algorithm, FrameCipher, MAX_TAG_LEN, NONCE_LEN};

/// RFC 9180 sections 7.2 and 7.3.
const HKDF_SHA256: u16 = 0x0001;
const AES_128_GCM: u16 = 0x0001;
const MODE_BASE: u8 = 0x00;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HpkeError {
    #[error(transparent)]
    Kem(#[from] KemError),
    #[error("the message does not open")]
    Open,
    #[error("the message is too long to be sealed")]
    Seal,
}

/// What both sides hold after the setup of section 5.1.
pub(super) struct Context {
    labels: Labels,
    key: Zeroizing<[u8; 16]>,
    nonce: Zeroizing<[u8; NONCE_LEN]>,
    exporter: Secret,
}

impl Context {
    /// SetupBaseS, with the ephemeral key pair chosen by the caller: its public key is what `enc` is.
    pub(super) fn sender(kem: Kem, receiver: &[u8], info: &[u8], ephemeral: &KeyPair) -> Result<Self, HpkeError> {
        Self::schedule(kem, &kem.encap(receiver, ephemeral)?, info)
    }

    /// SetupBaseR.
    pub(super) fn receiver(kem: Kem, enc: &[u8], private: &Secret, info: &[u8]) -> Result<Self, HpkeError> {
        Self::schedule(kem, &kem.decap(enc, private)?, info)
    }

    /// KeySchedule of section 5.1, mode_base: no pre-shared key.
    fn schedule(kem: Kem, shared: &Secret, info: &[u8]) -> Result<Self, HpkeError> {
        let labels = Labels::hpke(kem.id(), HKDF_SHA256, AES_128_GCM);
        let psk_id_hash = labels.extract(&[], b"psk_id_hash", &[]);
        let info_hash = labels.extract(&[], b"info_hash", info);
        let context = [[MODE_BASE].as_slice(), psk_id_hash.as_ref(), info_hash.as_ref()].concat();
        let secret = labels.extract(shared.as_ref(), b"secret", &[]);
        let mut key = Zeroizing::new([0; 16]);
        let mut nonce = Zeroizing::new([0; NONCE_LEN]);
        let mut exporter = Secret::default();
        labels.expand(&secret, b"key", &context, key.as_mut())?;
        labels.expand(&secret, b"base_nonce", &context, nonce.as_mut())?;
        labels.expand(&secret, b"exp", &context, exporter.as_mut())?;
        Ok(Self {
            labels,
            key,
            nonce,
            exporter,
        })
    }

    /// Seal of the first and only message. Consumes the context: a nonce is used once.
    pub(super) fn seal(self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HpkeError> {
        seal(self.key.as_ref(), &self.nonce, aad, plain).ok_or(HpkeError::Seal)
    }

    pub(super) fn open(self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, HpkeError> {
        open(self.key.as_ref(), &self.nonce, aad, sealed).ok_or(HpkeError::Open)
    }

    /// Export of section 5.3.
    pub(super) fn export(&self, context: &[u8], length: usize) -> Result<Vec<u8>, HpkeError> {
        let mut out = Zeroizing::new(vec![0; length]);
        self.labels.expand(&self.exporter, b"sec", context, &mut out)?;
        Ok(std::mem::take(&mut *out))
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        (self.key.as_ref(), self.nonce.as_ref(), self.exporter.as_ref())
    }
}

/// AES-128-GCM with the tag behind the text, on the engine that seals frames.
pub(super) fn seal(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let cipher = FrameCipher::new(Algorithm::Gcm(AesSize::Aes128), key).ok()?;
    let mut out = Vec::with_capacity(plain.len() + MAX_TAG_LEN);
    out.extend_from_slice(plain);
    let tag = cipher.seal(nonce, aad, &mut out).ok()?;
    out.extend_from_slice(&tag);
    Some(out)
}

/// `None`, and nothing of the text, where the tag does not verify. The engines compare tags in constant time.
pub(super) fn open(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let cipher = FrameCipher::new(Algorithm::Gcm(AesSize::Aes128), key).ok()?;
    let (text, tag) = sealed.split_at_checked(sealed.len().checked_sub(MAX_TAG_LEN)?)?;
    let mut text = Zeroizing::new(text.to_vec());
    cipher.open(nonce, aad, &mut text, 0, tag).ok()?;
    Some(std::mem::take(&mut *text))
}
