//! Asking a sender for key frames: at once, but one for a burst, and again until one shows up (PF-35).
//!
//! Requirements held here: RELY-14.

use std::time::{Duration, Instant};

/// Requests for one layer lie at least this far apart.
const INTERVAL: Duration = Duration::from_millis(300);
/// Unanswered requests are repeated this often at the same pace, then ever more slowly, down to one in 4.8 s.
const PROMPT_ATTEMPTS: u32 = 3;
const MAX_DOUBLINGS: u32 = 4;

#[derive(Debug, Default)]
pub(crate) struct KeyFrameRequests {
    wanted: bool,
    last: Option<Instant>,
    attempts: u32,
    sent: u64,
}

impl KeyFrameRequests {
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Requests sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// A key frame is here: nobody waits any more.
    pub(crate) fn satisfied(&mut self) {
        self.wanted = false;
        self.attempts = 0;
    }

    /// Whether a request is to be sent now; counts it as sent.
    ///
    /// `answers_seen`: key frames of this layer are recognised when they come, so that a request can be repeated until one does.
    /// Where they are not, each wish makes one request: whoever still needs a key frame asks again.
    pub(crate) fn due(&mut self, now: Instant, answers_seen: bool) -> bool {
        if !self.wanted {
            return false;
        }
        // RELY-14: one for all who wait, and not again before the pause is over.
        let pause = INTERVAL * (1 << self.attempts.saturating_sub(PROMPT_ATTEMPTS).min(MAX_DOUBLINGS));
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < pause)
        {
            return false;
        }
        self.last = Some(now);
        self.sent += 1;
        if answers_seen {
            self.attempts = self.attempts.saturating_add(1);
        } else {
            self.satisfied();
        }
        true
    }
}
