//! VP8: a frame header that says key or delta, and nothing else (RFC 6386 section 9.1).
//!
//! Receivers without the Dependency Descriptor read the key frame bit and, on key frames, the start code and the size
//! from the payload; a size must be there and means nothing, as the decoder gets the real one.

use std::ops::Range;

use super::{FrameType, Shell, ShellError};

/// Frame tag (key, version 0, shown, empty first partition), start code `9d 01 2a`, 320 x 180.
pub(super) const KEY: [u8; 10] = [0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];

/// The frame tag's first byte, with the bit that says delta.
pub(super) const DELTA: [u8; 1] = [0x11];

pub(super) const FIRST_OF_KEY: u8 = KEY[0];
pub(super) const FIRST_OF_DELTA: u8 = DELTA[0];

pub(super) fn head(frame_type: FrameType) -> &'static [u8] {
    match frame_type {
        FrameType::Key => &KEY,
        FrameType::Delta => &DELTA,
    }
}

pub(super) fn strip(frame: &[u8]) -> Result<(Shell, Range<usize>), ShellError> {
    let frame_type = if frame[0] == FIRST_OF_KEY {
        FrameType::Key
    } else {
        FrameType::Delta
    };
    let head = head(frame_type);
    match frame.get(..head.len()) {
        None => Err(ShellError::Truncated),
        Some(found) if found != head => Err(ShellError::NotCanonical),
        Some(_) => Ok((Shell::Vp8(frame_type), head.len()..frame.len())),
    }
}
