//! What must not open, and that nothing is decrypted of it.

use crate::against_aes_gcm::Bytes;
use vector_aes::{AesGcm, Error, NONCE_LEN, TAG_LEN};

struct Sealed {
    key: AesGcm,
    nonce: [u8; NONCE_LEN],
    aad: Vec<u8>,
    text: Vec<u8>,
    tag: [u8; TAG_LEN],
}

impl Sealed {
    fn new(seed: u64, aad: usize, text: usize) -> Self {
        let mut bytes = Bytes(seed);
        let key = AesGcm::new(&bytes.take(16)).expect("a key");
        let nonce = bytes.take(NONCE_LEN).try_into().expect("as many as asked for");
        let (aad, mut text) = (bytes.take(aad), bytes.take(text));
        let tag = key.seal(&nonce, &aad, &mut text).expect("not too long");
        let sealed = Self {
            key,
            nonce,
            aad,
            text,
            tag,
        };
        sealed
            .key
            .open(&sealed.nonce, &sealed.aad, &mut sealed.text.clone(), &sealed.tag)
            .expect("it opens unchanged");
        sealed
    }

    fn must_not_open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &[u8], tag: &[u8; TAG_LEN]) {
        let mut buffer = text.to_vec();
        assert_eq!(self.key.open(nonce, aad, &mut buffer, tag), Err(Error::Tag));
        assert_eq!(buffer, text);
    }
}

pub fn of_every_flipped_bit() {
    for (seed, aad, text) in [(1, 0, 0), (2, 3, 0), (3, 20, 33), (4, 0, 64), (5, 7, 120), (6, 65, 200)] {
        let sealed = Sealed::new(seed, aad, text);
        let Sealed {
            nonce, aad, text, tag, ..
        } = &sealed;
        for bit in 0..8 * TAG_LEN {
            sealed.must_not_open(nonce, aad, text, &flipped(tag, bit).try_into().expect("as long"));
        }
        for bit in 0..8 * text.len() {
            sealed.must_not_open(nonce, aad, &flipped(text, bit), tag);
        }
        for bit in 0..8 * aad.len() {
            sealed.must_not_open(nonce, &flipped(aad, bit), text, tag);
        }
        for bit in 0..8 * NONCE_LEN {
            sealed.must_not_open(&flipped(nonce, bit).try_into().expect("as long"), aad, text, tag);
        }
    }
}

pub fn of_other_lengths() {
    let sealed = Sealed::new(7, 32, 160);
    let Sealed {
        nonce, aad, text, tag, ..
    } = &sealed;
    for length in 0..text.len() {
        sealed.must_not_open(nonce, aad, &text[..length], tag);
        sealed.must_not_open(nonce, aad, &text[length + 1..], tag);
    }
    for length in 0..aad.len() {
        sealed.must_not_open(nonce, &aad[..length], text, tag);
    }
    // Noughts behind, which fill up a block anyway; and bytes that go over from one to the other, whole blocks among them.
    for more in 1..40 {
        sealed.must_not_open(nonce, aad, &[&text[..], &vec![0; more]].concat(), tag);
        sealed.must_not_open(nonce, &[&aad[..], &vec![0; more]].concat(), text, tag);
        sealed.must_not_open(nonce, &[aad, &text[..more]].concat(), &text[more..], tag);
    }
    for less in 1..aad.len() {
        let (stays, goes) = aad.split_at(aad.len() - less);
        sealed.must_not_open(nonce, stays, &[goes, text].concat(), tag);
    }
    let other = Sealed::new(8, 32, 160);
    other.must_not_open(nonce, aad, text, tag);
}

pub fn of_guessed_tags() {
    let sealed = Sealed::new(9, 5, 100);
    let Sealed {
        nonce, aad, text, tag, ..
    } = &sealed;
    let of_nothing = sealed.key.seal(nonce, &[], &mut []).expect("not too long");
    let turned = core::array::from_fn(|i| tag[(i + 1) % TAG_LEN]);
    let backwards = core::array::from_fn(|i| tag[TAG_LEN - 1 - i]);
    for guess in [
        [0; TAG_LEN],
        [0xFF; TAG_LEN],
        of_nothing,
        turned,
        backwards,
        tag.map(|byte| !byte),
    ] {
        sealed.must_not_open(nonce, aad, text, &guess);
    }
    // Differences that cancel out where a comparison adds them up.
    for i in 1..TAG_LEN {
        let mut guess = *tag;
        guess[0] ^= 0x80;
        guess[i] ^= 0x80;
        sealed.must_not_open(nonce, aad, text, &guess);
    }
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}
