//! `v128`, through the safe half of the intrinsics: what takes a pointer is not used.

use core::arch::wasm32::{
    i8x16_shuffle, i16x8_shuffle, u8x16_splat, u8x16_swizzle, u16x8_shr, u32x4, u32x4_splat, u64x2, u64x2_extract_lane,
    v128, v128_and, v128_xor,
};

#[derive(Clone, Copy)]
pub(crate) struct Lanes(v128);

impl Lanes {
    pub(crate) const NOUGHT: Self = Self(u64x2(0, 0));

    /// The compiler makes one `v128.load` of the two halves.
    #[inline(always)]
    pub(crate) fn load(bytes: &[u8; 16]) -> Self {
        Self::from_word(u128::from_le_bytes(*bytes))
    }

    #[inline(always)]
    pub(crate) fn store(self) -> [u8; 16] {
        self.to_word().to_le_bytes()
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: u128) -> Self {
        Self(u64x2(word as u64, (word >> 64) as u64))
    }

    #[inline(always)]
    pub(crate) fn to_word(self) -> u128 {
        let (low, high) = (u64x2_extract_lane::<0>(self.0), u64x2_extract_lane::<1>(self.0));
        u128::from(low) | (u128::from(high) << 64)
    }

    #[inline(always)]
    pub(crate) fn repeat(word: u32) -> Self {
        Self(u32x4_splat(word))
    }

    #[inline(always)]
    pub(crate) fn words(words: [u32; 4]) -> Self {
        Self(u32x4(words[0], words[1], words[2], words[3]))
    }

    #[inline(always)]
    pub(crate) fn to_words(self) -> [u32; 4] {
        let word = self.to_word();
        [
            word as u32,
            (word >> 32) as u32,
            (word >> 64) as u32,
            (word >> 96) as u32,
        ]
    }

    #[inline(always)]
    pub(crate) fn xor(self, other: Self) -> Self {
        Self(v128_xor(self.0, other.0))
    }

    #[inline(always)]
    pub(crate) fn low_nibbles(self) -> Self {
        Self(v128_and(self.0, u8x16_splat(15)))
    }

    /// By pairs of bytes, for which machines have a shift, unlike for bytes.
    #[inline(always)]
    pub(crate) fn high_nibbles(self) -> Self {
        Self(u16x8_shr(self.0, 4)).low_nibbles()
    }

    #[inline(always)]
    pub(crate) fn look_up(self, index: Self) -> Self {
        Self(u8x16_swizzle(self.0, index.0))
    }

    #[inline(always)]
    pub(crate) fn interleave_low_bytes(self, odd: Self) -> Self {
        Self(i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(
            self.0, odd.0,
        ))
    }

    #[inline(always)]
    pub(crate) fn interleave_high_bytes(self, odd: Self) -> Self {
        Self(i8x16_shuffle::<
            8,
            24,
            9,
            25,
            10,
            26,
            11,
            27,
            12,
            28,
            13,
            29,
            14,
            30,
            15,
            31,
        >(self.0, odd.0))
    }

    #[inline(always)]
    pub(crate) fn interleave_low_pairs(self, odd: Self) -> Self {
        Self(i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(self.0, odd.0))
    }

    #[inline(always)]
    pub(crate) fn interleave_high_pairs(self, odd: Self) -> Self {
        Self(i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(self.0, odd.0))
    }

    #[inline(always)]
    pub(crate) fn after_last_of(self, before: Self) -> Self {
        Self(i8x16_shuffle::<
            15,
            16,
            17,
            18,
            19,
            20,
            21,
            22,
            23,
            24,
            25,
            26,
            27,
            28,
            29,
            30,
        >(before.0, self.0))
    }
}
