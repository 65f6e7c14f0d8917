//! The service's signing key, of either profile.

use e2ee_core::group::{Profile, Scheme};
use e2ee_core::identity::PublicKey;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

#[derive(Clone)]
pub enum ServiceKey {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl ServiceKey {
    pub fn new(profile: Profile, seed: u8) -> Self {
        match profile.scheme() {
            Scheme::Ed25519 => Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])),
            Scheme::P256 => Self::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap()),
        }
    }

    pub fn public(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key().to_bytes()),
            Self::P256(key) => PublicKey::P256(
                key.verifying_key()
                    .to_encoded_point(false)
                    .as_bytes()
                    .try_into()
                    .unwrap(),
            ),
        }
    }
}

impl Signer for ServiceKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        use p256::ecdsa::signature::Signer as _;
        Ok(match self {
            Self::Ed25519(key) => key.sign(payload).to_bytes().to_vec(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(payload);
                signature.to_der().as_bytes().to_vec()
            }
        })
    }

    fn signature_scheme(&self) -> SignatureScheme {
        match self {
            Self::Ed25519(_) => SignatureScheme::ED25519,
            Self::P256(_) => SignatureScheme::ECDSA_SECP256R1_SHA256,
        }
    }
}
