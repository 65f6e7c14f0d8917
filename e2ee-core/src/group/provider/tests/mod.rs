//! The provider against the figures of the RFCs, against its own limits, and beside the provider of OpenMLS.

mod figures;
mod interop;
mod limits;

use openmls_traits::types::{HpkeAeadType, HpkeConfig, HpkeKdfType, HpkeKemType};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Provider;

fn provider(seed: u8) -> Provider {
    Provider::new(&mut ChaCha20Rng::from_seed([seed; 32]))
}

/// The same shape for both suites.
fn config(kem: HpkeKemType) -> HpkeConfig {
    HpkeConfig(kem, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128)
}
