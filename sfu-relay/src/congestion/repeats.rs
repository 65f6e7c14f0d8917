//! How much may be repeated to one receiver: a share of what its line carries, so that asking again and again is worth nothing.
//!
//! Requirements held here: RELY-72.

use std::time::{Duration, Instant};

use super::Rate;

/// Of the estimate. A line that loses a third of its packets is past saving by repetition.
const SHARE: u64 = 2;
/// What anybody may have, also those of whose line nothing is known.
const FLOOR: Rate = Rate::kilobits(1_000);
/// The budget of so long may be spent at once: losses come in bursts.
const BURST: Duration = Duration::from_millis(1_000);

/// Bytes that may be repeated now.
#[derive(Debug)]
pub(crate) struct Repeats {
    left: i64,
    refilled: Instant,
}

impl Repeats {
    pub(crate) fn new(now: Instant) -> Self {
        Repeats {
            left: bytes(FLOOR, BURST),
            refilled: now,
        }
    }

    pub(crate) fn refill(&mut self, now: Instant, estimate: Option<Rate>) {
        let share = estimate.map_or(FLOOR, |estimate| Rate::bits(estimate.as_bits() / SHARE).max(FLOOR));
        let gained = bytes(share, now.saturating_duration_since(self.refilled).min(BURST));
        self.refilled = self.refilled.max(now);
        self.left = (self.left + gained).min(bytes(share, BURST));
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left <= 0
    }

    /// The last packet may take more than there is: the next ones wait for it.
    pub(crate) fn take(&mut self, len: usize) {
        self.left -= len as i64;
    }
}

fn bytes(rate: Rate, time: Duration) -> i64 {
    (rate.as_bits() * time.as_micros() as u64 / 8_000_000) as i64
}

#[cfg(test)]
mod tests {
    use super::{Rate, Repeats};
    use std::time::{Duration, Instant};

    /// Packets of 1,000 bytes that go out when ever more are asked for, each millisecond.
    fn spend(estimate: Option<Rate>, seconds: u64) -> u64 {
        let start = Instant::now();
        let mut repeats = Repeats::new(start);
        let mut sent = 0;
        for ms in 0..seconds * 1_000 {
            repeats.refill(start + Duration::from_millis(ms), estimate);
            while !repeats.is_spent() {
                repeats.take(1_000);
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn rely_72_whoever_asks_for_ever_more_gets_half_a_line_or_a_megabit() {
        // A second's worth at once, and nine more as time goes by.
        assert_eq!(spend(None, 9), 1_250);
        assert_eq!(spend(Some(Rate::kilobits(100)), 9), 1_250, "never less than a megabit");
        // 500 packets a second; at first there was a megabit's.
        let wide = spend(Some(Rate::kilobits(8_000)), 9);
        assert!((4_500..=5_000).contains(&wide), "{wide}");
    }
}
