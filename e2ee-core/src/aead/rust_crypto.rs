//! The portable engine: RustCrypto's `aes-gcm`, for wasm32. Built with SIMD128 it is the faster of what runs there.

use aes_gcm::aead::{AeadInOut, KeyInit, inout::InOutBuf};
use aes_gcm::{Aes128Gcm, Aes256Gcm};

use super::{AeadFailure, AesSize, NONCE_LEN};

#[allow(clippy::large_enum_variant)]
pub(crate) enum GcmKey {
    Aes128(Aes128Gcm),
    Aes256(Aes256Gcm),
}

impl GcmKey {
    pub(crate) fn new(aes: AesSize, key: &[u8]) -> Result<Self, AeadFailure> {
        Ok(match aes {
            AesSize::Aes128 => GcmKey::Aes128(Aes128Gcm::new_from_slice(key).map_err(|_| AeadFailure)?),
            AesSize::Aes256 => GcmKey::Aes256(Aes256Gcm::new_from_slice(key).map_err(|_| AeadFailure)?),
        })
    }

    pub(crate) fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Result<[u8; 16], AeadFailure> {
        let nonce = (*nonce).into();
        let text = InOutBuf::from(text);
        match self {
            GcmKey::Aes128(key) => key.encrypt_inout_detached(&nonce, aad, text),
            GcmKey::Aes256(key) => key.encrypt_inout_detached(&nonce, aad, text),
        }
        .map(Into::into)
        .map_err(|_| AeadFailure)
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        from: usize,
        tag: &[u8; 16],
    ) -> Result<(), AeadFailure> {
        let (nonce, tag) = ((*nonce).into(), (*tag).into());
        let text = InOutBuf::from(buffer.get_mut(from..).ok_or(AeadFailure)?);
        match self {
            GcmKey::Aes128(key) => key.decrypt_inout_detached(&nonce, aad, text, &tag),
            GcmKey::Aes256(key) => key.decrypt_inout_detached(&nonce, aad, text, &tag),
        }
        .map_err(|_| AeadFailure)?;
        buffer.copy_within(from.., 0);
        Ok(())
    }
}
