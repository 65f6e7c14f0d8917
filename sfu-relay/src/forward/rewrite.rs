//! Numbers of a forwarded stream: without gaps where the relay left something out, and going on where a layer switch made the source jump.

use std::collections::VecDeque;
use std::time::Instant;

/// Left-out packets remembered, to number packets that come late correctly.
const MEMORY: usize = 256;

#[derive(Debug)]
pub(crate) struct Rewriter {
    clock_rate: u32,
    /// The number the next new packet gets.
    next: u64,
    /// Where the current source begins, and what that packet is called outside.
    source: Option<Source>,
    /// The newest timestamp written, and when.
    newest: Option<(u32, Instant)>,
}

#[derive(Debug)]
struct Source {
    first: u64,
    first_out: u64,
    /// The newest packet that was numbered or left out.
    newest: u64,
    /// Left out, ascending. Those forgotten are counted in `forgotten`; nothing up to `floor` can be numbered any more.
    left_out: VecDeque<u64>,
    forgotten: u64,
    floor: u64,
    timestamp_offset: u32,
}

impl Rewriter {
    pub(crate) fn new(first_sequence: u16, clock_rate: u32) -> Self {
        // A cycle above zero, so that numbers below the first one exist.
        Rewriter {
            clock_rate,
            next: (1 << 16) + u64::from(first_sequence),
            source: None,
            newest: None,
        }
    }

    /// Begins (or goes on) with another source at its packet `first`, whose timestamp is `timestamp`.
    ///
    /// `offset` is the exact difference between the timestamps outside and those of the source, where sender reports tell it;
    /// otherwise it is estimated from the time that passed.
    pub(crate) fn start(&mut self, first: u64, timestamp: u32, offset: Option<u32>, now: Instant) {
        let timestamp_offset = match self.newest {
            None => 0,
            Some((newest, at)) => {
                let passed =
                    now.saturating_duration_since(at).as_micros() as u64 * u64::from(self.clock_rate) / 1_000_000;
                let estimate = newest.wrapping_add((passed as u32).max(1));
                let plausible = offset.filter(|offset| {
                    let out = timestamp.wrapping_add(*offset);
                    let after_newest = out.wrapping_sub(newest) as i32 > 0;
                    let near = (out.wrapping_sub(estimate) as i32).unsigned_abs() < 2 * self.clock_rate;
                    after_newest && near
                });
                plausible.unwrap_or_else(|| estimate.wrapping_sub(timestamp))
            }
        };
        self.source = Some(Source {
            first,
            first_out: self.next,
            newest: first.saturating_sub(1),
            left_out: VecDeque::new(),
            forgotten: 0,
            floor: first.saturating_sub(1),
            timestamp_offset,
        });
    }

    /// Outside minus inside, of the current source.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.timestamp_offset)
    }

    /// The outside number and timestamp of a source's packet. `None`: it lies before the source's beginning or was left out.
    pub(crate) fn map(&mut self, number: u64, timestamp: u32, now: Instant) -> Option<(u64, u32)> {
        let source = self.source.as_mut()?;
        if number <= source.floor {
            return None;
        }
        let before = source.left_out.binary_search(&number).err()? as u64;
        source.newest = source.newest.max(number);
        let out = source.first_out + (number - source.first) - source.forgotten - before;
        let timestamp = timestamp.wrapping_add(source.timestamp_offset);
        self.next = self.next.max(out + 1);
        match self.newest {
            Some((newest, _)) if timestamp.wrapping_sub(newest) as i32 <= 0 => {}
            _ => self.newest = Some((timestamp, now)),
        }
        Some((out, timestamp))
    }

    /// Leaves a packet of the source out without a gap. Too late if something newer was numbered already: then a gap it is.
    pub(crate) fn leave_out(&mut self, number: u64) {
        let Some(source) = &mut self.source else { return };
        if number <= source.newest {
            return;
        }
        source.newest = number;
        source.left_out.push_back(number);
        if source.left_out.len() > MEMORY
            && let Some(forgotten) = source.left_out.pop_front()
        {
            source.forgotten += 1;
            source.floor = forgotten;
        }
    }
}
