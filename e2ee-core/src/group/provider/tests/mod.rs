//! The provider against the figures of the RFCs, against its own limits, and beside the provider of OpenMLS.

mod figures;
mod interop;
mod limits;
#[cfg(feature = "pq")]
mod x_wing;

use openmls_traits::types::{HpkeAeadType, HpkeConfig, HpkeKdfType, HpkeKemType};

use super::Provider;

fn provider(seed: u8) -> Provider {
    Provider::from_seed(&[seed; 32])
}

/// The KEMs of the suites.
const KEMS: &[HpkeKemType] = &[
    HpkeKemType::DhKem25519,
    HpkeKemType::DhKemP256,
    #[cfg(feature = "pq")]
    HpkeKemType::XWingKemDraft6,
];

/// The same shape for all of them.
fn config(kem: HpkeKemType) -> HpkeConfig {
    let aead = match kem {
        HpkeKemType::DhKem25519 | HpkeKemType::DhKemP256 => HpkeAeadType::AesGcm128,
        _ => HpkeAeadType::ChaCha20Poly1305,
    };
    HpkeConfig(kem, HpkeKdfType::HkdfSha256, aead)
}
