//! What is measured from JavaScript: one frame in WebAssembly's own memory, sealed or opened by each.

use crate::against_aes_gcm::{Bytes, Theirs};
use vector_aes::{AesGcm, NONCE_LEN, TAG_LEN};
use wasm_bindgen::prelude::wasm_bindgen;

/// About as much as a frame's header and facts.
const AAD_LEN: usize = 20;
const NONCE: [u8; NONCE_LEN] = [7; NONCE_LEN];

#[wasm_bindgen]
pub struct Frame {
    ours: AesGcm,
    theirs: Theirs,
    aad: Vec<u8>,
    sealed: Vec<u8>,
    tag: [u8; TAG_LEN],
    /// What is worked on.
    buffer: Vec<u8>,
}

#[wasm_bindgen]
impl Frame {
    /// Of so many bytes, under a key of 16.
    #[wasm_bindgen(constructor)]
    pub fn new(length: usize) -> Self {
        let mut bytes = Bytes(1);
        let key = bytes.take(16);
        let (ours, theirs) = (AesGcm::new(&key).expect("a key"), Theirs::new(&key));
        let (aad, buffer) = (bytes.take(AAD_LEN), bytes.take(length));
        let mut sealed = buffer.clone();
        let tag = theirs.seal(&NONCE, &aad, &mut sealed);
        Self {
            ours,
            theirs,
            aad,
            sealed,
            tag,
            buffer,
        }
    }

    /// In place, again and again: the time is the same whatever the text.
    pub fn seal_ours(&mut self) -> u8 {
        self.ours
            .seal(&NONCE, &self.aad, &mut self.buffer)
            .expect("not too long")[0]
    }

    pub fn seal_theirs(&mut self) -> u8 {
        self.theirs.seal(&NONCE, &self.aad, &mut self.buffer)[0]
    }

    /// With a copy of the sealed frame, since opening leaves none.
    pub fn open_ours(&mut self) -> bool {
        self.buffer.copy_from_slice(&self.sealed);
        self.ours.open(&NONCE, &self.aad, &mut self.buffer, &self.tag).is_ok()
    }

    pub fn open_theirs(&mut self) -> bool {
        self.buffer.copy_from_slice(&self.sealed);
        self.theirs.open(&NONCE, &self.aad, &mut self.buffer, &self.tag)
    }

    /// A key set up anew.
    pub fn key_ours(&mut self) -> bool {
        AesGcm::new(&self.sealed[..16]).is_ok_and(|key| {
            self.ours = key;
            true
        })
    }

    pub fn key_theirs(&mut self) -> bool {
        self.theirs = Theirs::new(&self.sealed[..16]);
        true
    }
}
