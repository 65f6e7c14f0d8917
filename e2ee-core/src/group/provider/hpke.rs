//! HPKE in base mode (RFC 9180), single-shot, with HKDF-SHA256: what the room profiles need.
//!
//! MLS uses a context for one message or one export (RFC 9420 section 5.1.3), so there is no sequence number here: the
//! nonce is the base nonce.

use zeroize::Zeroizing;

use super::aead::Aead;
use super::kem::{Kem, KemError, Secret};
use super::labels::Labels;
use crate::aead::NONCE_LEN;

/// RFC 9180 section 7.2.
const HKDF_SHA256: u16 = 0x0001;
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
    aead: Aead,
    key: Zeroizing<Vec<u8>>,
    nonce: Zeroizing<[u8; NONCE_LEN]>,
    exporter: Secret,
}

impl Context {
    /// KeySchedule of section 5.1, mode_base: no pre-shared key.
    /// SetupBaseS and SetupBaseR are an encapsulation, or its opposite, and this.
    pub(super) fn new(kem: Kem, shared: &Secret, info: &[u8]) -> Result<Self, HpkeError> {
        let aead = kem.aead();
        let labels = Labels::hpke(kem.id(), HKDF_SHA256, aead.id());
        let psk_id_hash = labels.extract(&[], b"psk_id_hash", &[]);
        let info_hash = labels.extract(&[], b"info_hash", info);
        let context = [[MODE_BASE].as_slice(), psk_id_hash.as_ref(), info_hash.as_ref()].concat();
        let secret = labels.extract(shared.as_ref(), b"secret", &[]);
        let mut key = Zeroizing::new(vec![0; aead.key_len()]);
        let mut nonce = Zeroizing::new([0; NONCE_LEN]);
        let mut exporter = Secret::default();
        labels.expand(&secret, b"key", &context, &mut key)?;
        labels.expand(&secret, b"base_nonce", &context, nonce.as_mut())?;
        labels.expand(&secret, b"exp", &context, exporter.as_mut())?;
        Ok(Self {
            labels,
            aead,
            key,
            nonce,
            exporter,
        })
    }

    /// Seal of the first and only message. Consumes the context: a nonce is used once.
    pub(super) fn seal(self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HpkeError> {
        self.aead
            .seal(&self.key, &self.nonce, aad, plain)
            .ok_or(HpkeError::Seal)
    }

    pub(super) fn open(self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, HpkeError> {
        self.aead
            .open(&self.key, &self.nonce, aad, sealed)
            .ok_or(HpkeError::Open)
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
