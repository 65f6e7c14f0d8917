//! The randomness of everything that MLS and the engine draw: HMAC_DRBG with SHA-256 (NIST SP 800-90A Rev. 1,
//! section 10.1.2), which a FIPS meeting may use too.
//!
//! Two properties matter here (MLSP-3). Its state does not give away what was drawn before: each draw ends with a step
//! that cannot be undone, so whoever reads the memory of a call cannot recompute the keys of its past. And fresh entropy
//! goes in with every step of the engine ([`Randomness::stir`]), so nor can they compute the keys of its future: a
//! commit heals (C5). A simulation gives both from its seed, and runs again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, Mac};
use openmls_traits::random::OpenMlsRand;
use rand_core::{CryptoRng, RngCore};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What goes in at a time.
pub type Entropy = [u8; 32];

/// A handle; all handles of one engine draw from one state, so that what is stirred in reaches every key.
#[derive(Clone)]
pub struct Randomness(Arc<Mutex<HmacDrbg>>);

impl Randomness {
    /// From the platform's generator.
    pub fn new(seed: &Entropy) -> Self {
        Self(Arc::new(Mutex::new(HmacDrbg::instantiate(seed))))
    }

    /// Whatever comes out from here on depends on these bytes too.
    pub fn stir(&self, entropy: &Entropy) {
        self.state().update(&[entropy]);
    }

    /// A panic elsewhere leaves no state half made: nothing in here can panic.
    fn state(&self) -> MutexGuard<'_, HmacDrbg> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fill(&self, out: &mut [u8]) {
        self.state().generate(out);
    }
}

impl RngCore for Randomness {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.fill(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill(out);
        Ok(())
    }
}

impl CryptoRng for Randomness {}

impl OpenMlsRand for Randomness {
    type Error = std::convert::Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Self::Error> {
        let mut out = [0; N];
        self.fill(&mut out);
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Self::Error> {
        let mut out = vec![0; len];
        self.fill(&mut out);
        Ok(out)
    }
}

impl std::fmt::Debug for Randomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Randomness")
    }
}

/// Section 10.1.2.1: the working state.
#[derive(Zeroize, ZeroizeOnDrop)]
struct HmacDrbg {
    key: [u8; 32],
    v: [u8; 32],
}

impl HmacDrbg {
    /// Section 10.1.2.3; `seed` is entropy input, nonce and personalisation together.
    fn instantiate(seed: &[u8]) -> Self {
        let mut new = Self {
            key: [0; 32],
            v: [1; 32],
        };
        new.update(&[seed]);
        new
    }

    /// Section 10.1.2.5, whose output is at most 2^19 bits: a longer one is drawn in parts.
    fn generate(&mut self, out: &mut [u8]) {
        for request in out.chunks_mut(1 << 16) {
            for block in request.chunks_mut(32) {
                self.v = self.hmac(&[]);
                block.copy_from_slice(&self.v[..block.len()]);
            }
            self.update(&[]);
        }
    }

    /// Section 10.1.2.2, and so reseeding (10.1.2.4) where there is something to take in.
    fn update(&mut self, provided: &[&[u8]]) {
        for round in 0..=u8::from(!provided.is_empty()) {
            let mut rest = vec![std::slice::from_ref(&round)];
            rest.extend_from_slice(provided);
            self.key = self.hmac(&rest);
            self.v = self.hmac(&[]);
        }
    }

    /// HMAC(Key, V || rest).
    fn hmac(&self, rest: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(&self.v);
        for part in rest {
            mac.update(part);
        }
        let out = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        *out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST CAVP, drbgvectors_no_reseed, HMAC_DRBG SHA-256 without personalisation, count 0: the second of two draws of
    /// 1,024 bits.
    #[test]
    fn it_is_the_generator_of_the_standard() {
        let seed = hex::decode(
            "ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488659ba96c601dc69fc902940805ec0ca8",
        )
        .unwrap();
        let mut drbg = HmacDrbg::instantiate(&seed);
        let mut out = [0; 128];
        drbg.generate(&mut out);
        drbg.generate(&mut out);
        assert_eq!(
            hex::encode(out),
            "e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89d54fbb978a15b5c443c9ec21036d2460b6f73ebad0dc2aba6e624abf07745bc107694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8"
        );
    }

    fn draw(randomness: &Randomness) -> [u8; 48] {
        randomness.random_array().unwrap()
    }

    /// Another handle on a copy of the state: what somebody has who read the memory.
    fn thief(of: &Randomness) -> Randomness {
        let state = of.state();
        Randomness(Arc::new(Mutex::new(HmacDrbg {
            key: state.key,
            v: state.v,
        })))
    }

    #[test]
    fn mlsp_3_a_simulation_draws_the_same_again() {
        let (one, other) = (Randomness::new(&[7; 32]), Randomness::new(&[7; 32]));
        for round in 0..3 {
            assert_eq!(draw(&one), draw(&other));
            one.stir(&[round; 32]);
            other.stir(&[round; 32]);
        }
        assert_ne!(draw(&one), draw(&Randomness::new(&[8; 32])));
    }

    #[test]
    fn mlsp_3_who_reads_the_state_cannot_predict_it_after_fresh_entropy() {
        let randomness = Randomness::new(&[7; 32]);
        let stolen = thief(&randomness);
        assert_eq!(draw(&stolen), draw(&randomness), "the thief has the state");
        randomness.stir(&[9; 32]);
        assert_ne!(draw(&stolen), draw(&randomness));
    }

    #[test]
    fn mlsp_3_what_was_drawn_is_not_in_the_state_any_more() {
        let randomness = Randomness::new(&[7; 32]);
        let drawn = draw(&randomness);
        let state = randomness.state();
        for kept in [state.key, state.v] {
            assert!(
                !drawn
                    .windows(8)
                    .any(|piece| kept.windows(8).any(|bytes| bytes == piece))
            );
        }
    }

    #[test]
    fn every_handle_draws_from_the_one_state() {
        let randomness = Randomness::new(&[7; 32]);
        let other = randomness.clone();
        assert_ne!(draw(&randomness), draw(&other));
    }
}
