//! AV1: one OBU of type frame with its size, and on key frames a sequence header OBU before it.
//!
//! The packetizer splits a frame into OBUs and sets the N bit, from which receivers without the Dependency Descriptor
//! tell a key frame, only where the first OBU is a sequence header. The depacketizer writes every OBU's size anew as a
//! minimal LEB128, so the minimal form is also what arrives.

use std::ops::Range;

use super::{FrameType, Shell, ShellError};

/// OBU header (type 1, size present), its size, and the least sequence header there is: main profile, level 2.0,
/// 320 x 180, every tool off, 8-bit 4:2:0. `tests::the_sequence_header_says_what_it_should` spells it out.
const SEQUENCE_HEADER: [u8; 12] = [0x0a, 0x0a, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0x01, 0x80, 0x08];

/// OBU header of type 6 (frame) with the size present.
const FRAME_OBU: u8 = 0x32;

pub(super) const FIRST_OF_KEY: u8 = SEQUENCE_HEADER[0];
pub(super) const FIRST_OF_DELTA: u8 = FRAME_OBU;

/// LEB128 of what a 32-bit size needs; AV1 allows no larger one (AV1 specification section 4.10.5).
const MAX_SIZE_LEN: usize = 5;

pub(super) fn head_len(frame_type: FrameType, sealed_len: usize) -> usize {
    constant(frame_type).len() + 1 + leb128_len(sealed_len)
}

pub(super) fn write_head(frame_type: FrameType, frame: &mut [u8], room: usize) {
    let constant = constant(frame_type);
    let mut size = frame.len() - room;
    let (head, _) = frame.split_at_mut(room);
    let (start, rest) = head.split_at_mut(constant.len());
    start.copy_from_slice(constant);
    rest[0] = FRAME_OBU;
    let last = rest.len() - 1;
    for (i, byte) in rest[1..].iter_mut().enumerate() {
        *byte = (size & 0x7f) as u8 | if i + 1 < last { 0x80 } else { 0 };
        size >>= 7;
    }
}

pub(super) fn strip(frame: &[u8]) -> Result<(Shell, Range<usize>), ShellError> {
    let frame_type = if frame[0] == FIRST_OF_KEY {
        FrameType::Key
    } else {
        FrameType::Delta
    };
    let constant = constant(frame_type);
    let found = frame.get(..constant.len()).ok_or(ShellError::Truncated)?;
    if found != constant {
        return Err(ShellError::NotCanonical);
    }
    let mut at = constant.len();
    match frame.get(at) {
        None => return Err(ShellError::Truncated),
        Some(&FRAME_OBU) => at += 1,
        Some(_) => return Err(ShellError::NotCanonical),
    }
    let (size, size_len) = read_leb128(&frame[at..])?;
    at += size_len;
    match (frame.len() - at) as u64 {
        rest if rest < size => Err(ShellError::Truncated),
        rest if rest > size => Err(ShellError::TrailingBytes),
        _ => Ok((Shell::Av1(frame_type), at..frame.len())),
    }
}

fn constant(frame_type: FrameType) -> &'static [u8] {
    match frame_type {
        FrameType::Key => &SEQUENCE_HEADER,
        FrameType::Delta => &[],
    }
}

fn leb128_len(value: usize) -> usize {
    value.checked_ilog2().unwrap_or(0) as usize / 7 + 1
}

/// SHEL-2: shortest form only, which means that the last byte is not zero unless it is the only one.
fn read_leb128(bytes: &[u8]) -> Result<(u64, usize), ShellError> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(MAX_SIZE_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return if byte == 0 && i > 0 {
                Err(ShellError::NotCanonical)
            } else {
                Ok((value, i + 1))
            };
        }
    }
    Err(if bytes.len() < MAX_SIZE_LEN {
        ShellError::Truncated
    } else {
        ShellError::NotCanonical
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::bits::Bits;

    /// AV1 specification section 5.5, field by field.
    #[test]
    fn the_sequence_header_says_what_it_should() {
        let mut bits = Bits::default();
        bits.u(3, 0).u(1, 0).u(1, 0); // seq_profile main, still_picture, reduced_still_picture_header
        bits.u(1, 0).u(1, 0); // timing_info_present_flag, initial_display_delay_present_flag
        bits.u(5, 0).u(12, 0).u(5, 0); // one operating point, idc 0, level 2.0
        bits.u(4, 8).u(4, 7).u(9, 320 - 1).u(8, 180 - 1); // width and height, each with its number of bits
        bits.u(1, 0); // frame_id_numbers_present_flag
        bits.u(1, 0).u(1, 0).u(1, 0); // 128x128 superblock, filter_intra, intra_edge_filter
        bits.u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0); // interintra, masked, warped, dual_filter, order_hint
        bits.u(1, 1).u(1, 1); // seq_choose_screen_content_tools, seq_choose_integer_mv
        bits.u(1, 0).u(1, 0).u(1, 0); // superres, cdef, restoration
        bits.u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(2, 0).u(1, 0); // color_config: 8 bit, colour, unspecified, 4:2:0
        bits.u(1, 0); // film_grain_params_present
        let payload = bits.with_trailing_bits();
        assert_eq!(SEQUENCE_HEADER[..2], [1 << 3 | 0b10, payload.len() as u8]);
        assert_eq!(SEQUENCE_HEADER[2..], payload);
    }

    #[test]
    fn sizes_are_written_in_their_shortest_form_and_read_back() {
        for size in [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152] {
            let room = head_len(FrameType::Delta, size);
            let mut frame = vec![0xab; room + size];
            write_head(FrameType::Delta, &mut frame, room);
            assert_eq!(
                strip(&frame),
                Ok((Shell::Av1(FrameType::Delta), room..room + size)),
                "{size}"
            );
        }
    }

    #[test]
    fn pf_13_sizes_in_a_longer_form_are_refused() {
        for size in [
            &[0x81, 0x00][..],
            &[0x80, 0x00],
            &[0x81, 0x80, 0x00],
            &[0x81, 0x80, 0x80, 0x80, 0x80, 0x00],
        ] {
            let frame = [&[FRAME_OBU], size, &[0xff]].concat();
            assert_eq!(strip(&frame), Err(ShellError::NotCanonical), "{size:02x?}");
        }
        assert_eq!(strip(&[FRAME_OBU, 0x80]), Err(ShellError::Truncated));
    }
}
