//! The one object that a client holds.

use thiserror::Error;

use super::epoch::{EpochError, MediaEpoch};
use super::receiver::{Outcome, Receiver, Released};
use super::sender::{SealError, SealInfo, Sender, SwitchError};
use super::stats::Stats;
use super::stream::{MediaKind, StreamKind};
use crate::sframe::{BaseKey, CipherSuite, KidLayout};
use crate::shell::{Codec, FrameType};
use crate::time::UnixMillis;

/// The longest shell's head and the longest SFrame header together, rounded up.
pub const HEADROOM: usize = 128;

/// Every key of a call's media, sending and receiving. See the [module](super) for how it is used.
#[derive(Debug)]
pub struct MediaKeys {
    suite: CipherSuite,
    sender: Sender,
    receiver: Receiver,
    stats: Stats,
}

/// SFRM-9: a suite whose tag is under 80 bits. The policy's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0:?} has a tag under 80 bits, which no room may use")]
pub struct ShortTag(pub CipherSuite);

impl MediaKeys {
    /// No epoch yet: sealing is an error, and what comes in waits.
    pub fn new(suite: CipherSuite) -> Result<Self, ShortTag> {
        if !suite.allowed_in_a_room() {
            return Err(ShortTag(suite));
        }
        Ok(MediaKeys {
            suite,
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
}
