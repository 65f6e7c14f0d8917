//! Sender keys with a ratchet (RFC 9605 section 5.1), for key management without MLS: a sender moves its own key
//! forward, and receivers follow by the low bits of the KID.
//!
//! Conclave's rooms do not use it, since every MLS epoch brings new keys. It is here for interoperability.

use hkdf::Hkdf;
use sha2::{Sha256, Sha512};

use super::keys::{BaseKey, Secret};
use super::suite::{CipherSuite, Hash};

/// The base key of one generation.
#[derive(Debug, Clone)]
pub struct RatchetKey {
    suite: CipherSuite,
    /// `key generation || ratchet step`, as in section 5.1.
    generation: u64,
    step: u64,
    step_bits: u32,
    base_key: Secret,
}

impl RatchetKey {
    /// Step 0 of `generation`. `step_bits` (R in section 5.1) is agreed by the application and at most 63.
    pub fn new(suite: CipherSuite, generation: u64, step_bits: u32, base_key: Vec<u8>) -> Self {
        RatchetKey {
            suite,
            generation,
            step: 0,
            step_bits: step_bits.min(63),
            base_key: Secret::new(base_key),
        }
    }

    /// The KID of this step: the generation above the low R bits, the step in them, wrapping.
    pub fn key_id(&self) -> u64 {
        (self.generation << self.step_bits) | (self.step & ((1 << self.step_bits) - 1))
    }

    /// The key schedule's entry point for this step.
    pub fn base_key(&self) -> BaseKey {
        BaseKey::new(self.suite, self.base_key.expose())
    }

    /// This step's base key, for known-answer tests.
    pub fn expose_base_key(&self) -> &Secret {
        &self.base_key
    }

    /// SFRM-8: `base_key' = HKDF-Expand(HKDF-Extract("", base_key), "SFrame 1.0 Ratchet", Nh)`; the old key is wiped.
    #[must_use]
    pub fn next(self) -> Self {
        let mut out = vec![0; self.suite.hash_len()];
        let old = self.base_key.expose();
        let done = match self.suite.hash() {
            Hash::Sha256 => Hkdf::<Sha256>::new(None, old).expand(RATCHET_LABEL, &mut out),
            Hash::Sha512 => Hkdf::<Sha512>::new(None, old).expand(RATCHET_LABEL, &mut out),
        };
        debug_assert!(done.is_ok(), "Nh is always a valid length for HKDF-Expand");
        RatchetKey {
            base_key: Secret::new(out),
            step: self.step.wrapping_add(1),
            ..self
        }
    }
}

const RATCHET_LABEL: &[u8] = b"SFrame 1.0 Ratchet";
