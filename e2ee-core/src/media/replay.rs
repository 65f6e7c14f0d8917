//! A sliding window over one key's counters (EPOC-8, PF-12).

use super::in_flight::Verified;

/// Counters behind the newest one that are still told apart. Simulcast layers share a counter, so a receiver of one
/// layer sees gaps; 1,024 counters are ten seconds of three layers at 30 frames a second, as long as keys overlap.
pub(super) const WINDOW: u64 = 1024;

/// A ring with a word to spare, so that moving forward clears whole words and never touches one in use.
const WORDS: usize = WINDOW as usize / 64 + 1;

/// Which counters have been seen. Reading and marking are two calls, for between them lies the tag's verification, of which
/// marking asks for the proof.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow {
    /// The largest counter marked, if any.
    newest: Option<u64>,
    seen: [u64; WORDS],
}

/// Why a counter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Marked already.
    Replayed,
    /// Too far behind to know.
    TooOld,
}

impl Default for ReplayWindow {
    fn default() -> Self {
        ReplayWindow {
            newest: None,
            seen: [0; WORDS],
        }
    }
}

impl ReplayWindow {
    /// Whether no counter was ever marked.
    pub(super) fn is_untouched(&self) -> bool {
        self.newest.is_none()
    }

    /// Changes nothing.
    #[inline]
    pub(super) fn check(&self, counter: u64) -> Result<(), Refusal> {
        match self.newest {
            Some(newest) if counter <= newest => {
                if newest - counter >= WINDOW {
                    Err(Refusal::TooOld)
                } else if self.seen[word(counter)] & bit(counter) != 0 {
                    Err(Refusal::Replayed)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    /// EPOC-8: marks the counter of a frame whose tag verified. It is checked once more, since another frame with this
    /// counter may have come back while this one was in flight.
    #[inline]
    pub(super) fn accept(&mut self, verified: &Verified) -> Result<(), Refusal> {
        let counter = verified.opened().counter;
        self.check(counter)?;
        self.mark(counter);
        Ok(())
    }

    #[inline]
    fn mark(&mut self, counter: u64) {
        let newest = self.newest.unwrap_or(counter);
        if counter > newest {
            // Clear the words between, all of them where the jump is longer than the ring.
            let steps = (counter / 64 - newest / 64).min(WORDS as u64);
            for step in 0..steps {
                self.seen[word(counter - step * 64)] = 0;
            }
        }
        self.newest = Some(newest.max(counter));
        self.seen[word(counter)] |= bit(counter);
    }
}

fn word(counter: u64) -> usize {
    (counter / 64 % WORDS as u64) as usize
}

fn bit(counter: u64) -> u64 {
    1 << (counter % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_is_exactly_as_long_as_it_says() {
        for newest in [WINDOW, 5_000, u64::MAX] {
            let mut window = ReplayWindow::default();
            window.mark(newest);
            assert_eq!(window.check(newest), Err(Refusal::Replayed));
            assert_eq!(window.check(newest - (WINDOW - 1)), Ok(()));
            assert_eq!(window.check(newest - WINDOW), Err(Refusal::TooOld));
        }
    }

    proptest! {
        /// Against the definition: a set of everything ever marked.
        #[test]
        fn pf_12_it_agrees_with_a_set_of_all_counters(
            jumps in prop::collection::vec((any::<bool>(), 0u64..3_000), 1..400),
            start in prop_oneof![Just(0), Just(u64::MAX - 500_000), any::<u32>().prop_map(u64::from)],
        ) {
            let (mut window, mut seen) = (ReplayWindow::default(), BTreeSet::new());
            let mut at = start;
            for (forward, jump) in jumps {
                at = if forward { at.saturating_add(jump % 97) } else { at.saturating_sub(jump) };
                let newest = seen.last().copied();
                let expected = match newest {
                    Some(newest) if at <= newest && newest - at >= WINDOW => Err(Refusal::TooOld),
                    _ if seen.contains(&at) => Err(Refusal::Replayed),
                    _ => Ok(()),
                };
                prop_assert_eq!(window.check(at), expected);
                if expected.is_ok() {
                    window.mark(at);
                    seen.insert(at);
                }
                at = at.max(newest.unwrap_or(0));
            }
        }
    }
}
