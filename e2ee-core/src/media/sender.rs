//! The sending side: one epoch at a time, one key and one counter a stream.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;
use zeroize::Zeroize;

use super::engines::StreamKey;
use super::in_flight::SealJob;
use super::keys::EpochKeys;
use super::stream::{StreamKind, metadata};
use crate::sframe::mls::{KidFields, epoch_bits};
use crate::sframe::put_header;
use crate::shell::{Codec, FrameType, Shell};
use crate::time::UnixMillis;

/// EPOC-5: how long a sender may go on with an epoch when a newer one has come.
const SWITCH_WITHIN: Duration = Duration::from_secs(1);

/// EPOC-13: how old an epoch may be and still be sealed in. Twice the time in which the group makes a new one (COMM-4): whoever is
/// cut off from it cannot know who left meanwhile, or whose key was stolen.
const SEALED_IN_FOR: Duration = Duration::from_secs(600);

/// Epochs that may wait to be switched to; more than there are receive keys for would be of no use.
const MAX_PENDING: usize = 3;

/// Epochs that are remembered for frames in flight. Where even more follow each other while a frame is, it may be refused
/// earlier than it had to be, and never later.
const MAX_OVERTAKING: usize = 16;

/// Where a sealed frame stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealInfo {
    pub epoch: u64,
    pub key_id: u64,
    pub counter: u64,
}

/// A frame must not be sent. All are local: the client's own order of calls, or a stream that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// EPOC-4: no epoch was ever switched to.
    #[error("there is no epoch to send in")]
    NoEpoch,
    /// A video codec on an audio stream or the other way round.
    #[error("{codec:?} does not belong on a {stream:?} stream")]
    WrongCodec { stream: StreamKind, codec: Codec },
    /// EPOC-6: every counter of this key has been used.
    #[error("the counter of this stream is used up until the next epoch")]
    CounterExhausted,
    /// EPOC-13: the group should have made another epoch long ago.
    #[error("the epoch is too old to be sealed in")]
    EpochTooOld,
    /// The cipher takes no frame of this length.
    #[error("the frame is too long")]
    TooLong,
    /// ENGN-1: the keys of this call are for the caller's engine only.
    #[error("frames of this call are sealed by the caller's engine only")]
    NotHere,
    /// EPOC-5: a newer epoch has been there for too long when the caller's engine was done.
    #[error("the frame was sealed in an epoch that must not be sent in any more")]
    Overtaken,
    /// The caller's engine made fewer or more bytes than ciphertext and tag are.
    #[error("the caller's engine made {found} bytes of a frame that has {expected} when sealed")]
    WrongLength { expected: usize, found: usize },
}

/// An epoch cannot be switched to. The client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// EPOC-1: it was not installed, or the sender has gone past it.
    #[error("epoch {epoch} is not among those that can be switched to from {sending:?}")]
    NotInstalled { epoch: u64, sending: Option<u64> },
}

#[derive(Debug, Default)]
pub(super) struct Sender {
    current: Option<SendingEpoch>,
    /// The installed epochs after the current one, ascending, and since when the sender is overdue for each.
    pending: VecDeque<(EpochKeys, UnixMillis)>,
    /// Every epoch that may have overtaken a frame in flight, ascending, and since when.
    installed: VecDeque<(u64, UnixMillis)>,
}

#[derive(Debug)]
struct SendingEpoch {
    keys: EpochKeys,
    /// When it was installed, or an earlier one that was skipped for it.
    since: UnixMillis,
    /// By [`StreamKind`]; derived when first used.
    streams: [Option<SendingStream>; StreamKind::ALL.len()],
}

/// A key and its counter are one object, so that no counter can be used with two keys or a key with two counters.
/// Simulcast layers of a stream share it.
#[derive(Debug)]
struct SendingStream {
    key: StreamKey,
    /// `None` when the last counter has been used.
    next_counter: Option<u64>,
}

impl Sender {
    pub(super) fn epoch(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.keys.epoch)
    }

    /// The base key of `epoch`, where frames are or were just sealed in it.
    pub(super) fn keys_of(&self, epoch: u64) -> Option<&EpochKeys> {
        let current = self.current.iter().map(|current| &current.keys);
        current
            .chain(self.pending.iter().map(|(keys, _)| keys))
            .find(|keys| keys.epoch == epoch)
    }

    pub(super) fn offer(&mut self, keys: EpochKeys, now: UnixMillis) {
        self.installed.push_back((keys.epoch, now));
        if self.installed.len() > MAX_OVERTAKING
            && let Some((_, since)) = self.installed.pop_front()
            && let Some((_, next_since)) = self.installed.front_mut()
        {
            *next_since = since;
        }
        self.pending.push_back((keys, now));
        if self.pending.len() > MAX_PENDING
            && let Some((_, since)) = self.pending.pop_front()
            && let Some((_, next_since)) = self.pending.front_mut()
        {
            // Somebody may have left with the epoch that is skipped.
            *next_since = since;
        }
    }

    pub(super) fn switch(&mut self, epoch: u64) -> Result<(), SwitchError> {
        if self.epoch() == Some(epoch) {
            return Ok(());
        }
        if !self.pending.iter().any(|(keys, _)| keys.epoch == epoch) {
            return Err(SwitchError::NotInstalled {
                epoch,
                sending: self.epoch(),
            });
        }
        while self.epoch() != Some(epoch) && self.advance() {}
        Ok(())
    }

    /// EPOC-13: whether there is an epoch, and it is too old to be sealed in.
    pub(super) fn is_stale(&self, now: UnixMillis) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| now.since(current.since) > SEALED_IN_FOR)
    }

    /// The group was given up: nothing is sealed with its keys any more, and they go.
    pub(super) fn give_up(&mut self) {
        *self = Self::default();
    }

    /// Seals what is at `frame[text_at..]`; also answers where in `frame` the sealed frame begins.
    pub(super) fn seal(
        &mut self,
        stream: StreamKind,
        codec: Codec,
        frame_type: FrameType,
        frame: &mut Vec<u8>,
        text_at: usize,
        now: UnixMillis,
    ) -> Result<(SealInfo, usize), SealError> {
        let sealed = self.try_seal(stream, codec, frame_type, frame, text_at, now);
        if sealed.is_err() {
            // Fail closed: what could not be sealed is not there to be sent either.
            frame.zeroize();
        }
        sealed
    }

    /// EPOC-5, C5: somebody may have left with a newer epoch, so the older one is not used for longer, however late the
    /// caller's timer is. Not for the first epoch: before that, somebody has to say that there may be sending at all.
    fn switch_if_overdue(&mut self, now: UnixMillis) {
        while self.current.is_some()
            && self
                .pending
                .front()
                .is_some_and(|(_, since)| now.since(*since) > SWITCH_WITHIN)
        {
            self.advance();
        }
    }

    /// Makes the next pending epoch the current one; `false` where there is none.
    fn advance(&mut self) -> bool {
        let Some((keys, since)) = self.pending.pop_front() else {
            return false;
        };
        self.current = Some(SendingEpoch {
            keys,
            since,
            streams: Default::default(),
        });
        true
    }

    fn try_seal(
        &mut self,
        stream: StreamKind,
        codec: Codec,
        frame_type: FrameType,
        frame: &mut Vec<u8>,
        text_at: usize,
        now: UnixMillis,
    ) -> Result<(SealInfo, usize), SealError> {
        let Taken { key, info, .. } = self.take_counter(stream, codec, now)?;
        let key = key.here().ok_or(SealError::NotHere)?;
        let shell = Shell::of(codec, frame_type);
        let (start, room) = key
            .seal_from(info.counter, &metadata(shell), frame, text_at, |sealed_len| {
                shell.head_len(sealed_len)
            })
            .map_err(|_| SealError::TooLong)?;
        shell.wrap_from(frame, start, room);
        Ok((info, start))
    }

    /// For the caller's engine: all but the encryption of `text_len` bytes.
    pub(super) fn prepare(
        &mut self,
        stream: StreamKind,
        codec: Codec,
        frame_type: FrameType,
        text_len: usize,
        now: UnixMillis,
    ) -> Result<SealJob, SealError> {
        let Taken { key, info, lets_caller } = self.take_counter(stream, codec, now)?;
        if !lets_caller {
            return Err(SealError::NotHere);
        }
        let shell = Shell::of(codec, frame_type);
        Ok(SealJob {
            info,
            call: key.salt().call(info.counter, metadata(shell)),
            header: key.salt().header(info.counter),
            shell,
            sealed_len: text_len + key.suite().tag_len(),
        })
    }

    /// Puts header and shell around the ciphertext and tag at `frame[text_at..]`.
    pub(super) fn finish(
        &mut self,
        job: &SealJob,
        frame: &mut Vec<u8>,
        text_at: usize,
        now: UnixMillis,
    ) -> Result<usize, SealError> {
        let finished = self.try_finish(job, frame, text_at, now);
        if finished.is_err() {
            frame.zeroize();
        }
        finished
    }

    fn try_finish(
        &mut self,
        job: &SealJob,
        frame: &mut Vec<u8>,
        text_at: usize,
        now: UnixMillis,
    ) -> Result<usize, SealError> {
        let found = frame.len().saturating_sub(text_at);
        if found != job.sealed_len {
            let expected = job.sealed_len;
            return Err(SealError::WrongLength { expected, found });
        }
        // EPOC-5, C5: who left with a newer epoch must not open what is sent too long after it, whatever took so long.
        let overtaken = self.installed.iter().find(|(epoch, _)| *epoch > job.info.epoch);
        if overtaken.is_some_and(|(_, since)| now.since(*since) > SWITCH_WITHIN) {
            return Err(SealError::Overtaken);
        }
        let (start, room) = put_header(&job.header, frame, text_at, 0, |sealed_len| {
            job.shell.head_len(sealed_len)
        });
        job.shell.wrap_from(frame, start, room);
        Ok(start)
    }

    /// SFRM-1: the counter moves on before it is used, so that no error path and no engine can use it twice.
    #[inline]
    fn take_counter(&mut self, stream: StreamKind, codec: Codec, now: UnixMillis) -> Result<Taken<'_>, SealError> {
        self.switch_if_overdue(now);
        if self.is_stale(now) {
            return Err(SealError::EpochTooOld);
        }
        let SendingEpoch { keys, streams, .. } = self.current.as_mut().ok_or(SealError::NoEpoch)?;
        if codec.is_audio() != (stream.media_kind() == super::MediaKind::Audio) {
            return Err(SealError::WrongCodec { stream, codec });
        }
        let SendingStream { key, next_counter } =
            streams[stream as usize].get_or_insert_with(|| SendingStream::new(keys, stream));
        let counter = next_counter.ok_or(SealError::CounterExhausted)?;
        *next_counter = counter.checked_add(1);
        let info = SealInfo {
            epoch: keys.epoch,
            key_id: key.salt().key_id(),
            counter,
        };
        let lets_caller = keys.engines.lets_caller();
        Ok(Taken { key, info, lets_caller })
    }
}

/// A key and one of its counters, which nobody else gets.
struct Taken<'a> {
    key: &'a StreamKey,
    info: SealInfo,
    lets_caller: bool,
}

impl SendingStream {
    /// Once an epoch and stream: kept out of the way of every other frame.
    #[cold]
    #[inline(never)]
    fn new(keys: &EpochKeys, stream: StreamKind) -> Self {
        let fields = KidFields {
            context: stream.context(),
            leaf: keys.own_leaf,
            epoch: epoch_bits(keys.epoch),
        };
        let Ok(kid) = keys.layout.kid(fields) else {
            unreachable!("a member's leaf lies in its tree, and two bits are left for the context in any tree")
        };
        SendingStream {
            key: keys.engines.set_up(&keys.base_key.derive(kid)),
            next_counter: Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Engines;
    use crate::sframe::{BaseKey, CipherSuite, KidLayout};

    fn sender() -> Sender {
        let mut sender = Sender::default();
        let keys = EpochKeys {
            epoch: 3,
            base_key: BaseKey::new(CipherSuite::Aes128GcmSha256_128, &[7; 16]),
            layout: KidLayout::for_leaf_count(2),
            own_leaf: 1,
            engines: Engines::Own,
        };
        sender.offer(keys, UnixMillis(0));
        sender.switch(3).unwrap();
        sender
    }

    #[test]
    fn epoc_6_the_last_counter_is_used_once_and_then_the_stream_is_closed() {
        let mut sender = sender();
        let seal = |sender: &mut Sender| {
            let mut frame = vec![1, 2, 3];
            let sealed = sender.seal(
                StreamKind::Camera,
                Codec::Vp9,
                FrameType::Key,
                &mut frame,
                0,
                UnixMillis(0),
            );
            (sealed.map(|(info, _)| info.counter), frame)
        };
        assert_eq!(seal(&mut sender).0, Ok(0));
        sender.current.as_mut().unwrap().streams[StreamKind::Camera as usize]
            .as_mut()
            .unwrap()
            .next_counter = Some(u64::MAX);
        assert_eq!(seal(&mut sender).0, Ok(u64::MAX));
        for _ in 0..3 {
            assert_eq!(seal(&mut sender), (Err(SealError::CounterExhausted), vec![]));
        }
        // The other streams have keys and counters of their own.
        let sealed = sender.seal(
            StreamKind::Microphone,
            Codec::Opus,
            FrameType::Key,
            &mut vec![1],
            0,
            UnixMillis(0),
        );
        assert_eq!(sealed.unwrap().0.counter, 0);
    }
}
