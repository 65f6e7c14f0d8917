//! The floor: ring's AES-128-GCM with a key that is set up, over as many bytes of associated data, and nothing else.

use std::hint::black_box;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use crate::Sample;
use crate::contender::{Contender, plaintext};

const TAG: usize = 16;

/// A header with a KID of one byte and a counter of two, and the metadata.
const AAD: [u8; 6] = [0x99, 0x58, 0x01, 0x02, 0x01, 0x11];

pub(crate) struct Raw {
    key: LessSafeKey,
    counter: u64,
    plain: Vec<u8>,
    frames: Vec<(u64, Vec<u8>)>,
}

impl Raw {
    pub(crate) fn new(sample: Sample) -> Self {
        let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("the key is of the right length");
        Raw {
            key: LessSafeKey::new(key),
            counter: 0,
            plain: plaintext(sample.len),
            frames: Vec::new(),
        }
    }
}

impl Contender for Raw {
    fn prepare_seal(&mut self, frames: usize) {
        self.frames.resize_with(frames, Default::default);
        for (_, frame) in &mut self.frames {
            frame.clear();
            frame.extend_from_slice(&self.plain);
            frame.extend_from_slice(&[0; TAG]);
        }
    }

    fn seal(&mut self) {
        let len = self.plain.len();
        for (counter, frame) in &mut self.frames {
            self.counter += 1;
            *counter = self.counter;
            let (text, slot) = frame.split_at_mut(len);
            let tag = self
                .key
                .seal_in_place_separate_tag(nonce(*counter), Aad::from(&AAD), text);
            slot.copy_from_slice(tag.expect("the frame is short").as_ref());
            black_box(frame);
        }
    }

    fn prepare_open(&mut self, frames: usize) {
        self.prepare_seal(frames);
        self.seal();
    }

    fn open(&mut self) {
        let len = self.plain.len();
        for (counter, frame) in &mut self.frames {
            let (text, tag) = frame.split_at_mut(len);
            let tag = Tag::try_from(&*tag).expect("a tag has 16 bytes");
            let opened = self
                .key
                .open_in_place_separate_tag(nonce(*counter), Aad::from(&AAD), tag, text, 0..);
            assert!(opened.is_ok());
            black_box(frame);
        }
    }
}

fn nonce(counter: u64) -> Nonce {
    // Put together in registers, as ours is.
    let bytes = (u128::from(counter) << 32).to_be_bytes();
    Nonce::try_assume_unique_for_key(&bytes[..12]).expect("a nonce has 12 bytes")
}
