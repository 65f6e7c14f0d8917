//! What reports tell: more or less is sent by delays, losses and silence.

use super::super::delay::Signal;
use super::super::rate::Rate;
use super::probing::PROBE_PAUSES_US;
use super::{Controller, LEAST, MILLI, MOST, SECOND};

/// What arrives is looked at over this long, and what is sent.
const DELIVERED_US: u64 = 300 * MILLI;
pub(super) const SENT_US: u64 = 500 * MILLI;
/// Growth a second: far from any rate at which a queue was seen, and near it.
const GROWTH: (f64, f64) = (0.14, 0.03);
/// Near: within these shares of the capacity seen.
const NEAR: (f64, f64) = (0.88, 1.2);
/// A capacity seen is remembered for this long.
const MEMORY_US: u64 = 30 * SECOND;
/// Nothing grows while less than this share of the target is used.
const USED: f64 = 0.8;
/// Where the line is not used, a queue has to be this long to be believed.
const DOUBTFUL_US: u64 = 60 * MILLI;
/// Without reports for this long, the line is thought to be worse.
pub(super) const SILENCE_US: u64 = 600 * MILLI;

impl Controller {
    /// What arrived lately. Where that was much at last, the line may have had less to carry before.
    fn delivered(&self) -> Rate {
        let rate = |window| self.arrived.rate(self.newest_arrival, window);
        rate(DELIVERED_US).max(rate(DELIVERED_US / 2))
    }

    pub(super) fn update(&mut self, now: u64, end: u64) {
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

    pub(super) fn notice_silence(&mut self, now: u64) {
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
}
