//! AES (FIPS 197) in counter mode, four blocks at a time.
//!
//! Four blocks lie in four vectors by rows: vector `r` holds row `r` of each block, four bytes a block. MixColumns is then
//! addition of whole vectors, ShiftRows a look-up in three of them, and a round key's row is four bytes, repeated.
//! Between the first and the last round bytes are pairs of nibbles, as `tables` explains.

use crate::NONCE_LEN;
use crate::lanes::Lanes;
use crate::tables::{Pair, SUB_CONSTANT, TABLES, Tables};
use zeroize::{Zeroize, Zeroizing};

pub(crate) const BLOCK: usize = 16;
/// Blocks that are encrypted together.
pub(crate) const TOGETHER: usize = 4;

/// Of AES-256; AES-128 has 10.
const MOST_ROUNDS: usize = 14;

/// The round keys, each a word a row; all but the last as pairs, and all but the first with the constant of SubBytes in them,
/// which MixColumns leaves as it is.
pub(crate) struct Aes {
    round_keys: [RoundKey; MOST_ROUNDS + 1],
    rounds: usize,
}

type RoundKey = [u32; 4];

impl Drop for Aes {
    fn drop(&mut self) {
        self.round_keys.zeroize();
    }
}

impl Aes {
    /// FIPS 197 section 5.2. `None` where the key has neither 16 nor 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let (words, rounds) = match key.len() {
            16 => (4, 10),
            32 => (8, MOST_ROUNDS),
            _ => return None,
        };
        let tables = Loaded::new();
        let mut schedule = Zeroizing::new([0_u32; 4 * (MOST_ROUNDS + 1)]);
        for (word, bytes) in schedule.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut round_constant = 1;
        for i in words..4 * (rounds + 1) {
            let mut word = schedule[i - 1];
            if i % words == 0 {
                word = tables.sub_word(word).rotate_right(8) ^ u32::from(round_constant);
                round_constant = crate::tables::mul(round_constant, 2);
            } else if words == 8 && i % words == 4 {
                word = tables.sub_word(word);
            }
            schedule[i] = schedule[i - words] ^ word;
        }
        let mut aes = Self {
            round_keys: [[0; 4]; MOST_ROUNDS + 1],
            rounds,
        };
        for (round, (key, columns)) in aes.round_keys.iter_mut().zip(schedule.as_chunks::<4>().0).enumerate() {
            let constant = if round == 0 { 0 } else { SUB_CONSTANT };
            for (row, word) in key.iter_mut().enumerate() {
                *word = u32::from_le_bytes(columns.map(|column| column.to_le_bytes()[row] ^ constant));
            }
            if round < rounds {
                *key = tables.to_pairs(Lanes::words(*key)).to_words();
            }
        }
        Some(aes)
    }

    /// The keystream of four blocks: of `nonce || counter`, `nonce || counter + 1` and so on.
    #[inline(always)]
    pub(crate) fn keystream(&self, tables: &Loaded, nonce: &[u8; NONCE_LEN], counter: u32) -> [Lanes; TOGETHER] {
        let counters: [u32; TOGETHER] = core::array::from_fn(|i| counter.wrapping_add(i as u32));
        self.encrypt(
            tables,
            core::array::from_fn(|row| {
                let constant = Lanes::repeat(u32::from_le_bytes([nonce[row], nonce[4 + row], nonce[8 + row], 0]));
                let moving = Lanes::words(counters.map(|counter| counter >> (24 - 8 * row) << 24));
                constant.xor(moving)
            }),
        )
    }

    /// That of the counters 1 to 4.
    pub(crate) fn first_keystream(&self, nonce: &[u8; NONCE_LEN]) -> [Lanes; TOGETHER] {
        self.keystream_alone(nonce, 1)
    }

    /// The block of noughts encrypted: GHASH's key.
    pub(crate) fn encrypt_nought(&self) -> [u8; BLOCK] {
        self.keystream_alone(&[0; NONCE_LEN], 0)[0].store()
    }

    #[inline(never)]
    fn keystream_alone(&self, nonce: &[u8; NONCE_LEN], counter: u32) -> [Lanes; TOGETHER] {
        self.keystream(&Loaded::new(), nonce, counter)
    }

    /// Rows in, blocks out.
    #[inline(always)]
    fn encrypt(&self, tables: &Loaded, rows: [Lanes; 4]) -> [Lanes; TOGETHER] {
        let key = &self.round_keys[0];
        let mut state: [Lanes; 4] = core::array::from_fn(|row| tables.to_pairs(rows[row]).xor(Lanes::repeat(key[row])));
        for key in &self.round_keys[1..self.rounds] {
            state = tables.shift_rows(state);
            let inverses = state.map(|row| tables.invert(row));
            let once = inverses.map(|inverse| inverse.look_up(&tables.sub));
            let twice = inverses.map(|inverse| inverse.look_up(&tables.sub_doubled));
            let sums: [Lanes; 4] = core::array::from_fn(|row| once[row].xor(once[(row + 1) % 4]));
            // 2·s(r) + 3·s(r+1) + s(r+2) + s(r+3)
            state = core::array::from_fn(|row| {
                let next = (row + 1) % 4;
                let doubled = twice[row].xor(twice[next]);
                doubled
                    .xor(once[next])
                    .xor(sums[(row + 2) % 4].xor(Lanes::repeat(key[row])))
            });
        }
        let key = &self.round_keys[self.rounds];
        state = tables.shift_rows(state);
        let state: [Lanes; 4] = core::array::from_fn(|row| {
            tables
                .invert(state[row])
                .look_up(&tables.sub_to_bytes)
                .xor(Lanes::repeat(key[row]))
        });
        by_blocks(state)
    }
}

/// Row `r` of column `c` is byte `4c + r` of a block (FIPS 197 section 3.4).
#[inline(always)]
fn by_blocks(rows: [Lanes; 4]) -> [Lanes; TOGETHER] {
    let (upper_low, upper_high) = (
        rows[0].interleave_low_bytes(rows[1]),
        rows[0].interleave_high_bytes(rows[1]),
    );
    let (lower_low, lower_high) = (
        rows[2].interleave_low_bytes(rows[3]),
        rows[2].interleave_high_bytes(rows[3]),
    );
    [
        upper_low.interleave_low_pairs(lower_low),
        upper_low.interleave_high_pairs(lower_low),
        upper_high.interleave_low_pairs(lower_high),
        upper_high.interleave_high_pairs(lower_high),
    ]
}

/// The tables, in vectors.
pub(crate) struct Loaded {
    inverse: Lanes,
    a_over: Lanes,
    to_pairs: (Lanes, Lanes),
    sub: (Lanes, Lanes),
    sub_doubled: (Lanes, Lanes),
    sub_to_bytes: (Lanes, Lanes),
    turned: [Lanes; 3],
}

/// Both parts of a byte's inverse, as nibbles still to be inverted, or [`crate::tables::NONE`].
#[derive(Clone, Copy)]
struct Inverse {
    p: Lanes,
    q: Lanes,
}

impl Inverse {
    #[inline(always)]
    fn look_up(self, tables: &(Lanes, Lanes)) -> Lanes {
        tables.0.look_up(self.p).xor(tables.1.look_up(self.q))
    }
}

impl Loaded {
    /// Hidden from the compiler, which would otherwise write the tables into the code as constants: engines put such a
    /// constant together anew, by four instructions, each time round a loop.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let tables: &Tables = core::hint::black_box(&TABLES);
        let load = |pair: &Pair| (Lanes::load(&pair.first), Lanes::load(&pair.second));
        Self {
            inverse: Lanes::load(&tables.inverse),
            a_over: Lanes::load(&tables.a_over),
            to_pairs: load(&tables.to_pairs),
            sub: load(&tables.sub),
            sub_doubled: load(&tables.sub_doubled),
            sub_to_bytes: load(&tables.sub_to_bytes),
            turned: tables.turned.each_ref().map(Lanes::load),
        }
    }

    #[inline(always)]
    fn to_pairs(&self, bytes: Lanes) -> Lanes {
        let (low, high) = (bytes.low_nibbles(), bytes.high_nibbles());
        self.to_pairs.0.look_up(low).xor(self.to_pairs.1.look_up(high))
    }

    #[inline(always)]
    fn shift_rows(&self, rows: [Lanes; 4]) -> [Lanes; 4] {
        [
            rows[0],
            rows[1].look_up(self.turned[0]),
            rows[2].look_up(self.turned[1]),
            rows[3].look_up(self.turned[2]),
        ]
    }

    #[inline(always)]
    fn invert(&self, pairs: Lanes) -> Inverse {
        let (i, k) = (pairs.high_nibbles(), pairs.low_nibbles());
        let j = i.xor(k);
        let a_over_k = self.a_over.look_up(k);
        let by_i = self.inverse.look_up(i).xor(a_over_k);
        let by_j = self.inverse.look_up(j).xor(a_over_k);
        Inverse {
            p: self.inverse.look_up(by_i).xor(j),
            q: self.inverse.look_up(by_j).xor(i),
        }
    }

    /// SubWord of FIPS 197 section 5.2.
    fn sub_word(&self, word: u32) -> u32 {
        let pairs = self.to_pairs(Lanes::repeat(word));
        self.invert(pairs).look_up(&self.sub_to_bytes).to_words()[0] ^ u32::from_le_bytes([SUB_CONSTANT; 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{inverse, sub_linear};

    #[test]
    fn the_s_box_is_the_standards_for_every_byte() {
        let tables = Loaded::new();
        for byte in 0..=255 {
            let wanted = sub_linear(inverse(byte)) ^ SUB_CONSTANT;
            assert_eq!(
                tables.sub_word(u32::from_le_bytes([byte; 4])),
                u32::from_le_bytes([wanted; 4])
            );
        }
    }

    /// FIPS 197 appendix B and C: one block, under a counter that happens to be the plaintext's last word.
    #[test]
    fn the_standards_examples_come_out_on_every_lane() {
        let cases = [
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "3243f6a8885a308d313198a2e0370734",
                "3925841d02dc09fbdc118597196a0b32",
            ),
            (
                "000102030405060708090a0b0c0d0e0f",
                "00112233445566778899aabbccddeeff",
                "69c4e0d86a7b0430d8cdb78070b4c55a",
            ),
            (
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "00112233445566778899aabbccddeeff",
                "8ea2b7ca516745bfeafc49904b496089",
            ),
        ];
        for (key, plain, sealed) in cases {
            let [key, plain, sealed] = [key, plain, sealed].map(|text| hex::decode(text).unwrap());
            let aes = Aes::new(&key).unwrap();
            let nonce = plain[..12].try_into().unwrap();
            let counter = u32::from_be_bytes(plain[12..].try_into().unwrap());
            for lane in 0..4 {
                let blocks = aes.keystream(&Loaded::new(), &nonce, counter.wrapping_sub(lane));
                assert_eq!(blocks[lane as usize].store()[..], sealed[..]);
            }
        }
    }

    #[test]
    fn a_key_of_another_length_is_none() {
        for length in (0..=64).filter(|length| ![16, 32].contains(length)) {
            assert!(Aes::new(&vec![0; length]).is_none());
        }
    }
}
