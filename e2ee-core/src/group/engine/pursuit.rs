//! What was not delivered is noticed by what speaks of it, and is gone after (HEAL-12).
//!
//! The service keeps one order: whatever names a later epoch comes after the commit that makes it, and who is told that
//! its commit lacks a proposal was sent that proposal before. Where it was not, waiting would leave a member behind in
//! silence, or committing in vain.

use std::time::Duration;

use crate::time::UnixMillis;

/// What is missing may only be late, where a server does not keep the order.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether this member knows that it lacks something, and what it did about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pursuit {
    due: Option<UnixMillis>,
    asked: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connect anew: the service then sends what is missing.
    AskAgain,
    /// It did not. Join again.
    GiveUp,
}

impl Pursuit {
    /// Something speaks of what this member does not have.
    pub fn noticed(&mut self, now: UnixMillis) {
        self.due.get_or_insert(now + PATIENCE);
    }

    /// The connection is back, and what is missing is on its way.
    pub fn resumed(&mut self, now: UnixMillis) {
        if self.due.is_some() {
            self.due = Some(now + PATIENCE);
            self.asked = true;
        }
    }

    /// Something of what was missing came: the next epoch, or a proposal.
    pub fn caught_up(&mut self) {
        *self = Self::default();
    }

    pub fn due(&self) -> Option<UnixMillis> {
        self.due
    }

    pub fn step(&mut self, now: UnixMillis) -> Option<Step> {
        if now < self.due? {
            return None;
        }
        if std::mem::replace(&mut self.asked, true) {
            self.due = None;
            return Some(Step::GiveUp);
        }
        self.due = Some(now + PATIENCE * 2);
        Some(Step::AskAgain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: UnixMillis = UnixMillis(100_000);

    #[test]
    fn heal_12_a_missing_commit_is_asked_for_once_and_then_given_up() {
        let mut pursuit = Pursuit::default();
        assert_eq!(pursuit.step(LATER), None, "nothing is missing");
        pursuit.noticed(LATER);
        pursuit.noticed(LATER + PATIENCE / 2);
        assert_eq!(pursuit.step(LATER + PATIENCE / 2), None, "it may be late");
        assert_eq!(pursuit.step(LATER + PATIENCE), Some(Step::AskAgain));
        assert_eq!(pursuit.step(LATER + PATIENCE), None);
        assert_eq!(pursuit.step(LATER + PATIENCE * 3), Some(Step::GiveUp));
    }

    #[test]
    fn heal_12_the_epoch_that_comes_ends_the_pursuit() {
        let mut pursuit = Pursuit::default();
        pursuit.noticed(LATER);
        pursuit.caught_up();
        assert_eq!((pursuit.due(), pursuit.step(LATER + PATIENCE * 9)), (None, None));
    }
}
