//! The one form a token may have, and its signature.
//!
//! Requirements held here: RELY-1, RELY-2.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::Claims;

/// The only header there is. `typ` keeps a token for the relay from being taken for any other JWT and the reverse (RFC 8725 section 3.11).
pub const HEADER: &str = r#"{"alg":"EdDSA","typ":"conclave-relay+jwt"}"#;
/// Longer tokens are refused unread.
pub const MAX_TOKEN: usize = 2048;
/// The longest time between `nbf` and `exp`, in seconds.
pub const MAX_LIFETIME: u64 = 600;
/// How far the clocks of key server and relay may lie apart, in seconds.
pub const MAX_SKEW: u64 = 5;

const MAX_ID: usize = 128;
const SIGNATURE: usize = 64;

/// Why a token was refused. None of them quotes the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    Oversized,
    #[error("the token is not in the compact form header.payload.signature")]
    Malformed,
    #[error("the token's header is not the one this relay accepts")]
    Header,
    #[error("the token's signature is not by the expected key")]
    Signature,
    #[error("the token's claims do not have the expected form")]
    Claims,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token has expired")]
    Expired,
    #[error("the token is valid for longer than {MAX_LIFETIME} seconds")]
    Lifetime,
}

/// Why no token could be made. `E` is the signer's own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError<E> {
    #[error("signing failed")]
    Sign(#[source] E),
    #[error("the signer returned {0} bytes, an Ed25519 signature has {SIGNATURE}")]
    SignatureLength(usize),
    #[error("the claims would be refused: {0}")]
    Claims(TokenError),
}

/// Makes a token. `sign` gets the bytes to sign (RFC 7515 section 5.1) and returns the 64 bytes of an Ed25519 signature.
pub fn encode<E>(claims: &Claims, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<String, EncodeError<E>> {
    check_form(claims).map_err(EncodeError::Claims)?;
    let payload = serde_json::to_vec(claims).map_err(|_| EncodeError::Claims(TokenError::Claims))?;
    let mut token = URL_SAFE_NO_PAD.encode(HEADER);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = sign(token.as_bytes()).map_err(EncodeError::Sign)?;
    if signature.len() != SIGNATURE {
        return Err(EncodeError::SignatureLength(signature.len()));
    }
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    if token.len() > MAX_TOKEN {
        return Err(EncodeError::Claims(TokenError::Oversized));
    }
    Ok(token)
}

/// Checks tokens against the key server's public key.
#[derive(Clone)]
pub struct Verifier {
    key: UnparsedPublicKey<[u8; 32]>,
    header: String,
}

impl Verifier {
    pub fn new(public_key: [u8; 32]) -> Self {
        Verifier {
            key: UnparsedPublicKey::new(&ED25519, public_key),
            header: URL_SAFE_NO_PAD.encode(HEADER),
        }
    }

    /// The claims of `token` if it is genuine and valid at `now` (seconds since 1970). Nothing of the payload is parsed before the
    /// signature verified.
    pub fn verify(&self, token: &str, now: u64) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Oversized);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        // RELY-1: byte for byte. There is nothing in it to choose.
        if header != self.header {
            return Err(TokenError::Header);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        // RELY-2: before anything of the payload is parsed.
        self.key
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| TokenError::Signature)?;

        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenError::Malformed)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Claims)?;
        check_form(&claims)?;
        if now.saturating_add(MAX_SKEW) < claims.nbf {
            return Err(TokenError::NotYetValid);
        }
        if now >= claims.exp {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

fn check_form(claims: &Claims) -> Result<(), TokenError> {
    let plausible = |id: &str| (1..=MAX_ID).contains(&id.len()) && !id.contains(char::is_control);
    if ![&claims.room, &claims.participant, &claims.jti]
        .into_iter()
        .all(|id| plausible(id))
    {
        return Err(TokenError::Claims);
    }
    match claims.exp.checked_sub(claims.nbf) {
        None | Some(0) => Err(TokenError::Claims),
        Some(lifetime) if lifetime > MAX_LIFETIME => Err(TokenError::Lifetime),
        Some(_) => Ok(()),
    }
}
