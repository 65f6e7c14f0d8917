//! Certificate requests: a key asks for itself, in one session (PF-16).

use e2ee_core::wire::delivery::certificate_request_tbs;
use hsm_adapter::{KeyKind, PublicKey, Signature};

/// Why no certificate. All of it is the client's fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("the public key is neither 32 bytes of Ed25519 nor an uncompressed point of P-256")]
    Key,
    #[error("the proof is not this key's signature over this session")]
    Proof,
}

/// IDEN-12: the proof is the key's own signature over label, session and key, so a request cannot be moved to another
/// session, and nobody gets a certificate on a key that is not theirs.
pub(crate) fn check_request(session: &str, public_key: &[u8], proof: &[u8]) -> Result<PublicKey, RequestError> {
    let kind = match public_key {
        key if key.len() == 32 => KeyKind::Ed25519,
        [4, point @ ..] if point.len() == 64 => KeyKind::P256,
        _ => return Err(RequestError::Key),
    };
    let key = PublicKey::parse(kind, public_key).map_err(|_| RequestError::Key)?;
    let signature = match kind {
        KeyKind::Ed25519 => Signature::parse(kind, proof),
        // MLS carries ECDSA signatures in DER (RFC 9420 section 5.1.2).
        KeyKind::P256 => Signature::parse_der(proof),
    };
    let signature = signature.map_err(|_| RequestError::Proof)?;
    key.verify(&certificate_request_tbs(session, public_key), &signature)
        .map_err(|_| RequestError::Proof)?;
    Ok(key)
}
