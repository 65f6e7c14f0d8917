//! What lost packets tell: whether there are fewer of them when less is sent.
//!
//! A line may lose packets for reasons of its own, as radio does: sending less does not help, and would only make a bad picture of a
//! good one. Or it loses what does not fit, before any queue could be seen. So where more is lost than is usual for the line, less
//! is sent for a while. If the losses stay, they are the line's own, become what is usual, and the rate is given back. If they
//! go away, the rate at which they came is a bound, from which one goes up slowly.
//!
//! Losses that come in bursts make one window bad and the next one good, whatever is sent. So a window that is bad is believed when the one
//! before was bad too, or when it is very bad.

use super::rate::Rate;

/// Losses are judged over at least this long and so many packets, whichever is later, and over this long at most.
const WINDOW_US: u64 = 500_000;
const PACKETS: u32 = 50;
const LONGEST_US: u64 = 2_000_000;
/// So much more than is usual means that less is to be sent; so much is nothing to speak of.
const TOO_MUCH: f64 = 0.08;
const LITTLE: f64 = 0.02;
/// The same for a line on which losses once went away.
const TOO_MUCH_AGAIN: f64 = 0.04;
/// Where less is sent than may be, losses are the line's own unless they are as many as this.
const TOO_MUCH_UNUSED: f64 = 0.25;
/// With so much more than is usual one window is enough.
const HEAVY: f64 = 0.35;
/// Losses that are not too much become usual up to this share.
const CREEP: f64 = 0.03;
/// Of what was lost before, this share is still lost when losses are the line's own.
const STAYED: f64 = 0.7;
/// To see whether it helps, this share of what arrives is sent, but not less than that share of what was.
const TRIED: f64 = 0.9;
const LEAST_SHARE: f64 = 0.7;
/// Growth of the bound in a window without losses, far from where losses began and near it.
const GROWTH: (f64, f64) = (1.05, 1.015);

#[derive(Debug, Default)]
pub(super) struct Loss {
    began: Option<u64>,
    arrived: u32,
    missing: u32,
    /// The share that this line loses anyhow.
    usual: f64,
    bound: Option<Rate>,
    /// Where losses began that went away when less was sent.
    ceiling: Option<Rate>,
    trial: Option<Trial>,
    /// Of the last window, and how much more than usual that was.
    share: f64,
    excess: f64,
}

/// Less is sent to see whether it helps.
#[derive(Debug)]
struct Trial {
    before: f64,
    given_up: Rate,
    /// Packets sent before this moment are not of the trial.
    from: u64,
}

impl Loss {
    /// A packet sent at `sent` arrived. It `was_missing` if it was counted as lost first.
    pub(super) fn arrived(&mut self, sent: u64, was_missing: bool) {
        if self.counts(sent) {
            self.arrived += 1;
            if was_missing {
                self.missing = self.missing.saturating_sub(1);
            }
        }
    }

    pub(super) fn missing(&mut self, sent: u64) {
        if self.counts(sent) {
            self.missing += 1;
        }
    }

    fn counts(&self, sent: u64) -> bool {
        self.trial.as_ref().is_none_or(|trial| sent >= trial.from)
    }

    /// Looks at the window when it is full. `target`: what may be sent, and whether it is; `delivered`: what arrives; `round_trip` in
    /// microseconds.
    pub(super) fn judge(&mut self, now: u64, (target, used): (Rate, bool), delivered: Rate, round_trip: u64) {
        let began = *self.began.get_or_insert(now);
        let (passed, packets) = (now.saturating_sub(began), self.arrived + self.missing);
        if passed < WINDOW_US || (packets < PACKETS && passed < LONGEST_US) {
            return;
        }
        let share = if packets < 10 {
            self.usual
        } else {
            f64::from(self.missing) / f64::from(packets)
        };
        (self.share, self.began, self.arrived, self.missing) = (share, Some(now), 0, 0);
        let excess = share - self.usual;
        let before = std::mem::replace(&mut self.excess, excess);
        if let Some(trial) = self.trial.take() {
            if share >= trial.before * STAYED {
                self.usual = self.usual.max((share + trial.before) / 2.0);
                (self.bound, self.ceiling) = (None, None);
            } else {
                self.ceiling = Some(trial.given_up);
            }
            return;
        }
        let too_much = match (used, self.ceiling) {
            (false, _) => TOO_MUCH_UNUSED,
            (true, None) => TOO_MUCH,
            (true, Some(_)) => TOO_MUCH_AGAIN,
        };
        if excess > too_much && (before > too_much || excess > HEAVY) {
            let bound = delivered
                .times(TRIED)
                .max(target.times(LEAST_SHARE))
                .min(target.times(TRIED));
            self.trial = Some(Trial {
                before: share,
                given_up: target,
                from: now + round_trip / 2,
            });
            self.bound = Some(bound);
        } else if excess < LITTLE {
            let near = self
                .ceiling
                .zip(self.bound)
                .is_some_and(|(ceiling, bound)| bound > ceiling.times(0.85));
            self.bound = self
                .bound
                .map(|bound| bound.times(if near { GROWTH.1 } else { GROWTH.0 }));
            if self.bound.is_none_or(|bound| bound > target.times(1.1)) {
                self.bound = None;
            }
        }
        if share < self.usual || self.usual < CREEP {
            self.usual += 0.05 * (share - self.usual);
        } else if !used && excess <= TOO_MUCH_UNUSED {
            self.usual += 0.2 * excess;
        }
    }

    /// No more than this, if it is bounded.
    pub(super) fn bound(&self) -> Option<Rate> {
        self.bound
    }

    /// More was seen to arrive without more being lost.
    pub(super) fn raise(&mut self, rate: Rate) {
        if self.trial.is_none() {
            self.bound = self.bound.filter(|bound| *bound > rate);
        }
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// The share that this line loses whatever is sent.
    pub(super) fn usual(&self) -> f64 {
        self.usual
    }
}

#[cfg(test)]
mod tests {
    use super::{Loss, Rate};

    /// A hundred packets each half second, of which `lost` (of the rate sent) get lost. The rates sent.
    fn run(loss: &mut Loss, now: &mut u64, rounds: u32, lost: impl Fn(Rate) -> f64) -> Vec<Rate> {
        let target = Rate::kilobits(2_000);
        let mut sent = Vec::new();
        for _ in 0..rounds {
            let rate = loss.bound().unwrap_or(target).min(target);
            sent.push(rate);
            let missing = (100.0 * lost(rate)).round() as u32;
            for i in 0..100 {
                *now += 5_000;
                if i < missing {
                    loss.missing(*now)
                } else {
                    loss.arrived(*now, false)
                }
            }
            loss.judge(*now, (rate, true), rate.times(1.0 - lost(rate)), 50_000);
        }
        sent
    }

    #[test]
    fn losses_that_stay_when_less_is_sent_are_the_lines_own() {
        let (mut loss, mut now) = (Loss::default(), 0);
        let sent = run(&mut loss, &mut now, 40, |_| 0.15);
        assert!(sent[4..].iter().all(|rate| *rate == Rate::kilobits(2_000)), "{sent:?}");
    }

    #[test]
    fn losses_that_go_away_when_less_is_sent_bound_the_rate() {
        let (mut loss, mut now) = (Loss::default(), 0);
        let sent = run(&mut loss, &mut now, 60, |rate| {
            (1.0 - Rate::kilobits(1_000).share_of(rate)).max(0.0)
        });
        assert!(sent[8..].iter().all(|rate| *rate <= Rate::kilobits(1_130)), "{sent:?}");
        assert!(sent[8..].iter().all(|rate| *rate >= Rate::kilobits(850)), "{sent:?}");
    }

    #[test]
    fn rely_22_bursts_of_loss_with_good_times_between_them_bound_nothing() {
        let (mut loss, mut now) = (Loss::default(), 0);
        for round in 0..60 {
            // Of the windows with bursts, two in a row are rare: here there are none.
            let share = [0.0, 0.18, 0.0, 0.12, 0.02][round % 5];
            let sent = run(&mut loss, &mut now, 1, |_| share);
            assert_eq!(sent, [Rate::kilobits(2_000)], "round {round}");
        }
        // Without good times between them they are believed: less is tried.
        let sent = run(&mut loss, &mut now, 4, |_| 0.25);
        assert!(sent[2] < Rate::kilobits(2_000), "{sent:?}");
    }

    #[test]
    fn single_losses_change_nothing_and_a_burst_costs_a_second_or_two() {
        let (mut loss, mut now) = (Loss::default(), 0);
        assert!(
            run(&mut loss, &mut now, 20, |_| 0.02)
                .iter()
                .all(|rate| *rate == Rate::kilobits(2_000))
        );
        run(&mut loss, &mut now, 1, |_| 0.4);
        let after = run(&mut loss, &mut now, 20, |_| 0.0);
        assert!(after[0] < Rate::kilobits(1_500), "{after:?}");
        assert_eq!(after[19], Rate::kilobits(2_000), "{after:?}");
    }
}
