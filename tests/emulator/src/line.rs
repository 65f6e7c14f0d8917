//! One direction of a path: a queue with tail drop, a line with a capacity, a way to go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use crate::profile::{Loss, Profile};
use crate::random::Random;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then, after this long in the queue (its own transmission included).
    Arrives { at: Instant, queued: Duration },
    /// The queue was full.
    Dropped,
    /// Lost on the way.
    Lost,
}

/// What a line counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub arrived: u64,
    pub arrived_bytes: u64,
    pub dropped: u64,
    pub lost: u64,
}

pub struct Line<T> {
    profile: Profile,
    random: Random,
    start: Instant,
    /// When the line has carried all that was given to it.
    free: Instant,
    /// What stands in the queue or is being carried: when it will have been, and its bytes.
    queue: VecDeque<(Instant, usize)>,
    queued: usize,
    bad_times: bool,
    last_arrival: Instant,
    number: u64,
    on_the_way: BinaryHeap<Reverse<Passenger<T>>>,
    pub tally: Tally,
}

struct Passenger<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> PartialEq for Passenger<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<T> Eq for Passenger<T> {}

impl<T> PartialOrd for Passenger<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Passenger<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<T> Line<T> {
    pub fn new(profile: Profile, seed: u64, start: Instant) -> Self {
        Line {
            profile,
            random: Random::new(seed),
            start,
            free: start,
            queue: VecDeque::new(),
            queued: 0,
            bad_times: false,
            last_arrival: start,
            number: 0,
            on_the_way: BinaryHeap::new(),
            tally: Tally::default(),
        }
    }

    /// A packet of this many bytes enters the line. Times must not go back.
    pub fn send(&mut self, now: Instant, bytes: usize, what: T) -> Fate {
        while self.queue.front().is_some_and(|(done, _)| *done <= now) {
            self.queued -= self.queue.pop_front().map_or(0, |(_, bytes)| bytes);
        }
        if self.queued + bytes > self.profile.queue {
            self.tally.dropped += 1;
            return Fate::Dropped;
        }
        let begins = self.free.max(now);
        let Some(done) = self.carried(begins, bytes) else {
            self.tally.dropped += 1;
            return Fate::Dropped; // the line never carries anything again
        };
        self.free = done;
        self.queue.push_back((done, bytes));
        self.queued += bytes;
        // Lost behind the bottleneck: a lost packet took its place in the queue.
        if self.is_lost() {
            self.tally.lost += 1;
            return Fate::Lost;
        }
        let mut at = done + self.profile.delay + self.profile.jitter.mul_f64(self.random.unit());
        match self.profile.reordering {
            Some(reordering) if self.random.chance(reordering.probability) => at += reordering.detour,
            _ => {
                at = at.max(self.last_arrival);
                self.last_arrival = at;
            }
        }
        self.number += 1;
        self.tally.arrived += 1;
        self.tally.arrived_bytes += bytes as u64;
        self.on_the_way.push(Reverse(Passenger {
            at,
            number: self.number,
            what,
        }));
        Fate::Arrives { at, queued: done - now }
    }

    /// When the next packet arrives.
    pub fn next(&self) -> Option<Instant> {
        self.on_the_way.peek().map(|Reverse(passenger)| passenger.at)
    }

    /// A packet that has arrived by now, and when it did.
    pub fn poll(&mut self, now: Instant) -> Option<(Instant, T)> {
        if self.next()? > now {
            return None;
        }
        self.on_the_way
            .pop()
            .map(|Reverse(passenger)| (passenger.at, passenger.what))
    }

    /// When the line, free from `begins` on, has carried so many bytes.
    fn carried(&self, begins: Instant, bytes: usize) -> Option<Instant> {
        let mut left = bytes as f64 * 8.0;
        let mut at = begins - self.start;
        loop {
            let (rate, until) = self.profile.capacity.at(at);
            let needed = (rate > 0).then(|| Duration::from_secs_f64(left / rate as f64));
            match (needed, until) {
                (Some(needed), Some(until)) if at + needed > until => left -= rate as f64 * (until - at).as_secs_f64(),
                (Some(needed), _) => return Some(self.start + at + needed),
                (None, Some(_)) => {}
                (None, None) => return None,
            }
            at = until?;
        }
    }

    fn is_lost(&mut self) -> bool {
        match self.profile.loss {
            Loss::None => false,
            Loss::Random(probability) => self.random.chance(probability),
            Loss::Bursts { begin, end, lost } => {
                self.bad_times ^= self.random.chance(if self.bad_times { end } else { begin });
                self.bad_times && self.random.chance(lost)
            }
        }
    }
}
