//! LabeledExtract and LabeledExpand of RFC 9180 section 4, with HKDF-SHA256.

use hkdf::{Hkdf, HkdfExtract};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::kem::{KemError, Secret};

/// For one `suite_id`.
pub(super) struct Labels(Vec<u8>);

const VERSION: &[u8] = b"HPKE-v1";

impl Labels {
    pub(super) fn kem(kem: u16) -> Self {
        Self([b"KEM".as_slice(), &kem.to_be_bytes()].concat())
    }

    pub(super) fn hpke(kem: u16, kdf: u16, aead: u16) -> Self {
        let ids = [kem, kdf, aead].map(u16::to_be_bytes).concat();
        Self([b"HPKE".as_slice(), &ids].concat())
    }

    pub(super) fn extract(&self, salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
        for part in [VERSION, self.0.as_slice(), label, ikm] {
            extract.input_ikm(part);
        }
        let (prk, _) = extract.finalize();
        Zeroizing::new(prk.into())
    }

    pub(super) fn expand(&self, prk: &Secret, label: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), KemError> {
        let length = u16::try_from(out.len()).map_err(|_| KemError::OutputLength)?;
        let hkdf = Hkdf::<Sha256>::from_prk(prk.as_ref()).map_err(|_| KemError::OutputLength)?;
        hkdf.expand_multi_info(&[&length.to_be_bytes(), VERSION, &self.0, label, info], out)
            .map_err(|_| KemError::OutputLength)
    }
}
