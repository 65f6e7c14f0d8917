//! The receiving side of section 5.1: follows one sender's key forward, by what verified and nothing else.

use std::collections::VecDeque;
use std::ops::Range;

use thiserror::Error;

use super::{RatchetError, RatchetKey, StepBits};
use crate::sframe::{CipherSuite, FrameKey, Header, HeaderError};

/// The keys of one sender. Counters that repeat are for the caller to refuse, as with [`FrameKey`].
#[derive(Debug)]
pub struct RatchetReceiver {
    suite: CipherSuite,
    step_bits: StepBits,
    window: u64,
    current: Option<Generation>,
    /// Kept for what is still under way when a new generation comes; the next one takes its place.
    previous: Option<Generation>,
}

/// What an opened frame was sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratcheted {
    pub generation: u64,
    /// The whole step, not its low bits.
    pub step: u64,
    pub counter: u64,
}

/// A frame could not be opened; it is empty now. Always the sender's or the network's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RatchetOpenError {
    #[error("no SFrame header: {0}")]
    Header(#[from] HeaderError),
    #[error("no key of generation {0} is held")]
    UnknownGeneration(u64),
    /// Its key was given up, or lies further ahead than a receiver goes.
    #[error("the ratchet step of the frame is outside the window")]
    OutsideWindow,
    #[error(transparent)]
    Frame(#[from] crate::sframe::OpenError),
}

const MAX_WINDOW: u64 = 64;

#[derive(Debug)]
struct Generation {
    number: u64,
    /// The step of the newest frame that verified.
    newest: u64,
    /// The step of the first of `keys`.
    first: u64,
    /// Those of the last steps and, once a frame asked for them, those of the next.
    keys: VecDeque<FrameKey>,
    /// The step after the last of `keys`. Base keys of earlier steps are wiped.
    next: RatchetKey,
}

impl RatchetReceiver {
    /// `window` is how many steps behind the newest one are kept, and how many ahead of it a frame may be: at least 1
    /// and at most 64, and less than half of what the step's bits can tell apart. It is cut to that.
    ///
    /// It bounds what forged frames can cost: keys ahead are derived once, not once a frame (PF-27).
    pub fn new(suite: CipherSuite, step_bits: StepBits, window: u64) -> Self {
        RatchetReceiver {
            suite,
            step_bits,
            window: window.clamp(1, (step_bits.mask() / 2).clamp(1, MAX_WINDOW)),
            current: None,
            previous: None,
        }
    }

    /// The sender handed out a new base key.
    pub fn install(&mut self, generation: u64, base_key: Vec<u8>) -> Result<(), RatchetError> {
        let next = RatchetKey::new(self.suite, generation, self.step_bits, base_key)?;
        if let Some(newest) = self.newest_generation().filter(|newest| *newest >= generation) {
            return Err(RatchetError::NotNewer { generation, newest });
        }
        self.previous = self.current.replace(Generation {
            number: generation,
            newest: 0,
            first: 0,
            keys: VecDeque::new(),
            next,
        });
        Ok(())
    }

    pub fn newest_generation(&self) -> Option<u64> {
        self.current.as_ref().map(|generation| generation.number)
    }

    /// Opens the SFrame bytes at `at` in `frame` and leaves the plaintext alone in it, or empties it.
    pub fn open(
        &mut self,
        metadata: &[u8],
        frame: &mut Vec<u8>,
        at: Range<usize>,
    ) -> Result<Ratcheted, RatchetOpenError> {
        let opened = self.try_open(metadata, frame, at);
        if opened.is_err() {
            frame.clear();
        }
        opened
    }

    fn try_open(
        &mut self,
        metadata: &[u8],
        frame: &mut Vec<u8>,
        at: Range<usize>,
    ) -> Result<Ratcheted, RatchetOpenError> {
        let bytes = frame.get(at.clone()).ok_or(HeaderError::Truncated)?;
        let (header, _) = Header::decode(bytes)?;
        let number = self.step_bits.generation_of(header.key_id);
        let generation = [&mut self.current, &mut self.previous]
            .into_iter()
            .flatten()
            .find(|generation| generation.number == number)
            .ok_or(RatchetOpenError::UnknownGeneration(number))?;
        let (step, key) = generation.key(self.step_bits, self.window, header.key_id)?;
        key.open(&header, metadata, frame, at)?;
        // SFRM-8, PF-26: only a tag moves the ratchet.
        generation.advance(step, self.window);
        Ok(Ratcheted {
            generation: number,
            step,
            counter: header.counter,
        })
    }
}

impl Generation {
    /// The step that `key_id` means, which is one near the newest, and its key.
    fn key(&mut self, bits: StepBits, window: u64, key_id: u64) -> Result<(u64, &FrameKey), RatchetOpenError> {
        let ahead = bits.steps_ahead(self.newest, key_id);
        let behind = bits.mask().wrapping_add(1).wrapping_sub(ahead);
        let step = if ahead <= window {
            self.newest.checked_add(ahead)
        } else if behind <= window {
            self.newest.checked_sub(behind)
        } else {
            None
        };
        let step = step.ok_or(RatchetOpenError::OutsideWindow)?;
        let place = step
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok())
            .ok_or(RatchetOpenError::OutsideWindow)?;
        // At most `window` keys ahead of the newest step, whatever comes in: what they are follows from the base key.
        while self.keys.len() <= place {
            let key = FrameKey::new(&self.next.base_key().derive(self.next.key_id()));
            self.keys.push_back(key);
            self.next = self.next.clone().next();
        }
        self.keys
            .get(place)
            .map(|key| (step, key))
            .ok_or(RatchetOpenError::OutsideWindow)
    }

    /// A frame of `step` verified: older keys than the window keeps are wiped.
    fn advance(&mut self, step: u64, window: u64) {
        self.newest = self.newest.max(step);
        while self.newest - self.first > window && self.keys.pop_front().is_some() {
            self.first += 1;
        }
    }
}
