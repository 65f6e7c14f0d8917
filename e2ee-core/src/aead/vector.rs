//! The engine for browsers: `vector-aes`, AES-GCM on WebAssembly's vectors.

use vector_aes::AesGcm;

use super::{AeadFailure, AesSize, NONCE_LEN};

/// Behind a pointer: the tables of a key have 2 kB, and streams and their keys are moved about.
pub(crate) struct GcmKey(Box<AesGcm>);

impl GcmKey {
    pub(crate) fn new(aes: AesSize, key: &[u8]) -> Result<Self, AeadFailure> {
        if key.len() != aes.key_len() {
            return Err(AeadFailure);
        }
        Ok(GcmKey(Box::new(AesGcm::new(key).map_err(|_| AeadFailure)?)))
    }

    pub(crate) fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Result<[u8; 16], AeadFailure> {
        self.0.seal(nonce, aad, text).map_err(|_| AeadFailure)
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        from: usize,
        tag: &[u8; 16],
    ) -> Result<(), AeadFailure> {
        let text = buffer.get_mut(from..).ok_or(AeadFailure)?;
        self.0.open(nonce, aad, text, tag).map_err(|_| AeadFailure)?;
        buffer.copy_within(from.., 0);
        Ok(())
    }
}
