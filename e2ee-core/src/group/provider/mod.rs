//! What OpenMLS needs from outside: cryptography, randomness from the engine's seed, and storage in memory that goes
//! away with the group.
//!
//! ```text
//! Provider -> crypto (the suites of the room profiles) -> hpke (RFC 9180) -> kem -> dh_kem, x_wing (profile `pq`)
//!                                                      -> aead
//!          -> rand   (one ChaCha20 for all that OpenMLS draws)
//!          -> storage (private keys in wait, and nothing else)
//! ```
//! It is our own because of what is not in it: the provider that comes with OpenMLS dispatches over every algorithm it
//! knows, and a browser would load them all; it draws the randomness of HPKE from the platform, and a meeting would not
//! run again from its seed; and it keeps every secret of an epoch a second time, as JSON.

mod aead;
mod crypto;
mod dh_kem;
mod hpke;
mod kem;
mod labels;
mod storage;
#[cfg(test)]
mod tests;
#[cfg(feature = "pq")]
mod x_wing;

use std::sync::{Arc, Mutex};

use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

pub use crypto::Crypto;
pub use storage::{Storage, StorageError};

/// One for each group that the engine is in. Dropping it drops all keys of that group.
#[derive(Debug)]
pub struct Provider {
    crypto: Crypto,
    rand: Arc<SeededRand>,
    storage: Storage,
}

/// ChaCha20 behind a lock, because OpenMLS asks through a shared reference.
pub struct SeededRand(Mutex<ChaCha20Rng>);

/// The generator's lock was poisoned by a panic elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the random generator is unusable after a panic")]
pub struct Poisoned;

impl Provider {
    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// `seed` is all the randomness that there will be: it comes from the platform's generator, and is used once.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let rand = Arc::new(SeededRand(Mutex::new(ChaCha20Rng::from_seed(*seed))));
        Self {
            crypto: Crypto::with_randomness(rand.clone()),
            rand,
            storage: Storage::default(),
        }
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = SeededRand;
    type StorageProvider = Storage;

    fn storage(&self) -> &Storage {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &SeededRand {
        &self.rand
    }
}

impl SeededRand {
    fn fill(&self, out: &mut [u8]) -> Result<(), Poisoned> {
        self.0.lock().map_err(|_| Poisoned)?.fill_bytes(out);
        Ok(())
    }
}

impl OpenMlsRand for SeededRand {
    type Error = Poisoned;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Poisoned> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Poisoned> {
        let mut out = vec![0; len];
        self.fill(&mut out)?;
        Ok(out)
    }
}

impl std::fmt::Debug for SeededRand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeededRand")
    }
}
