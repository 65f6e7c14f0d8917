//! H.265: as H.264, with a VPS too and NAL unit headers of two bytes.
//!
//! Checked by unit tests only: no browser at hand encodes it.

use super::FrameType;

/// Start code and VPS, start code and SPS (main profile, level 3.1, 320 x 180), start code and PPS, start code, NAL
/// unit header of type 19 (IDR_W_RADL), slice header: first slice of the picture, output of prior pictures allowed,
/// PPS 0, I slice. `tests::the_parameter_sets_say_what_they_should` spells the fields out.
const KEY: &[u8] = &[
    0x00, 0x00, 0x00, 0x01, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, //
    0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5d, 0xac, 0x09, //
    0x00, 0x00, 0x00, 0x01, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03, 0x00, //
    0x00, 0x03, 0x00, 0x5d, 0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x79, 0x6b, 0x92, 0x4c, 0x20, 0x80, //
    0x00, 0x00, 0x00, 0x01, 0x44, 0x01, 0xc0, 0x71, 0x80, 0x12, //
    0x00, 0x00, 0x00, 0x01, 0x26, 0x01, 0xac,
];

/// Start code, NAL unit header of type 1 (TRAIL_R), slice header: first slice of the picture, PPS 0, P slice.
const DELTA: [u8; 7] = [0x00, 0x00, 0x00, 0x01, 0x02, 0x01, 0xd0];

pub(super) fn head(frame_type: FrameType) -> &'static [u8] {
    match frame_type {
        FrameType::Key => KEY,
        FrameType::Delta => &DELTA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::bits::Bits;

    /// profile_tier_level, H.265 section 7.3.3: main profile, main tier, level 3.1, progressive, frames only.
    fn profile(bits: &mut Bits) {
        bits.u(2, 0)
            .u(1, 0)
            .u(5, 1)
            .u(32, 0x6000_0000)
            .u(4, 0b1011)
            .u(43, 0)
            .u(1, 0)
            .u(8, 93);
    }

    /// H.265 sections 7.3.2.1 to 7.3.2.3 and 7.3.6.1.
    #[test]
    fn the_parameter_sets_say_what_they_should() {
        let mut vps = Bits::default();
        vps.u(16, 0x4001)
            .u(4, 0)
            .u(2, 0b11)
            .u(6, 0)
            .u(3, 0)
            .u(1, 1)
            .u(16, 0xffff); // one layer, one sublayer
        profile(&mut vps);
        vps.u(1, 1).ue(1).ue(0).ue(0).u(6, 0).ue(0).u(1, 0).u(1, 0); // two pictures, none reordered
        let mut sps = Bits::default();
        sps.u(16, 0x4201).u(4, 0).u(3, 0).u(1, 1);
        profile(&mut sps);
        sps.ue(0).ue(1).ue(320).ue(184).u(1, 1).ue(0).ue(0).ue(0).ue(4 / 2); // 4:2:0, cropped to 180 lines
        sps.ue(0).ue(0).ue(4).u(1, 1).ue(1).ue(0).ue(0); // 8 bit, 8-bit POC, two pictures, none reordered
        sps.ue(0).ue(3).ue(0).ue(3).ue(0).ue(0).u(4, 0).ue(0).u(5, 0); // block sizes, and every tool off
        let mut pps = Bits::default();
        pps.u(16, 0x4401)
            .ue(0)
            .ue(0)
            .u(7, 0)
            .ue(0)
            .ue(0)
            .ue(0)
            .u(3, 0)
            .ue(0)
            .ue(0)
            .u(10, 0)
            .ue(0)
            .u(2, 0);
        let mut slice = Bits::default();
        slice.u(16, 19 << 9 | 1).u(1, 1).u(1, 0).ue(0).ue(2).u(2, 0);
        let mut expected = [vps.into_nal_unit(), sps.into_nal_unit(), pps.into_nal_unit()].concat();
        expected.extend([0, 0, 0, 1]);
        expected.extend(&slice.with_trailing_bits()[..3]);
        assert_eq!(KEY, expected, "{expected:02x?}");

        let mut slice = Bits::default();
        slice.u(16, 1 << 9 | 1).u(1, 1).ue(0).ue(1).u(3, 0);
        assert_eq!(DELTA[4..], slice.with_trailing_bits()[..3]);
    }
}
