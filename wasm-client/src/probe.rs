//! How fast this engine seals, for the worker to compare with WebCrypto: frames of anything under a key of zeros, which are thrown
//! away. Nothing of a meeting is in it.

use e2ee_core::media::{Codec, FrameType, HEADROOM, LeafSet, MediaEpoch, MediaKeys, StreamKind};
use e2ee_core::sframe::{CipherSuite, Secret};
use e2ee_core::time::UnixMillis;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

#[wasm_bindgen]
pub struct Probe {
    media: MediaKeys,
    frame: Vec<u8>,
}

const EPOCH: u64 = 1;
const NOW: UnixMillis = UnixMillis(0);

#[wasm_bindgen]
impl Probe {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Result<Probe, JsError> {
        let suite = CipherSuite::Aes128GcmSha256_128;
        let mut media = MediaKeys::new(suite)?;
        let epoch = MediaEpoch {
            epoch: EPOCH,
            base_key: Secret::new(vec![0; suite.key_len()]),
            leaf_count: 1,
            own_leaf: 0,
            members: LeafSet::from_iter([0]),
        };
        media.install_epoch(epoch, NOW)?;
        media.switch_sender(EPOCH)?;
        Ok(Probe {
            media,
            frame: Vec::new(),
        })
    }

    /// Seals one frame of so many bytes, whatever they are.
    pub fn seal(&mut self, len: usize) -> bool {
        self.frame.resize(HEADROOM + len, 0);
        let (stream, codec, frame_type) = (StreamKind::Camera, Codec::Vp9, FrameType::Delta);
        self.media
            .seal_with_headroom(stream, codec, frame_type, &mut self.frame, HEADROOM, NOW)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_seals_a_frame_of_the_length_that_was_asked_for() {
        let mut probe = Probe::new().ok().unwrap();
        for len in [0, 1, 1_200, 1_200, 7] {
            assert!(probe.seal(len));
            assert!(probe.frame.len() >= HEADROOM + len + 16);
        }
    }
}
