//! Ours, as the client's worker calls it: SFrame, shell, associated data, epochs and replay window. The worker leaves
//! headroom in front of what it seals, so nothing is moved.

use std::hint::black_box;

use e2ee_core::media::{HEADROOM, MediaEpoch, MediaKeys, Outcome};
use e2ee_core::sframe::{CipherSuite, Secret};
use e2ee_core::time::UnixMillis;

use crate::Sample;
use crate::contender::{Contender, plaintext};

pub(crate) const NOW: UnixMillis = UnixMillis(1_000_000);

pub(crate) struct Ours {
    sample: Sample,
    sender: MediaKeys,
    receiver: MediaKeys,
    plain: Vec<u8>,
    frames: Vec<Vec<u8>>,
    /// Where the sealed frames begin.
    starts: Vec<usize>,
}

impl Ours {
    pub(crate) fn new(sample: Sample) -> Self {
        Ours {
            sample,
            sender: member(4, 1),
            receiver: member(4, 0),
            plain: plaintext(sample.len),
            frames: Vec::new(),
            starts: Vec::new(),
        }
    }
}

impl Contender for Ours {
    fn prepare_seal(&mut self, frames: usize) {
        self.frames.resize_with(frames, Vec::new);
        self.starts.clear();
        self.starts.reserve(frames);
        for frame in &mut self.frames {
            frame.clear();
            frame.resize(HEADROOM, 0);
            frame.extend_from_slice(&self.plain);
            // In the worker's one buffer there is room since the first frame.
            frame.reserve(HEADROOM);
        }
    }

    fn seal(&mut self) {
        let Sample {
            stream,
            codec,
            frame_type,
            ..
        } = self.sample;
        for frame in &mut self.frames {
            let sealed = self
                .sender
                .seal_with_headroom(stream, codec, frame_type, frame, HEADROOM, NOW);
            let Ok((_, start)) = sealed else {
                panic!("a frame is not sealed: {sealed:?}")
            };
            self.starts.push(start);
            black_box(frame);
        }
    }

    fn prepare_open(&mut self, frames: usize) {
        self.prepare_seal(frames);
        self.seal();
        for (frame, start) in self.frames.iter_mut().zip(&self.starts) {
            frame.drain(..*start);
        }
    }

    fn open(&mut self) {
        let kind = self.sample.stream.media_kind();
        for frame in &mut self.frames {
            let outcome = self.receiver.open(kind, frame, NOW);
            assert!(matches!(outcome, Outcome::Opened(_)));
            black_box(frame);
        }
    }
}

/// A member of a group whose leaves are all members.
pub(crate) fn member(leaf_count: u32, own_leaf: u32) -> MediaKeys {
    let epoch = MediaEpoch {
        epoch: 9,
        base_key: Secret::new(BASE_KEY.to_vec()),
        leaf_count,
        own_leaf,
        members: (0..leaf_count).collect(),
    };
    let mut keys = MediaKeys::new(SUITE).expect("the default suite is allowed");
    keys.install_epoch(epoch, NOW).expect("the epoch is the first");
    keys.switch_sender(9).expect("the epoch is installed");
    keys
}

pub(crate) const SUITE: CipherSuite = CipherSuite::Aes128GcmSha256_128;
pub(crate) const BASE_KEY: [u8; 16] = [7; 16];
