//! More to do than can be done: who comes is refused, and video goes before sound does.
//!
//! Requirements held here: RELY-65, RELY-66.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Engine;
use crate::forward::consumer::Spared;
use crate::stats::Counters;

/// Of a thousand parts of its time, from where on the engine's thread is too busy for all video.
const TOO_BUSY: u64 = 950;
/// And where there is room again. What was left out has to fit between the two.
const AT_EASE: u64 = 700;
/// How long it has to be so. What is taken back is taken back slowly.
const WORSE_AFTER: Duration = Duration::from_secs(2);
const BETTER_AFTER: Duration = Duration::from_secs(5);

/// How much is left out, and since when it should be more, or less.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    spared: Spared,
    worse: Option<Instant>,
    better: Option<Instant>,
}

impl Pressure {
    /// What is to be left out from now on, if that changed.
    fn update(&mut self, busy: u64, now: Instant) -> Option<Spared> {
        let lasted = |since: &mut Option<Instant>, holds: bool, long: Duration| {
            if !holds {
                *since = None;
                return false;
            }
            let over = now.saturating_duration_since(*since.get_or_insert(now)) >= long;
            if over {
                *since = None;
            }
            over
        };
        let worse = lasted(&mut self.worse, busy >= TOO_BUSY, WORSE_AFTER);
        let better = lasted(&mut self.better, busy < AT_EASE, BETTER_AFTER);
        let next = match (self.spared, worse, better) {
            (Spared::Nothing, true, _) => Spared::HighLayers,
            (Spared::HighLayers, true, _) => Spared::Video,
            (Spared::Video, _, true) => Spared::HighLayers,
            (Spared::HighLayers, _, true) => Spared::Nothing,
            (same, ..) => same,
        };
        (std::mem::replace(&mut self.spared, next) != next).then_some(next)
    }
}

impl Engine {
    /// RELY-65: whether the thread has no time for another participant. Those who are here, and those who come back, stay.
    pub(super) fn is_full(&self) -> bool {
        self.counters.busy_permille.load(Ordering::Relaxed) >= u64::from(self.limits.busy_permille)
    }

    /// RELY-66: the lowest layers only, then no video at all, and back. Sound goes on.
    pub(super) fn relieve(&mut self, now: Instant) {
        let busy = self.counters.busy_permille.load(Ordering::Relaxed);
        let Some(spared) = self.pressure.update(busy, now) else {
            return;
        };
        tracing::warn!(busy, ?spared, "what is left out for want of time");
        Counters::set(&self.counters.spared, spared as usize);
        for key in self.consumers.keys() {
            if let Some(consumer) = self.consumers.get_mut(key) {
                consumer.spare(spared, now);
            }
            self.settle_consumer(now, key);
        }
    }

    /// What consumers that come now have to do without.
    pub(super) fn spared(&self) -> Spared {
        self.pressure.spared
    }
}

#[cfg(test)]
mod tests {
    use super::{Pressure, Spared};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn rely_66_video_goes_in_two_steps_and_comes_back_slower() {
        let (mut pressure, start) = (Pressure::default(), Instant::now());
        let mut changes = Vec::new();
        for second in 0..30 {
            let busy = if second < 10 { 990 } else { 300 };
            if let Some(spared) = pressure.update(busy, start + second * SECOND) {
                changes.push((second, spared));
            }
        }
        let expected = [
            (2, Spared::HighLayers),
            (5, Spared::Video),
            (15, Spared::HighLayers),
            (21, Spared::Nothing),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn rely_66_a_moments_work_changes_nothing_and_neither_does_being_fairly_busy() {
        let (mut pressure, start) = (Pressure::default(), Instant::now());
        for second in 0..60 {
            let busy = if second % 2 == 0 { 1_000 } else { 800 };
            assert_eq!(pressure.update(busy, start + second * SECOND), None);
        }
    }
}
