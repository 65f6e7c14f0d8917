//! Session keys, and what they are used with: the key derivation function, nonces and counters.

use rtc_dtls::crypto_provider as crypto;
use zeroize::Zeroizing;

use super::{MasterKey, Profile, SrtpError};

pub(super) const GCM_TAG: usize = 16;
pub(super) const SHA1_TAG: usize = 10;

/// Session keys of one direction, for RTP or for RTCP.
pub(super) enum Cipher {
    Gcm {
        aead: Box<dyn crypto::AeadCipher>,
        salt: [u8; 12],
    },
    Cm {
        stream: Box<dyn crypto::StreamCipher>,
        mac: Box<dyn crypto::Mac>,
        salt: [u8; 14],
    },
}

impl Cipher {
    /// `labels` name the encryption key, authentication key and salt (RFC 3711 section 4.3.1).
    pub(super) fn derive(
        profile: Profile,
        master: &MasterKey,
        labels: [u8; 3],
        crypto: &dyn crypto::RTCCrypto,
    ) -> Result<Self, SrtpError> {
        let key = Zeroizing::new(derive::<16>(master, labels[0], crypto)?);
        let keys = |_| SrtpError::Keys;
        Ok(match profile {
            Profile::AeadAes128Gcm => Cipher::Gcm {
                aead: crypto.new_aead(crypto::AeadAlgorithm::Aes128Gcm, &*key).map_err(keys)?,
                salt: derive::<12>(master, labels[2], crypto)?,
            },
            Profile::Aes128CmHmacSha1_80 => {
                let auth = Zeroizing::new(derive::<20>(master, labels[1], crypto)?);
                Cipher::Cm {
                    stream: crypto
                        .new_stream_cipher(crypto::StreamCipherAlgorithm::Aes128Ctr, &*key)
                        .map_err(keys)?,
                    mac: crypto.new_hmac(crypto::HmacAlgorithm::Sha1, &*auth).map_err(keys)?,
                    salt: derive::<14>(master, labels[2], crypto)?,
                }
            }
        })
    }

    pub(super) const fn tag_len(&self) -> usize {
        match self {
            Cipher::Gcm { .. } => GCM_TAG,
            Cipher::Cm { .. } => SHA1_TAG,
        }
    }
}

/// The AES-CM key derivation function with a key derivation rate of zero (RFC 3711 section 4.3.3). A salt of 96 bits is padded with
/// zeros on the right (RFC 7714 section 11).
fn derive<const N: usize>(master: &MasterKey, label: u8, crypto: &dyn crypto::RTCCrypto) -> Result<[u8; N], SrtpError> {
    let mut out = [0; N];
    for (counter, chunk) in out.chunks_mut(16).enumerate() {
        let mut block = Zeroizing::new([0; 16]);
        block[..master.1.len()].copy_from_slice(&master.1);
        block[7] ^= label;
        block[15] = counter as u8;
        crypto
            .block_encrypt(crypto::BlockCipherAlgorithm::Aes128, &*master.0, &mut *block)
            .map_err(|_| SrtpError::Keys)?;
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(out)
}

/// RFC 7714 section 8.1: two zero bytes, SSRC, roll-over counter, sequence number, all XORed with the salt.
pub(super) fn gcm_rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
    nonce
}

/// RFC 7714 section 9.1: two zero bytes, SSRC, two zero bytes, SRTCP index, all XORed with the salt.
pub(super) fn gcm_rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> [u8; 12] {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[8..12], &index.to_be_bytes());
    nonce
}

/// RFC 3711 section 4.1.1: salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16.
pub(super) fn cm_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    xor(&mut iv[4..8], &ssrc.to_be_bytes());
    xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
    iv
}

fn xor(target: &mut [u8], with: &[u8]) {
    target.iter_mut().zip(with).for_each(|(t, w)| *t ^= w);
}

pub(super) fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |acc, byte| acc << 8 | u32::from(*byte))
}
