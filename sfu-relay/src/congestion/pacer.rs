//! When the next packet may leave: what was sent beyond the pace is a debt, and packets that can wait do so until it is paid off.

use super::rate::Rate;

/// The pace is this much above what the line is thought to carry, so that a burst of a sender is over before its next one.
const FACTOR: f64 = 2.5;
/// Packets leave together up to what the pace carries in this time, and two packets at any pace.
const TOGETHER_US: u64 = 10_000;
const TOGETHER: u64 = 2_400;
/// Whatever waits is let go within this time.
const LONGEST_WAIT_US: u64 = 1_000_000;
/// A debt is forgiven beyond what the pace carries in this time: a line's bad moment is not paid for later.
const MOST_DEBT_US: u64 = 300_000;

#[derive(Debug)]
pub(super) struct Pacer {
    pace: Rate,
    debt: u64,
    at: u64,
}

impl Pacer {
    pub(super) fn new(target: Rate) -> Self {
        Pacer {
            pace: target.times(FACTOR),
            debt: 0,
            at: 0,
        }
    }

    /// The rate that the line is thought to carry, what waits, and what a probe needs at least.
    pub(super) fn set(&mut self, now: u64, target: Rate, waiting: u64, at_least: Rate) {
        self.pay(now);
        let in_time = Rate::of(waiting, LONGEST_WAIT_US);
        self.pace = target.times(FACTOR).max(in_time).max(at_least.times(1.2));
        self.debt = self.debt.min(self.pace.bytes_in(MOST_DEBT_US));
    }

    fn pay(&mut self, now: u64) {
        self.debt = self
            .debt
            .saturating_sub(self.pace.bytes_in(now.saturating_sub(self.at)));
        self.at = self.at.max(now);
    }

    fn together(&self) -> u64 {
        self.pace.bytes_in(TOGETHER_US).max(TOGETHER)
    }

    pub(super) fn may_send(&mut self, now: u64) -> bool {
        // In small steps nothing would ever be paid off, for fractions of a byte are lost.
        if now.saturating_sub(self.at) >= 500 {
            self.pay(now);
        }
        self.debt < self.together()
    }

    pub(super) fn sent(&mut self, bytes: u16) {
        self.debt += u64::from(bytes);
    }

    #[cfg(test)]
    /// When the next packet may leave, at the latest pace known.
    pub(super) fn next(&self) -> u64 {
        let over = self.debt.saturating_sub(self.together() / 2);
        self.at + self.pace.micros_for(over)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pacer, Rate};

    #[test]
    fn what_leaves_over_time_is_the_pace() {
        let mut pacer = Pacer::new(Rate::kilobits(1_000));
        let (mut now, mut bytes) = (0, 0_u64);
        while now < 1_000_000 {
            while pacer.may_send(now) {
                pacer.sent(1_000);
                bytes += 1_000;
            }
            now = pacer.next().max(now + 1_000);
        }
        let rate = Rate::of(bytes, now);
        assert!((2_400..2_650).contains(&(rate.as_bits() / 1_000)), "{rate:?}");
    }

    #[test]
    fn nothing_waits_longer_than_a_second_and_no_debt_lasts() {
        let mut pacer = Pacer::new(Rate::kilobits(10));
        pacer.set(0, Rate::kilobits(10), 500_000, Rate::ZERO);
        let (mut now, mut left) = (0, 500);
        while left > 0 {
            now += 5_000;
            while left > 0 && pacer.may_send(now) {
                pacer.sent(1_000);
                left -= 1;
            }
        }
        assert!(now <= 1_000_000, "{now}");
        for _ in 0..1_000 {
            pacer.sent(1_000);
        }
        pacer.set(now, Rate::kilobits(1_000), 0, Rate::ZERO);
        assert!(pacer.next() < now + 400_000);
    }
}
