//! What OpenMLS needs from outside: cryptography, randomness from the engine's seed, and storage in memory that goes
//! away with the group.

use std::sync::Mutex;

use openmls_rust_crypto::{MemoryStorage, RustCrypto};
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// One for each group that the engine is in. Dropping it drops all keys of that group.
#[derive(Debug)]
pub(super) struct Provider {
    crypto: RustCrypto,
    rand: SeededRand,
    storage: MemoryStorage,
}

/// ChaCha20 behind a lock, because OpenMLS asks through a shared reference.
pub(super) struct SeededRand(Mutex<ChaCha20Rng>);

/// The generator's lock was poisoned by a panic elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the random generator is unusable after a panic")]
pub(super) struct Poisoned;

impl Provider {
    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self {
            crypto: RustCrypto::default(),
            rand: SeededRand(Mutex::new(ChaCha20Rng::from_seed(*seed))),
            storage: MemoryStorage::default(),
        }
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = RustCrypto;
    type RandProvider = SeededRand;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }

    fn rand(&self) -> &SeededRand {
        &self.rand
    }
}

impl OpenMlsRand for SeededRand {
    type Error = Poisoned;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Poisoned> {
        let mut out = [0; N];
        self.0.lock().map_err(|_| Poisoned)?.fill_bytes(&mut out);
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Poisoned> {
        let mut out = vec![0; len];
        self.0.lock().map_err(|_| Poisoned)?.fill_bytes(&mut out);
        Ok(out)
    }
}

impl std::fmt::Debug for SeededRand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeededRand")
    }
}
