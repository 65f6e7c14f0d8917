//! The receiving side: from a frame's bytes to a member's stream, or to the reason why not.
//!
//! The order of the checks is from cheap to dear: shell, header, epoch, membership, stream, replay, and the tag last.
//! Only then may anything change.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::early::{EarlyBuffer, EarlyTicket};
use super::epoch::LeafSet;
use super::keys::EpochKeys;
use super::replay::Refusal;
use super::stats::{DropReason, Stats};
use super::stream::{MediaKind, StreamKind, metadata};
use super::streams::StreamTable;
use crate::sframe::mls::{EPOCH_BITS, epoch_bits, epoch_of};
use crate::sframe::{BaseKey, FrameKey, Header};
use crate::shell::Shell;
use crate::time::UnixMillis;

/// EPOC-2: how long the keys of an epoch outlive the arrival of the next.
const OVERLAP: Duration = Duration::from_secs(10);

/// EPOC-2: how many epochs' keys are ever held at once.
const MAX_EPOCHS: usize = 3;

/// What became of a frame. To be acted upon: an unread outcome is an unplayed or a leaked frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The frame now holds what the encoder made.
    Opened(Opened),
    /// The frame is kept until its epoch is known.
    Early(EarlyTicket),
    /// The frame is empty now.
    Dropped(DropReason),
}

/// Where an opened frame comes from, by its authenticated KID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    pub leaf: u32,
    pub stream: StreamKind,
    pub epoch: u64,
    pub counter: u64,
}

/// A frame that waited.
#[derive(Debug)]
pub struct Released {
    pub ticket: EarlyTicket,
    pub outcome: Result<Opened, DropReason>,
    /// What the encoder made; empty where the frame was dropped.
    pub frame: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Ascending; the last is the newest and the only one without an end.
    epochs: VecDeque<ReceivingEpoch>,
    early: EarlyBuffer,
    released: Vec<Released>,
}

#[derive(Debug)]
struct ReceivingEpoch {
    keys: EpochKeys,
    members: LeafSet,
    /// When its keys are to be wiped.
    ends: Option<UnixMillis>,
    streams: StreamTable,
}

/// Which epoch a KID speaks of.
enum Lookup {
    /// Its place among the epochs.
    Known(usize),
    Early,
    Over,
}

impl Receiver {
    pub(super) fn newest_epoch(&self) -> Option<u64> {
        self.epochs.back().map(|epoch| epoch.keys.epoch)
    }

    pub(super) fn install(&mut self, keys: EpochKeys, members: LeafSet, now: UnixMillis, stats: &mut Stats) {
        self.expire(now, stats);
        if let Some(previous) = self.epochs.back_mut() {
            previous.ends = Some(now + OVERLAP);
        }
        // PF-11: where the group moved so far that epoch bits could mean two epochs, the older one goes at once.
        self.epochs.retain(|old| keys.epoch - old.keys.epoch <= MAX_BEHIND);
        self.epochs.push_back(ReceivingEpoch {
            keys,
            streams: StreamTable::new(&members),
            members,
            ends: None,
        });
        while self.epochs.len() > MAX_EPOCHS {
            self.epochs.pop_front();
        }
        self.release(stats);
    }

    pub(super) fn open(&mut self, kind: MediaKind, frame: &mut Vec<u8>, now: UnixMillis, stats: &mut Stats) -> Outcome {
        self.expire(now, stats);
        let outcome = self.try_open(kind, frame, now);
        match outcome {
            Outcome::Opened(_) => stats.opened += 1,
            Outcome::Early(_) => {
                stats.early += 1;
                frame.clear();
            }
            Outcome::Dropped(reason) => {
                stats.count_drop(reason);
                frame.clear();
            }
        }
        outcome
    }

    pub(super) fn take_released(&mut self) -> Vec<Released> {
        std::mem::take(&mut self.released)
    }

    /// Wipes keys whose time is over and gives up frames that waited too long.
    pub(super) fn expire(&mut self, now: UnixMillis, stats: &mut Stats) {
        while self
            .epochs
            .front()
            .and_then(|epoch| epoch.ends)
            .is_some_and(|ends| ends <= now)
        {
            self.epochs.pop_front();
        }
        while let Some(frame) = self.early.take_expired(now) {
            let outcome = Err(DropReason::EarlyTooLong);
            stats.count_drop(DropReason::EarlyTooLong);
            self.released.push(Released {
                ticket: frame.ticket,
                outcome,
                frame: Vec::new(),
            });
        }
    }

    pub(super) fn streams_heard(&self) -> usize {
        self.epochs.iter().map(|epoch| epoch.streams.heard()).sum()
    }

    pub(super) fn keys_derived(&self) -> usize {
        self.epochs.iter().map(|epoch| epoch.streams.derived()).sum()
    }

    pub(super) fn waiting(&self) -> (usize, usize) {
        self.early.size()
    }

    fn try_open(&mut self, kind: MediaKind, frame: &mut Vec<u8>, now: UnixMillis) -> Outcome {
        let (shell, sealed) = match kind {
            MediaKind::Audio => (Shell::None, 0..frame.len()),
            MediaKind::Video => match Shell::strip_ciphertext(frame) {
                Ok(found) => found,
                Err(_) => return Outcome::Dropped(DropReason::BadShell),
            },
        };
        let Ok((header, _)) = Header::decode(&frame[sealed.clone()]) else {
            return Outcome::Dropped(DropReason::BadHeader);
        };
        match self.lookup(header.key_id) {
            Lookup::Known(epoch) => match self.epochs[epoch].open(kind, shell, &header, frame, sealed) {
                Ok(opened) => Outcome::Opened(opened),
                Err(reason) => Outcome::Dropped(reason),
            },
            Lookup::Early => match self.early.hold(kind, shell, header, &frame[sealed], now) {
                Some(ticket) => Outcome::Early(ticket),
                None => Outcome::Dropped(DropReason::EarlyBufferFull),
            },
            Lookup::Over => Outcome::Dropped(DropReason::EpochOver),
        }
    }

    /// PF-11, PF-32: the bits of the KID name one epoch, seen from the newest one.
    fn lookup(&self, key_id: u64) -> Lookup {
        let Some(newest) = self.newest_epoch() else {
            return Lookup::Early;
        };
        let bits = epoch_of(key_id);
        // EPOC-11: the bits name one epoch, and the rest of the KID one key of it.
        if let Some(place) = self
            .epochs
            .iter()
            .rposition(|epoch| epoch_bits(epoch.keys.epoch) == bits)
        {
            return Lookup::Known(place);
        }
        let ahead = bits.wrapping_sub(epoch_bits(newest)) & ((1 << EPOCH_BITS) - 1);
        if u64::from(ahead) <= MAX_AHEAD {
            Lookup::Early
        } else {
            Lookup::Over
        }
    }

    /// Goes through the frames that wait, now that there is a new epoch.
    fn release(&mut self, stats: &mut Stats) {
        for mut waiting in self.early.take_all() {
            let outcome = match self.lookup(waiting.header.key_id) {
                Lookup::Early => {
                    self.early.put_back(waiting);
                    continue;
                }
                Lookup::Over => Err(DropReason::EpochOver),
                Lookup::Known(epoch) => {
                    let all = 0..waiting.sealed.len();
                    self.epochs[epoch].open(waiting.kind, waiting.shell, &waiting.header, &mut waiting.sealed, all)
                }
            };
            match outcome {
                Ok(_) => stats.opened += 1,
                Err(reason) => {
                    stats.count_drop(reason);
                    waiting.sealed.clear();
                }
            }
            self.released.push(Released {
                ticket: waiting.ticket,
                outcome,
                frame: waiting.sealed,
            });
        }
    }
}

impl ReceivingEpoch {
    fn open(
        &mut self,
        kind: MediaKind,
        shell: Shell,
        header: &Header,
        frame: &mut Vec<u8>,
        sealed: Range<usize>,
    ) -> Result<Opened, DropReason> {
        let fields = self.keys.layout.fields(header.key_id);
        let stream = StreamKind::from_context(fields.context).ok_or(DropReason::UnknownStream)?;
        // EPOC-10
        if stream.media_kind() != kind {
            return Err(DropReason::WrongKind);
        }
        if fields.leaf == self.keys.own_leaf {
            return Err(DropReason::OwnFrame);
        }
        if !self.members.contains(fields.leaf) {
            return Err(DropReason::NotAMember);
        }
        let opened = Opened {
            leaf: fields.leaf,
            stream,
            epoch: self.keys.epoch,
            counter: header.counter,
        };
        let base_key = &self.keys.base_key;
        let known = self
            .streams
            .stream(fields.leaf, stream, || derive(base_key, header.key_id))
            .ok_or(DropReason::NotAMember)?;
        known.window.check(header.counter).map_err(|refusal| match refusal {
            Refusal::Replayed => DropReason::Replayed,
            Refusal::TooOld => DropReason::TooOld,
        })?;
        known
            .key
            .open(header, &metadata(shell), frame, sealed)
            .map_err(|_| DropReason::NotAuthentic)?;
        // EPOC-9, PF-26: the tag has verified, and not before may anything change that decides about a frame.
        known.window.mark(header.counter);
        Ok(opened)
    }
}

/// Once a stream: kept out of the way of every other frame.
#[cold]
#[inline(never)]
fn derive(base_key: &BaseKey, key_id: u64) -> FrameKey {
    FrameKey::new(&base_key.derive(key_id))
}

/// Half of what the epoch bits can say lies ahead of the newest epoch, the other half behind it.
const MAX_AHEAD: u64 = (1 << EPOCH_BITS) / 2 - 1;
const MAX_BEHIND: u64 = (1 << EPOCH_BITS) / 2;
