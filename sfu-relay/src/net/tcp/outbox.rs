//! What waits to be written to one peer's stream.
//!
//! A stream delivers everything, however late, and that is not what a call wants. So little waits: where a receiver is slow, pictures are
//! left out first (as frames lost on the way, which it asks for again or for a key frame), then everything.

use super::framing::LENGTH;

/// Beyond this much only what is essential is added: half a second at 1 Mbit/s.
const COMFORT: usize = 64 << 10;
/// Beyond this much nothing is.
const LIMIT: usize = 128 << 10;

#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// Adds a datagram in its frame. `essential` is asked only if there is no room for all. `false`: left out.
    pub(super) fn push(&mut self, datagram: &[u8], essential: impl FnOnce() -> bool) -> bool {
        let Ok(len) = u16::try_from(datagram.len()) else {
            return false;
        };
        let waiting = self.waiting().len() + LENGTH + datagram.len();
        if waiting > LIMIT || (waiting > COMFORT && !essential()) {
            return false;
        }
        if self.written > 0 && self.bytes.len() + LENGTH + datagram.len() > self.bytes.capacity() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(datagram);
        true
    }

    /// What is to be written next.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// So much of it was.
    pub(super) fn wrote(&mut self, len: usize) {
        self.written = (self.written + len).min(self.bytes.len());
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
            // What a bad moment took is given back. Enough for a key frame stays.
            self.bytes.shrink_to(COMFORT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COMFORT, LIMIT, Outbox};

    #[test]
    fn rely_44_a_slow_reader_loses_pictures_first_and_its_queue_stays_bounded() {
        let mut outbox = Outbox::default();
        let (picture, sound) = ([1; 1_100], [2; 160]);
        let (mut pictures, mut sounds) = (0, 0);
        for _ in 0..1_000 {
            pictures += usize::from(outbox.push(&picture, || false));
            sounds += usize::from(outbox.push(&sound, || true));
            assert!(outbox.waiting().len() <= LIMIT);
            assert!(outbox.bytes.capacity() <= 2 * LIMIT);
        }
        assert!(pictures * 1_100 <= COMFORT && pictures > 40);
        assert!(sounds > 6 * pictures, "sound goes on where pictures have no room");
        assert!(!outbox.push(&sound, || true), "and ends at the limit");
    }

    #[test]
    fn rely_44_whoever_reads_again_gets_everything_again() {
        let mut outbox = Outbox::default();
        while outbox.push(&[1; 1_100], || false) {}
        outbox.wrote(outbox.waiting().len() - 7);
        assert_eq!(outbox.waiting().len(), 7);
        assert!(outbox.push(&[3; 5], || false));
        assert_eq!(outbox.waiting()[7..], [0, 5, 3, 3, 3, 3, 3]);
        outbox.wrote(usize::MAX >> 1);
        assert!(outbox.waiting().is_empty());
    }

    #[test]
    fn rely_67_what_a_slow_reader_made_the_relay_hold_is_given_back() {
        let mut outbox = Outbox::default();
        for round in 0..10_000 {
            outbox.push(&[1; 1_100], || true);
            if round % 3 == 0 {
                outbox.wrote(1_000);
            }
            assert!(outbox.bytes.capacity() <= 2 * LIMIT, "{}", outbox.bytes.capacity());
        }
        assert!(outbox.bytes.capacity() > COMFORT);
        outbox.wrote(LIMIT);
        assert!(outbox.bytes.capacity() <= COMFORT);
    }

    #[test]
    fn what_no_frame_can_hold_is_left_out() {
        assert!(!Outbox::default().push(&vec![0; 65_536], || true));
    }
}
