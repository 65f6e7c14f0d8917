//! Names, kinds, public keys and signatures: the same for every backend.

use std::borrow::Cow;
use std::fmt;

use crate::{Error, InputError, TokenError, UseError};

/// Which algorithm a key is for. One key, one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5).
    P256,
    /// Ed25519, pure (RFC 8032).
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// A key's name: 1 to 64 of `a-z`, `0-9` and `-`, beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyLabel(Cow<'static, str>);

impl KeyLabel {
    /// Checks a label known only at run time.
    pub fn new(label: &str) -> Result<Self, Error> {
        if Self::is_valid(label.as_bytes()) {
            Ok(Self(Cow::Owned(label.to_owned())))
        } else {
            Err(UseError::BadLabel.into())
        }
    }

    /// For constants: a bad label fails the build.
    ///
    /// # Panics
    /// When the label is not valid; in a `const` that is a compile error.
    #[must_use]
    pub const fn from_static(label: &'static str) -> Self {
        assert!(Self::is_valid(label.as_bytes()), "not a key label");
        Self(Cow::Borrowed(label))
    }

    /// The label's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    const fn is_valid(label: &[u8]) -> bool {
        if label.is_empty() || label.len() > 64 || !label[0].is_ascii_lowercase() {
            return false;
        }
        let mut i = 0;
        while i < label.len() {
            let c = label[i];
            if !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-') {
                return false;
            }
            i += 1;
        }
        true
    }
}

impl fmt::Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key that was checked to be a point of its curve.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(Repr);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Repr {
    P256([u8; 65]),
    Ed25519([u8; 32]),
}

/// DER of SubjectPublicKeyInfo up to the key's bytes: id-ecPublicKey with prime256v1 (RFC 5480).
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same for id-Ed25519 (RFC 8410).
const SPKI_ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// From an uncompressed or compressed SEC1 point, or 32 bytes of Ed25519.
    pub fn parse(kind: KeyKind, bytes: &[u8]) -> Result<Self, Error> {
        let malformed = || Error::from(TokenError::Malformed("public key"));
        match kind {
            KeyKind::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| malformed())?;
                let point = key.to_encoded_point(false);
                Ok(Self(Repr::P256(point.as_bytes().try_into().map_err(|_| malformed())?)))
            }
            KeyKind::Ed25519 => {
                let bytes: [u8; 32] = bytes.try_into().map_err(|_| malformed())?;
                ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| malformed())?;
                Ok(Self(Repr::Ed25519(bytes)))
            }
        }
    }

    /// Which algorithm.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        match self.0 {
            Repr::P256(_) => KeyKind::P256,
            Repr::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// 65 bytes of uncompressed SEC1 point, or 32 bytes of Ed25519: what MLS and X.509 put into their key fields.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::P256(bytes) => bytes,
            Repr::Ed25519(bytes) => bytes,
        }
    }

    /// DER of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        match &self.0 {
            Repr::P256(bytes) => [&SPKI_P256[..], bytes].concat(),
            Repr::Ed25519(bytes) => [&SPKI_ED25519[..], bytes].concat(),
        }
    }

    /// Verifies a signature made by [`Keystore::sign`](crate::Keystore::sign). Ed25519 is verified strictly: no small-order keys, no malleable S.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Error> {
        let invalid = || Error::from(InputError::SignatureInvalid);
        if signature.kind != self.kind() {
            return Err(invalid());
        }
        match &self.0 {
            Repr::P256(bytes) => {
                use p256::ecdsa::signature::Verifier as _;
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| invalid())?;
                let signature = p256::ecdsa::Signature::from_slice(&signature.raw).map_err(|_| invalid())?;
                key.verify(message, &signature).map_err(|_| invalid())
            }
            Repr::Ed25519(bytes) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| invalid())?;
                let signature = ed25519_dalek::Signature::from_bytes(&signature.raw);
                key.verify_strict(message, &signature).map_err(|_| invalid())
            }
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.kind())
    }
}

/// 64 bytes: `r || s` of ECDSA (big-endian), or `R || S` of Ed25519.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    kind: KeyKind,
    raw: [u8; 64],
}

impl Signature {
    /// From the raw bytes of either algorithm; a zero or overlong ECDSA scalar is refused.
    pub fn parse(kind: KeyKind, raw: &[u8]) -> Result<Self, Error> {
        let raw: [u8; 64] = raw.try_into().map_err(|_| TokenError::Malformed("signature"))?;
        if kind == KeyKind::P256 {
            p256::ecdsa::Signature::from_slice(&raw).map_err(|_| TokenError::Malformed("signature"))?;
        }
        Ok(Self { kind, raw })
    }

    /// From a DER `ECDSA-Sig-Value` on P-256, as X.509 and MLS carry it.
    pub fn parse_der(der: &[u8]) -> Result<Self, Error> {
        let signature = p256::ecdsa::Signature::from_der(der).map_err(|_| TokenError::Malformed("signature"))?;
        Self::parse(KeyKind::P256, &signature.to_bytes())
    }

    /// The raw 64 bytes.
    #[must_use]
    pub const fn raw(&self) -> &[u8; 64] {
        &self.raw
    }

    /// What X.509 and MLS put into a signature field: a DER `ECDSA-Sig-Value` for P-256 (RFC 3279, RFC 9420 section 5.1.2),
    /// the raw bytes for Ed25519 (RFC 8410).
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        match self.kind {
            KeyKind::Ed25519 => self.raw.to_vec(),
            KeyKind::P256 => {
                let (r, s) = self.raw.split_at(32);
                let body = [der_unsigned(r), der_unsigned(s)].concat();
                // At most 2 * (2 + 33) = 70 bytes: the short form of the length always fits.
                [&[0x30, body.len() as u8][..], &body].concat()
            }
        }
    }
}

/// A DER INTEGER from a big-endian number of at most 32 bytes.
fn der_unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|&&b| b == 0).count().min(bytes.len() - 1);
    let digits = &bytes[zeros..];
    let sign = digits[0] & 0x80 != 0;
    let mut out = vec![0x02, digits.len() as u8 + u8::from(sign)];
    if sign {
        out.push(0);
    }
    out.extend_from_slice(digits);
    out
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", self.kind)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_could_be_paths_are_refused() {
        for bad in ["", "-a", "1a", "a/b", "..", "A", "a b", "a.json", "é", &"a".repeat(65)] {
            assert!(KeyLabel::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "root-ca", "log-2", &"a".repeat(64)] {
            assert!(KeyLabel::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn der_of_an_ecdsa_signature_equals_that_of_an_independent_encoder() {
        for (r, s) in [(1u8, 1u8), (0x7f, 0x80), (0xff, 0x01), (0x80, 0xff)] {
            // High bits set, leading zeros, and single bytes.
            for place in [0, 1, 15, 31] {
                let mut raw = [0u8; 64];
                raw[place] = if place == 0 { r & 0x7f | 1 } else { r };
                raw[32 + place] = if place == 0 { s & 0x7f | 1 } else { s };
                let ours = Signature::parse(KeyKind::P256, &raw).unwrap().to_der();
                let theirs = p256::ecdsa::Signature::from_slice(&raw).unwrap().to_der();
                assert_eq!(ours, theirs.as_bytes());
                assert_eq!(Signature::parse_der(&ours).unwrap().raw(), &raw);
            }
        }
    }

    #[test]
    fn an_ecdsa_signature_with_a_zero_scalar_is_malformed() {
        let mut raw = [0u8; 64];
        raw[0] = 1;
        assert!(Signature::parse(KeyKind::P256, &raw).is_err());
    }

    #[test]
    fn a_point_off_the_curve_is_malformed() {
        let mut point = [7u8; 65];
        point[0] = 4;
        assert!(PublicKey::parse(KeyKind::P256, &point).is_err());
        assert!(PublicKey::parse(KeyKind::P256, &[]).is_err());
        assert!(PublicKey::parse(KeyKind::Ed25519, &[0; 31]).is_err());
    }
}
