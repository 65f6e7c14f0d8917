//! One receiver's line: what it carries, found out from what its reports say of the packets sent to it ([`estimating`]), and by trying more
//! for a moment ([`probing`]).
//!
//! Requirements held here: RELY-21, RELY-22.

mod estimating;
mod probing;

use std::time::Instant;

use super::delay::Delay;
use super::history::History;
use super::loss::Loss;
use super::pacer::Pacer;
use super::probe::{Measured, Running};
use super::rate::{Meter, Rate};
use crate::rtp::twcc::report::{Report, ReportError};
use probing::PROBE_PAUSES_US;

/// What a line is thought to carry before anything is known of it.
pub const START: Rate = Rate::kilobits(500);
/// Whatever happens, so much is assumed: less than one voice.
pub const LEAST: Rate = Rate::kilobits(40);
/// The first packets leave at this pace: a first picture does not wait for the first report.
const UNHEARD: Rate = Rate::kilobits(5_000);
pub const MOST: Rate = Rate::kilobits(100_000);
/// What a datagram costs on the line beyond its own bytes: UDP and IPv4 headers.
pub const OVERHEAD: usize = 28;

const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// A queue is expected where more than this share of the estimate is sent at once, but none longer than this: bursts are excused, and too much
/// all the time is not.
const EXCUSED: (f64, u64) = (1.05, 150 * MILLI);

/// Why a report was not used. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unused {
    #[error(transparent)]
    Malformed(#[from] ReportError),
    #[error("the report speaks of packets that were never sent")]
    NeverSent,
    #[error("the report says nothing new")]
    Stale,
}

/// What more could be sent if the line carried it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// With this much everything would get what it wants.
    pub all: Rate,
    /// With this much something would get better.
    pub next: Rate,
}

/// See the module's description. All methods with a time want it not to go back.
#[derive(Debug)]
pub struct Controller {
    start: Instant,
    history: History,
    /// The first packet that went the way it goes now.
    since: u64,
    delay: Delay,
    loss: Loss,
    pacer: Pacer,
    /// What would stand in the queue of a line that carries what is thought: bytes, and when that was so.
    expected: (u64, u64),
    sent: Meter,
    arrived: Meter,
    /// What the delays allow.
    target: Rate,
    /// The rate at which a queue was seen last, and when.
    capacity: Option<(Rate, u64)>,
    /// The queue of the last decrease is gone and the rate has been taken up again.
    resumed: bool,
    round_trip: u64,
    last_decrease: u64,
    /// The queue at the last decrease, and the decreases in a row that did not shorten it.
    stuck: (u64, u32),
    last_update: u64,
    last_feedback: Option<u64>,
    next_silence: u64,
    /// What was thought before the reports stayed away.
    before_silence: Option<Rate>,
    /// The same, while a probe looks for it.
    after_silence: Option<Rate>,
    /// It was found, and nobody was told yet.
    recovered: bool,
    /// The receiver's clock: the newest reference time, unwrapped, and what is to be subtracted from its times.
    reference: Option<i64>,
    clock: i64,
    newest_arrival: u64,
    demand: Demand,
    probe: Option<Running>,
    measured: Option<Measured>,
    /// The number behind the probe's last packet, once it is out, and until when to wait for news of it.
    probe_end: Option<(u64, u64)>,
    last_probe: u8,
    next_probe: u64,
    probe_pause: u64,
    /// A probe has filled the line, or a queue was seen.
    limit_seen: bool,
    waiting: u64,
}

impl Controller {
    pub fn new(now: Instant) -> Self {
        Controller {
            start: now,
            history: History::default(),
            since: 0,
            delay: Delay::new(),
            loss: Loss::default(),
            pacer: Pacer::new(UNHEARD),
            expected: (0, 0),
            sent: Meter::default(),
            arrived: Meter::default(),
            target: START,
            capacity: None,
            resumed: true,
            round_trip: 100 * MILLI,
            last_decrease: 0,
            stuck: (0, 0),
            last_update: 0,
            last_feedback: None,
            next_silence: 0,
            before_silence: None,
            after_silence: None,
            recovered: false,
            reference: None,
            clock: 0,
            newest_arrival: 0,
            demand: Demand::default(),
            probe: None,
            measured: None,
            probe_end: None,
            last_probe: 0,
            next_probe: 0,
            probe_pause: PROBE_PAUSES_US.0,
            limit_seen: false,
            waiting: 0,
        }
    }

    /// Packets take another way from now on. What was known was known of the old one, and what is still to be heard of that changes nothing;
    /// numbers go on, for the receiver is the same.
    pub fn path_changed(&mut self, now: Instant) {
        let history = std::mem::take(&mut self.history);
        *self = Controller {
            since: history.next(),
            history,
            expected: (0, self.micros(now)),
            last_update: self.micros(now),
            demand: self.demand,
            last_probe: self.last_probe,
            waiting: self.waiting,
            ..Controller::new(self.start)
        };
    }

    fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_micros() as u64
    }

    /// The transport-wide number of the next packet.
    pub fn next_number(&self) -> u16 {
        self.history.next() as u16
    }

    /// The packet with that number left, a datagram of so many bytes.
    pub fn sent(&mut self, now: Instant, bytes: usize) {
        let now = self.micros(now);
        let bytes = (bytes + OVERHEAD).min(usize::from(u16::MAX)) as u16;
        let probe = self.probe.as_mut().map_or(0, |probe| {
            probe.sent(bytes);
            probe.id
        });
        let wait = self.wait(now, bytes);
        self.history.push(now, bytes, probe, wait);
        self.sent.add(now, usize::from(bytes));
        self.pacer.sent(bytes);
    }

    /// What a packet waits, in microseconds, on a line that carries what is thought.
    fn wait(&mut self, now: u64, bytes: u16) -> u32 {
        let carried = self.estimate().times(EXCUSED.0);
        let (queued, at) = &mut self.expected;
        let passed = now.saturating_sub(*at);
        // In small steps nothing would ever be carried, for fractions of a byte are lost.
        if passed >= 500 {
            (*queued, *at) = (queued.saturating_sub(carried.bytes_in(passed)), now);
        }
        *queued = (*queued + u64::from(bytes)).min(carried.bytes_in(EXCUSED.1));
        carried.micros_for(*queued - u64::from(bytes).min(*queued)) as u32
    }

    /// Whether a packet that can wait may leave now.
    pub fn may_send(&mut self, now: Instant) -> bool {
        let now = self.micros(now);
        self.pacer.may_send(now)
    }

    /// So many bytes wait for [`Controller::may_send`].
    pub fn waiting(&mut self, now: Instant, bytes: u64) {
        self.waiting = bytes;
        let now = self.micros(now);
        self.set_pace(now);
    }

    fn set_pace(&mut self, now: u64) {
        let unheard = if self.last_feedback.is_none() {
            UNHEARD
        } else {
            Rate::ZERO
        };
        let at_least = self.probe.as_ref().map_or(unheard, |probe| probe.rate);
        let target = self.estimate();
        self.pacer.set(now, target, self.waiting, at_least);
    }

    /// What the line carries.
    pub fn estimate(&self) -> Rate {
        self.loss
            .bound()
            .map_or(self.target, |bound| bound.min(self.target))
            .max(LEAST)
    }

    /// Whether the estimate rests on reports of at least a second's packets.
    pub fn is_settled(&self) -> bool {
        self.last_feedback.is_some() && self.arrived.is_settled(self.newest_arrival, SECOND - 100 * MILLI)
    }

    /// Whether the line turned out to carry after a silence what it did before. Said once.
    pub fn has_recovered(&mut self) -> bool {
        std::mem::take(&mut self.recovered)
    }

    /// The queue before the bottleneck, in microseconds.
    pub fn queue(&self) -> u64 {
        self.delay.queue()
    }

    /// The share of packets lost lately.
    pub fn loss(&self) -> f64 {
        self.loss.share()
    }

    /// From sending a packet to the report on it, in microseconds.
    pub fn round_trip(&self) -> u64 {
        self.round_trip
    }

    pub fn demand(&mut self, demand: Demand) {
        if demand.next > self.demand.next && demand.next > self.estimate() {
            // Somebody came, or wants more: what was not worth trying may be now.
            self.probe_pause = PROBE_PAUSES_US.0;
            self.next_probe = self.next_probe.min(self.last_update + self.probe_pause / 2);
        }
        self.demand = demand;
    }

    /// Takes a receiver's report in: what stands behind the SSRCs of the RTCP packet.
    pub fn feedback(&mut self, now: Instant, body: &[u8]) -> Result<(), Unused> {
        let report = Report::parse(body)?;
        let now = self.micros(now);
        let first = self.history.near(report.base());
        let end = first + u64::from(report.count());
        if end > self.history.next() {
            return Err(Unused::NeverSent);
        }
        if self.history.is_past(end - 1) {
            return Err(Unused::Stale);
        }
        let reference = match self.reference {
            None => i64::from(report.reference()),
            // 24 bits, modulo: the nearest to the last one.
            Some(last) => last + i64::from((report.reference().wrapping_sub(last as u32) << 8) as i32 >> 8),
        };
        let mut news = false;
        let mut newest_sent = None;
        for (number, status) in (first..end).zip(report.statuses()) {
            match status {
                // RELY-26: of the way before.
                Some(_) if number < self.since => drop(self.history.arrived(number)),
                None if number < self.since => drop(self.history.missing(number)),
                None => {
                    if let Some(sent) = self.history.missing(number) {
                        news = true;
                        self.loss.missing(sent.at);
                        if let Some(measured) = self.measured.as_mut().filter(|measured| measured.id == sent.probe) {
                            measured.missing();
                        }
                    }
                }
                Some(after) => {
                    let Some((sent, was_missing)) = self.history.arrived(number) else {
                        continue;
                    };
                    if !news && self.reference.is_none() {
                        self.clock = reference * Report::REFERENCE_US + after - sent.at as i64;
                    }
                    news = true;
                    let arrival = reference * Report::REFERENCE_US + after - self.clock;
                    self.loss.arrived(sent.at, was_missing);
                    self.delay.packet(sent.at, arrival - sent.at as i64, sent.wait);
                    let arrival_or_zero = u64::try_from(arrival).unwrap_or(0);
                    self.arrived.add(arrival_or_zero, usize::from(sent.bytes));
                    self.newest_arrival = self.newest_arrival.max(arrival_or_zero);
                    if let Some(measured) = self.measured.as_mut().filter(|measured| measured.id == sent.probe) {
                        measured.arrived(sent.at, arrival, sent.bytes);
                    }
                    newest_sent = newest_sent.max(Some(sent.at));
                }
            }
        }
        if !news {
            return Err(Unused::Stale);
        }
        self.reference = Some(self.reference.map_or(reference, |last| last.max(reference)));
        if let Some(sent) = newest_sent {
            let sample = now.saturating_sub(sent).clamp(MILLI, 2 * SECOND);
            self.round_trip = if self.last_feedback.is_none() {
                sample
            } else {
                (7 * self.round_trip + sample) / 8
            };
        }
        self.last_feedback = Some(now);
        self.update(now, end);
        Ok(())
    }

    /// At least every 20 ms.
    pub fn tick(&mut self, now: Instant) {
        let now = self.micros(now);
        if self.probe.as_ref().is_some_and(|probe| probe.is_over(now)) {
            self.probe = None;
            self.probe_end = Some((self.history.next(), now + self.round_trip + 300 * MILLI));
        }
        if self.probe_end.is_some_and(|(_, until)| now >= until) {
            self.end_probe(now);
        }
        self.notice_silence(now);
        if self.probe_is_due(now) {
            self.begin_probe(now);
        }
        self.set_pace(now);
    }

    /// Whether [`Controller::padding`] is to be asked every few milliseconds.
    pub fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Bytes to be sent now beside the media, so that a probe has its rate.
    pub fn padding(&mut self, now: Instant) -> usize {
        let now = self.micros(now);
        self.probe.as_ref().map_or(0, |probe| probe.due(now) as usize)
    }
}
