//! Authenticated encryption of one frame, in place, under a key that is set up once.
//!
//! Everything above this module sees [`FrameCipher`]. Below it is one engine a target: `ring` natively (assembly); on wasm32,
//! where `ring` does not run, `vector-aes` with SIMD128 and RustCrypto's `aes-gcm` without. The unit tests compile all
//! three and compare them.
//! AES-CTR with HMAC (RFC 9605 section 4.5.1) has a single implementation, since no room uses it by default.

mod ctr_hmac;
#[cfg(not(target_arch = "wasm32"))]
mod ring;
#[cfg(any(all(target_arch = "wasm32", not(target_feature = "simd128")), test))]
mod rust_crypto;
#[cfg(any(all(target_arch = "wasm32", target_feature = "simd128"), test))]
mod vector;

use self::ctr_hmac::CtrHmacKey;
#[cfg(not(target_arch = "wasm32"))]
use self::ring::GcmKey;
#[cfg(all(target_arch = "wasm32", not(target_feature = "simd128")))]
use self::rust_crypto::GcmKey;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use self::vector::GcmKey;

/// Bytes of a nonce, the same for every suite (RFC 9605 table 2, column Nn).
pub(crate) const NONCE_LEN: usize = 12;

/// Bytes of the longest tag of any suite.
pub(crate) const MAX_TAG_LEN: usize = 16;

/// AES key sizes that the engines take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AesSize {
    Aes128,
    Aes256,
}

impl AesSize {
    pub(crate) const fn key_len(self) -> usize {
        match self {
            AesSize::Aes128 => 16,
            AesSize::Aes256 => 32,
        }
    }
}

/// Which construction, with the sizes it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// AES-GCM, 16-byte tag.
    Gcm(AesSize),
    /// AES-CTR, then HMAC over lengths, nonce, associated data and ciphertext, cut to `tag_len`.
    CtrHmac { aes: AesSize, tag_len: usize },
}

/// The tag did not verify, or the input is longer than the algorithm takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AeadFailure;

/// A key that is ready to use: round keys, hash tables and MAC states are computed once.
///
/// Two variants of very different size live here on purpose without a box: a receiver looks a key up per frame and
/// one pointer less is worth more than the bytes.
pub(crate) enum FrameCipher {
    Gcm(GcmKey),
    CtrHmac(CtrHmacKey),
}

impl FrameCipher {
    /// `key` must have the length that the suite's table says; anything else is a bug of the caller's and yields
    /// [`AeadFailure`] rather than a panic.
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, AeadFailure> {
        Ok(match algorithm {
            Algorithm::Gcm(aes) => FrameCipher::Gcm(GcmKey::new(aes, key)?),
            Algorithm::CtrHmac { aes, tag_len } => FrameCipher::CtrHmac(CtrHmacKey::new(aes, tag_len, key)?),
        })
    }

    /// Encrypts `text` in place. The suite's tag is as much of the answer, from the front, as the suite says.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; MAX_TAG_LEN], AeadFailure> {
        match self {
            FrameCipher::Gcm(key) => key.seal(nonce, aad, text),
            FrameCipher::CtrHmac(key) => key.seal(nonce, aad, text),
        }
    }

    /// Decrypts `buffer[from..]` to the front of `buffer`. On failure `buffer` holds nothing that may be used.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        from: usize,
        tag: &[u8],
    ) -> Result<(), AeadFailure> {
        match self {
            FrameCipher::Gcm(key) => key.open(nonce, aad, buffer, from, tag.try_into().map_err(|_| AeadFailure)?),
            FrameCipher::CtrHmac(key) => key.open(nonce, aad, buffer, from, tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deterministic stream of bytes, so that a failure names its case.
    fn bytes(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect()
    }

    #[test]
    fn sfrm_11_all_gcm_engines_agree_on_every_size_up_to_three_hundred_bytes() {
        for aes in [AesSize::Aes128, AesSize::Aes256] {
            let key = bytes(7, aes.key_len());
            let native = GcmKey::new(aes, &key).unwrap();
            let portable = rust_crypto::GcmKey::new(aes, &key).unwrap();
            let vector = vector::GcmKey::new(aes, &key).unwrap();
            for len in (0..300).chain([1_200, 10_000, 50_001]) {
                let nonce: [u8; NONCE_LEN] = bytes(len as u64, NONCE_LEN).try_into().unwrap();
                let aad = bytes(99, len % 40);
                let text = bytes(3, len);
                let (mut a, mut b, mut c) = (text.clone(), text.clone(), text.clone());
                let tag = native.seal(&nonce, &aad, &mut a).unwrap();
                assert_eq!(portable.seal(&nonce, &aad, &mut b), Ok(tag), "{aes:?}, {len} bytes");
                assert_eq!(vector.seal(&nonce, &aad, &mut c), Ok(tag), "{aes:?}, {len} bytes");
                assert_eq!((&a, &a), (&b, &c), "{aes:?}, {len} bytes");
                // They sealed the same, and each opens it, wherever in the buffer that lies.
                for from in [0, 1, 5, 16, 33] {
                    let sealed = [&vec![9; from], &a[..]].concat();
                    let (mut a, mut b, mut c) = (sealed.clone(), sealed.clone(), sealed);
                    native.open(&nonce, &aad, &mut a, from, &tag).unwrap();
                    portable.open(&nonce, &aad, &mut b, from, &tag).unwrap();
                    vector.open(&nonce, &aad, &mut c, from, &tag).unwrap();
                    for opened in [a, b, c] {
                        assert_eq!(opened[..len], text, "{aes:?}, {len} from {from}");
                    }
                }
                assert!(native.open(&nonce, &aad, &mut a, len + 1, &tag).is_err());
                assert!(portable.open(&nonce, &aad, &mut b, len + 1, &tag).is_err());
                assert!(vector.open(&nonce, &aad, &mut c, len + 1, &tag).is_err());
            }
        }
    }

    #[test]
    fn all_gcm_engines_refuse_the_same_changes() {
        let key = bytes(1, 16);
        let native = GcmKey::new(AesSize::Aes128, &key).unwrap();
        let portable = rust_crypto::GcmKey::new(AesSize::Aes128, &key).unwrap();
        let vector = vector::GcmKey::new(AesSize::Aes128, &key).unwrap();
        let nonce = [5; NONCE_LEN];
        let mut text = bytes(2, 33);
        let tag = native.seal(&nonce, b"aad", &mut text).unwrap();
        let refused = |aad: &[u8], text: &[u8], tag: &[u8; 16]| {
            assert!(native.open(&nonce, aad, &mut text.to_vec(), 0, tag).is_err());
            assert!(portable.open(&nonce, aad, &mut text.to_vec(), 0, tag).is_err());
            assert!(vector.open(&nonce, aad, &mut text.to_vec(), 0, tag).is_err());
        };
        for bit in 0..(33 + 16) * 8 {
            let (mut text, mut tag) = (text.clone(), tag);
            if bit < 33 * 8 {
                text[bit / 8] ^= 1 << (bit % 8);
            } else {
                tag[bit / 8 - 33] ^= 1 << (bit % 8);
            }
            refused(b"aad", &text, &tag);
        }
        refused(b"aae", &text, &tag);
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        for len in [0, 15, 17, 31, 33, 47, 49, 95, 97] {
            for algorithm in [
                Algorithm::Gcm(AesSize::Aes128),
                Algorithm::Gcm(AesSize::Aes256),
                Algorithm::CtrHmac {
                    aes: AesSize::Aes128,
                    tag_len: 10,
                },
                Algorithm::CtrHmac {
                    aes: AesSize::Aes256,
                    tag_len: 10,
                },
            ] {
                assert!(FrameCipher::new(algorithm, &vec![0; len]).is_err());
            }
            if len != 32 {
                assert!(rust_crypto::GcmKey::new(AesSize::Aes256, &vec![0; len]).is_err());
                assert!(vector::GcmKey::new(AesSize::Aes256, &vec![0; len]).is_err());
            }
        }
    }
}
