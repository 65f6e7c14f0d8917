//! The `sframe` crate on ring, with its replay protection and buffers that are used again.

use std::hint::black_box;

use sframe::CipherSuite;
use sframe::frame::validation::{ReplayAttackProtection, Tolerance};
use sframe::frame::{EncryptedFrameView, MediaFrameView, MonotonicCounter};
use sframe::key::{DecryptionKey, EncryptionKey};

use crate::Sample;
use crate::contender::{Contender, plaintext};

/// As ours has it for the camera of leaf 1.
const KID: u64 = 0x59;

const METADATA: [u8; 2] = [1, 0x11];

pub(crate) struct SframeCrate {
    sealing: EncryptionKey,
    opening: DecryptionKey,
    counter: MonotonicCounter,
    window: ReplayAttackProtection,
    plain: Vec<u8>,
    sealed: Vec<Vec<u8>>,
    opened: Vec<u8>,
}

impl SframeCrate {
    pub(crate) fn new(sample: Sample) -> Self {
        let suite = CipherSuite::AesGcm128Sha256;
        SframeCrate {
            sealing: EncryptionKey::derive_from(suite, KID, [7; 16]).expect("a key is derived"),
            opening: DecryptionKey::derive_from(suite, KID, [7; 16]).expect("a key is derived"),
            counter: MonotonicCounter::new(u64::MAX),
            window: ReplayAttackProtection::new(KID, Tolerance::new(1_024)),
            plain: plaintext(sample.len),
            sealed: Vec::new(),
            opened: Vec::new(),
        }
    }
}

impl Contender for SframeCrate {
    fn prepare_seal(&mut self, frames: usize) {
        self.sealed.resize_with(frames, Vec::new);
    }

    fn seal(&mut self) {
        for sealed in &mut self.sealed {
            let frame = MediaFrameView::try_with_meta_data(&mut self.counter, &self.plain, &METADATA);
            let frame = frame.expect("there are counters left");
            assert!(frame.encrypt_into(&self.sealing, sealed).is_ok());
            black_box(sealed);
        }
    }

    fn prepare_open(&mut self, frames: usize) {
        self.prepare_seal(frames);
        self.seal();
    }

    fn open(&mut self) {
        for sealed in &self.sealed {
            // Metadata lies in front of what it makes.
            let (metadata, sealed) = sealed.split_at(METADATA.len());
            let frame = EncryptedFrameView::try_with_meta_data(sealed, metadata).expect("the header is good");
            assert!(
                frame
                    .validated_decrypt_into(&self.opening, &mut self.opened, &mut self.window)
                    .is_ok()
            );
            black_box(&mut self.opened);
        }
    }
}
