//! The same on an array.

use core::array::from_fn;

#[derive(Clone, Copy)]
pub(crate) struct Lanes([u8; 16]);

impl Lanes {
    pub(crate) const NOUGHT: Self = Self([0; 16]);

    pub(crate) fn load(bytes: &[u8; 16]) -> Self {
        Self(*bytes)
    }

    pub(crate) fn store(self) -> [u8; 16] {
        self.0
    }

    /// The first byte is the word's least.
    pub(crate) const fn from_word(word: u128) -> Self {
        Self(word.to_le_bytes())
    }

    pub(crate) fn to_word(self) -> u128 {
        u128::from_le_bytes(self.0)
    }

    /// The word four times, its least byte first.
    pub(crate) fn repeat(word: u32) -> Self {
        Self::words([word; 4])
    }

    /// Four words, each with its least byte first.
    pub(crate) fn words(words: [u32; 4]) -> Self {
        Self(from_fn(|i| words[i / 4].to_le_bytes()[i % 4]))
    }

    pub(crate) fn to_words(self) -> [u32; 4] {
        let word = self.to_word();
        [
            word as u32,
            (word >> 32) as u32,
            (word >> 64) as u32,
            (word >> 96) as u32,
        ]
    }

    pub(crate) fn xor(self, other: Self) -> Self {
        Self(from_fn(|i| self.0[i] ^ other.0[i]))
    }

    pub(crate) fn low_nibbles(self) -> Self {
        Self(self.0.map(|byte| byte & 15))
    }

    pub(crate) fn high_nibbles(self) -> Self {
        Self(self.0.map(|byte| byte >> 4))
    }

    /// `self[index]`, byte by byte; nought where the index is above 15. All of the table is read whatever the index.
    pub(crate) fn look_up(self, index: Self) -> Self {
        Self(index.0.map(|index| {
            (0..16).fold(0, |found, i| {
                // All ones where `i` is the index: only then does the subtraction borrow.
                let here = ((u16::from(i ^ index)).wrapping_sub(1) >> 8) as u8;
                found | (self.0[usize::from(i)] & here)
            })
        }))
    }

    /// Bytes 0 to 7 of each in turn.
    pub(crate) fn interleave_low_bytes(self, odd: Self) -> Self {
        Self(from_fn(|i| if i % 2 == 0 { self.0[i / 2] } else { odd.0[i / 2] }))
    }

    /// Bytes 8 to 15 of each in turn.
    pub(crate) fn interleave_high_bytes(self, odd: Self) -> Self {
        Self(from_fn(|i| {
            if i % 2 == 0 {
                self.0[8 + i / 2]
            } else {
                odd.0[8 + i / 2]
            }
        }))
    }

    /// Bytes 0 to 7 of each in turn, two at a time.
    pub(crate) fn interleave_low_pairs(self, odd: Self) -> Self {
        Self(from_fn(|i| {
            if i % 4 < 2 {
                self.0[i / 4 * 2 + i % 2]
            } else {
                odd.0[i / 4 * 2 + i % 2]
            }
        }))
    }

    /// Bytes 8 to 15 of each in turn, two at a time.
    pub(crate) fn interleave_high_pairs(self, odd: Self) -> Self {
        Self(from_fn(|i| {
            if i % 4 < 2 {
                self.0[8 + i / 4 * 2 + i % 2]
            } else {
                odd.0[8 + i / 4 * 2 + i % 2]
            }
        }))
    }

    /// Moved up by one byte; the last byte of `before` comes in at the bottom.
    pub(crate) fn after_last_of(self, before: Self) -> Self {
        Self(from_fn(|i| if i == 0 { before.0[15] } else { self.0[i - 1] }))
    }
}
