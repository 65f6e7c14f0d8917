//! What was sealed, opened and refused, and why.

use std::fmt;

/// Why a received frame was dropped. None of these frames has changed anything but its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum DropReason {
    /// No shell, or one that is not in its one form.
    BadShell,
    /// No SFrame header, or one that is not in its shortest form.
    BadHeader,
    /// The keys of its epoch are no more.
    EpochOver,
    /// EPOC-3: the leaf that it names is no member of its epoch.
    NotAMember,
    /// It comes from here.
    OwnFrame,
    /// The stream that it names does not exist.
    UnknownStream,
    /// PF-24: audio where video should be, or the other way round.
    WrongKind,
    /// PF-12: opened before. Retransmission makes some of these in any call.
    Replayed,
    /// PF-12: too far behind to know whether it was opened before.
    TooOld,
    /// The tag does not verify.
    NotAuthentic,
    /// Its epoch is not known yet and too many frames wait already.
    EarlyBufferFull,
    /// Its epoch did not become known in time.
    EarlyTooLong,
    /// ENGN-4: the caller's engine did not say in time whether the tag verifies.
    NoAnswer,
}

impl DropReason {
    pub const ALL: [DropReason; 13] = [
        DropReason::BadShell,
        DropReason::BadHeader,
        DropReason::EpochOver,
        DropReason::NotAMember,
        DropReason::OwnFrame,
        DropReason::UnknownStream,
        DropReason::WrongKind,
        DropReason::Replayed,
        DropReason::TooOld,
        DropReason::NotAuthentic,
        DropReason::EarlyBufferFull,
        DropReason::EarlyTooLong,
        DropReason::NoAnswer,
    ];

    /// A name for metrics and for the page, stable over versions.
    pub fn name(self) -> &'static str {
        match self {
            DropReason::BadShell => "bad-shell",
            DropReason::BadHeader => "bad-header",
            DropReason::EpochOver => "epoch-over",
            DropReason::NotAMember => "not-a-member",
            DropReason::OwnFrame => "own-frame",
            DropReason::UnknownStream => "unknown-stream",
            DropReason::WrongKind => "wrong-kind",
            DropReason::Replayed => "replayed",
            DropReason::TooOld => "too-old",
            DropReason::NotAuthentic => "not-authentic",
            DropReason::EarlyBufferFull => "early-buffer-full",
            DropReason::EarlyTooLong => "early-too-long",
            DropReason::NoAnswer => "no-answer",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts since the call began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    pub sealed: u64,
    pub refused_to_seal: u64,
    pub opened: u64,
    /// Frames that had to wait for their epoch; each is later counted as opened or dropped as well.
    pub early: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Stats {
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Every reason with its count.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().map(|reason| (reason, self.dropped(reason)))
    }

    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(super) fn count_drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}
