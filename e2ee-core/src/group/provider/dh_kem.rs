//! DHKEM over X25519 and over P-256, each with HKDF-SHA256 (RFC 9180 section 4.1).

use p256::elliptic_curve::sec1::ToEncodedPoint;
use zeroize::Zeroizing;

use super::kem::{KemError, KeyPair, Secret};
use super::labels::Labels;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DhKem {
    X25519,
    P256,
}

impl DhKem {
    /// RFC 9180 section 7.1.
    pub(super) const fn id(self) -> u16 {
        match self {
            Self::P256 => 0x0010,
            Self::X25519 => 0x0020,
        }
    }

    /// DeriveKeyPair of section 7.1.3.
    pub(super) fn derive_key_pair(self, ikm: &[u8]) -> Result<KeyPair, KemError> {
        let labels = Labels::kem(self.id());
        let prk = labels.extract(&[], b"dkp_prk", ikm);
        let mut private = Secret::default();
        match self {
            Self::X25519 => labels.expand(&prk, b"sk", &[], private.as_mut())?,
            Self::P256 => {
                // Rejection sampling; a first candidate fails with probability 2^-32.
                let fits = (0..=u8::MAX).find(|counter| {
                    labels.expand(&prk, b"candidate", &[*counter], private.as_mut()).is_ok()
                        && p256::SecretKey::from_slice(private.as_ref()).is_ok()
                });
                fits.ok_or(KemError::KeyMaterial)?;
            }
        }
        let public = self.public_of(&private)?;
        Ok(KeyPair { private, public })
    }

    /// Encap: the shared secret, given the ephemeral key pair whose public key goes to the receiver.
    pub(super) fn encap(self, receiver: &[u8], ephemeral: &KeyPair) -> Result<Secret, KemError> {
        let dh = self.dh(&ephemeral.private, receiver)?;
        self.extract_and_expand(&dh, &ephemeral.public, receiver)
    }

    /// Decap: the same from the other side.
    pub(super) fn decap(self, enc: &[u8], private: &Secret) -> Result<Secret, KemError> {
        let dh = self.dh(private, enc)?;
        self.extract_and_expand(&dh, enc, &self.public_of(private)?)
    }

    fn extract_and_expand(self, dh: &Secret, enc: &[u8], receiver: &[u8]) -> Result<Secret, KemError> {
        let labels = Labels::kem(self.id());
        let prk = labels.extract(&[], b"eae_prk", dh.as_ref());
        let mut shared = Secret::default();
        labels.expand(&prk, b"shared_secret", &[enc, receiver].concat(), shared.as_mut())?;
        Ok(shared)
    }

    /// MLSP-2: section 7.1.4 asks for both checks: the point is on the curve, and X25519 did not give zero.
    fn dh(self, private: &Secret, public: &[u8]) -> Result<Secret, KemError> {
        match self {
            Self::X25519 => {
                let public: [u8; 32] = public.try_into().map_err(|_| KemError::PublicKey)?;
                let shared = x25519_dalek::StaticSecret::from(**private).diffie_hellman(&public.into());
                if !shared.was_contributory() {
                    return Err(KemError::PublicKey);
                }
                Ok(Zeroizing::new(shared.to_bytes()))
            }
            Self::P256 => {
                let private = p256_private(private)?;
                // Section 7.1.1: uncompressed, and nothing else.
                if public.len() != 65 {
                    return Err(KemError::PublicKey);
                }
                let public = p256::PublicKey::from_sec1_bytes(public).map_err(|_| KemError::PublicKey)?;
                let shared = p256::ecdh::diffie_hellman(private.to_nonzero_scalar(), public.as_affine());
                Ok(Zeroizing::new((*shared.raw_secret_bytes()).into()))
            }
        }
    }

    fn public_of(self, private: &Secret) -> Result<Vec<u8>, KemError> {
        Ok(match self {
            Self::X25519 => {
                let private = x25519_dalek::StaticSecret::from(**private);
                x25519_dalek::PublicKey::from(&private).to_bytes().to_vec()
            }
            Self::P256 => p256_private(private)?
                .public_key()
                .to_encoded_point(false)
                .as_bytes()
                .to_vec(),
        })
    }
}

fn p256_private(bytes: &Secret) -> Result<p256::SecretKey, KemError> {
    p256::SecretKey::from_slice(bytes.as_ref()).map_err(|_| KemError::PrivateKey)
}
