//! One receiver's line: what it carries, found out from what its reports say of the packets sent to it.
//!
//! Requirements held here: RELY-21, RELY-22.

use std::time::Instant;

use super::delay::{Delay, Signal};
use super::history::History;
use super::loss::Loss;
use super::pacer::Pacer;
use super::probe::{Found, Measured, Running};
use super::rate::{Meter, Rate};
use crate::rtp::twcc::report::{Report, ReportError};

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
/// What arrives is looked at over this long, and what is sent.
const DELIVERED_US: u64 = 300 * MILLI;
const SENT_US: u64 = 500 * MILLI;
/// Growth a second: far from any rate at which a queue was seen, and near it.
const GROWTH: (f64, f64) = (0.14, 0.03);
/// Near: within these shares of the capacity seen.
const NEAR: (f64, f64) = (0.88, 1.2);
/// A capacity seen is remembered for this long.
const MEMORY_US: u64 = 30 * SECOND;
/// A queue is expected where more than this share of the estimate is sent at once, but none longer than this: bursts are excused, and too much
/// all the time is not.
const EXCUSED: (f64, u64) = (1.05, 150 * MILLI);
/// Nothing grows while less than this share of the target is used.
const USED: f64 = 0.8;
/// Probes follow each other after this long when they find nothing, and ever more slowly.
const PROBE_PAUSES_US: (u64, u64) = (1_500 * MILLI, 8 * SECOND);
/// Where the line is not used, a queue has to be this long to be believed.
const DOUBTFUL_US: u64 = 60 * MILLI;
/// A queue of this length ends a probe.
const PROBE_QUEUE_US: u64 = 120 * MILLI;
/// Without reports for this long, the line is thought to be worse.
const SILENCE_US: u64 = 600 * MILLI;

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

    /// What arrived lately. Where that was much at last, the line may have had less to carry before.
    fn delivered(&self) -> Rate {
        let rate = |window| self.arrived.rate(self.newest_arrival, window);
        rate(DELIVERED_US).max(rate(DELIVERED_US / 2))
    }

    fn update(&mut self, now: u64, end: u64) {
        let passed = now.saturating_sub(self.last_update).min(300 * MILLI);
        self.last_update = now;
        self.next_silence = now + SILENCE_US + 2 * self.round_trip;
        let used = self.sent.rate(now, SENT_US) > self.estimate().times(USED);
        self.loss
            .judge(now, (self.estimate(), used), self.delivered(), self.round_trip);
        let probing = self.measured.is_some();
        if probing {
            self.follow_probe(now, end);
        } else {
            match self.delay.signal() {
                Signal::Queue => self.decrease(now),
                Signal::Hold => {}
                Signal::Clear => self.increase(now, passed),
            }
        }
        self.target = self.target.clamp(LEAST, MOST);
        self.set_pace(now);
    }

    /// A queue: as much is sent as arrives, and less, so that the queue is gone in about half a second.
    fn decrease(&mut self, now: u64) {
        if self.last_decrease != 0 && now < self.last_decrease + self.round_trip + 150 * MILLI {
            return;
        }
        let queue = self.delay.queue();
        if queue < DOUBTFUL_US && self.carries_what_is_sent(now) {
            return;
        }
        let stays = self.stuck.0 > 0 && queue * 10 > self.stuck.0 * 9;
        self.stuck = (
            queue,
            if stays && self.is_held_to() {
                self.stuck.1 + 1
            } else {
                0
            },
        );
        if self.stuck.1 >= 3 {
            // Less and less is sent and the queue does not move: the way has become longer.
            self.delay.rebase();
            self.stuck = (0, 0);
            return;
        }
        let delivered = self.delivered();
        let known = match self.capacity {
            Some((known, _)) if (0.8..1.25).contains(&known.share_of(delivered)) => {
                known.times(0.6) + delivered.times(0.4)
            }
            _ => delivered,
        };
        self.capacity = Some((known, now));
        let share = (0.92 - queue as f64 / SECOND as f64).max(0.5);
        self.target = self.target.min(delivered.times(share));
        self.last_decrease = now;
        self.resumed = false;
        self.limit_seen = true;
        self.next_probe = self.next_probe.max(now + PROBE_PAUSES_US.0);
    }

    /// Less is sent than may be, and all of it arrives as fast: a short queue is somebody else's, or none.
    fn carries_what_is_sent(&self, now: u64) -> bool {
        let sent = self.sent.rate(now, SENT_US);
        sent < self.estimate().times(USED) && self.arrived.rate(self.newest_arrival, SENT_US) > sent.times(0.92)
    }

    /// Whether what is sent follows the target, so that its effect can be seen.
    fn is_held_to(&self) -> bool {
        self.sent.rate(self.last_update, DELIVERED_US) < self.estimate().times(1.15)
    }

    fn increase(&mut self, now: u64, passed: u64) {
        let capacity = self.capacity.filter(|(_, at)| now.saturating_sub(*at) < MEMORY_US);
        if !self.resumed && self.delay.is_drained() {
            self.resumed = true;
            self.stuck = (0, 0);
            if let Some((capacity, _)) = capacity {
                self.target = self.target.max(capacity.times(0.95).min(self.delivered().times(1.5)));
            }
        }
        // What arrives without making a queue is carried, whatever was thought.
        self.target = self.target.max(self.arrived.rate(self.newest_arrival, SENT_US));
        if self.sent.rate(now, SENT_US) < self.estimate().times(USED) || self.target > self.demand.all.times(1.3) {
            return; // more is not needed, or would not be known to arrive
        }
        let near = capacity.is_some_and(|(capacity, _)| {
            let share = self.target.share_of(capacity);
            (NEAR.0..NEAR.1).contains(&share)
        });
        let growth = if near { GROWTH.1 } else { GROWTH.0 };
        let grown = self.target.times(1.0 + growth * passed as f64 / SECOND as f64) + Rate::bits(passed / 50);
        let most = self.delivered().times(1.5) + Rate::kilobits(20);
        self.target = self.target.max(grown.min(most));
    }

    fn follow_probe(&mut self, now: u64, end: u64) {
        if self.delay.queue() > PROBE_QUEUE_US && self.probe.take().is_some() {
            self.probe_end = Some((self.history.next(), now + self.round_trip + 200 * MILLI));
        }
        if self.probe_end.is_some_and(|(number, _)| end >= number) {
            self.end_probe(now);
        }
    }

    /// All of a probe's packets were reported on, or nothing more is to be heard of them.
    fn end_probe(&mut self, now: u64) {
        self.probe_end = None;
        let measured = self.measured.take();
        let found = measured.and_then(|measured| {
            // What this line loses whatever is sent has been carried as well.
            let lost = measured.lost().min(self.loss.usual()).min(0.5);
            let found = measured.found()?;
            Some(Found {
                rate: found.rate.times(1.0 / (1.0 - lost)),
                ..found
            })
        });
        match found {
            Some(Found { rate, saturated: false }) => {
                self.loss.raise(rate);
                self.target = self.target.max(rate);
                self.probe_pause = PROBE_PAUSES_US.0;
                self.next_probe = now + 100 * MILLI;
            }
            Some(Found { rate, saturated: true }) => {
                self.loss.raise(rate);
                self.limit_seen = true;
                self.target = self.target.max(rate);
                self.capacity = Some((rate.times(1.05), now));
                self.pause_probes(now);
            }
            None => self.pause_probes(now),
        }
    }

    fn pause_probes(&mut self, now: u64) {
        self.next_probe = now + self.probe_pause;
        self.probe_pause = (self.probe_pause * 2).min(PROBE_PAUSES_US.1);
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

    fn notice_silence(&mut self, now: u64) {
        let Some(last) = self.last_feedback.filter(|_| now >= self.next_silence) else {
            return;
        };
        if self
            .history
            .oldest_unknown()
            .is_none_or(|sent| sent + SILENCE_US > now || sent < last.saturating_sub(SECOND))
        {
            return;
        }
        self.before_silence = self.before_silence.max(Some(self.estimate()));
        self.target = self.target.times(0.7).max(LEAST);
        self.next_silence = now + 400 * MILLI;
    }

    fn probe_is_due(&self, now: u64) -> bool {
        let heard = self.last_feedback.is_some_and(|last| now < last + SILENCE_US);
        heard
            && self.probe.is_none()
            && self.measured.is_none()
            && now >= self.next_probe
            && self.demand.next > self.estimate()
            && self.delay.signal() == Signal::Clear
    }

    fn begin_probe(&mut self, now: u64) {
        let estimate = self.estimate();
        let factor = if self.limit_seen { 1.5 } else { 2.5 };
        let mut rate = estimate
            .times(factor)
            .max(self.demand.next.times(1.1).min(estimate.times(2.0)));
        if let Some(before) = self.before_silence.take() {
            rate = rate.max(before.times(0.9));
        }
        rate = rate.min(self.demand.all.times(1.2)).max(estimate.times(1.2)).min(MOST);
        self.last_probe = self.last_probe % u8::MAX + 1;
        self.probe = Some(Running::new(self.last_probe, rate, now));
        self.measured = Some(Measured::new(self.last_probe));
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
