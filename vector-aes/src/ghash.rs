//! GHASH (NIST SP 800-38D section 6.4): a polynomial over GF(2^128), evaluated at the hash key H.
//!
//! Bits run the other way than in numbers: the first bit of a block is the coefficient of 1, the last that of x^127.
//!
//! A block is the sum of its bytes, each times x^8 to the power of its place, so its product with H follows from the products of H
//! with sixteen nibbles, and with sixteen nibbles times x^4. The bytes of those are 32 tables, one for each place in the
//! product and each nibble of a byte: a look-up gives this place for all sixteen bytes of a block at once. Four blocks, each with
//! the tables of its own power of H, are added up place by place, the places by Horner's rule in x^8, and only then
//! is the sum reduced.

use crate::lanes::{Lanes, transpose};
use zeroize::{DefaultIsZeroes, Zeroize, Zeroizing};

type Block = [u8; 16];

/// Blocks whose products are added up before the sum is reduced.
const TOGETHER: usize = 4;

/// 2 KiB a key.
pub(crate) struct HashKey {
    places: [Place; 16],
}

/// One byte of the products of all nibbles with H^4, H^3, H^2 and H: what the first to the last of four blocks are multiplied by.
/// Tables are words, the entry of nibble 0 lowest.
type Place = [Nibbles; TOGETHER];

#[derive(Clone, Copy, Default)]
struct Nibbles {
    low: u128,
    high: u128,
}

impl DefaultIsZeroes for Nibbles {}

impl Drop for HashKey {
    fn drop(&mut self) {
        self.places.as_flattened_mut().zeroize();
    }
}

impl HashKey {
    pub(crate) fn new(h: &Block) -> Self {
        let mut key = Self {
            places: [[Nibbles::default(); TOGETHER]; 16],
        };
        let mut power = Zeroizing::new(*h);
        for block in (0..TOGETHER).rev() {
            key.set(block, &power);
            // The last block has the tables of H since the first time round.
            let alone = [Lanes::NOUGHT, Lanes::NOUGHT, Lanes::NOUGHT, Lanes::load(&power)];
            *power = key.multiply_alone(alone).store();
        }
        key
    }

    fn set(&mut self, block: usize, power: &Block) {
        let mut multiple = Zeroizing::new(u128::from_be_bytes(*power));
        let mut multiples = [Lanes::NOUGHT; 8];
        for vector in &mut multiples {
            *vector = Lanes::load(&multiple.to_be_bytes());
            *multiple = times_x(*multiple);
        }
        let (halves, _) = multiples.as_chunks::<4>();
        let [high, low] = [halves[0], halves[1]].map(|half| transpose(of_nibbles(half)));
        for (place, (low, high)) in self.places.iter_mut().zip(low.into_iter().zip(high)) {
            place[block] = Nibbles {
                low: low.to_word(),
                high: high.to_word(),
            };
        }
    }

    #[inline(never)]
    fn multiply_alone(&self, blocks: [Lanes; TOGETHER]) -> Lanes {
        self.multiply(&Reduction::new(), blocks)
    }

    /// The sum of four products.
    #[inline(always)]
    fn multiply(&self, reduction: &Reduction, blocks: [Lanes; TOGETHER]) -> Lanes {
        let low = blocks.map(Lanes::low_nibbles);
        let high = blocks.map(Lanes::high_nibbles);
        let (mut sum, mut above) = (Lanes::NOUGHT, Lanes::NOUGHT);
        for place in self.places.iter().rev() {
            let mut bytes = Lanes::NOUGHT;
            for (i, nibbles) in place.iter().enumerate() {
                bytes = bytes.xor(Lanes::from_word(nibbles.low).look_up(low[i]));
                bytes = bytes.xor(Lanes::from_word(nibbles.high).look_up(high[i]));
            }
            above = above.after_last_of(sum);
            sum = sum.after_last_of(Lanes::NOUGHT).xor(bytes);
        }
        sum.xor(reduction.reduce(above))
    }
}

/// Of every nibble, whose bits stand for `multiples` from the highest one down.
fn of_nibbles(multiples: [Lanes; 4]) -> [Lanes; 16] {
    let mut products = [Lanes::NOUGHT; 16];
    for (bit, multiple) in multiples.iter().rev().enumerate() {
        for lower in 0..1 << bit {
            products[(1 << bit) + lower] = products[lower].xor(*multiple);
        }
    }
    products
}

/// By x^128 = 1 + x + x^2 + x^7, whose bits are 0xE1 and noughts.
fn times_x(element: u128) -> u128 {
    let carry = 0_u128.wrapping_sub(element & 1);
    (element >> 1) ^ (carry & (0xE1 << 120))
}

/// What bytes above x^127 are worth below it: each times 1 + x + x^2 + x^7, two bytes.
struct Reduction {
    first: (Lanes, Lanes),
    second: (Lanes, Lanes),
}

/// By the low and by the high nibble, the first and the second byte.
static REDUCTION: [[Block; 2]; 2] = {
    let mut tables = [[[0; 16]; 2]; 2];
    let mut nibble = 0;
    while nibble < 16 {
        let mut half = 0;
        while half < 2 {
            let byte = (nibble as u16) << (8 + 4 * half);
            let product = byte ^ (byte >> 1) ^ (byte >> 2) ^ (byte >> 7);
            tables[0][half][nibble] = product.to_be_bytes()[0];
            tables[1][half][nibble] = product.to_be_bytes()[1];
            half += 1;
        }
        nibble += 1;
    }
    tables
};

impl Reduction {
    #[inline(always)]
    fn new() -> Self {
        let tables = core::hint::black_box(&REDUCTION);
        let load = |tables: &[Block; 2]| (Lanes::load(&tables[0]), Lanes::load(&tables[1]));
        Self {
            first: load(&tables[0]),
            second: load(&tables[1]),
        }
    }

    /// `above` has 15 bytes, so that what it is worth has 16 and needs no second reduction.
    #[inline(always)]
    fn reduce(&self, above: Lanes) -> Lanes {
        let (low, high) = (above.low_nibbles(), above.high_nibbles());
        let worth = |tables: &(Lanes, Lanes)| tables.0.look_up(low).xor(tables.1.look_up(high));
        let second = worth(&self.second).after_last_of(Lanes::NOUGHT);
        worth(&self.first).xor(second)
    }
}

/// Of associated data and ciphertext, with their lengths behind them.
pub(crate) fn ghash(key: &HashKey, aad: &[u8], text: &[u8]) -> Lanes {
    let (hash, _) = absorb(key, Lanes::NOUGHT, aad, 0);
    // The lengths take the last place of the last group.
    let (hash, rest) = absorb(key, hash, text, 3 * 16);
    let bits = |bytes: &[u8]| bytes.len() as u128 * 8;
    let lengths = ((bits(aad) << 64) | bits(text)).to_be_bytes();
    key.multiply_alone(last(hash, rest, Some(&lengths)))
}

/// Takes groups of four blocks until at most `leave` bytes are left, and gives those back.
#[inline(never)]
fn absorb<'a>(key: &HashKey, mut hash: Lanes, data: &'a [u8], leave: usize) -> (Lanes, &'a [u8]) {
    let (groups, rest) = data.as_chunks::<{ 16 * TOGETHER }>();
    let reduction = Reduction::new();
    for group in groups {
        let (blocks, _) = group.as_chunks::<16>();
        let mut blocks: [Lanes; TOGETHER] = core::array::from_fn(|i| Lanes::load(&blocks[i]));
        blocks[0] = blocks[0].xor(hash);
        hash = key.multiply(&reduction, blocks);
    }
    if rest.len() > leave {
        return (key.multiply_alone(last(hash, rest, None)), &[]);
    }
    (hash, rest)
}

/// A group that ends with `data`, filled up with noughts to whole blocks, and `lengths`. Noughts before it count for nothing, so the
/// hash so far is added to the first block that is one.
fn last(hash: Lanes, data: &[u8], lengths: Option<&Block>) -> [Lanes; TOGETHER] {
    let mut bytes = [[0; 16]; TOGETHER];
    let blocks = data.len().div_ceil(16) + usize::from(lengths.is_some());
    let first = TOGETHER - blocks;
    let flat = bytes.as_flattened_mut();
    flat[16 * first..][..data.len()].copy_from_slice(data);
    if let Some(lengths) = lengths {
        bytes[TOGETHER - 1] = *lengths;
    }
    let mut group: [Lanes; TOGETHER] = core::array::from_fn(|i| Lanes::load(&bytes[i]));
    group[first] = group[first].xor(hash);
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, as the standard's algorithm 1 has it.
    fn slow(a: u128, b: u128) -> u128 {
        let (mut product, mut multiple) = (0, b);
        for bit in (0..128).rev() {
            if a >> bit & 1 == 1 {
                product ^= multiple;
            }
            multiple = times_x(multiple);
        }
        product
    }

    fn number(seed: u128) -> u128 {
        (seed + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
            .rotate_left(53)
    }

    #[test]
    fn four_products_are_those_of_multiplying_bit_by_bit() {
        for seed in 0..20 {
            let h = number(seed);
            let key = HashKey::new(&h.to_be_bytes());
            let blocks: [u128; 4] = core::array::from_fn(|i| number(1_000 + 4 * seed + i as u128));
            let wanted = blocks.iter().fold(0, |hash, block| slow(hash ^ block, h));
            let vectors = blocks.map(|block| Lanes::load(&block.to_be_bytes()));
            let product = key.multiply_alone(vectors);
            assert_eq!(u128::from_be_bytes(product.store()), wanted);
        }
    }

    #[test]
    fn the_polynomial_is_that_of_multiplying_bit_by_bit_at_every_length() {
        let h = number(77);
        let key = HashKey::new(&h.to_be_bytes());
        let data: [u8; 300] = core::array::from_fn(|i| (i * 7 + 3) as u8);
        for (aad, text) in (0..70).flat_map(|aad| [(aad, 0), (aad, 33), (0, aad), (5, 4 * aad), (64, aad)]) {
            let (aad, text) = (&data[..aad], &data[..text]);
            let mut wanted = 0;
            for part in [aad, text] {
                for block in part.chunks(16) {
                    let mut padded = [0; 16];
                    padded[..block.len()].copy_from_slice(block);
                    wanted = slow(wanted ^ u128::from_be_bytes(padded), h);
                }
            }
            wanted = slow(wanted ^ (((aad.len() as u128 * 8) << 64) | (text.len() as u128 * 8)), h);
            let found = u128::from_be_bytes(ghash(&key, aad, text).store());
            assert_eq!(found, wanted, "{} and {}", aad.len(), text.len());
        }
    }
}
