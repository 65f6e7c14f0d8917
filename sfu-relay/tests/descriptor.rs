//! The Dependency Descriptor as encoders write it.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "common/bits.rs"]
mod bits;

use bits::Bits;
use proptest::prelude::*;
use sfu_relay::dd::Descriptor;

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
    assert!(structure.templates[0].differences.is_empty());
    assert_eq!(structure.templates[3].differences, [1, 2, 3]);
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

#[test]
fn a_frame_that_overrides_its_template_is_read_under_the_structure_in_force() {
    let structure = Descriptor::parse(&l2t2()).unwrap().structure.unwrap();
    let mut bits = Bits::default().put(0b11, 2).put(62, 6).put(7, 16);
    bits = bits.put(0, 1).put(1, 1).put(0b111, 3); // no structure; active targets, custom indications, differences and chains
    bits = bits.put(0b0011, 4);
    for indication in [0, 1, 2, 3] {
        bits = bits.put(indication, 2);
    }
    bits = bits.put(1, 2).put(4, 4).put(3, 2).put(999, 12).put(0, 2);
    let bytes = bits.put(0x55, 8).put(0x55, 8).bytes();

    let under = Descriptor::parse_under(&bytes, Some(&structure)).unwrap();
    assert_eq!(under.active_decode_targets, Some(0b0011));
    assert_eq!(under.custom_indications, Some(vec![0, 1, 2, 3]));
    assert_eq!(under.custom_differences, Some(vec![5, 1_000]));
    // Without it the frame's own facts cannot be read; its number and bounds can.
    let alone = Descriptor::parse(&bytes).unwrap();
    assert_eq!((alone.frame_number, alone.active_decode_targets), (7, None));
    assert_eq!((alone.custom_indications, alone.custom_differences), (None, None));
    // Cut inside what is read.
    for end in 4..8 {
        assert_eq!(Descriptor::parse_under(&bytes[..end], Some(&structure)), None, "{end}");
    }
}

proptest! {
    #[test]
    fn no_descriptor_panics_or_says_more_than_its_structure_allows(
        at in 0..40_usize, with in any::<u8>(), cut in 0..40_usize, tail in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let structure = Descriptor::parse(&l2t2()).unwrap().structure.unwrap();
        let mut bytes = l2t2();
        bytes.truncate(cut.max(3));
        bytes.extend(tail);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= with;
        }
        for in_force in [None, Some(&structure)] {
            let Some(descriptor) = Descriptor::parse_under(&bytes, in_force) else { continue };
            let structure = descriptor.structure.as_ref().or(in_force);
            for template in structure.into_iter().flat_map(|structure| &structure.templates) {
                prop_assert_eq!(Some(template.indications.len()), structure.map(|s| usize::from(s.decode_targets)));
                prop_assert!(template.spatial < 8 && template.temporal < 8);
            }
            if let Some(custom) = &descriptor.custom_indications {
                prop_assert_eq!(Some(custom.len()), structure.map(|s| usize::from(s.decode_targets)));
            }
        }
    }
}
