//! Emulation prevention of H.264 (section 7.4.1) and H.265 (section 7.4.2): inside a NAL unit `00 00` is never
//! followed by a byte up to 3, for a `03` is put between.
//!
//! Both directions are linear in the frame's length; of random data they look closer at one byte in 256.

use super::ShellError;

const ESCAPE: u8 = 3;

/// Escapes `frame[from..]` in place. The byte before `from` must not be zero.
pub(super) fn insert(frame: &mut Vec<u8>, from: usize) {
    // Where an escape goes in front of. Of random bytes one in four million needs one, so this rarely allocates.
    let mut places = Vec::new();
    let mut at = from;
    while let Some(hit) = next_sequence(frame, at) {
        places.push(hit + 2);
        at = hit + 2;
    }
    // From the back, each byte moves once.
    let mut end = frame.len();
    frame.resize(end + places.len(), 0);
    for (before, &place) in places.iter().enumerate().rev() {
        frame.copy_within(place..end, place + before + 1);
        frame[place + before] = ESCAPE;
        end = place;
    }
}

/// Takes the escapes out of `frame[from..]` in place. SHEL-2: refuses what [`insert`] would not have written.
pub(super) fn remove(frame: &mut Vec<u8>, from: usize) -> Result<(), ShellError> {
    let mut read = from;
    let mut write = from;
    let mut at = from;
    while let Some(hit) = next_sequence(frame, at) {
        let escape = hit + 2;
        if frame[escape] != ESCAPE || frame.get(escape + 1).is_none_or(|&byte| byte > ESCAPE) {
            return Err(ShellError::NotCanonical);
        }
        frame.copy_within(read..escape, write);
        write += escape - read;
        read = escape + 1;
        at = read;
    }
    if read != write {
        let end = frame.len();
        frame.copy_within(read..end, write);
        frame.truncate(write + end - read);
    }
    Ok(())
}

/// The next place at or after `at` where `00 00` and a byte up to 3 stand.
fn next_sequence(frame: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let first = at + memchr::memchr(0, frame.get(at..)?)?;
        let &[second, third] = frame.get(first + 1..first + 3)?.as_array()?;
        at = match (second, third) {
            (0, 0..=ESCAPE) => return Some(first),
            (0, _) => first + 3,
            _ => first + 2,
        };
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
        remove(&mut frame, 1)?;
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
    fn a_megabyte_of_zeros_grows_by_half_and_comes_back() {
        let zeros = vec![0; 1 << 20];
        let grown = escaped(&zeros);
        assert_eq!(grown.len(), zeros.len() + zeros.len() / 2 - 1);
        assert_eq!(unescaped(&grown).unwrap(), zeros);
    }
}
