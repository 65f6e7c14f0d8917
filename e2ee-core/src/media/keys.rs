//! The one object that a client holds.

use thiserror::Error;

use super::engines::Engines;
use super::epoch::{EpochError, MediaEpoch};
use super::in_flight::{OpenJob, SealJob, Verified};
use super::receiver::{Opened, Outcome, Prepared, Receiver, Released, ReleasedJob};
use super::sender::{SealError, SealInfo, Sender, SwitchError};
use super::stats::{DropReason, Stats};
use super::stream::{MediaKind, StreamKind};
use crate::sframe::keys::DerivedKey;
use crate::sframe::{BaseKey, CipherSuite, KidLayout};
use crate::shell::{Codec, FrameType};
use crate::time::UnixMillis;

/// The longest shell's head and the longest SFrame header together, rounded up.
pub const HEADROOM: usize = 128;

/// Every key of a call's media, sending and receiving. See the [module](super) for how it is used.
#[derive(Debug)]
pub struct MediaKeys {
    suite: CipherSuite,
    engines: Engines,
    sender: Sender,
    receiver: Receiver,
    stats: Stats,
}

/// SFRM-9: a suite whose tag is under 80 bits. The policy's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0:?} has a tag under 80 bits, which no room may use")]
pub struct ShortTag(pub CipherSuite);

impl MediaKeys {
    /// No epoch yet: sealing is an error, and what comes in waits. Frames go through this crate's engine.
    pub fn new(suite: CipherSuite) -> Result<Self, ShortTag> {
        Self::with_engines(suite, Engines::Own)
    }

    /// As [`new`](Self::new), for a caller that has an engine of its own.
    pub fn with_engines(suite: CipherSuite, engines: Engines) -> Result<Self, ShortTag> {
        if !suite.allowed_in_a_room() {
            return Err(ShortTag(suite));
        }
        Ok(MediaKeys {
            suite,
            engines,
            sender: Sender::default(),
            receiver: Receiver::default(),
            stats: Stats::default(),
        })
    }

    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// Makes an epoch's frames openable, retires its predecessor ten seconds from `now`, and opens the frames that
    /// waited for it; fetch those by [`take_released`](Self::take_released).
    pub fn install_epoch(&mut self, epoch: MediaEpoch, now: UnixMillis) -> Result<(), EpochError> {
        epoch.check(self.suite.key_len())?;
        if let Some(newest) = self.receiver.newest_epoch().filter(|newest| *newest >= epoch.epoch) {
            return Err(EpochError::NotNewer {
                epoch: epoch.epoch,
                newest,
            });
        }
        let keys = EpochKeys {
            epoch: epoch.epoch,
            base_key: BaseKey::new(self.suite, epoch.base_key.expose()),
            layout: KidLayout::for_leaf_count(epoch.leaf_count),
            own_leaf: epoch.own_leaf,
            engines: self.engines,
        };
        self.sender.offer(keys.clone(), now);
        self.receiver.install(keys, epoch.members, now, &mut self.stats);
        Ok(())
    }

    /// From now on seals under `epoch`, which must be installed and not older than the present one. Saying it twice
    /// changes nothing, and no counter starts again.
    pub fn switch_sender(&mut self, epoch: u64) -> Result<(), SwitchError> {
        self.sender.switch(epoch)
    }

    /// The group of these keys was given up (a refusal, a removal, the end): its sending keys are wiped at once, those for receiving
    /// when their time is over.
    pub fn give_up(&mut self, now: UnixMillis) {
        self.sender.give_up();
        self.receiver.give_up(now);
    }

    /// EPOC-13: whether sealing has stopped because the group made no new epoch for too long.
    pub fn is_stale(&self, now: UnixMillis) -> bool {
        self.sender.is_stale(now)
    }

    /// The epoch that [`seal`](Self::seal) uses.
    pub fn sending_epoch(&self) -> Option<u64> {
        self.sender.epoch()
    }

    /// The newest epoch whose frames can be opened.
    pub fn newest_epoch(&self) -> Option<u64> {
        self.receiver.newest_epoch()
    }

    /// Replaces the encoder's frame by the sealed one, shell included.
    pub fn seal(
        &mut self,
        stream: StreamKind,
        codec: Codec,
        frame_type: FrameType,
        frame: &mut Vec<u8>,
        now: UnixMillis,
    ) -> Result<SealInfo, SealError> {
        // Without headroom the room is made at the front, so there is where the sealed frame begins.
        let sealed = self.sender.seal(stream, codec, frame_type, frame, 0, now);
        self.count(sealed.is_ok());
        sealed.map(|(info, _)| info)
    }

    /// As [`seal`](Self::seal), for a frame that begins at `frame[headroom..]`: the sealed one begins where the answer
    /// says, and what is before that means nothing. With [`HEADROOM`] bytes in front, nothing has to be moved.
    pub fn seal_with_headroom(
        &mut self,
        stream: StreamKind,
        codec: Codec,
        frame_type: FrameType,
        frame: &mut Vec<u8>,
        headroom: usize,
        now: UnixMillis,
    ) -> Result<(SealInfo, usize), SealError> {
        let sealed = self.sender.seal(stream, codec, frame_type, frame, headroom, now);
        self.count(sealed.is_ok());
        sealed
    }

    /// Replaces a received frame by what the encoder made, or empties it.
    ///
    /// `kind` is what the receiving track plays. For [`Outcome::Early`] the frame is kept inside; it comes back with
    /// its ticket from [`take_released`](Self::take_released).
    pub fn open(&mut self, kind: MediaKind, frame: &mut Vec<u8>, now: UnixMillis) -> Outcome {
        self.receiver.open(kind, frame, now, &mut self.stats)
    }

    /// The first half of [`seal`](Self::seal), for the caller's engine: `text_len` bytes are to be encrypted as the job says,
    /// with the key of its epoch and KID.
    pub fn prepare_seal(
        &mut self,
        stream: StreamKind,
        codec: Codec,
        frame_type: FrameType,
        text_len: usize,
        now: UnixMillis,
    ) -> Result<SealJob, SealError> {
        let prepared = self.sender.prepare(stream, codec, frame_type, text_len, now);
        if prepared.is_err() {
            self.count(false);
        }
        prepared
    }

    /// The second half: ciphertext and tag, at `frame[headroom..]`, become the sealed frame, which begins where the answer
    /// says. On failure `frame` is emptied.
    pub fn finish_seal(
        &mut self,
        job: SealJob,
        frame: &mut Vec<u8>,
        headroom: usize,
        now: UnixMillis,
    ) -> Result<(SealInfo, usize), SealError> {
        let finished = self.sender.finish(&job, frame, headroom, now);
        self.count(finished.is_ok());
        finished.map(|start| (job.info(), start))
    }

    /// The caller's engine failed or did not answer: this frame is never sent (ENGN-4).
    pub fn abandon_seal(&mut self, _job: SealJob) {
        self.count(false);
    }

    /// The first half of [`open`](Self::open), for the caller's engine. A frame that may be good stays in `frame`, out of its
    /// shell; any other is emptied.
    pub fn prepare_open(&mut self, kind: MediaKind, frame: &mut Vec<u8>, now: UnixMillis) -> Prepared {
        self.receiver.prepare(kind, frame, now, &mut self.stats)
    }

    /// The second half: the frame's counter is marked, or the frame is refused after all: its epoch may be over by now, and
    /// another frame with its counter may have come first.
    pub fn accept(&mut self, verified: Verified, now: UnixMillis) -> Result<Opened, DropReason> {
        self.receiver.accept(&verified, now, &mut self.stats)
    }

    /// The caller's engine says that the tag does not verify.
    pub fn refuse(&mut self, _job: OpenJob) {
        self.stats.count_drop(DropReason::NotAuthentic);
    }

    /// The caller's engine did not answer (ENGN-4).
    pub fn abandon_open(&mut self, _job: OpenJob) {
        self.stats.count_drop(DropReason::NoAnswer);
    }

    /// The key of a KID for the caller's engine, as long as the epoch's keys are held; `None` where the caller has no engine.
    pub fn key_for_caller(&self, epoch: u64, key_id: u64) -> Option<DerivedKey> {
        if !self.engines.lets_caller() {
            return None;
        }
        let keys = self.receiver.keys_of(epoch).or_else(|| self.sender.keys_of(epoch))?;
        Some(keys.base_key.derive(key_id))
    }

    /// Whether keys of this epoch are held. The caller's engine keeps its keys no longer (ENGN-3).
    pub fn holds(&self, epoch: u64) -> bool {
        self.receiver
            .keys_of(epoch)
            .or_else(|| self.sender.keys_of(epoch))
            .is_some()
    }

    pub fn engines(&self) -> Engines {
        self.engines
    }

    /// As [`take_released`](Self::take_released), where only the caller's engine opens: those that may be good.
    pub fn take_released_jobs(&mut self) -> Vec<ReleasedJob> {
        self.receiver.take_released_jobs()
    }

    /// The frames that waited and need wait no longer, opened or given up, in the order in which they came. To be
    /// called after each [`install_epoch`](Self::install_epoch) and [`tick`](Self::tick).
    pub fn take_released(&mut self) -> Vec<Released> {
        self.receiver.take_released()
    }

    /// Lets what is due happen where no frame comes in: old keys are wiped and frames that waited too long given up.
    pub fn tick(&mut self, now: UnixMillis) {
        self.receiver.expire(now, &mut self.stats);
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    fn count(&mut self, sealed: bool) {
        if sealed {
            self.stats.sealed += 1;
        } else {
            self.stats.refused_to_seal += 1;
        }
    }

    /// How many streams were heard in the epochs that are alive, for tests and for the page's diagnosis.
    pub fn keys_held(&self) -> usize {
        self.receiver.streams_heard()
    }

    /// How many receive keys were derived, those of streams that a frame merely named among them: at most four a member
    /// of the epochs that are alive.
    pub fn keys_derived(&self) -> usize {
        self.receiver.keys_derived()
    }

    /// How many frames wait for their epoch, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        self.receiver.waiting()
    }
}

/// What sender and receiver both need of an epoch.
#[derive(Debug, Clone)]
pub(super) struct EpochKeys {
    pub(super) epoch: u64,
    pub(super) base_key: BaseKey,
    pub(super) layout: KidLayout,
    pub(super) own_leaf: u32,
    pub(super) engines: Engines,
}
