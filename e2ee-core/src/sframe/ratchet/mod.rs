//! Sender keys with a ratchet (RFC 9605 section 5.1), for key management without MLS: a sender moves its own key
//! forward, and receivers follow by the low bits of the KID.
//!
//! Conclave's rooms do not use it, since every MLS epoch brings new keys. It is here for interoperability.

mod receiver;

use hkdf::Hkdf;
use sha2::{Sha256, Sha512};
use thiserror::Error;

use super::keys::{BaseKey, Secret};
use super::suite::{CipherSuite, Hash};

pub use receiver::{RatchetOpenError, RatchetReceiver, Ratcheted};

/// R of section 5.1, the bits of a KID that say the ratchet step: 1 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepBits(u32);

/// What cannot be written into a KID. The caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RatchetError {
    #[error("{0} bits for the ratchet step leave none for the generation, or none for the step")]
    StepBits(u32),
    /// SFRM-8: refused, never cut.
    #[error("generation {generation} does not fit beside {step_bits} bits of ratchet step")]
    Generation { generation: u64, step_bits: u32 },
    /// Generations of a sender only go forward.
    #[error("generation {generation} does not come after generation {newest}")]
    NotNewer { generation: u64, newest: u64 },
}

impl StepBits {
    pub const fn new(bits: u32) -> Result<Self, RatchetError> {
        if bits == 0 || bits >= u64::BITS {
            return Err(RatchetError::StepBits(bits));
        }
        Ok(StepBits(bits))
    }

    /// `KID = (key_generation << R) + (ratchet_step % (1 << R))`.
    fn key_id(self, generation: u64, step: u64) -> u64 {
        generation << self.0 | step & self.mask()
    }

    fn generation_of(self, key_id: u64) -> u64 {
        key_id >> self.0
    }

    /// How many steps after `step` the one is whose low bits `key_id` holds.
    fn steps_ahead(self, step: u64, key_id: u64) -> u64 {
        key_id.wrapping_sub(step) & self.mask()
    }

    fn mask(self) -> u64 {
        (1 << self.0) - 1
    }
}

/// The base key of one generation at one step: what a sender holds.
#[derive(Debug, Clone)]
pub struct RatchetKey {
    suite: CipherSuite,
    step_bits: StepBits,
    generation: u64,
    step: u64,
    base_key: Secret,
}

impl RatchetKey {
    /// Step 0 of `generation`.
    pub fn new(
        suite: CipherSuite,
        generation: u64,
        step_bits: StepBits,
        base_key: Vec<u8>,
    ) -> Result<Self, RatchetError> {
        let base_key = Secret::new(base_key);
        if generation.leading_zeros() < step_bits.0 {
            return Err(RatchetError::Generation {
                generation,
                step_bits: step_bits.0,
            });
        }
        Ok(RatchetKey {
            suite,
            step_bits,
            generation,
            step: 0,
            base_key,
        })
    }

    /// The KID of this step: the generation above the low R bits, the step in them, wrapping.
    pub fn key_id(&self) -> u64 {
        self.step_bits.key_id(self.generation, self.step)
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
