//! When this member commits (COMM-1 to COMM-5): a state machine of times, leaves and the service's words, without MLS.
//!
//! [`Member`](super::member::Member) asks it before and tells it after each step; the model in `audits/model` runs the
//! very same machine against every order of messages, crashes and lies. That is why nothing here knows of keys.

use std::collections::BTreeSet;
use std::time::Duration;

use super::timing;
use crate::group::pace::UNASKED_AFTER;
use crate::time::UnixMillis;
use crate::wire::delivery::CommitRefusal;

/// An own commit is sent again when the service is silent for so long; it is idempotent there.
const RESEND: Duration = Duration::from_secs(3);
/// After a commit of ours was refused, the next waits this long, or several times this long.
const RETRY: Duration = Duration::from_millis(250);

/// What the committer has to know of the epoch that it is in.
pub trait Epoch {
    /// In ascending order.
    fn leaves(&self) -> impl Iterator<Item = u32>;
    /// Whether a Remove of this leaf waits to be committed.
    fn removes(&self, leaf: u32) -> bool;
    /// Whether anything waits to be committed.
    fn waits(&self) -> bool;
}

/// See the [module's documentation](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committer {
    own: u32,
    /// Leaves whose connection is up, by the service's word. Decides who commits and whom to wait for, nothing else.
    live: Option<BTreeSet<u32>>,
    pending_since: UnixMillis,
    entered: UnixMillis,
    own_leaf_since: UnixMillis,
    /// When the own commit that the service has not answered was sent last.
    sent: Option<UnixMillis>,
    /// How often it was sent over the present connection: each is answered once.
    copies: u32,
    /// Answers to copies of a commit that was refused already.
    stale_refusals: u32,
}

impl Committer {
    /// In the first epoch of this member.
    pub fn new(own: u32, live: Option<BTreeSet<u32>>, now: UnixMillis) -> Self {
        Self {
            own,
            live,
            pending_since: now,
            entered: now,
            own_leaf_since: now,
            sent: None,
            copies: 0,
            stale_refusals: 0,
        }
    }

    pub fn own(&self) -> u32 {
        self.own
    }

    pub fn is_live(&self, leaf: u32) -> bool {
        self.live.as_ref().is_none_or(|live| live.contains(&leaf))
    }

    /// The service says who is connected.
    pub fn presence(&mut self, live: BTreeSet<u32>) {
        self.live = Some(live);
    }

    /// The first proposal of this epoch came.
    pub fn proposed(&mut self, now: UnixMillis) {
        self.pending_since = now;
    }

    /// A commit was merged: there is another epoch, and nothing is on its way any more.
    pub fn entered(&mut self, epoch: &impl Epoch, newcomers: &BTreeSet<u32>, own_commit: bool, now: UnixMillis) {
        self.entered = now;
        self.sent = None;
        self.stale_refusals = 0;
        if own_commit {
            self.own_leaf_since = now;
        }
        if let Some(live) = &mut self.live {
            // The service may free a leaf and fill it again in one commit.
            let leaves: BTreeSet<u32> = epoch.leaves().collect();
            live.retain(|leaf| leaves.contains(leaf));
            live.extend(newcomers);
        }
    }

    /// The place of this member among those who may commit; none while it is being removed itself.
    pub fn place(&self, epoch: &impl Epoch) -> Option<u32> {
        timing::place(self.own, epoch, |leaf| self.is_live(leaf))
    }

    /// When this member commits, if nobody else does before: for proposals by its place (COMM-1), else for the age of
    /// the epoch (COMM-4) or of its own leaf (COMM-5). Never while a commit of its own is on its way.
    pub fn commit_at(&self, epoch: &impl Epoch) -> Option<UnixMillis> {
        let place = self.place(epoch)?;
        if self.sent.is_some() {
            return None;
        }
        if epoch.waits() {
            return Some(self.pending_since + timing::commit_after(place));
        }
        let rekey = self.entered + timing::rekey_after(place);
        // EPOC-12: many leaves come of age together.
        let renew = (self.own_leaf_since + timing::renew_after(self.own)).max(self.entered + UNASKED_AFTER);
        Some(rekey.min(renew))
    }

    /// A commit went out for the first time.
    pub fn sent(&mut self, now: UnixMillis) {
        self.sent = Some(now);
        self.copies = 1;
    }

    /// The same commit went out again, since the service was silent.
    pub fn sent_again(&mut self, now: UnixMillis) {
        self.sent = Some(now);
        self.copies += 1;
    }

    /// There is a new connection: what was still to be said on the old one will never be.
    pub fn connected_anew(&mut self) {
        self.copies = 0;
        self.stale_refusals = 0;
    }

    /// Whether a refusal that names this epoch is of a commit that was refused before, and of its successor nothing is said
    /// yet. A refusal does not say of which commit of the epoch it is; one that was sent twice is refused twice.
    pub fn refusal_is_stale(&mut self) -> bool {
        let stale = self.stale_refusals > 0;
        self.stale_refusals = if stale {
            self.stale_refusals - 1
        } else {
            self.copies.saturating_sub(1)
        };
        stale
    }

    pub fn awaits_answer(&self) -> bool {
        self.sent.is_some()
    }

    pub fn resend_at(&self) -> Option<UnixMillis> {
        self.sent.map(|sent| sent + RESEND)
    }

    /// COMM-3: the service did not take the commit. When to try again depends on what comes first now.
    pub fn refused(&mut self, reason: CommitRefusal, epoch: &impl Epoch, now: UnixMillis) {
        self.sent = None;
        let until = match reason {
            // More proposals were delivered meanwhile.
            CommitRefusal::ProposalsMissing => now + RETRY,
            // The winner's commit is on its way, or the service wants to be left alone.
            CommitRefusal::EpochTaken
            | CommitRefusal::WrongEpoch
            | CommitRefusal::RateLimited
            | CommitRefusal::Invalid
            | CommitRefusal::WelcomeMissing
            | CommitRefusal::TooLarge => now + RETRY * 8,
        };
        self.pending_since = until;
        self.own_leaf_since = self.own_leaf_since.max(until - timing::renew_after(self.own));
        let place = self.place(epoch).unwrap_or(0);
        self.entered = self.entered.max(until - timing::rekey_after(place));
    }

    /// This device could not make a commit. Ours to answer for, and not to be repeated at once.
    pub fn failed(&mut self, now: UnixMillis) {
        self.sent = None;
        self.pending_since = now + RETRY * 4;
        self.entered = self.entered.max(now - Duration::from_secs(240));
        self.own_leaf_since = now;
    }
}
