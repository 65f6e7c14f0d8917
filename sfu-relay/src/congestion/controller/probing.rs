//! Trying for a moment whether more would arrive.

use super::super::delay::Signal;
use super::super::probe::{Found, Measured, Running};
use super::super::rate::Rate;
use super::estimating::{SENT_US, SILENCE_US};
use super::{Controller, MILLI, MOST, SECOND};

/// Probes follow each other after this long when they find nothing, and ever more slowly.
pub(super) const PROBE_PAUSES_US: (u64, u64) = (1_500 * MILLI, 8 * SECOND);
/// Whatever is thought of a line, a probe of this rate does no harm: it is a burst of three packets.
const GENTLE: Rate = Rate::kilobits(400);
/// After a silence a line is what it was before when a probe finds this share of it, or of what is wanted where that is less.
const RECOVERED: f64 = 0.6;
/// A queue of this length ends a probe.
const PROBE_QUEUE_US: u64 = 120 * MILLI;

impl Controller {
    pub(super) fn follow_probe(&mut self, now: u64, end: u64) {
        if self.delay.queue() > PROBE_QUEUE_US && self.probe.take().is_some() {
            self.probe_end = Some((self.history.next(), now + self.round_trip + 200 * MILLI));
        }
        if self.probe_end.is_some_and(|(number, _)| end >= number) {
            self.end_probe(now);
        }
    }

    /// All of a probe's packets were reported on, or nothing more is to be heard of them.
    pub(super) fn end_probe(&mut self, now: u64) {
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
        if let (Some(before), Some(Found { rate, .. })) = (self.after_silence.take(), found) {
            self.recovered |= rate > before.min(self.demand.all).times(RECOVERED);
        }
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

    pub(super) fn probe_is_due(&self, now: u64) -> bool {
        let heard = self.last_feedback.is_some_and(|last| now < last + SILENCE_US);
        // A receiver that is sent nothing to report on is silent, and the last that it said of a queue stands, whatever its line is like by
        // now. Without a probe that would be so for ever.
        let hopeful = self.is_idle(now) || heard && self.delay.signal() == Signal::Clear;
        hopeful
            && self.last_feedback.is_some()
            && self.probe.is_none()
            && self.measured.is_none()
            && now >= self.next_probe
            && self.demand.next > self.estimate()
    }

    /// Nothing that is reported on was sent for a while.
    fn is_idle(&self, now: u64) -> bool {
        self.sent.rate(now, SENT_US) == Rate::ZERO
    }

    pub(super) fn begin_probe(&mut self, now: u64) {
        if self.is_idle(now) {
            self.delay.start_anew();
        }
        let estimate = self.estimate();
        let factor = if self.limit_seen { 1.5 } else { 2.5 };
        let mut rate = estimate
            .times(factor)
            .max(self.demand.next.times(1.1).min(estimate.times(2.0).max(GENTLE)));
        if let Some(before) = self.before_silence.take() {
            rate = rate.max(before.times(0.9));
            self.after_silence = Some(before);
        }
        rate = rate.min(self.demand.all.times(1.2)).max(estimate.times(1.2)).min(MOST);
        self.last_probe = self.last_probe % u8::MAX + 1;
        self.probe = Some(Running::new(self.last_probe, rate, now));
        self.measured = Some(Measured::new(self.last_probe));
    }
}
