//! AUDT-20: every 8 consecutive bytes of every frame against every 8 of every payload, in linear time.
//!
//! A bitmap over the frames' grams lets a sixteenth of the payloads' grams through; those few are looked up exactly. So
//! the memory is two bytes for each byte dumped, whatever the captures' size, and nothing is missed: the bitmap errs only
//! on the side of looking twice.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::capture::Capture;
use super::frames::Frame;
use crate::report::{Claim, Place, Report};

/// Bytes of a gram.
pub(super) const GRAM: usize = 8;

/// A stretch of a payload in which no byte is a shell's.
pub(super) struct Piece<'a> {
    pub(super) capture: &'a Capture,
    /// Index of the packet.
    pub(super) packet: usize,
    /// Of the stretch in the payload.
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
}

/// What is left of a payload between the ranges cut out, which are in order, each with its offset.
pub(super) fn without<'a>(payload: &'a [u8], cut: &[Range<usize>]) -> impl Iterator<Item = (usize, &'a [u8])> {
    let starts = std::iter::once(0).chain(cut.iter().map(|range| range.end).collect::<Vec<_>>());
    let ends = cut
        .iter()
        .map(|range| range.start)
        .collect::<Vec<_>>()
        .into_iter()
        .chain([payload.len()]);
    starts
        .zip(ends)
        .filter_map(|(from, to)| Some((from, payload.get(from..to)?)))
}

pub(super) fn compare(report: &mut Report, frames: &[Frame], pieces: &[Piece<'_>]) {
    let mut filter = Filter::for_grams(frames.iter().map(|frame| frame.bytes.len()).sum());
    for frame in frames {
        for (_, gram) in grams(&frame.bytes) {
            filter.insert(gram);
        }
    }
    let candidates: HashSet<u64> = pieces
        .iter()
        .flat_map(|piece| grams(piece.bytes))
        .map(|(_, gram)| gram)
        .filter(|gram| filter.may_contain(*gram))
        .collect();
    let mut found = HashMap::new();
    for frame in frames {
        for (offset, gram) in grams(&frame.bytes) {
            if candidates.contains(&gram) {
                found.entry(gram).or_insert((frame, offset));
            }
        }
    }
    let mut leaks = 0;
    for piece in pieces {
        let mut hits = grams(piece.bytes).filter_map(|(at, gram)| Some((at, gram, found.get(&gram)?)));
        let Some((at, gram, (frame, offset))) = hits.next() else {
            continue;
        };
        leaks += 1;
        let what = format!("packet {} of {}", piece.packet + 1, piece.capture.name);
        let kind = if frame.key { "key frame" } else { "frame" };
        let why = format!(
            "from byte {} on it holds {}, which is byte {offset} ff. of {} {kind} {} of the {} ({} such places in this packet)",
            piece.offset + at,
            hex::encode(gram.to_be_bytes()),
            frame.codec.name(),
            frame.number,
            frame.stream.name(),
            1 + hits.count()
        );
        report.fails(Claim::CodecBytes, Place::WHOLE, what, why);
    }
    if leaks == 0 {
        report.holds(Claim::CodecBytes);
    }
}

/// Offset and value of every gram.
fn grams(bytes: &[u8]) -> impl Iterator<Item = (usize, u64)> {
    let windows = bytes.windows(GRAM).enumerate();
    windows.filter_map(|(offset, window)| Some((offset, u64::from_be_bytes(window.try_into().ok()?))))
}

struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// Sixteen bits for each gram, at least.
    fn for_grams(count: usize) -> Self {
        let bits = count.saturating_mul(16).next_power_of_two().max(64);
        Self {
            bits: vec![0; bits / 64],
            shift: 64 - bits.trailing_zeros(),
        }
    }

    fn place(&self, gram: u64) -> (usize, u64) {
        // Fibonacci hashing: neighbouring values, such as runs of equal bytes, land far apart.
        let bit = gram.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn insert(&mut self, gram: u64) {
        let (word, bit) = self.place(gram);
        self.bits[word] |= bit;
    }

    fn may_contain(&self, gram: u64) -> bool {
        let (word, bit) = self.place(gram);
        self.bits[word] & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gram_inserted_is_found_again() {
        for count in [0, 1, 3, 1000] {
            let mut filter = Filter::for_grams(count);
            let values: Vec<u64> = (0..count as u64)
                .map(|n| n.wrapping_mul(0x0101_0101_0101_0101))
                .collect();
            for value in &values {
                filter.insert(*value);
            }
            assert!(values.iter().all(|value| filter.may_contain(*value)));
        }
    }

    #[test]
    fn a_payload_less_its_constants_keeps_every_other_byte_at_its_offset() {
        let payload: Vec<u8> = (0..10).collect();
        let pieces: Vec<_> = without(&payload, &[1..3, 3..4, 8..10]).collect();
        assert_eq!(pieces, [(0, &payload[0..1]), (3, &[]), (4, &payload[4..8]), (10, &[])]);
        assert_eq!(without(&payload, &[]).collect::<Vec<_>>(), [(0, &payload[..])]);
    }
}
