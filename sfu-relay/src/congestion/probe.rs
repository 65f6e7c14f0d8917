//! Trying whether more would arrive: for a moment more is sent than is known to fit, and what arrives in that moment is measured.

use super::rate::Rate;

/// How long a probe takes, at rates at which that is enough for a result; and the bytes that are enough where all is padding.
const LENGTH_US: u64 = 70_000;
const ENOUGH: u64 = 2_000;
/// Packets that have to have arrived for a result.
const PACKETS: u32 = 5;
/// What arrives at less than this share of the rate at which it was sent has filled the line.
const UNSATURATED: f64 = 0.88;
/// A filled line is used up to this share.
const USED: f64 = 0.96;

/// A probe on its way out.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: u8,
    pub(super) rate: Rate,
    began: u64,
    until: u64,
    sent: u64,
}

impl Running {
    pub(super) fn new(id: u8, rate: Rate, now: u64) -> Self {
        Running {
            id,
            rate,
            began: now,
            until: now + LENGTH_US.max(rate.micros_for(ENOUGH)),
            sent: 0,
        }
    }

    pub(super) fn sent(&mut self, bytes: u16) {
        self.sent += u64::from(bytes);
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }

    /// The bytes to be sent by now so that the rate is reached.
    pub(super) fn due(&self, now: u64) -> u64 {
        // A little ahead, so that something leaves at once.
        let passed = now.min(self.until).saturating_sub(self.began) + 3_000;
        self.rate.bytes_in(passed).saturating_sub(self.sent)
    }
}

/// What became of a probe's packets.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) id: u8,
    packets: u32,
    missing: u32,
    bytes: u64,
    first_sent: u64,
    last_sent: u64,
    last_bytes: u64,
    first_arrival: i64,
    last_arrival: i64,
    first_bytes: u64,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rate: Rate,
    /// More would not have arrived.
    pub(super) saturated: bool,
}

impl Measured {
    pub(super) fn new(id: u8) -> Self {
        Measured {
            id,
            ..Measured::default()
        }
    }

    pub(super) fn arrived(&mut self, sent: u64, arrival: i64, bytes: u16) {
        let bytes = u64::from(bytes);
        if self.packets == 0 || sent < self.first_sent {
            self.first_sent = sent;
        }
        if self.packets == 0 || sent >= self.last_sent {
            (self.last_sent, self.last_bytes) = (sent, bytes);
        }
        if self.packets == 0 || arrival < self.first_arrival {
            (self.first_arrival, self.first_bytes) = (arrival, bytes);
        }
        if self.packets == 0 || arrival > self.last_arrival {
            self.last_arrival = arrival;
        }
        self.packets += 1;
        self.bytes += bytes;
    }

    pub(super) fn missing(&mut self) {
        self.missing += 1;
    }

    /// The share that did not arrive.
    pub(super) fn lost(&self) -> f64 {
        f64::from(self.missing) / f64::from((self.missing + self.packets).max(1))
    }

    /// What the packets that arrived tell. `None`: too few of them.
    pub(super) fn found(&self) -> Option<Found> {
        let sending = self.last_sent.checked_sub(self.first_sent).filter(|span| *span > 0)?;
        let arriving = u64::try_from(self.last_arrival - self.first_arrival)
            .ok()
            .filter(|span| *span > 0)?;
        if self.packets < PACKETS {
            return None;
        }
        // Between the first and the last one pass all but the last, when sending, and all but the first, when arriving.
        let sent = Rate::of(self.bytes - self.last_bytes, sending);
        let arrived = Rate::of(self.bytes - self.first_bytes, arriving);
        let saturated = arrived < sent.times(UNSATURATED);
        let rate = if saturated {
            arrived.times(USED)
        } else {
            sent.min(arrived)
        };
        Some(Found { rate, saturated })
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Measured, Rate, Running};

    fn measured(line: Rate) -> Option<Found> {
        let mut measured = Measured::new(1);
        let mut free = 0;
        for i in 0..20_u64 {
            let sent = i * 5_000;
            free = free.max(sent) + line.micros_for(1_000);
            measured.arrived(sent, free as i64, 1_000);
        }
        measured.found()
    }

    #[test]
    fn a_probe_finds_its_own_rate_or_that_of_the_line() {
        // 1,000 bytes each 5 ms are 1.6 Mbit/s.
        let wide = measured(Rate::kilobits(20_000));
        assert!(wide.is_some_and(|found| !found.saturated && found.rate.share_of(Rate::kilobits(1_600)) > 0.97));
        let narrow = measured(Rate::kilobits(1_000));
        assert!(narrow.is_some_and(|found| found.saturated));
        let rate = narrow.map_or(Rate::ZERO, |found| found.rate);
        assert!((900..=1_000).contains(&(rate.as_bits() / 1_000)), "{rate:?}");
    }

    #[test]
    fn too_few_packets_or_all_at_one_moment_tell_nothing() {
        assert_eq!(Measured::new(1).found(), None);
        let mut same = Measured::new(1);
        for _ in 0..9 {
            same.arrived(7, 7, 1_000);
        }
        assert_eq!(same.found(), None);
    }

    #[test]
    fn a_running_probe_asks_for_what_is_missing_to_its_rate() {
        let mut running = Running::new(1, Rate::kilobits(800), 1_000_000);
        let first = running.due(1_000_000);
        assert!(first > 0);
        running.sent(first as u16);
        assert_eq!(running.due(1_000_000), 0);
        assert_eq!(running.due(1_010_000), 1_000);
        assert!(!running.is_over(1_010_000));
        assert!(running.is_over(1_100_000));
    }
}
