//! The look-up tables of AES, computed from the definition of its field.
//!
//! FIPS 197 defines the S-box by the inverse in GF(2^8), which has 256 entries, too many for a look-up in registers. So a byte is
//! written as a pair of nibbles `(i, k)`, elements of the subfield GF(2^4), and stands for `i·T + k`, where `T` is outside the
//! subfield and its norm equals its trace, `a` (Hamburg, "Accelerating AES with Vector Permute Instructions", CHES 2009). Then,
//! with `N = a·i² + a·i·k + k²`, the norm of the byte,
//!
//! ```text
//! 1/(i·T + k) = T·i/N + (k + a·i)/N
//!
//! j = i + k
//! N/(k + a·i)         = 1/(1/i + a/k) + j         two table look-ups deep, and only of nibbles
//! N/(k + a·i + a·k)   = 1/(1/j + a/k) + i
//! ```
//! The inverse is linear in the inverses of the two last lines, so one look-up of each finishes the S-box together with any linear
//! map behind it: back to bytes as FIPS 197 writes them, or stay in pairs, or also multiply by 2 for MixColumns. Nought has no
//! inverse: it is written [`NONE`], which stays out of a table's range whatever nibble is added, and looks up 0.

/// An index that is in no table, and that stays so when a nibble is added to it.
pub(crate) const NONE: u8 = 0x80;

/// One for each of a byte's nibbles, or of an inverse's two parts: what is looked up is added.
pub(crate) struct Pair {
    pub(crate) first: [u8; 16],
    pub(crate) second: [u8; 16],
}

pub(crate) struct Tables {
    /// 1/n of a nibble.
    pub(crate) inverse: [u8; 16],
    /// a/n of a nibble.
    pub(crate) a_over: [u8; 16],
    /// From bytes as FIPS 197 writes them to pairs; `first` by the low nibble.
    pub(crate) to_pairs: Pair,
    /// SubBytes but for its constant, to pairs.
    pub(crate) sub: Pair,
    /// The same times 2.
    pub(crate) sub_doubled: Pair,
    /// SubBytes but for its constant, to bytes as FIPS 197 writes them.
    pub(crate) sub_to_bytes: Pair,
    /// ShiftRows in rows 1 to 3: four bytes of a row turned left by as many.
    pub(crate) turned: [[u8; 16]; 3],
}

pub(crate) static TABLES: Tables = Tables {
    inverse: over(1),
    a_over: over(A),
    to_pairs: to_pairs(),
    sub: sub(Then::Pairs, 1),
    sub_doubled: sub(Then::Pairs, 2),
    sub_to_bytes: sub(Then::Bytes, 1),
    turned: [turned(1), turned(2), turned(3)],
};

/// FIPS 197 section 4.2: multiplication modulo x^8 + x^4 + x^3 + x + 1.
pub(crate) const fn mul(a: u8, b: u8) -> u8 {
    let (mut product, mut power, mut bit) = (0, a, 0);
    while bit < 8 {
        if (b >> bit) & 1 == 1 {
            product ^= power;
        }
        power = (power << 1) ^ if power & 0x80 == 0 { 0 } else { 0x1B };
        bit += 1;
    }
    product
}

const fn pow(base: u8, exponent: u8) -> u8 {
    let (mut power, mut i) = (1, 0);
    while i < exponent {
        power = mul(power, base);
        i += 1;
    }
    power
}

/// FIPS 197 section 5.1.1: 0 has 0 for an inverse.
pub(crate) const fn inverse(a: u8) -> u8 {
    pow(a, 254)
}

/// The linear part of the S-box (FIPS 197 section 5.1.1); its constant is [`SUB_CONSTANT`].
pub(crate) const fn sub_linear(a: u8) -> u8 {
    a ^ a.rotate_left(1) ^ a.rotate_left(2) ^ a.rotate_left(3) ^ a.rotate_left(4)
}

pub(crate) const SUB_CONSTANT: u8 = 0x63;

/// 3 generates all of the field but 0, so this generates all of the subfield but 0.
const SUBFIELD: u8 = pow(3, 17);

/// A nibble as an element of the subfield: its bits are coefficients of the powers of the generator.
const fn element(nibble: u8) -> u8 {
    let (mut sum, mut bit) = (0, 0);
    while bit < 4 {
        if (nibble >> bit) & 1 == 1 {
            sum ^= pow(SUBFIELD, bit);
        }
        bit += 1;
    }
    sum
}

const fn nibble(of: u8) -> u8 {
    let mut nibble = 0;
    while element(nibble) != of {
        nibble += 1;
    }
    nibble
}

/// The first byte outside the subfield whose norm T·T^16 is its trace T + T^16, and not 1.
const T: u8 = {
    let mut t = 0;
    loop {
        let conjugate = pow(t, 16);
        if t != conjugate && mul(t, conjugate) == t ^ conjugate && t ^ conjugate != 1 {
            break t;
        }
        t += 1;
    }
};
const A: u8 = T ^ pow(T, 16);

/// A byte as a pair, `i` in the high nibble.
const fn pair(byte: u8) -> u8 {
    let mut pair = 0;
    while mul(element(pair >> 4), T) ^ element(pair & 15) != byte {
        pair += 1;
    }
    pair
}

const fn over(numerator: u8) -> [u8; 16] {
    let mut table = [NONE; 16];
    let mut n = 1;
    while n < 16 {
        table[n as usize] = nibble(mul(numerator, inverse(element(n))));
        n += 1;
    }
    table
}

const fn to_pairs() -> Pair {
    let (mut first, mut second) = ([0; 16], [0; 16]);
    let mut n = 1;
    while n < 16 {
        first[n as usize] = pair(n);
        second[n as usize] = pair(n << 4);
        n += 1;
    }
    Pair { first, second }
}

enum Then {
    Pairs,
    Bytes,
}

/// With `p = (k + a·i)/N` and `q = (k + a·i + a·k)/N`, the inverses of what is looked up: `k/N = (p + q)/a` and
/// `i/N = (p + k/N)/a`.
const fn sub(then: Then, times: u8) -> Pair {
    let over_a = inverse(A);
    let (mut first, mut second) = ([0; 16], [0; 16]);
    let mut n = 1;
    while n < 16 {
        let p = inverse(element(n));
        let by_p = mul(T, mul(over_a, p ^ mul(over_a, p))) ^ p;
        let by_q = mul(T, mul(over_a, mul(over_a, p)));
        let (by_p, by_q) = (mul(times, sub_linear(by_p)), mul(times, sub_linear(by_q)));
        (first[n as usize], second[n as usize]) = match then {
            Then::Pairs => (pair(by_p), pair(by_q)),
            Then::Bytes => (by_p, by_q),
        };
        n += 1;
    }
    Pair { first, second }
}

const fn turned(by: usize) -> [u8; 16] {
    let mut from = [0; 16];
    let mut i = 0;
    while i < 16 {
        from[i] = (i / 4 * 4 + (i + by) % 4) as u8;
        i += 1;
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_that_of_the_standards_examples() {
        // FIPS 197 section 4.2: {57}·{83} = {c1}, {57}·{13} = {fe}; section 5.1.1: S({53}) = {ed}.
        assert_eq!((mul(0x57, 0x83), mul(0x57, 0x13)), (0xC1, 0xFE));
        assert_eq!(sub_linear(inverse(0x53)) ^ SUB_CONSTANT, 0xED);
        assert_eq!(sub_linear(inverse(0)) ^ SUB_CONSTANT, 0x63);
        for a in 1..=255 {
            assert_eq!(mul(a, inverse(a)), 1);
        }
    }

    #[test]
    fn nibbles_are_a_field_of_sixteen_inside_it_and_pairs_are_all_bytes() {
        for a in 0..16 {
            for b in 0..16 {
                assert_eq!(
                    element(nibble(mul(element(a), element(b)))),
                    mul(element(a), element(b))
                );
                assert_eq!(element(a ^ b), element(a) ^ element(b));
            }
        }
        let mut seen = [false; 256];
        for byte in 0..=255 {
            seen[usize::from(pair(byte))] = true;
        }
        assert_eq!(seen, [true; 256]);
        assert_eq!(pow(T, 17), A);
    }

    #[test]
    fn nought_is_in_no_table_and_stays_so() {
        assert_eq!((TABLES.inverse[0], TABLES.a_over[0]), (NONE, NONE));
        for n in 0..16 {
            assert!(NONE ^ n > 15);
        }
    }
}
