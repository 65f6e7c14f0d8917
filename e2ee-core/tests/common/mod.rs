//! What the media tests share: two clients in one group, and every way to seal.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use e2ee_core::media::{Codec, DropReason, FrameType, MediaEpoch, MediaKeys, MediaKind, Opened, Outcome, StreamKind};
use e2ee_core::sframe::{CipherSuite, Secret};
use e2ee_core::time::UnixMillis;

pub const NOW: UnixMillis = UnixMillis(1_000_000);

pub const SUITE: CipherSuite = CipherSuite::Aes128GcmSha256_128;

/// Every codec with a stream that it belongs on.
pub const CODECS: [(Codec, StreamKind); 6] = [
    (Codec::Opus, StreamKind::Microphone),
    (Codec::Vp8, StreamKind::Camera),
    (Codec::Vp9, StreamKind::Camera),
    (Codec::Av1, StreamKind::ScreenVideo),
    (Codec::H264, StreamKind::Camera),
    (Codec::H265, StreamKind::Camera),
];

pub const FRAME_TYPES: [FrameType; 2] = [FrameType::Key, FrameType::Delta];

pub fn at(millis: u64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

/// An epoch of a group of three: leaf 0, 1 and 2, in a tree of four.
pub fn epoch(number: u64, own_leaf: u32) -> MediaEpoch {
    epoch_of(number, own_leaf, 4, &[0, 1, 2])
}

pub fn epoch_of(number: u64, own_leaf: u32, leaf_count: u32, members: &[u32]) -> MediaEpoch {
    let base_key: Vec<u8> = (0..16)
        .map(|i| (number as u8).wrapping_mul(31).wrapping_add(i))
        .collect();
    MediaEpoch {
        epoch: number,
        base_key: Secret::new(base_key),
        leaf_count,
        own_leaf,
        members: members.iter().copied().collect(),
    }
}

/// A member that knows epoch `number` and sends in it.
pub fn member(number: u64, own_leaf: u32) -> MediaKeys {
    let mut keys = MediaKeys::new(SUITE).unwrap();
    keys.install_epoch(epoch(number, own_leaf), NOW).unwrap();
    keys.switch_sender(number).unwrap();
    keys
}

/// The leaf 1 of epoch 9 and the leaf 0 that listens to it.
pub fn pair() -> (MediaKeys, MediaKeys) {
    (member(9, 1), member(9, 0))
}

pub fn seal(keys: &mut MediaKeys, stream: StreamKind, codec: Codec, frame_type: FrameType, plain: &[u8]) -> Vec<u8> {
    seal_at(keys, stream, codec, frame_type, plain, NOW)
}

pub fn seal_at(
    keys: &mut MediaKeys,
    stream: StreamKind,
    codec: Codec,
    frame_type: FrameType,
    plain: &[u8],
    now: UnixMillis,
) -> Vec<u8> {
    let mut frame = plain.to_vec();
    keys.seal(stream, codec, frame_type, &mut frame, now).unwrap();
    frame
}

/// A VP8 delta frame from the camera, which most tests are content with.
pub fn camera(keys: &mut MediaKeys, plain: &[u8]) -> Vec<u8> {
    seal(keys, StreamKind::Camera, Codec::Vp8, FrameType::Delta, plain)
}

/// Opens a copy.
pub fn open(
    keys: &mut MediaKeys,
    kind: MediaKind,
    frame: &[u8],
    now: UnixMillis,
) -> Result<(Opened, Vec<u8>), DropReason> {
    let mut frame = frame.to_vec();
    match keys.open(kind, &mut frame, now) {
        Outcome::Opened(opened) => Ok((opened, frame)),
        Outcome::Dropped(reason) => {
            assert!(frame.is_empty(), "a dropped frame is emptied");
            Err(reason)
        }
        Outcome::Early(ticket) => panic!("the frame waits as {ticket:?}"),
    }
}

/// Deterministic bytes that look random.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Whether the long variants are asked for (`CONCLAVE_LONG=1`).
pub fn long() -> bool {
    std::env::var_os("CONCLAVE_LONG").is_some_and(|value| value == "1")
}

/// What of a receiver could grow or change.
pub fn state(keys: &MediaKeys) -> (usize, (usize, usize), Option<u64>, u64) {
    (
        keys.keys_held(),
        keys.waiting(),
        keys.newest_epoch(),
        keys.stats().opened,
    )
}
