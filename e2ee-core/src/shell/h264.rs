//! H.264: one NAL unit, and on key frames a parameter set of each kind before it.
//!
//! Packetizers split at start codes, so the ciphertext is escaped like any NAL unit's content. A key frame is known by
//! its IDR slice and refused without SPS and PPS. Receivers parse the slice header up to its PPS id, which is why a
//! byte of slice header stands in front of the ciphertext.

use super::FrameType;

/// Start code; SPS: constrained baseline, level 3.1, picture order by decoding order, one reference frame, 320 x 180,
/// and VUI that promises no reordering; start code; PPS: CAVLC, all else 0; start code; IDR slice NAL header; slice
/// header: first macroblock 0, I slice, PPS 0.
///
/// The VUI is not optional: libwebrtc's depacketizer adds it to an SPS without, so that another shell would arrive
/// than was sent. `tests::the_parameter_sets_say_what_they_should` spells the fields out.
const KEY: [u8; 32] = [
    0x00, 0x00, 0x00, 0x01, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0x05, 0x06, 0x7e, 0x78, 0x06, 0xd0, 0x44, 0x23, 0x50, //
    0x00, 0x00, 0x00, 0x01, 0x68, 0xce, 0x38, 0x80, //
    0x00, 0x00, 0x00, 0x01, 0x65, 0xb8,
];

/// Start code, non-IDR slice NAL header, slice header: first macroblock 0, P slice, PPS 0.
const DELTA: [u8; 6] = [0x00, 0x00, 0x00, 0x01, 0x61, 0xe0];

pub(super) fn head(frame_type: FrameType) -> &'static [u8] {
    match frame_type {
        FrameType::Key => &KEY,
        FrameType::Delta => &DELTA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::bits::Bits;

    /// H.264 sections 7.3.2.1, 7.3.2.2, E.1.1.
    #[test]
    fn the_parameter_sets_say_what_they_should() {
        let mut sps = Bits::default();
        sps.u(8, 0x67).u(8, 66).u(8, 0xe0).u(8, 31); // NAL header, baseline, constraint sets 0-2, level 3.1
        sps.ue(0).ue(0).ue(2).ue(1).u(1, 0); // SPS 0, 4-bit frame_num, order type 2, one reference, no gaps
        sps.ue(320 / 16 - 1).ue(192 / 16 - 1).u(1, 1).u(1, 1); // macroblocks, frames only, direct 8x8
        sps.u(1, 1).ue(0).ue(0).ue(0).ue(12 / 2); // cropped to 180 lines
        sps.u(1, 1).u(4, 0).u(4, 0); // VUI: no aspect, overscan, signal type, chroma place, timing, HRD x2, structure
        sps.u(1, 1).u(1, 1).ue(2).ue(1).ue(16).ue(16).ue(0).ue(1); // restrictions: no reordering, one buffered
        let mut pps = Bits::default();
        pps.u(8, 0x68).ue(0).ue(0).u(1, 0).u(1, 0).ue(0); // NAL header, PPS 0, SPS 0, CAVLC, one slice group
        pps.ue(0).ue(0).u(1, 0).u(2, 0).ue(0).ue(0).ue(0).u(3, 0); // reference counts, weights, QP, all off
        let mut slice = Bits::default();
        slice.u(8, 0x65).ue(0).ue(2).ue(0).u(3, 0);
        let mut expected = [sps.into_nal_unit(), pps.into_nal_unit()].concat();
        expected.extend([0, 0, 0, 1]);
        expected.extend(&slice.with_trailing_bits()[..2]);
        assert_eq!(KEY[..], expected);

        let mut slice = Bits::default();
        slice.u(8, 0x61).ue(0).ue(0).ue(0).u(5, 0);
        assert_eq!(DELTA[4..], slice.with_trailing_bits()[..2]);
    }
}
