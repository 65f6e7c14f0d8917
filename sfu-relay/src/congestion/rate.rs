//! Bits a second.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// A rate, in bits a second.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    pub const ZERO: Rate = Rate(0);

    pub const fn bits(bits: u64) -> Self {
        Rate(bits)
    }

    pub const fn kilobits(kilobits: u64) -> Self {
        Rate(kilobits * 1_000)
    }

    pub const fn as_bits(self) -> u64 {
        self.0
    }

    /// So many bytes in so many microseconds.
    pub fn of(bytes: u64, micros: u64) -> Self {
        Rate(bytes.saturating_mul(8_000_000) / micros.max(1))
    }

    /// The bytes carried in so many microseconds.
    pub fn bytes_in(self, micros: u64) -> u64 {
        (u128::from(self.0) * u128::from(micros) / 8_000_000) as u64
    }

    /// The microseconds that so many bytes take.
    pub fn micros_for(self, bytes: u64) -> u64 {
        bytes.saturating_mul(8_000_000) / self.0.max(1)
    }

    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Rate((self.0 as f64 * factor) as u64)
    }

    #[must_use]
    pub fn minus(self, other: Rate) -> Self {
        Rate(self.0.saturating_sub(other.0))
    }

    /// This rate as a share of another.
    pub fn share_of(self, other: Rate) -> f64 {
        self.0 as f64 / other.0.max(1) as f64
    }
}

impl Add for Rate {
    type Output = Rate;

    fn add(self, other: Rate) -> Rate {
        Rate(self.0.saturating_add(other.0))
    }
}

impl Sum for Rate {
    fn sum<I: Iterator<Item = Rate>>(rates: I) -> Rate {
        rates.fold(Rate::ZERO, Add::add)
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.0 / 1_000)
    }
}

/// What passed in the last second, or a part of it: bytes in slices of time, the oldest of which are forgotten one by one.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    slices: [u32; SLICES],
    /// The number of the newest slice since time zero, and of the first one that counts.
    newest: u64,
    first: u64,
    started: bool,
}

const SLICES: usize = 32;
const SLICE_US: u64 = 31_250;

impl Default for Meter {
    fn default() -> Self {
        Meter {
            slices: [0; SLICES],
            newest: 0,
            first: 0,
            started: false,
        }
    }
}

impl Meter {
    pub(crate) fn add(&mut self, at: u64, bytes: usize) {
        self.advance(at);
        let slice = at / SLICE_US;
        if self.newest - slice.min(self.newest) < SLICES as u64 {
            let place = &mut self.slices[(slice % SLICES as u64) as usize];
            *place = place.saturating_add(bytes as u32);
        }
    }

    fn advance(&mut self, at: u64) {
        let slice = at / SLICE_US;
        if !self.started || slice >= self.newest + SLICES as u64 {
            let silent = self.started;
            self.slices = [0; SLICES];
            (self.newest, self.started) = (slice, true);
            if !silent {
                self.first = slice;
            }
            return;
        }
        while self.newest < slice {
            self.newest += 1;
            self.slices[(self.newest % SLICES as u64) as usize] = 0;
        }
    }

    /// Over the last so many microseconds (a second at most) before `now`, or since the first byte if that is less.
    pub(crate) fn rate(&self, now: u64, window: u64) -> Rate {
        if !self.started {
            return Rate::ZERO;
        }
        let slices = (window / SLICE_US).clamp(1, SLICES as u64 - 1);
        let current = (now / SLICE_US).max(self.newest);
        // The slices before the one that is being filled.
        let begin = current.saturating_sub(slices).max(self.first);
        let bytes: u64 = (begin..current)
            .filter(|slice| *slice <= self.newest && self.newest - slice < SLICES as u64)
            .map(|slice| u64::from(self.slices[(slice % SLICES as u64) as usize]))
            .sum();
        match current - begin {
            0 => Rate::ZERO,
            len => Rate::of(bytes, len * SLICE_US),
        }
    }

    /// Whether at least so many microseconds were looked at.
    pub(crate) fn is_settled(&self, now: u64, window: u64) -> bool {
        self.started && now / SLICE_US >= self.first + window / SLICE_US
    }
}

#[cfg(test)]
mod tests {
    use super::{Meter, Rate};

    #[test]
    fn rates_are_bytes_by_time_and_never_overflow() {
        assert_eq!(Rate::of(1_250, 10_000), Rate::kilobits(1_000));
        assert_eq!(Rate::kilobits(1_000).bytes_in(10_000), 1_250);
        assert_eq!(Rate::kilobits(1_000).micros_for(1_250), 10_000);
        assert_eq!(Rate::of(u64::MAX, 0), Rate::bits(u64::MAX));
        assert_eq!(Rate::kilobits(1).minus(Rate::kilobits(2)), Rate::ZERO);
    }

    #[test]
    fn a_meter_tells_a_constant_rate_at_once_and_forgets_it() {
        let mut meter = Meter::default();
        for at in (5_000_000..6_000_000).step_by(5_000) {
            meter.add(at, 625);
            if meter.is_settled(at, 200_000) {
                let off = meter.rate(at, 250_000).share_of(Rate::kilobits(1_000)) - 1.0;
                assert!(off.abs() < 0.2, "{off} at {at}");
            }
        }
        assert_eq!(meter.rate(9_000_000, 500_000), Rate::ZERO);
        meter.add(20_000_000, 100);
        meter.add(19_999_000, 100); // late
        meter.add(3_000_000, 100); // far too late
        assert!(meter.rate(20_100_000, 500_000) < Rate::kilobits(10));
    }
}
