//! Packets sent to one receiver, by their transport-wide numbers, until it told what became of them.

use std::collections::VecDeque;

/// Packets remembered at most: what is reported later than this many packets is not used.
const MAX_PACKETS: usize = 8_192;
/// A packet that was not reported on for this long will not be; one that is missing may still turn up for this long.
const GIVE_UP_US: u64 = 3_000_000;
const TURN_UP_US: u64 = 1_000_000;

/// A packet of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// In microseconds of the controller's time.
    pub(super) at: u64,
    pub(super) bytes: u16,
    /// The probe it is a part of. Zero: none.
    pub(super) probe: u8,
    fate: Fate,
    /// What it had to wait, in microseconds, if the line carries what is thought.
    pub(super) wait: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unknown,
    Missing,
    Arrived,
}

#[derive(Debug)]
pub(super) struct History {
    /// The number of the first packet in `packets`. Numbers start a cycle up, so that there are numbers below the first one.
    first: u64,
    packets: VecDeque<Sent>,
}

impl Default for History {
    fn default() -> Self {
        History {
            first: 1 << 16,
            packets: VecDeque::new(),
        }
    }
}

impl History {
    /// The number of the next packet.
    pub(super) fn next(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    pub(super) fn push(&mut self, at: u64, bytes: u16, probe: u8, wait: u32) {
        self.forget(at);
        self.packets.push_back(Sent {
            at,
            bytes,
            probe,
            fate: Fate::Unknown,
            wait,
        });
    }

    fn forget(&mut self, now: u64) {
        while let Some(oldest) = self.packets.front() {
            let age = now.saturating_sub(oldest.at);
            let settled = match oldest.fate {
                Fate::Unknown => age > GIVE_UP_US,
                Fate::Missing => age > TURN_UP_US,
                Fate::Arrived => true,
            };
            if !settled && self.packets.len() < MAX_PACKETS {
                break;
            }
            self.packets.pop_front();
            self.first += 1;
        }
    }

    /// The number that a receiver means by these 16 bits: the one nearest to those sent last. It may never have been sent.
    pub(super) fn near(&self, sequence: u16) -> u64 {
        let next = self.next();
        let ahead = i64::from(sequence.wrapping_sub(next as u16) as i16);
        next.saturating_add_signed(ahead)
    }

    /// Whether all up to this number was forgotten, or settled so long ago that nothing is to be said of it.
    pub(super) fn is_past(&self, number: u64) -> bool {
        number < self.first
    }

    /// The receiver got a packet. `None`: that was known, or the packet is forgotten. The flag: it had been reported missing.
    pub(super) fn arrived(&mut self, number: u64) -> Option<(Sent, bool)> {
        let sent = self.packets.get_mut(number.checked_sub(self.first)? as usize)?;
        let was_missing = sent.fate == Fate::Missing;
        (std::mem::replace(&mut sent.fate, Fate::Arrived) != Fate::Arrived).then_some((*sent, was_missing))
    }

    /// The receiver reports on later packets and has not got this one. `None`: nothing new.
    pub(super) fn missing(&mut self, number: u64) -> Option<Sent> {
        let sent = self.packets.get_mut(number.checked_sub(self.first)? as usize)?;
        if sent.fate != Fate::Unknown {
            return None;
        }
        sent.fate = Fate::Missing;
        Some(*sent)
    }

    /// When the oldest packet was sent of which nothing is known.
    pub(super) fn oldest_unknown(&self) -> Option<u64> {
        let mut unknown = self.packets.iter().filter(|sent| sent.fate == Fate::Unknown);
        unknown.next().map(|sent| sent.at)
    }
}

#[cfg(test)]
mod tests {
    use super::{GIVE_UP_US, History, MAX_PACKETS};

    #[test]
    fn a_packet_is_told_of_once_and_may_turn_up_after_it_was_missed() {
        let mut history = History::default();
        let number = history.next();
        for at in 0..4 {
            history.push(at, 100, 0, 0);
        }
        assert!(history.arrived(number).is_some_and(|(_, missed)| !missed));
        assert!(history.arrived(number).is_none());
        assert!(history.missing(number).is_none());
        assert!(history.missing(number + 1).is_some());
        assert!(history.missing(number + 1).is_none());
        assert!(history.arrived(number + 1).is_some_and(|(_, missed)| missed));
        assert_eq!(history.oldest_unknown(), Some(2));
        assert!(history.arrived(number + 4).is_none(), "never sent");
        assert!(history.arrived(3).is_none());
    }

    #[test]
    fn what_is_settled_or_old_or_too_much_is_forgotten() {
        let mut history = History::default();
        let first = history.next();
        for at in 0..3 * MAX_PACKETS as u64 {
            history.push(at, 100, 0, 0);
        }
        assert!(history.packets.len() <= MAX_PACKETS);
        assert!(history.is_past(first));
        history.push(GIVE_UP_US * 2, 100, 0, 0);
        assert_eq!(history.packets.len(), 1);
    }

    #[test]
    fn sixteen_bits_mean_the_nearest_number() {
        let mut history = History::default();
        for at in 0..70_000 {
            let number = history.next();
            history.push(at, 1, 0, 0);
            assert_eq!(history.near(number as u16), number);
            assert!(history.arrived(number).is_some());
        }
        let next = history.next();
        assert_eq!(history.near((next + 100) as u16), next + 100, "never sent");
        assert_eq!(history.near((next - 100) as u16), next - 100);
    }
}
