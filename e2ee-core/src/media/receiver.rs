//! The receiving side: from a frame's bytes to a member's stream, or to the reason why not.
//!
//! The order of the checks is from cheap to dear: shell, header, epoch, membership, stream, replay, and the tag last.
//! Only then may anything change.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::early::{EarlyBuffer, EarlyTicket};
use super::engines::Engines;
use super::epoch::LeafSet;
use super::in_flight::{OpenJob, Verified};
use super::keys::EpochKeys;
use super::receiving_epoch::ReceivingEpoch;
use super::stats::{DropReason, Stats};
use super::stream::{MediaKind, StreamKind};
use crate::sframe::Header;
use crate::sframe::mls::{EPOCH_BITS, epoch_bits, epoch_of};
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

/// What became of a frame that the caller's engine may have to open.
#[derive(Debug)]
#[must_use]
pub enum Prepared {
    /// It may be good: decrypt what the job says.
    Ready(OpenJob),
    /// The frame is kept until its epoch is known.
    Early(EarlyTicket),
    /// The frame is empty now.
    Dropped(DropReason),
}

/// A frame that waited and is to be opened by the caller's engine.
#[derive(Debug)]
pub struct ReleasedJob {
    pub ticket: EarlyTicket,
    pub job: OpenJob,
    /// What the job speaks of.
    pub frame: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Ascending; the last is the newest and, until the group is given up, the only one without an end.
    epochs: VecDeque<ReceivingEpoch>,
    early: EarlyBuffer,
    released: Vec<Released>,
    released_jobs: Vec<ReleasedJob>,
}

/// Shell and header of a frame, and whose epoch it is.
struct Parsed {
    shell: Shell,
    header: Header,
    /// The SFrame bytes.
    sealed: Range<usize>,
    epoch: usize,
}

/// A frame that goes no further for now.
enum Stopped {
    Early(EarlyTicket),
    Dropped(DropReason),
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
        self.epochs.push_back(ReceivingEpoch::new(keys, members));
        while self.epochs.len() > MAX_EPOCHS {
            self.epochs.pop_front();
        }
        self.release(stats);
    }

    /// The group was given up: what it still sends opens for as long as that of any epoch that is over (EPOC-2).
    pub(super) fn give_up(&mut self, now: UnixMillis) {
        if let Some(newest) = self.epochs.back_mut() {
            newest.ends.get_or_insert(now + OVERLAP);
        }
    }

    pub(super) fn open(&mut self, kind: MediaKind, frame: &mut Vec<u8>, now: UnixMillis, stats: &mut Stats) -> Outcome {
        self.expire(now, stats);
        let opened = self.parse(kind, frame, now).and_then(|parsed| {
            let Parsed {
                shell,
                header,
                sealed,
                epoch,
            } = parsed;
            self.epochs[epoch]
                .open(kind, shell, &header, frame, sealed)
                .map_err(Stopped::Dropped)
        });
        match opened {
            Ok(opened) => {
                stats.opened += 1;
                Outcome::Opened(opened)
            }
            Err(stopped) => match Self::stop(stopped, frame, stats) {
                Stopped::Early(ticket) => Outcome::Early(ticket),
                Stopped::Dropped(reason) => Outcome::Dropped(reason),
            },
        }
    }

    pub(super) fn prepare(
        &mut self,
        kind: MediaKind,
        frame: &mut Vec<u8>,
        now: UnixMillis,
        stats: &mut Stats,
    ) -> Prepared {
        self.expire(now, stats);
        let ready = self.parse(kind, frame, now).and_then(|parsed| {
            let Parsed {
                shell,
                header,
                sealed,
                epoch,
            } = parsed;
            self.epochs[epoch]
                .prepare(kind, shell, &header, sealed)
                .map_err(Stopped::Dropped)
        });
        match ready {
            Ok(job) => Prepared::Ready(job),
            Err(stopped) => match Self::stop(stopped, frame, stats) {
                Stopped::Early(ticket) => Prepared::Early(ticket),
                Stopped::Dropped(reason) => Prepared::Dropped(reason),
            },
        }
    }

    pub(super) fn accept(
        &mut self,
        verified: &Verified,
        now: UnixMillis,
        stats: &mut Stats,
    ) -> Result<Opened, DropReason> {
        self.expire(now, stats);
        let opened = *verified.opened();
        // ENGN-3: a frame that was in flight when the keys of its epoch went is as late as one that came after that.
        let accepted = self
            .epochs
            .iter_mut()
            .find(|epoch| epoch.number() == opened.epoch)
            .ok_or(DropReason::EpochOver)
            .and_then(|epoch| epoch.accept(verified));
        match accepted {
            Ok(()) => stats.opened += 1,
            Err(reason) => stats.count_drop(reason),
        }
        accepted.map(|()| opened)
    }

    /// The base key of `epoch`, where its frames can be opened.
    pub(super) fn keys_of(&self, epoch: u64) -> Option<&EpochKeys> {
        self.epochs
            .iter()
            .map(|epoch| &epoch.keys)
            .find(|keys| keys.epoch == epoch)
    }

    pub(super) fn take_released_jobs(&mut self) -> Vec<ReleasedJob> {
        std::mem::take(&mut self.released_jobs)
    }

    fn stop(stopped: Stopped, frame: &mut Vec<u8>, stats: &mut Stats) -> Stopped {
        match stopped {
            Stopped::Early(_) => stats.early += 1,
            Stopped::Dropped(reason) => stats.count_drop(reason),
        }
        frame.clear();
        stopped
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

    #[inline]
    fn parse(&mut self, kind: MediaKind, frame: &mut Vec<u8>, now: UnixMillis) -> Result<Parsed, Stopped> {
        let (shell, sealed) = match kind {
            MediaKind::Audio => (Shell::None, 0..frame.len()),
            MediaKind::Video => Shell::strip_ciphertext(frame).map_err(|_| Stopped::Dropped(DropReason::BadShell))?,
        };
        let (header, _) =
            Header::decode(&frame[sealed.clone()]).map_err(|_| Stopped::Dropped(DropReason::BadHeader))?;
        match self.lookup(header.key_id) {
            Lookup::Known(epoch) => Ok(Parsed {
                shell,
                header,
                sealed,
                epoch,
            }),
            Lookup::Early => Err(match self.early.hold(kind, shell, header, &frame[sealed], now) {
                Some(ticket) => Stopped::Early(ticket),
                None => Stopped::Dropped(DropReason::EarlyBufferFull),
            }),
            Lookup::Over => Err(Stopped::Dropped(DropReason::EpochOver)),
        }
    }

    /// PF-11, PF-32: the bits of the KID name one epoch, seen from the newest one.
    fn lookup(&self, key_id: u64) -> Lookup {
        let Some(newest) = self.newest_epoch() else {
            return Lookup::Early;
        };
        let bits = epoch_of(key_id);
        // EPOC-11: the bits name one epoch, and the rest of the KID one key of it.
        // Nearly always it is the newest.
        if epoch_bits(newest) == bits {
            return Lookup::Known(self.epochs.len() - 1);
        }
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
                Lookup::Known(place) => {
                    let epoch = &mut self.epochs[place];
                    let all = 0..waiting.sealed.len();
                    if epoch.keys.engines == Engines::Caller {
                        match epoch.prepare(waiting.kind, waiting.shell, &waiting.header, all) {
                            Ok(job) => {
                                self.released_jobs.push(ReleasedJob {
                                    ticket: waiting.ticket,
                                    job,
                                    frame: waiting.sealed,
                                });
                                continue;
                            }
                            Err(reason) => Err(reason),
                        }
                    } else {
                        epoch.open(waiting.kind, waiting.shell, &waiting.header, &mut waiting.sealed, all)
                    }
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

/// Half of what the epoch bits can say lies ahead of the newest epoch, the other half behind it.
const MAX_AHEAD: u64 = (1 << EPOCH_BITS) / 2 - 1;
const MAX_BEHIND: u64 = (1 << EPOCH_BITS) / 2;
