//! The member's own signature key. It never leaves this process.

use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use p256::ecdsa::signature::Signer as _;
use zeroize::Zeroizing;

use super::policy::{Profile, Scheme};
use super::randomness::Randomness;

/// A private key of the profile's signature scheme. Wiped when dropped.
pub(super) enum SignatureKey {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(p256::ecdsa::SigningKey),
}

impl SignatureKey {
    pub(super) fn generate(profile: Profile, randomness: &Randomness) -> Self {
        match profile.scheme() {
            Scheme::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                randomness.fill(seed.as_mut());
                Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
            }
            Scheme::P256 => Self::P256(p256::ecdsa::SigningKey::random(&mut randomness.clone())),
        }
    }

    /// As the MLS leaf and the certificate carry it.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
            Self::P256(key) => key.verifying_key().to_encoded_point(false).as_bytes().to_vec(),
        }
    }
}

impl Signer for SignatureKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self {
            Self::Ed25519(key) => Ok(key.sign(payload).to_bytes().to_vec()),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(payload).map_err(|_| SignerError::SigningError)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
        }
    }

    fn signature_scheme(&self) -> SignatureScheme {
        match self {
            Self::Ed25519(_) => SignatureScheme::ED25519,
            Self::P256(_) => SignatureScheme::ECDSA_SECP256R1_SHA256,
        }
    }
}

impl std::fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignatureKey")
    }
}
