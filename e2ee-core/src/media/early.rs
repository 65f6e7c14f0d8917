//! Frames of an epoch that is not known yet (PF-25, PF-32): a sender may switch before the commit has reached
//! everybody. Nothing about them is authenticated, so the buffer is bounded in every direction.

use std::collections::VecDeque;
use std::time::Duration;

use super::stream::MediaKind;
use crate::sframe::Header;
use crate::shell::Shell;
use crate::time::UnixMillis;

/// EPOC-7: a second of a call of ten.
pub(super) const MAX_FRAMES: usize = 1_024;

/// EPOC-7: together, without what a frame costs beside its bytes.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// EPOC-7: later, the picture is of no use.
pub(super) const MAX_AGE: Duration = Duration::from_secs(2);

/// Names a frame that waits. Counts up and never repeats in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EarlyTicket(pub u64);

/// A frame whose shell and header have been read and nothing more.
#[derive(Debug)]
pub(super) struct EarlyFrame {
    pub(super) ticket: EarlyTicket,
    pub(super) kind: MediaKind,
    pub(super) shell: Shell,
    pub(super) header: Header,
    /// The SFrame bytes, from the header on.
    pub(super) sealed: Vec<u8>,
    since: UnixMillis,
}

#[derive(Debug, Default)]
pub(super) struct EarlyBuffer {
    frames: VecDeque<EarlyFrame>,
    bytes: usize,
    next_ticket: u64,
}

impl EarlyBuffer {
    /// `None` when full: then the newcomer is dropped, since of a video stream only an unbroken start is of use.
    pub(super) fn hold(
        &mut self,
        kind: MediaKind,
        shell: Shell,
        header: Header,
        sealed: &[u8],
        now: UnixMillis,
    ) -> Option<EarlyTicket> {
        if self.frames.len() >= MAX_FRAMES || self.bytes + sealed.len() > MAX_BYTES {
            return None;
        }
        let ticket = EarlyTicket(self.next_ticket);
        self.next_ticket += 1;
        self.bytes += sealed.len();
        self.frames.push_back(EarlyFrame {
            ticket,
            kind,
            shell,
            header,
            sealed: sealed.to_vec(),
            since: now,
        });
        Some(ticket)
    }

    /// Takes the frames that have waited too long, oldest first.
    pub(super) fn take_expired(&mut self, now: UnixMillis) -> Option<EarlyFrame> {
        self.frames.front().filter(|frame| now.since(frame.since) > MAX_AGE)?;
        self.pop()
    }

    /// Takes everything, in the order in which it came.
    pub(super) fn take_all(&mut self) -> VecDeque<EarlyFrame> {
        self.bytes = 0;
        std::mem::take(&mut self.frames)
    }

    /// Puts a frame back that must wait on; frames come back in their order.
    pub(super) fn put_back(&mut self, frame: EarlyFrame) {
        self.bytes += frame.sealed.len();
        self.frames.push_back(frame);
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.frames.len(), self.bytes)
    }

    fn pop(&mut self) -> Option<EarlyFrame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.sealed.len();
        Some(frame)
    }
}
