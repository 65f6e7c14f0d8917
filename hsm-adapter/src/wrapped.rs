//! The shape of a wrapped data key, the same for both backends: `version (1) | nonce (12) | ciphertext | tag (16)`.

use crate::{Error, InputError, KeyLabel, UseError};

pub(crate) const NONCE: usize = 12;
pub(crate) const TAG: usize = 16;
/// Data keys are short; anything longer is a misuse of the token.
pub(crate) const MAX_PLAINTEXT: usize = 1024;
const VERSION: u8 = 1;

pub(crate) fn check_size(data_key: &[u8]) -> Result<(), Error> {
    match data_key.len() {
        1..=MAX_PLAINTEXT => Ok(()),
        n => Err(UseError::WrapSize(n).into()),
    }
}

pub(crate) fn seal(nonce: &[u8; NONCE], sealed: &[u8]) -> Vec<u8> {
    [&[VERSION][..], nonce, sealed].concat()
}

/// Splits into nonce and sealed bytes, refusing what cannot be ours before the token is asked.
pub(crate) fn open(wrapped: &[u8]) -> Result<([u8; NONCE], &[u8]), Error> {
    let refused = || Error::from(InputError::WrapNotAuthentic);
    let (&version, rest) = wrapped.split_first().ok_or_else(refused)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or_else(refused)?;
    if version != VERSION || sealed.len() <= TAG || sealed.len() > MAX_PLAINTEXT + TAG {
        return Err(refused());
    }
    Ok((*nonce, sealed))
}

/// Binds label and purpose: a wrap moved elsewhere does not open.
pub(crate) fn aad(label: &KeyLabel, context: &[u8]) -> Vec<u8> {
    let label = label.as_str().as_bytes();
    // Labels are at most 64 bytes, so one byte of length keeps label and context apart.
    [b"conclave wrap v1\0", &[label.len() as u8][..], label, context].concat()
}
