//! RFC 4571: each datagram behind its length, two bytes.

use std::ops::Range;

/// Longer frames are refused. WebRTC's datagrams stay below 1,300 bytes.
pub(super) const MAX_FRAME: usize = 2_048;
pub(super) const LENGTH: usize = 2;
/// A frame, and what may have come behind it.
const CAPACITY: usize = 2 * (LENGTH + MAX_FRAME);

/// A peer that sends what is no frame of ours is disconnected: there is no finding the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes")]
pub(super) struct TooLong(usize);

/// A stream's bytes, given out frame by frame.
pub(in crate::net) struct Frames {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Frames {
            buffer: vec![0; CAPACITY],
            start: 0,
            end: 0,
        }
    }

    /// Where the next bytes of the stream go. Never empty once [`Frames::next`] gave `None`.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut self.buffer[self.end..]
    }

    /// So many were written there.
    pub(super) fn filled(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
    }

    /// The next whole frame. Empty ones, which RFC 4571 allows, are passed over.
    pub(super) fn next(&mut self) -> Result<Option<&mut [u8]>, TooLong> {
        let Some(frame) = self.find()? else {
            return Ok(None);
        };
        self.start = frame.end;
        Ok(Some(&mut self.buffer[frame]))
    }

    /// The same, left where it is.
    pub(super) fn peek(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let frame = self.find()?;
        Ok(frame.map(|frame| &self.buffer[frame]))
    }

    fn find(&mut self) -> Result<Option<Range<usize>>, TooLong> {
        while let Some(&[high, low]) = self.buffer[self.start..self.end].first_chunk() {
            let len = usize::from(u16::from_be_bytes([high, low]));
            if len > MAX_FRAME {
                return Err(TooLong(len));
            }
            let frame = self.start + LENGTH..self.start + LENGTH + len;
            if frame.end > self.end {
                break;
            }
            if len > 0 {
                return Ok(Some(frame));
            }
            self.start = frame.end;
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Frames, MAX_FRAME, TooLong};
    use proptest::prelude::*;

    fn framed(datagrams: &[Vec<u8>]) -> Vec<u8> {
        let framed = datagrams
            .iter()
            .flat_map(|d| [&(d.len() as u16).to_be_bytes()[..], d].concat());
        framed.collect()
    }

    /// All frames of a stream that comes in pieces of these lengths, in turn.
    fn read(stream: &[u8], pieces: &[usize]) -> Result<Vec<Vec<u8>>, TooLong> {
        let (mut frames, mut all, mut rest) = (Frames::new(), Vec::new(), stream);
        for piece in pieces.iter().cycle() {
            while let Some(frame) = frames.next()? {
                all.push(frame.to_vec());
            }
            if rest.is_empty() {
                return Ok(all);
            }
            let space = frames.space();
            assert!(!space.is_empty());
            let len = (*piece).clamp(1, rest.len()).min(space.len());
            space[..len].copy_from_slice(&rest[..len]);
            frames.filled(len);
            rest = &rest[len..];
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn rely_43_frames_come_out_as_they_went_in_however_the_stream_is_cut(
            datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1_500), 0..12),
            pieces in proptest::collection::vec(1usize..4_000, 1..8),
        ) {
            let whole: Vec<Vec<u8>> = datagrams.iter().filter(|d| !d.is_empty()).cloned().collect();
            prop_assert_eq!(read(&framed(&datagrams), &pieces).unwrap(), whole);
        }

        #[test]
        fn rely_43_arbitrary_bytes_are_frames_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..9_000),
            pieces in proptest::collection::vec(1usize..4_000, 1..8),
        ) {
            if let Ok(frames) = read(&bytes, &pieces) {
                prop_assert!(frames.iter().all(|frame| (1..=MAX_FRAME).contains(&frame.len())));
            }
        }
    }

    #[test]
    fn rely_43_the_longest_frame_is_taken_and_one_byte_more_refused() {
        assert_eq!(read(&framed(&[vec![1; MAX_FRAME], vec![2]]), &[1]).unwrap().len(), 2);
        let refused = read(&framed(&[vec![1; MAX_FRAME + 1]]), &[4_096]);
        assert_eq!(refused, Err(TooLong(MAX_FRAME + 1)));
    }
}
