//! Packets missing from a sender's stream, asked for by NACK (RFC 4585) while they may still be of use.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A packet this old is of no use to anybody's jitter buffer.
const GIVE_UP: Duration = Duration::from_millis(1_000);
const MAX_REQUESTS: u8 = 8;
/// A first request may still find the packet merely late.
const REORDERING: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_millis(60);
/// A longer gap is a restart or an outage: a key frame is the better cure.
pub(crate) const MAX_GAP: u64 = 256;

#[derive(Debug, Default)]
pub(crate) struct Missing {
    packets: BTreeMap<u64, Request>,
}

#[derive(Debug)]
struct Request {
    since: Instant,
    last: Option<Instant>,
    count: u8,
}

impl Missing {
    /// Everything from `from` up to but not including `to` is missing. `false`: too much to ask for.
    pub(crate) fn add(&mut self, from: u64, to: u64, now: Instant) -> bool {
        if to - from > MAX_GAP || self.packets.len() as u64 + (to - from) > 2 * MAX_GAP {
            self.packets.clear();
            return false;
        }
        self.packets.extend((from..to).map(|number| {
            (
                number,
                Request {
                    since: now,
                    last: None,
                    count: 0,
                },
            )
        }));
        true
    }

    pub(crate) fn arrived(&mut self, number: u64) -> bool {
        self.packets.remove(&number).is_some()
    }

    /// The numbers to ask for now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<u16> {
        let mut due = Vec::new();
        self.packets.retain(|number, request| {
            if now.saturating_duration_since(request.since) > GIVE_UP || request.count >= MAX_REQUESTS {
                return false;
            }
            let wait = match request.last {
                None => now.saturating_duration_since(request.since) < REORDERING,
                Some(last) => now.saturating_duration_since(last) < RETRY,
            };
            if !wait {
                request.last = Some(now);
                request.count += 1;
                due.push(*number as u16);
            }
            true
        });
        due
    }
}
