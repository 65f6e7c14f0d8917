//! One epoch's receive keys: whose frame it is, whether it is new, and, once its tag verified, that it was seen.

use std::ops::Range;

use super::engines::StreamKey;
use super::epoch::LeafSet;
use super::in_flight::{OpenJob, Verified};
use super::keys::EpochKeys;
use super::receiver::Opened;
use super::replay::Refusal;
use super::stats::DropReason;
use super::stream::{MediaKind, StreamKind, metadata};
use super::streams::{ReceivingStream, StreamTable};
use crate::sframe::Header;
use crate::shell::Shell;
use crate::time::UnixMillis;

#[derive(Debug)]
pub(super) struct ReceivingEpoch {
    pub(super) keys: EpochKeys,
    members: LeafSet,
    /// When its keys are to be wiped.
    pub(super) ends: Option<UnixMillis>,
    pub(super) streams: StreamTable,
}

impl ReceivingEpoch {
    pub(super) fn new(keys: EpochKeys, members: LeafSet) -> Self {
        ReceivingEpoch {
            keys,
            streams: StreamTable::new(&members),
            members,
            ends: None,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.keys.epoch
    }

    /// Opens the SFrame bytes at `sealed` in `frame` here and at once.
    #[inline]
    pub(super) fn open(
        &mut self,
        kind: MediaKind,
        shell: Shell,
        header: &Header,
        frame: &mut Vec<u8>,
        sealed: Range<usize>,
    ) -> Result<Opened, DropReason> {
        let (stream, opened) = self.check(kind, header)?;
        // ENGN-1: where there is no cipher, there is nothing to open with. The caller asked the wrong half.
        let key = stream.key.here().ok_or(DropReason::NoAnswer)?;
        let verified = Verified::by(key, opened, shell, header, frame, sealed)?;
        // EPOC-9, PF-26: the tag has verified, and not before may anything change that decides about a frame.
        stream.window.accept(&verified).map_err(drop_reason)?;
        Ok(opened)
    }

    /// All that [`open`](Self::open) does before the cipher.
    pub(super) fn prepare(
        &mut self,
        kind: MediaKind,
        shell: Shell,
        header: &Header,
        sealed: Range<usize>,
    ) -> Result<OpenJob, DropReason> {
        let lets_caller = self.keys.engines.lets_caller();
        let (stream, opened) = self.check(kind, header)?;
        if !lets_caller {
            return Err(DropReason::NoAnswer);
        }
        let tag_len = stream.key.suite().tag_len();
        let text = sealed.start + header.encoded_len()..sealed.end;
        if text.end < text.start + tag_len {
            return Err(DropReason::NotAuthentic);
        }
        Ok(OpenJob {
            opened,
            key_id: header.key_id,
            call: stream.key.salt().call(header.counter, metadata(shell)),
            text,
            tag_len,
        })
    }

    /// All that [`open`](Self::open) does behind the cipher.
    pub(super) fn accept(&mut self, verified: &Verified) -> Result<(), DropReason> {
        let Opened { leaf, stream, .. } = *verified.opened();
        let stream = self.streams.known(leaf, stream).ok_or(DropReason::NotAMember)?;
        stream.window.accept(verified).map_err(drop_reason)
    }

    /// Changes nothing but that the stream's key is there.
    #[inline]
    fn check(&mut self, kind: MediaKind, header: &Header) -> Result<(&mut ReceivingStream, Opened), DropReason> {
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
        let keys = &self.keys;
        let known = self
            .streams
            .stream(fields.leaf, stream, || derive(keys, header.key_id))
            .ok_or(DropReason::NotAMember)?;
        known.window.check(header.counter).map_err(drop_reason)?;
        Ok((known, opened))
    }
}

fn drop_reason(refusal: Refusal) -> DropReason {
    match refusal {
        Refusal::Replayed => DropReason::Replayed,
        Refusal::TooOld => DropReason::TooOld,
    }
}

/// Once a stream: kept out of the way of every other frame.
#[cold]
#[inline(never)]
fn derive(keys: &EpochKeys, key_id: u64) -> StreamKey {
    keys.engines.set_up(&keys.base_key.derive(key_id))
}
