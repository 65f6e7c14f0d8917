//! Beside RustCrypto's `aes-gcm`: the same bytes, and each opens what the other sealed.

use aes_gcm::aead::{AeadInOut, KeyInit, inout::InOutBuf};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use vector_aes::{AesGcm, NONCE_LEN, TAG_LEN};

pub fn at_every_length() {
    for length in 0..=600 {
        for key_length in [16, 32] {
            agree_on(length as u64, key_length, length % 41, length);
        }
    }
}

pub fn around_borders() {
    for border in (256..=4_096).step_by(256) {
        for length in border - 17..=border + 17 {
            agree_on(length as u64, 16, 17, length);
        }
    }
}

pub fn with_every_aad() {
    for aad in 0..=200 {
        for text in [0, 1, 48, 64] {
            agree_on(aad as u64, 16, aad, text);
        }
    }
}

pub fn a_million_bytes() {
    agree_on(1, 16, 20, 1 << 20);
    agree_on(2, 32, 1 << 16, (1 << 18) + 5);
}

pub fn under_many_keys() {
    for seed in 0..1_000 {
        let lengths = Bytes(seed + 5_000).take(4);
        let (aad, text) = (
            usize::from(lengths[0]),
            usize::from(lengths[1]) * (1 + usize::from(lengths[2]) % 8),
        );
        agree_on(seed, if lengths[3] < 128 { 16 } else { 32 }, aad, text);
    }
}

fn agree_on(seed: u64, key_length: usize, aad: usize, text: usize) {
    let mut bytes = Bytes(seed);
    let key = bytes.take(key_length);
    let nonce = bytes.take(NONCE_LEN).try_into().expect("as many as asked for");
    agree(&key, &nonce, &bytes.take(aad), &bytes.take(text));
}

/// Panics where the two differ in a byte, or do not open what was sealed.
pub fn agree(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], plain: &[u8]) {
    let ours = AesGcm::new(key).expect("a key");
    let theirs = Theirs::new(key);
    let (mut a, mut b) = (plain.to_vec(), plain.to_vec());
    let tag = ours.seal(nonce, aad, &mut a).expect("not too long");
    assert_eq!(
        tag,
        theirs.seal(nonce, aad, &mut b),
        "{} and {}",
        aad.len(),
        plain.len()
    );
    assert!(a == b, "{} and {}", aad.len(), plain.len());
    assert_eq!(ours.open(nonce, aad, &mut b, &tag), Ok(()));
    assert!(theirs.open(nonce, aad, &mut a, &tag));
    assert!(a == plain && b == plain);
}

/// Large, and there are only a few.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Theirs {
    Aes128(Aes128Gcm),
    Aes256(Aes256Gcm),
}

impl Theirs {
    pub(crate) fn new(key: &[u8]) -> Self {
        match Aes128Gcm::new_from_slice(key) {
            Ok(key) => Self::Aes128(key),
            Err(_) => Self::Aes256(Aes256Gcm::new_from_slice(key).expect("16 or 32 bytes")),
        }
    }

    pub(crate) fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let (nonce, text) = ((*nonce).into(), InOutBuf::from(text));
        match self {
            Self::Aes128(key) => key.encrypt_inout_detached(&nonce, aad, text),
            Self::Aes256(key) => key.encrypt_inout_detached(&nonce, aad, text),
        }
        .expect("not too long")
        .into()
    }

    pub(crate) fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        let (nonce, tag, text) = ((*nonce).into(), (*tag).into(), InOutBuf::from(text));
        match self {
            Self::Aes128(key) => key.decrypt_inout_detached(&nonce, aad, text, &tag),
            Self::Aes256(key) => key.decrypt_inout_detached(&nonce, aad, text, &tag),
        }
        .is_ok()
    }
}

/// Bytes by xorshift64*, the same from the same seed.
pub(crate) struct Bytes(pub(crate) u64);

impl Bytes {
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> u8 {
        let mut state = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.0 = state;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8
    }
}
