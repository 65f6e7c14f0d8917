//! What OpenMLS needs from outside: cryptography, the engine's randomness, and storage in memory that goes
//! away with the group.
//!
//! ```text
//! Provider -> crypto (the suites of the room profiles) -> hpke (RFC 9180) -> kem -> dh_kem, x_wing (profile `pq`)
//!                                                      -> aead
//!          -> randomness (that of the engine, for all that OpenMLS draws)
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

use openmls_traits::OpenMlsProvider;

use super::randomness::{Entropy, Randomness};

pub use crypto::Crypto;
pub use storage::{Storage, StorageError};

/// One for each group that the engine is in. Dropping it drops all keys of that group.
#[derive(Debug)]
pub struct Provider {
    crypto: Crypto,
    randomness: Randomness,
    storage: Storage,
}

impl Provider {
    pub(super) fn new(randomness: &Randomness) -> Self {
        Self {
            crypto: Crypto::with_randomness(randomness.clone()),
            randomness: randomness.clone(),
            storage: Storage::default(),
        }
    }

    /// `seed` is all the randomness that there will be: for whoever has no engine, in tests and measurements.
    pub fn from_seed(seed: &Entropy) -> Self {
        Self::new(&Randomness::new(seed))
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = Randomness;
    type StorageProvider = Storage;

    fn storage(&self) -> &Storage {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Randomness {
        &self.randomness
    }
}
