//! The Dependency Descriptor as encoders write it.
#![allow(clippy::unwrap_used)]

use sfu_relay::dd::Descriptor;

/// Bits written one after the other.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(mut self, value: u32, count: u32) -> Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|byte| byte.iter().enumerate().map(|(i, bit)| u8::from(*bit) << (7 - i)).sum())
            .collect()
    }
}

/// Two spatial with two temporal layers each, four decode targets, two chains.
fn l2t2() -> Vec<u8> {
    let mut bits = Bits::default().put(1, 1).put(0, 1).put(61, 6).put(0xABCD, 16);
    bits = bits.put(1, 1).put(1, 1).put(0, 3); // structure and active targets present
    bits = bits.put(60, 6).put(3, 5); // offset 60, four targets
    for next in [1, 2, 1, 3] {
        bits = bits.put(next, 2); // same spatial next temporal; next spatial; next temporal; end
    }
    for template in 0..4u32 {
        for target in 0..4u32 {
            bits = bits.put((template + target) % 4, 2);
        }
    }
    for template in 0..4u32 {
        for difference in 0..template {
            bits = bits.put(1, 1).put(difference, 4);
        }
        bits = bits.put(0, 1);
    }
    // ns(5) of 2 chains: values below 3 take two bits.
    bits = bits.put(2, 2);
    for target in 0..4 {
        bits = bits.put(target / 2, 1); // ns(2)
    }
    for _ in 0..4 * 2 {
        bits = bits.put(5, 4);
    }
    bits = bits.put(1, 1);
    for (width, height) in [(319, 179), (639, 359)] {
        bits = bits.put(width, 16).put(height, 16);
    }
    bits.put(0b0111, 4).bytes()
}

#[test]
fn a_structure_of_two_by_two_layers_is_read_whole() {
    let descriptor = Descriptor::parse(&l2t2()).unwrap();
    assert!(descriptor.start_of_frame && !descriptor.end_of_frame && descriptor.starts_key_frame());
    assert_eq!((descriptor.template_id, descriptor.frame_number), (61, 0xABCD));
    assert_eq!(descriptor.active_decode_targets, Some(0b0111));
    let structure = descriptor.structure.unwrap();
    assert_eq!(structure.decode_targets, 4);
    assert_eq!(structure.resolutions, [(320, 180), (640, 360)]);
    let layers: Vec<(u8, u8)> = structure.templates.iter().map(|t| (t.spatial, t.temporal)).collect();
    assert_eq!(layers, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    assert_eq!(structure.templates[2].indications, [2, 3, 0, 1]);
    // Ids count from the offset, modulo 64.
    assert_eq!(structure.template(61).map(|t| (t.spatial, t.temporal)), Some((0, 1)));
    assert_eq!(structure.template(63).map(|t| (t.spatial, t.temporal)), Some((1, 1)));
    assert_eq!(structure.template(0), None);
}

#[test]
fn a_structure_cut_short_is_refused() {
    let bytes = l2t2();
    for end in 4..bytes.len() - 1 {
        assert_eq!(Descriptor::parse(&bytes[..end]), None, "{end}");
    }
}

#[test]
fn the_three_mandatory_bytes_are_enough_for_a_delta_frame() {
    let descriptor = Descriptor::parse(&[0b0100_0011, 0, 9]).unwrap();
    assert!(!descriptor.start_of_frame && descriptor.end_of_frame && !descriptor.starts_key_frame());
    assert_eq!(
        (descriptor.template_id, descriptor.frame_number, descriptor.structure),
        (3, 9, None)
    );
    assert_eq!(Descriptor::parse(&[0, 0]), None);
}

#[test]
fn a_structure_in_the_middle_of_a_frame_starts_nothing() {
    let mut bytes = l2t2();
    bytes[0] &= 0x7F;
    assert!(!Descriptor::parse(&bytes).unwrap().starts_key_frame());
}
