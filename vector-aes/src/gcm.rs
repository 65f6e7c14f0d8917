//! Galois/counter mode (NIST SP 800-38D), with nonces of 12 bytes and tags of 16.

use crate::aes::{Aes, Loaded, TOGETHER};
use crate::ghash::{HashKey, ghash};
use crate::lanes::Lanes;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub const NONCE_LEN: usize = 12;
pub const TAG_LEN: usize = 16;

/// Bytes of the longest text: 2^32 - 2 blocks, so that the counter of 32 bits never comes round (section 5.2.1.1).
pub const MAX_TEXT_LEN: u64 = (1 << 36) - 32;

/// Bytes of the longest associated data: their bits are counted in 64 bits (section 5.2.1.1).
pub const MAX_AAD_LEN: u64 = (1 << 61) - 1;

/// A key that is set up: AES-128 or AES-256. 2.3 kB, wiped when it goes.
///
/// # Nonces
/// Two texts under one key and one nonce tell their sum, and give forgers the hash key. Whoever seals must see to it that a
/// nonce is used once.
pub struct AesGcm {
    aes: Aes,
    hash_key: HashKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("an AES-GCM key has 16 or 32 bytes, not {0}")]
    KeyLength(usize),
    #[error("text or associated data are longer than AES-GCM takes")]
    TooLong,
    #[error("the tag does not verify")]
    Tag,
}

impl AesGcm {
    /// AES-128 by a key of 16 bytes, AES-256 by one of 32.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        let aes = Aes::new(key).ok_or(Error::KeyLength(key.len()))?;
        let h = Zeroizing::new(aes.encrypt_nought());
        Ok(Self {
            hash_key: HashKey::new(&h),
            aes,
        })
    }

    /// Encrypts `text` in place and gives its tag. Untouched where it is too long.
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Result<[u8; TAG_LEN], Error> {
        limit(aad, text)?;
        let first = self.aes.first_keystream(nonce);
        self.apply(nonce, &first, text);
        Ok(ghash(&self.hash_key, aad, text).xor(first[0]).store())
    }

    /// Decrypts `text` in place, once the tag has verified: until then, and where it does not, `text` is not touched.
    pub fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), Error> {
        limit(aad, text)?;
        let first = self.aes.first_keystream(nonce);
        let wanted = ghash(&self.hash_key, aad, text).xor(first[0]).store();
        if !bool::from(wanted.ct_eq(tag)) {
            return Err(Error::Tag);
        }
        self.apply(nonce, &first, text);
        Ok(())
    }

    /// Adds the keystream, whose first block is the tag's (section 7.1): so `first`, of the counters 1 to 4, has three
    /// blocks for the text. Not inlined, as it is most of the code and a browser should load it once.
    #[inline(never)]
    fn apply(&self, nonce: &[u8; NONCE_LEN], first: &[Lanes; TOGETHER], text: &mut [u8]) {
        let (start, rest) = text.split_at_mut(text.len().min(16 * (TOGETHER - 1)));
        add(&first[1..], start);
        if rest.is_empty() {
            return;
        }
        let tables = Loaded::new();
        let mut counter = 1;
        let (groups, end) = rest.as_chunks_mut::<{ 16 * TOGETHER }>();
        for group in groups {
            counter += TOGETHER as u32;
            let keystream = self.aes.keystream(&tables, nonce, counter);
            for (block, keystream) in group.as_chunks_mut::<16>().0.iter_mut().zip(keystream) {
                *block = Lanes::load(block).xor(keystream).store();
            }
        }
        if !end.is_empty() {
            counter += TOGETHER as u32;
            add(&self.aes.keystream(&tables, nonce, counter), end);
        }
    }
}

/// To as much text as there is.
fn add(keystream: &[Lanes], text: &mut [u8]) {
    for (block, keystream) in text.chunks_mut(16).zip(keystream) {
        for (byte, key) in block.iter_mut().zip(keystream.store()) {
            *byte ^= key;
        }
    }
}

fn limit(aad: &[u8], text: &[u8]) -> Result<(), Error> {
    if text.len() as u64 > MAX_TEXT_LEN || aad.len() as u64 > MAX_AAD_LEN {
        return Err(Error::TooLong);
    }
    Ok(())
}

impl core::fmt::Debug for AesGcm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AesGcm(secret)")
    }
}
