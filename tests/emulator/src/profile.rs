//! What a line is like.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Profile {
    pub capacity: Capacity,
    /// What each packet's way takes at least.
    pub delay: Duration,
    /// Up to this much is added to it, differently for each packet, without changing their order.
    pub jitter: Duration,
    /// What the queue before the line holds, in bytes. A packet that does not fit is lost (tail drop).
    pub queue: usize,
    pub loss: Loss,
    pub reordering: Option<Reordering>,
}

impl Default for Profile {
    /// A good line: 10 Mbit/s, 25 ms, a queue of 300 ms.
    fn default() -> Self {
        Profile::steady(10_000_000)
    }
}

impl Profile {
    /// A line of this capacity in bit/s, 25 ms long, with a queue of 300 ms (at least ten packets).
    pub fn steady(capacity: u64) -> Self {
        Profile {
            capacity: Capacity::Steady(capacity),
            delay: Duration::from_millis(25),
            jitter: Duration::ZERO,
            queue: Self::queue_of(capacity, Duration::from_millis(300)),
            loss: Loss::None,
            reordering: None,
        }
    }

    /// The bytes that a line of this capacity carries in `time`, at least ten packets.
    pub fn queue_of(capacity: u64, time: Duration) -> usize {
        ((capacity as f64 * time.as_secs_f64() / 8.0) as usize).max(10 * 1_200)
    }
}

/// Bits a second, over time.
#[derive(Debug, Clone)]
pub enum Capacity {
    Steady(u64),
    /// From each moment on, in ascending order; the first one is zero.
    Steps(Vec<(Duration, u64)>),
    /// Changes from one to the other and back, each for this long.
    Periodic {
        half: Duration,
        first: u64,
        second: u64,
    },
}

impl Capacity {
    /// At this moment of the line's life, and until when that holds. `None`: for good.
    pub fn at(&self, moment: Duration) -> (u64, Option<Duration>) {
        match self {
            Capacity::Steady(rate) => (*rate, None),
            Capacity::Steps(steps) => {
                let next = steps.partition_point(|(from, _)| *from <= moment);
                let rate = next.checked_sub(1).map_or(0, |current| steps[current].1);
                (rate, steps.get(next).map(|(from, _)| *from))
            }
            Capacity::Periodic { half, first, second } => {
                let number = (moment.as_nanos() / half.as_nanos().max(1)) as u32;
                let rate = if number.is_multiple_of(2) { *first } else { *second };
                (rate, Some(*half * (number + 1)))
            }
        }
    }

    /// Bits carried from the beginning of the line's life to `end`.
    pub fn bits(&self, end: Duration) -> f64 {
        let (mut at, mut bits) = (Duration::ZERO, 0.0);
        while at < end {
            let (rate, until) = self.at(at);
            let next = until.unwrap_or(end).min(end);
            bits += rate as f64 * (next - at).as_secs_f64();
            at = next;
        }
        bits
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    None,
    /// Each packet by itself.
    Random(f64),
    /// Gilbert and Elliott: a good state without loss, and a bad one in which packets are lost with a probability.
    Bursts {
        /// Probability for each packet that bad times begin, and that they end.
        begin: f64,
        end: f64,
        lost: f64,
    },
}

/// Some packets take a detour and are overtaken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reordering {
    pub probability: f64,
    pub detour: Duration,
}
