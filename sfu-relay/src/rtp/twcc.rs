//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): when each packet arrived, told to who
//! sent it, so that the browser's own estimator can do its work. Without it Chromium stays at 300 kbit/s.

pub mod report;

use std::time::{Duration, Instant};

use super::sequence::Unwrapper;

/// Deltas count in units of 250 us, the reference time in units of 64 ms.
const DELTA_US: i64 = 250;
const REFERENCE_US: i64 = 64_000;
/// Packets of one feedback; a sender faster than this per interval gets several.
const MAX_PACKETS: usize = 400;
/// A gap longer than this is not described packet by packet: the sender started anew.
const MAX_GAP: u64 = 2_000;

/// Records arrivals on one transport.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    sequence: Unwrapper,
    /// Arrivals since the last feedback: unwrapped sequence number and microseconds since `start`; in order of sequence.
    arrivals: Vec<(u64, i64)>,
    /// Everything below was reported already.
    next: Option<u64>,
    count: u8,
}

impl Recorder {
    pub fn new(now: Instant) -> Self {
        Recorder {
            start: now,
            sequence: Unwrapper::default(),
            arrivals: Vec::new(),
            next: None,
            count: 0,
        }
    }

    pub fn arrived(&mut self, sequence: u16, now: Instant) {
        let number = self.sequence.unwrap(sequence);
        let at = now.saturating_duration_since(self.start).as_micros() as i64;
        match self.arrivals.binary_search_by_key(&number, |(n, _)| *n) {
            Ok(_) => {}
            Err(place) if self.arrivals.len() < 4 * MAX_PACKETS => self.arrivals.insert(place, (number, at)),
            Err(_) => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// The next feedback to send, if anything arrived since the last.
    pub fn feedback(&mut self) -> Option<Feedback<'static>> {
        let first_arrived = self.arrivals.first()?.0;
        // Packets that came after their gap was reported are reported again, alone: the base moves back.
        let base = match self.next {
            Some(next) if next <= first_arrived && first_arrived - next < MAX_GAP => next,
            _ => first_arrived,
        };
        let take = self
            .arrivals
            .iter()
            .take(MAX_PACKETS)
            .take_while(|(n, _)| n - base < MAX_GAP)
            .count()
            .max(1);
        let packets: Vec<_> = self.arrivals.drain(..take).collect();
        let last = packets.last().map_or(base, |(n, _)| *n);
        self.next = Some(self.next.unwrap_or(0).max(last + 1));
        let count = self.count;
        self.count = self.count.wrapping_add(1);
        Some(Feedback {
            base,
            count,
            packets: packets.into(),
        })
    }

    /// How often feedback is sent.
    pub const INTERVAL: Duration = Duration::from_millis(50);
}

/// One feedback message.
#[derive(Debug)]
pub struct Feedback<'a> {
    base: u64,
    count: u8,
    packets: std::borrow::Cow<'a, [(u64, i64)]>,
}

impl Feedback<'_> {
    /// Writes the part after the SSRCs: base, count, reference time, chunks, deltas.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Some(&(last, _)) = self.packets.last() else { return };
        let first_at = self.packets.first().map_or(0, |(_, at)| *at);
        let reference = first_at / REFERENCE_US;
        let status_count = (last - self.base + 1) as usize;

        let mut statuses = vec![0u8; status_count];
        let mut deltas = Vec::with_capacity(self.packets.len());
        let mut previous = reference * REFERENCE_US / DELTA_US;
        for (number, at) in self.packets.iter() {
            let ticks = at / DELTA_US;
            let delta = (ticks - previous).clamp(i64::from(i16::MIN), i64::from(i16::MAX));
            previous += delta;
            let small = (0..=255).contains(&delta);
            statuses[(number - self.base) as usize] = if small { 1 } else { 2 };
            deltas.push((delta as i16, small));
        }

        out.extend_from_slice(&(self.base as u16).to_be_bytes());
        out.extend_from_slice(&(status_count as u16).to_be_bytes());
        out.extend_from_slice(&((reference as u32 & 0x00FF_FFFF) << 8 | u32::from(self.count)).to_be_bytes());
        write_chunks(&statuses, out);
        for (delta, small) in deltas {
            if small {
                out.push(delta as u8);
            } else {
                out.extend_from_slice(&delta.to_be_bytes());
            }
        }
    }
}

/// Run-length chunks where they are shorter, else vectors of seven two-bit symbols (sections 3.1.3 and 3.1.4 of the draft).
fn write_chunks(mut statuses: &[u8], out: &mut Vec<u8>) {
    while let Some(&first) = statuses.first() {
        let run = statuses
            .iter()
            .take(0x1FFF)
            .take_while(|status| **status == first)
            .count();
        let (chunk, used) = if run >= 7 || run == statuses.len() {
            (u16::from(first) << 13 | run as u16, run)
        } else {
            let used = statuses.len().min(7);
            let symbols = statuses[..used].iter().enumerate();
            let bits = symbols.fold(0, |bits, (i, status)| bits | u16::from(*status) << (12 - 2 * i));
            (0xC000 | bits, used)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        statuses = &statuses[used..];
    }
}
