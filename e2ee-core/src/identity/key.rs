//! Public keys as certificates and MLS leaves carry them.

use p256::ecdsa::signature::Verifier;

/// A key that signs MLS handshakes, checkpoints or certificates.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PublicKey {
    /// RFC 8032.
    Ed25519([u8; 32]),
    /// SEC 1, uncompressed, on the curve.
    P256([u8; 65]),
}

impl PublicKey {
    /// As the MLS leaf holds it (RFC 9420 section 5.1.1): raw for Ed25519, uncompressed point for P-256.
    pub fn as_mls_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key,
            Self::P256(key) => key,
        }
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "Ed25519",
            Self::P256(_) => "P-256",
        }
    }

    /// Verifies a signature: 64 bytes for Ed25519 (strict), DER for ECDSA with SHA-256.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => {
                let (Ok(key), Ok(signature)) = (
                    ed25519_dalek::VerifyingKey::from_bytes(key),
                    ed25519_dalek::Signature::from_slice(signature),
                ) else {
                    return false;
                };
                key.verify_strict(message, &signature).is_ok()
            }
            Self::P256(key) => {
                let (Ok(key), Ok(signature)) = (
                    p256::ecdsa::VerifyingKey::from_sec1_bytes(key),
                    p256::ecdsa::Signature::from_der(signature),
                ) else {
                    return false;
                };
                key.verify(message, &signature).is_ok()
            }
        }
    }

    /// A valid Ed25519 point, not of small order.
    pub(crate) fn ed25519(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?;
        (!key.is_weak()).then_some(Self::Ed25519(bytes))
    }

    /// A point of P-256 in the uncompressed form.
    pub(crate) fn p256(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 65] = bytes.try_into().ok()?;
        p256::ecdsa::VerifyingKey::from_sec1_bytes(&bytes).ok()?;
        Some(Self::P256(bytes))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.algorithm(), hex::encode(self.as_mls_bytes()))
    }
}
