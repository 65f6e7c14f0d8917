//! The key encapsulation of HPKE: DHKEM for the profiles of RFC 9420, X-Wing for the experimental one.

use zeroize::Zeroizing;

use super::aead::Aead;
use super::dh_kem::DhKem;
#[cfg(feature = "pq")]
use super::x_wing;

/// Bytes of a shared secret and of a private key, in all of them (RFC 9180 section 7.1, Nsecret and Nsk).
pub(super) const SECRET_LEN: usize = 32;

pub(super) type Secret = Zeroizing<[u8; SECRET_LEN]>;

/// What a peer's key or our own input was not good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KemError {
    #[error("not a public key of this group, or one of small order")]
    PublicKey,
    #[error("not a private key of this group")]
    PrivateKey,
    #[error("no key follows from this key material")]
    KeyMaterial,
    #[error("more output than HKDF-SHA256 gives")]
    OutputLength,
    #[error("there is no randomness to be had")]
    Randomness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kem {
    Dh(DhKem),
    #[cfg(feature = "pq")]
    XWing,
}

/// `private` as SerializePrivateKey, `public` as SerializePublicKey writes it.
pub(super) struct KeyPair {
    pub(super) private: Secret,
    pub(super) public: Vec<u8>,
}

/// What goes to the receiver, and what both sides then hold.
pub(super) struct Encapsulated {
    pub(super) enc: Vec<u8>,
    pub(super) secret: Secret,
}

impl Kem {
    /// RFC 9180 section 7.1; X-Wing's by its draft.
    pub(super) const fn id(self) -> u16 {
        match self {
            Self::Dh(kem) => kem.id(),
            #[cfg(feature = "pq")]
            Self::XWing => 0x647A,
        }
    }

    /// The AEAD of the MLS suite that this KEM is of.
    pub(super) const fn aead(self) -> Aead {
        match self {
            Self::Dh(_) => Aead::Aes128Gcm,
            #[cfg(feature = "pq")]
            Self::XWing => Aead::ChaCha20Poly1305,
        }
    }

    pub(super) fn derive_key_pair(self, ikm: &[u8]) -> Result<KeyPair, KemError> {
        match self {
            Self::Dh(kem) => kem.derive_key_pair(ikm),
            #[cfg(feature = "pq")]
            Self::XWing => Ok(x_wing::derive_key_pair(ikm)),
        }
    }

    /// Encap, with fresh randomness from `fill`.
    pub(super) fn encap(
        self,
        receiver: &[u8],
        fill: impl Fn(&mut [u8]) -> Result<(), KemError>,
    ) -> Result<Encapsulated, KemError> {
        match self {
            Self::Dh(kem) => {
                let mut ikm = Secret::default();
                fill(ikm.as_mut())?;
                let ephemeral = kem.derive_key_pair(ikm.as_ref())?;
                let secret = kem.encap(receiver, &ephemeral)?;
                Ok(Encapsulated {
                    enc: ephemeral.public,
                    secret,
                })
            }
            #[cfg(feature = "pq")]
            Self::XWing => {
                let mut randomness = Zeroizing::new([0; x_wing::RANDOMNESS]);
                fill(randomness.as_mut())?;
                x_wing::encap(receiver, &randomness)
            }
        }
    }

    pub(super) fn decap(self, enc: &[u8], private: &Secret) -> Result<Secret, KemError> {
        match self {
            Self::Dh(kem) => kem.decap(enc, private),
            #[cfg(feature = "pq")]
            Self::XWing => x_wing::decap(enc, private),
        }
    }
}
