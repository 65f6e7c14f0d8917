//! Emulation prevention of H.264 (section 7.4.1) and H.265 (section 7.4.2): inside a NAL unit `00 00` is never
//! followed by a byte up to 3, for a `03` is put between.
//!
//! Both directions are linear in the frame's length; of random data they look closer at one place in 65,536. The tests
//! count the bytes that are looked at and moved.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::ShellError;

const ESCAPE: u8 = 3;

/// Where to look closer. Single zeros would be a reason every 256 bytes.
static TWO_ZEROS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&[0, 0]));

/// SHEL-6: no ciphertext of `len` bytes has more pairs of zeros than this, and so no more escapes.
///
/// Each place of a ciphertext begins one with a probability of 2^-16, and the SFrame header in front may add 8, as
/// numbers may be full of zeros. By Chernoff's bound the rest, 40 and one for each 16 KiB, is exceeded in fewer than one
/// frame in 2^120, whatever its length.
pub(super) fn most_pairs_in_ciphertext(len: usize) -> usize {
    48 + len / (16 << 10)
}

/// Escapes `frame[from..]` in place. The byte before `from` must not be zero.
pub(super) fn insert(frame: &mut Vec<u8>, from: usize) {
    insert_counting(frame, from, &mut |_| {});
}

/// Takes the escapes out of `frame[from..]` in place. SHEL-2: refuses what [`insert`] would not have written, and more
/// pairs of zeros than `most`.
pub(super) fn remove(frame: &mut Vec<u8>, from: usize, most: usize) -> Result<(), ShellError> {
    remove_counting(frame, from, most, &mut |_| {})
}

/// Tells `work` how many bytes are looked at or moved, step by step.
#[inline]
fn insert_counting(frame: &mut Vec<u8>, from: usize, work: &mut impl FnMut(usize)) {
    // Where an escape goes in front of. Of random bytes one in four million needs one, so this rarely allocates.
    let mut places = Vec::new();
    let mut pairs = usize::MAX;
    let mut at = from;
    while let Ok(Some(hit)) = next_sequence(frame, at, &mut pairs, work) {
        places.push(hit + 2);
        at = hit + 2;
    }
    // From the back, each byte moves once.
    let mut end = frame.len();
    frame.resize(end + places.len(), 0);
    for (before, &place) in places.iter().enumerate().rev() {
        work(end - place);
        frame.copy_within(place..end, place + before + 1);
        frame[place + before] = ESCAPE;
        end = place;
    }
}

#[inline]
fn remove_counting(
    frame: &mut Vec<u8>,
    from: usize,
    most: usize,
    work: &mut impl FnMut(usize),
) -> Result<(), ShellError> {
    let mut read = from;
    let mut write = from;
    let mut at = from;
    let mut pairs = most;
    while let Some(hit) = next_sequence(frame, at, &mut pairs, work)? {
        let escape = hit + 2;
        if frame[escape] != ESCAPE || frame.get(escape + 1).is_none_or(|&byte| byte > ESCAPE) {
            return Err(ShellError::NotCanonical);
        }
        work(escape - read);
        frame.copy_within(read..escape, write);
        write += escape - read;
        read = escape + 1;
        at = read;
    }
    if read != write {
        let end = frame.len();
        work(end - read);
        frame.copy_within(read..end, write);
        frame.truncate(write + end - read);
    }
    Ok(())
}

/// The next place at or after `at` where `00 00` and a byte up to 3 stand. Each `00 00` on the way is one of `pairs`.
#[inline]
fn next_sequence(
    frame: &[u8],
    mut at: usize,
    pairs: &mut usize,
    work: &mut impl FnMut(usize),
) -> Result<Option<usize>, ShellError> {
    loop {
        let rest = frame.get(at..).unwrap_or_default();
        let pair = TWO_ZEROS.find(rest);
        work(pair.unwrap_or(rest.len()) + 3);
        let Some(pair) = pair else { return Ok(None) };
        *pairs = pairs.checked_sub(1).ok_or(ShellError::TooManyZeros)?;
        match frame.get(at + pair + 2) {
            None => return Ok(None),
            Some(0..=ESCAPE) => return Ok(Some(at + pair)),
            Some(_) => at += pair + 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(data: &[u8]) -> Vec<u8> {
        let mut frame = [&[0xff], data].concat();
        insert(&mut frame, 1);
        frame.split_off(1)
    }

    fn unescaped(data: &[u8]) -> Result<Vec<u8>, ShellError> {
        let mut frame = [&[0xff], data].concat();
        remove(&mut frame, 1, usize::MAX)?;
        Ok(frame.split_off(1))
    }

    /// The definition, byte by byte.
    fn escaped_plainly(data: &[u8]) -> Vec<u8> {
        let (mut out, mut zeros) = (Vec::new(), 0);
        for &byte in data {
            if zeros == 2 && byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            out.push(byte);
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        out
    }

    #[test]
    fn every_string_of_up_to_seven_small_bytes_is_escaped_by_the_definition_and_comes_back() {
        let alphabet = [0, 1, 3, 4];
        for len in 0..=7u32 {
            for number in 0..4usize.pow(len) {
                let data: Vec<u8> = (0..len).map(|i| alphabet[number >> (2 * i) & 3]).collect();
                assert_eq!(escaped(&data), escaped_plainly(&data), "{data:?}");
                assert_eq!(unescaped(&escaped(&data)).unwrap(), data);
            }
        }
    }

    #[test]
    fn pf_13_whatever_is_accepted_is_what_would_have_been_written() {
        let alphabet = [0, 2, 3, 0xff];
        for len in 0..=7u32 {
            for number in 0..4usize.pow(len) {
                let data: Vec<u8> = (0..len).map(|i| alphabet[number >> (2 * i) & 3]).collect();
                if let Ok(plain) = unescaped(&data) {
                    assert_eq!(escaped(&plain), data);
                }
            }
        }
    }

    #[test]
    fn a_missing_a_needless_and_a_dangling_escape_are_refused() {
        for data in [
            &[0, 0, 0][..],
            &[0, 0, 1],
            &[9, 0, 0, 2, 9],
            &[0, 0, 3, 4],
            &[0, 0, 3],
            &[0, 0, 3, 0, 0, 3],
        ] {
            assert_eq!(unescaped(data), Err(ShellError::NotCanonical), "{data:?}");
        }
    }

    #[test]
    fn shel_6_more_pairs_of_zeros_than_asked_for_are_refused_and_exactly_as_many_are_not() {
        let zeros = vec![0; 9];
        let mut frame = [&[0xff], &zeros[..]].concat();
        insert(&mut frame, 1);
        let escapes = frame.len() - 10;
        assert_eq!(escapes, 4);
        let refused = remove(&mut frame.clone(), 1, escapes - 1);
        assert_eq!(refused, Err(ShellError::TooManyZeros));
        assert_eq!(remove(&mut frame, 1, escapes), Ok(()));
        assert_eq!(frame[1..], zeros);
    }

    /// The dearest contents there are, repeated to a length.
    const PATTERNS: [&[u8]; 9] = [
        &[0],
        &[0, 0, 1],
        &[0, 0, 3],
        &[0, 0, 4],
        &[0, 1],
        &[0xff],
        &[0, 0xff],
        &[0, 0, 0xff],
        &[
            0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    ];

    #[test]
    fn shel_2_the_work_of_escaping_grows_with_the_length_and_not_faster() {
        for pattern in PATTERNS {
            for len in [100, 1_000, 10_000, 100_000, 1_000_000] {
                let content: Vec<u8> = pattern.iter().copied().cycle().take(len).collect();
                let mut frame = [&[0xff], &content[..]].concat();
                let (mut inserting, mut removing) = (0, 0);
                insert_counting(&mut frame, 1, &mut |bytes| inserting += bytes);
                let escaped = frame.len();
                remove_counting(&mut frame, 1, usize::MAX, &mut |bytes| removing += bytes).unwrap();
                assert_eq!(frame[1..], content);
                // Each byte is looked at at most three times (where zeros are dense, around each) and moved once.
                assert!(inserting <= 4 * escaped, "{pattern:?} x {len}: {inserting} bytes");
                assert!(removing <= 4 * escaped, "{pattern:?} x {len}: {removing} bytes");
            }
        }
    }

    #[test]
    fn shel_6_refusing_looks_no_further_than_the_first_pair_too_many() {
        for pattern in [&[0][..], &[0, 0, 4], &[0, 0, 3]] {
            let content: Vec<u8> = pattern.iter().copied().cycle().take(1_000_000).collect();
            let mut frame = [&[0xff], &content[..]].concat();
            insert(&mut frame, 1);
            let (most, mut work) = (most_pairs_in_ciphertext(frame.len()), 0);
            let refused = remove_counting(&mut frame, 1, most, &mut |bytes| work += bytes);
            assert_eq!(refused, Err(ShellError::TooManyZeros), "{pattern:?}");
            assert!(work < 2_000, "{pattern:?}: {work} bytes");
        }
    }

    #[test]
    fn a_megabyte_of_zeros_grows_by_half_and_comes_back() {
        let zeros = vec![0; 1 << 20];
        let grown = escaped(&zeros);
        assert_eq!(grown.len(), zeros.len() + zeros.len() / 2 - 1);
        assert_eq!(unescaped(&grown).unwrap(), zeros);
    }
}
