//! AES in counter mode with HMAC, the AEAD of RFC 9605 section 4.5.1, for suites 0x0001-0x0003 (AES-128, SHA-256)
//! and 0x0006-0x0008 (AES-256, SHA-512).

use aes::{Aes128, Aes256};
use ctr::cipher::{InnerIvInit, KeyInit, StreamCipher};
use ctr::{Ctr32BE, CtrCore, flavors};
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::{AeadFailure, AesSize, MAX_TAG_LEN, NONCE_LEN};

/// Both halves are kept ready: the AES round keys and the HMAC state after its key block.
pub(crate) enum CtrHmacKey {
    Aes128 {
        aes: Aes128,
        mac: Hmac<Sha256>,
        tag_len: usize,
    },
    Aes256 {
        aes: Box<Aes256>,
        mac: Box<Hmac<Sha512>>,
        tag_len: usize,
    },
}

impl CtrHmacKey {
    /// The key is `enc_key || auth_key` (RFC 9605 section 4.5.1): 16 + 32 or 32 + 64 bytes.
    pub(crate) fn new(aes: AesSize, tag_len: usize, key: &[u8]) -> Result<Self, AeadFailure> {
        let auth_len = aes.key_len() * 2;
        if key.len() != aes.key_len() + auth_len || tag_len > MAX_TAG_LEN {
            return Err(AeadFailure);
        }
        let (enc, auth) = key.split_at(aes.key_len());
        Ok(match aes {
            AesSize::Aes128 => CtrHmacKey::Aes128 {
                aes: Aes128::new_from_slice(enc).map_err(|_| AeadFailure)?,
                mac: <Hmac<Sha256> as Mac>::new_from_slice(auth).map_err(|_| AeadFailure)?,
                tag_len,
            },
            AesSize::Aes256 => CtrHmacKey::Aes256 {
                aes: Box::new(Aes256::new_from_slice(enc).map_err(|_| AeadFailure)?),
                mac: Box::new(<Hmac<Sha512> as Mac>::new_from_slice(auth).map_err(|_| AeadFailure)?),
                tag_len,
            },
        })
    }

    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; MAX_TAG_LEN], AeadFailure> {
        self.keystream(nonce, text)?;
        let mut tag = self.mac(nonce, aad, text);
        tag[self.tag_len()..].fill(0);
        Ok(tag)
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        from: usize,
        tag: &[u8],
    ) -> Result<(), AeadFailure> {
        if tag.len() != self.tag_len() {
            return Err(AeadFailure);
        }
        let text = buffer.get_mut(from..).ok_or(AeadFailure)?;
        let full = self.mac(nonce, aad, text);
        if !bool::from(full[..tag.len()].ct_eq(tag)) {
            return Err(AeadFailure);
        }
        self.keystream(nonce, text)?;
        buffer.copy_within(from.., 0);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        match self {
            CtrHmacKey::Aes128 { tag_len, .. } | CtrHmacKey::Aes256 { tag_len, .. } => *tag_len,
        }
    }

    /// The first counter block is the nonce and four zero bytes; the 32-bit counter bounds a frame at 64 GiB.
    fn keystream(&self, nonce: &[u8; NONCE_LEN], text: &mut [u8]) -> Result<(), AeadFailure> {
        let mut block = [0; 16];
        block[..NONCE_LEN].copy_from_slice(nonce);
        match self {
            CtrHmacKey::Aes128 { aes, .. } => {
                let core = CtrCore::<&Aes128, flavors::Ctr32BE>::inner_iv_init(aes, &block.into());
                Ctr32BE::from_core(core)
                    .try_apply_keystream(text)
                    .map_err(|_| AeadFailure)
            }
            CtrHmacKey::Aes256 { aes, .. } => {
                let core = CtrCore::<&Aes256, flavors::Ctr32BE>::inner_iv_init(aes, &block.into());
                Ctr32BE::from_core(core)
                    .try_apply_keystream(text)
                    .map_err(|_| AeadFailure)
            }
        }
    }

    fn mac(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &[u8]) -> [u8; MAX_TAG_LEN] {
        match self {
            CtrHmacKey::Aes128 { mac, tag_len, .. } => compute_tag(mac.clone(), *tag_len, nonce, aad, text),
            CtrHmacKey::Aes256 { mac, tag_len, .. } => compute_tag((**mac).clone(), *tag_len, nonce, aad, text),
        }
    }
}

/// The three lengths come first, so that no two inputs share an authenticated string; the tag's own length among
/// them keeps a long tag from being cut into a short one.
fn compute_tag<M: Mac>(
    mut mac: M,
    tag_len: usize,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    text: &[u8],
) -> [u8; MAX_TAG_LEN] {
    for len in [aad.len(), text.len(), tag_len] {
        mac.update(&(len as u64).to_be_bytes());
    }
    mac.update(nonce);
    mac.update(aad);
    mac.update(text);
    let full = mac.finalize().into_bytes();
    let mut tag = [0; MAX_TAG_LEN];
    tag.copy_from_slice(&full[..MAX_TAG_LEN]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aead::Algorithm;
    use crate::sframe::CipherSuite;

    /// RFC 9605 appendix C.2, and the same for AES-256.
    #[test]
    fn sfrm_10_the_rfcs_figures_come_out_for_all_six_suites_and_every_changed_bit_is_refused() {
        let figures: serde_json::Value =
            serde_json::from_str(include_str!("../../vectors/rfc9605-figures.json")).unwrap();
        let vectors = figures["ctr_hmac"].as_array().unwrap();
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let bytes = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
            let suite = CipherSuite::from_number(u16::try_from(vector["suite"].as_u64().unwrap()).unwrap()).unwrap();
            let Algorithm::CtrHmac { aes, tag_len } = suite.algorithm() else {
                panic!("{suite:?}")
            };
            let key = CtrHmacKey::new(aes, tag_len, &bytes("key")).unwrap();
            let nonce: [u8; NONCE_LEN] = bytes("nonce").try_into().unwrap();
            let mut text = bytes("plaintext");
            let tag = key.seal(&nonce, &bytes("aad"), &mut text).unwrap();
            assert_eq!(tag[tag_len..], [0; MAX_TAG_LEN][tag_len..]);
            let mut sealed = [&text[..], &tag[..tag_len]].concat();
            assert_eq!(sealed, bytes("sealed"), "{suite:?}");

            for bit in 0..sealed.len() * 8 {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let (text, tag) = changed.split_at_mut(sealed.len() - tag_len);
                assert_eq!(key.open(&nonce, &bytes("aad"), text, 0, tag), Err(AeadFailure));
            }
            let (text, tag) = sealed.split_at_mut(bytes("plaintext").len());
            // A shorter tag is no tag of this suite.
            assert_eq!(
                key.open(&nonce, &bytes("aad"), text, 0, &tag[..tag_len - 1]),
                Err(AeadFailure)
            );
            key.open(&nonce, &bytes("aad"), text, 0, tag).unwrap();
            assert_eq!(text, bytes("plaintext"));
        }
    }
}
