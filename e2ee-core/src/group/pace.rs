//! EPOC-12: how soon an epoch may follow, so that no frame arrives after its key went (PF-25).
//!
//! Receivers hold the keys of three epochs (EPOC-2). A frame sealed in epoch `e` is lost where a receiver has entered
//! `e + 3` when it arrives. So `e + 3` must not come into being while a frame of `e` may still be sealed or be on its way.
//! With
//!
//! ```text
//! T(n)  when the service takes the commit that makes epoch n; nobody enters n before
//! L     the longest way of that commit to a member          F  the longest way of a frame
//! S     a sender seals with n at the latest S after it entered n, and with n - 1 at once (HEAL-2, EPOC-5)
//! A(n)  when the last member's word that it entered n reached the service
//! ```
//! the last frame of `e` arrives at the latest at each of
//!
//! ```text
//! T(e+1) + L + S + F      the sender entered e + 1, and S later does not seal with e any more
//! T(e+2) + L + F          the sender entered e + 2, and seals with e + 1 at once
//! A(e+2) + F              the same, where everybody said that they entered e + 2
//! ```
//! `e + 3` may follow as soon as the earliest of the three is over. With `L + F <=` [`Spacing::ways`] and
//! `F <=` [`Spacing::flight`] that is what [`Pace::next_epoch_from`] says for `n = e + 2`. After a quiet time the first
//! line is over long ago: then two epochs may follow each other at once, and whoever comes to a quiet call waits for
//! nothing. The second line bounds every wait by one second, whoever is silent.

use std::time::Duration;

use crate::time::UnixMillis;

/// HEAL-2, EPOC-5: a sender seals with a new epoch at the latest so long after it entered it.
pub const SWITCH_WITHIN: Duration = Duration::from_secs(1);

/// How long things may be on their way for the promise to hold. On slower lines frames may be lost, never revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spacing {
    /// A frame, from sealing to opening.
    pub flight: Duration,
    /// A commit from the service to a member, and then a frame of that member's to another.
    pub ways: Duration,
}

impl Default for Spacing {
    fn default() -> Self {
        Self {
            flight: Duration::from_millis(300),
            ways: Duration::from_secs(1),
        }
    }
}

/// When the present epoch began and the one before, by the service's clock, and since when everybody holds the present one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    spacing: Spacing,
    began: UnixMillis,
    before: UnixMillis,
    held: Option<UnixMillis>,
}

impl Pace {
    /// A group's first epoch: nobody seals in an older one.
    pub fn new(spacing: Spacing, now: UnixMillis) -> Self {
        Self::resumed(spacing, now, UnixMillis(0))
    }

    /// After a restart. Who held the epoch is forgotten, the times were stored.
    pub fn resumed(spacing: Spacing, began: UnixMillis, before: UnixMillis) -> Self {
        Self {
            spacing,
            began,
            before,
            held: None,
        }
    }

    pub fn entered(&mut self, now: UnixMillis) {
        self.before = std::mem::replace(&mut self.began, now);
        self.held = None;
    }

    /// Every member that may seal in an older epoch said that it holds this one.
    pub fn all_hold(&mut self, now: UnixMillis) {
        self.held.get_or_insert(now);
    }

    /// When the present epoch began, and the one before it.
    pub fn times(&self) -> (UnixMillis, UnixMillis) {
        (self.began, self.before)
    }

    /// EPOC-12: the next epoch may come into being from then on.
    pub fn next_epoch_from(&self) -> UnixMillis {
        let Spacing { flight, ways } = self.spacing;
        let quiet = self.before + SWITCH_WITHIN + ways;
        let by_ways = self.began + ways;
        let by_word = self.held.map(|held| held + flight);
        quiet.min(by_ways).min(by_word.unwrap_or(by_ways))
    }
}

/// For a commit that nothing asks for: whoever renews a key waits until the epoch is so old, by its own clock. It entered
/// the epoch after the epoch began, so the service's time is over then.
pub const UNASKED_AFTER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_000_000);

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn epoc_12_after_a_quiet_time_two_epochs_follow_at_once_and_the_third_waits() {
        let mut pace = Pace::new(Spacing::default(), START);
        assert!(pace.next_epoch_from() <= START, "the first to join waits for nothing");
        let quiet = START + Duration::from_secs(60);
        pace.entered(quiet);
        assert!(pace.next_epoch_from() <= quiet, "nor does the next");
        pace.entered(quiet + millis(10));
        assert_eq!(pace.next_epoch_from(), quiet + millis(1010), "the third waits");
        pace.all_hold(quiet + millis(60));
        pace.all_hold(quiet + millis(900));
        assert_eq!(
            pace.next_epoch_from(),
            quiet + millis(360),
            "until all hold the second, and a frame's way"
        );
    }

    #[test]
    fn epoc_12_nobodys_silence_holds_an_epoch_back_for_more_than_a_second() {
        let mut pace = Pace::new(Spacing::default(), START);
        for n in 1..50 {
            let at = START + millis(n * 20);
            pace.entered(at);
            assert!(pace.next_epoch_from() <= at + Duration::from_secs(1));
        }
    }

    /// The derivation above, by trying: whatever the delays within the bounds, no frame of an epoch arrives after the
    /// third epoch behind it began.
    #[test]
    fn epoc_12_no_frame_is_outrun_whatever_the_delays_within_the_bounds() {
        let spacing = Spacing::default();
        // Ways of commits to one sender, of its word, and of its frames, in milliseconds; all with L + F <= 1 s, F <= 300 ms.
        for (commit, word, frame) in [
            (0, 0, 300),
            (50, 20, 300),
            (700, 0, 300),
            (700, 700, 300),
            (900, 5, 100),
            (10, 10, 0),
        ] {
            let mut pace = Pace::new(spacing, START);
            let mut began = vec![START];
            for n in 1..40_usize {
                // At times at once, at times after a while: as soon as the rule lets it.
                let last = *began.last().unwrap();
                let wanted = last + millis(if n.is_multiple_of(7) { 2500 } else { (n as u64 % 3) * 40 });
                let held = last + millis(commit + word);
                if held <= wanted.max(pace.next_epoch_from()) {
                    pace.all_hold(held);
                }
                let at = wanted.max(pace.next_epoch_from());
                pace.entered(at);
                began.push(at);
            }
            for e in 0..began.len() - 3 {
                let entered = |n: usize| began[n] + millis(commit);
                let last_sealed = (entered(e + 1) + SWITCH_WITHIN).min(entered(e + 2));
                assert!(
                    last_sealed + millis(frame) <= began[e + 3],
                    "epoch {e}, ways {commit} {word} {frame}"
                );
            }
        }
    }
}
