//! Sixteen bytes that are worked on side by side: `v128` where WebAssembly has it, an array of the same meaning elsewhere.
//!
//! The array is for tests on the machine that builds, and is not fast.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) use portable::Lanes;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm::Lanes;

/// Columns for rows: byte `j` of vector `i` becomes byte `i` of vector `j`.
///
/// Each of the four shuffles moves the bits of an index `(i, j)` round by one.
pub(crate) fn transpose(mut rows: [Lanes; 16]) -> [Lanes; 16] {
    for _ in 0..4 {
        let mut next = rows;
        for i in 0..8 {
            next[2 * i] = rows[i].interleave_low_bytes(rows[i + 8]);
            next[2 * i + 1] = rows[i].interleave_high_bytes(rows[i + 8]);
        }
        rows = next;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(from: u8) -> Lanes {
        Lanes::load(&core::array::from_fn(|i| from.wrapping_add(i as u8)))
    }

    #[test]
    fn an_index_above_fifteen_looks_up_nought() {
        let table = counting(0xA0);
        let index = Lanes::load(&[0, 15, 16, 17, 31, 32, 127, 128, 255, 1, 2, 3, 0x8F, 0x80, 14, 0]);
        assert_eq!(
            table.look_up(index).store(),
            [0xA0, 0xAF, 0, 0, 0, 0, 0, 0, 0, 0xA1, 0xA2, 0xA3, 0, 0, 0xAE, 0xA0]
        );
    }

    #[test]
    fn nibbles_interleaving_and_shifting_are_what_they_say() {
        let bytes = counting(0x5B);
        let (low, high) = (bytes.low_nibbles().store(), bytes.high_nibbles().store());
        for i in 0..16 {
            assert_eq!((low[i], high[i]), (bytes.store()[i] & 15, bytes.store()[i] >> 4));
        }
        let (a, b) = (counting(0), counting(16));
        assert_eq!(a.interleave_low_bytes(b).store()[..5], [0, 16, 1, 17, 2]);
        assert_eq!(a.interleave_high_bytes(b).store()[..5], [8, 24, 9, 25, 10]);
        assert_eq!(a.interleave_low_pairs(b).store()[..6], [0, 1, 16, 17, 2, 3]);
        assert_eq!(a.interleave_high_pairs(b).store()[..6], [8, 9, 24, 25, 10, 11]);
        assert_eq!(a.after_last_of(b).store()[..4], [31, 0, 1, 2]);
        assert_eq!(a.xor(b).store(), [16; 16]);
        assert_eq!(Lanes::from_word(a.to_word()).store(), a.store());
        assert_eq!(a.to_word().to_le_bytes(), a.store());
        assert_eq!(Lanes::NOUGHT.store(), [0; 16]);
        assert_eq!(
            Lanes::repeat(0x0403_0201).store(),
            [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]
        );
        assert_eq!(
            Lanes::words([1, 0x0203_0405, 0, 0xFF00_0000]).store(),
            [1, 0, 0, 0, 5, 4, 3, 2, 0, 0, 0, 0, 0, 0, 0, 255]
        );
    }

    #[test]
    fn a_transposed_square_has_its_columns_as_rows() {
        let rows: [Lanes; 16] = core::array::from_fn(|i| counting(16 * i as u8));
        for (j, row) in transpose(rows).iter().enumerate() {
            for (i, byte) in row.store().iter().enumerate() {
                assert_eq!(usize::from(*byte), 16 * i + j);
            }
        }
    }
}
