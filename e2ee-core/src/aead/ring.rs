//! The native engine: `ring`'s AES-GCM in assembly.

use ::ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use super::{AeadFailure, AesSize, NONCE_LEN};

/// "Less safe" in `ring`'s sense: the caller chooses the nonces. Ours come from a counter that never repeats under a
/// key (RFC 9605 section 9.1), which the sealer guarantees by construction.
pub(crate) struct GcmKey(LessSafeKey);

impl GcmKey {
    pub(crate) fn new(aes: AesSize, key: &[u8]) -> Result<Self, AeadFailure> {
        let algorithm = match aes {
            AesSize::Aes128 => &AES_128_GCM,
            AesSize::Aes256 => &AES_256_GCM,
        };
        Ok(GcmKey(LessSafeKey::new(
            UnboundKey::new(algorithm, key).map_err(|_| AeadFailure)?,
        )))
    }

    #[inline]
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Result<[u8; 16], AeadFailure> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), text)
            .map_err(|_| AeadFailure)?;
        tag.as_ref().try_into().map_err(|_| AeadFailure)
    }

    /// `ring` decrypts to the front while it reads further back, so that nothing has to be moved afterwards.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        from: usize,
        tag: &[u8; 16],
    ) -> Result<(), AeadFailure> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(*tag), buffer, from..)
            .map(|_| ())
            .map_err(|_| AeadFailure)
    }
}
