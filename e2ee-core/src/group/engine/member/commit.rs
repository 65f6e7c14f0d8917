//! Proposals in, commits out and in.

use openmls::prelude::{ProcessedMessageContent, Sender, StagedCommit};
use openmls_traits::OpenMlsProvider;
use sha2::{Digest, Sha256};

use super::super::State;
use super::super::admission::AwaitingAdmission;
use super::super::context::Context;
use super::super::output::{EndCause, Phase};
use super::{Member, Scene};
use crate::group::Refusal;
use crate::group::check::{self, Change, Proposed};
use crate::group::public::{handshake, record};
use crate::identity::TrustRoot;
use crate::log::Receipts;
use crate::log::entry::LogEntry;
use crate::wire::delivery::{ClientMessage, CommitRefusal, GroupEpoch};
use crate::wire::{Bytes, Receipt};

/// Proposals taken in one epoch.
const MAX_PENDING: usize = 4096;

/// An own commit on its way.
pub(super) struct Flight {
    at: GroupEpoch,
    commit: Bytes,
    welcome: Option<Bytes>,
    change: Change,
    /// How many proposals were pending when it was made.
    proposals: usize,
}

impl Flight {
    fn message(&self) -> ClientMessage {
        ClientMessage::Commit {
            at: self.at.clone(),
            commit: self.commit.clone(),
            welcome: self.welcome.clone(),
        }
    }
}

/// What came with the proposals of one message, and what they are held against.
struct Evidence<'a> {
    root: &'a TrustRoot,
    log: Receipts<'a>,
    receipts: std::slice::Iter<'a, Receipt>,
}

impl Member {
    pub(super) fn on_proposals(
        mut self: Box<Self>,
        at: &GroupEpoch,
        proposals: &[Bytes],
        receipts: &[Receipt],
        cx: &mut Context,
    ) -> State {
        match self.fits(at) {
            Fit::Now => {}
            Fit::Past => return State::Member(self),
            Fit::Ahead => {
                let missed = self.missed(at);
                return self.rejoin(&missed, cx);
            }
        }
        let session = cx.session.clone();
        let mut evidence = session.as_ref().map(|session| Evidence {
            root: &session.root,
            log: session.log.receipts(),
            receipts: receipts.iter(),
        });
        for proposal in proposals {
            // A refused proposal is not kept: no commit of ours holds it, and one of another's that does is refused.
            if let Err(refusal) = self.take_proposal(proposal.as_slice(), evidence.as_mut(), cx)
                && !cx.refuse(Some(self.at()), &refusal)
            {
                return cx.end(EndCause::Refused, "The server keeps proposing what cannot be accepted.");
            }
        }
        State::Member(self)
    }

    fn take_proposal(
        &mut self,
        bytes: &[u8],
        evidence: Option<&mut Evidence<'_>>,
        cx: &mut Context,
    ) -> Result<(), Refusal> {
        if self.pending.len() >= MAX_PENDING {
            return Err(Refusal::NotThatMessage("proposal: there are too many"));
        }
        let evidence = evidence.ok_or(Refusal::NotThatMessage("proposal"))?;
        let message = handshake(bytes, "proposal")?;
        let processed = self
            .group
            .process_message(&self.provider, message)
            .map_err(|e| Refusal::mls("proposal")(&e))?;
        let ProcessedMessageContent::ProposalMessage(queued) = processed.into_content() else {
            return Err(Refusal::NotThatMessage("proposal"));
        };
        let reference = queued.proposal_reference_ref().as_slice();
        let known = self.pending.contains(reference);
        let is_add = matches!(queued.proposal(), openmls::prelude::Proposal::Add(_));
        let receipt = if is_add { evidence.receipts.next() } else { None };
        if known {
            return Ok(());
        }
        let root = evidence.root;
        let checked = check::check_proposal(&self.context, root, &self.roster, &self.pending, &queued, cx.now)?;
        // ADMT-8: whoever is added stands on the log.
        if let Proposed::Add(add) = checked.what() {
            let receipt = receipt.ok_or(Refusal::ReceiptMissing("a newcomer's certificate"))?;
            let logged = evidence.log.verify_certificate(receipt, add.certificate().der())?;
            cx.saw(&logged)?;
        }
        if self.pending.is_empty() {
            self.committer.proposed(cx.now);
        }
        self.group
            .store_pending_proposal(self.provider.storage(), *queued)
            .map_err(|e| Refusal::mls("proposal")(&e))?;
        self.pending.push(checked);
        self.pursuit.caught_up();
        Ok(())
    }

    pub(super) fn commit_if_due(&mut self, cx: &mut Context) {
        if self.committer.resend_at().is_some_and(|at| cx.now >= at) {
            self.resend(cx);
        }
        if self.committer.commit_at(&self.scene()).is_some_and(|at| cx.now >= at)
            && let Err(refusal) = self.commit(cx)
        {
            self.committer.failed(cx.now);
            // HEAL-12: what the service proposed fits together, so something of it is not here.
            self.pursuit.noticed(cx.now);
            let _ = self.group.clear_pending_commit(self.provider.storage());
            cx.warn(&format!("This device could not commit: {refusal}"));
        }
    }

    /// Stages a commit of everything pending, always with a path (COMM-2), checks it as everybody else will, sends it,
    /// and waits for the service to return it: only then is it merged.
    fn commit(&mut self, cx: &mut Context) -> Result<(), Refusal> {
        let refuse = |e: &dyn std::fmt::Display| Refusal::mls("own commit")(e);
        let bundle = self
            .group
            .commit_builder()
            .consume_proposal_store(true)
            .force_self_update(true)
            .load_psks(self.provider.storage())
            .map_err(|e| refuse(&e))?
            .create_group_info(false)
            .use_ratchet_tree_extension(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.identity.key, |_| {
                true
            })
            .map_err(|e| refuse(&e))?
            .stage_commit(&self.provider)
            .map_err(|e| refuse(&e))?;
        let (commit, welcome, _) = bundle.into_messages();
        let staged = self.group.pending_commit().ok_or(Refusal::UnknownProposal)?;
        let sender = Sender::Member(self.group.own_leaf_index());
        let change = check::check_commit(&self.context, &self.roster, &self.pending, &sender, staged, cx.now)?;
        let flight = Flight {
            at: self.at(),
            commit: commit.to_bytes().map_err(|e| refuse(&e))?.into(),
            welcome: welcome
                .map(|welcome| welcome.to_bytes())
                .transpose()
                .map_err(|e| refuse(&e))?
                .map(Bytes),
            change,
            proposals: self.pending.len(),
        };
        cx.send(flight.message());
        self.flight = Some(flight);
        self.committer.sent(cx.now);
        Ok(())
    }

    /// Sends an unanswered commit again.
    pub(super) fn resend(&mut self, cx: &mut Context) {
        if let Some(flight) = &self.flight {
            self.committer.sent_again(cx.now);
            cx.send(flight.message());
        }
    }

    /// The same over a new connection.
    pub(super) fn resend_anew(&mut self, cx: &mut Context) {
        self.committer.connected_anew();
        self.resend(cx);
    }

    /// COMM-3: a lost race is no fault. The winner's commit follows; what it leaves is committed in its epoch.
    pub(super) fn on_commit_refused(
        mut self: Box<Self>,
        at: &GroupEpoch,
        reason: CommitRefusal,
        detail: &str,
        cx: &mut Context,
    ) -> State {
        let Some(flight) = self.flight.take_if(|flight| &flight.at == at) else {
            return State::Member(self);
        };
        if self.committer.refusal_is_stale() {
            self.flight = Some(flight);
            return State::Member(self);
        }
        let _ = self.group.clear_pending_commit(self.provider.storage());
        // HEAL-12: in order, the proposals that are missing, the commit that won, or the end of the group would have been
        // here by now.
        let lacks = match reason {
            CommitRefusal::ProposalsMissing => flight.proposals == self.pending.len(),
            CommitRefusal::EpochTaken | CommitRefusal::WrongEpoch => true,
            _ => false,
        };
        if lacks {
            self.pursuit.noticed(cx.now);
        }
        if matches!(
            reason,
            CommitRefusal::Invalid | CommitRefusal::WelcomeMissing | CommitRefusal::TooLarge
        ) {
            cx.warn(&format!("The server did not take this device's commit: {detail}"));
        }
        let scene = Scene {
            roster: &self.roster,
            pending: &self.pending,
        };
        self.committer.refused(reason, &scene, cx.now);
        State::Member(self)
    }

    pub(super) fn on_commit(
        mut self: Box<Self>,
        at: &GroupEpoch,
        commit: &Bytes,
        receipt: &Receipt,
        salt: &Bytes,
        cx: &mut Context,
    ) -> State {
        match self.fits(at) {
            Fit::Now => {}
            Fit::Past => return State::Member(self),
            Fit::Ahead => {
                let missed = self.missed(at);
                return self.rejoin(&missed, cx);
            }
        }
        match self.take_commit(commit.as_slice(), receipt, salt, cx) {
            Ok(Taken::Entered(change)) => self.entered_epoch(&change, cx),
            Ok(Taken::Moved) => {
                cx.status(Phase::Rejoining, "Joining again …");
                let Self { identity, provider, .. } = *self;
                AwaitingAdmission::expect_welcome(identity, provider, cx)
            }
            Ok(Taken::Replaced) => cx.end(EndCause::Replaced, "This device joined the call again from elsewhere."),
            Ok(Taken::Removed) if cx.was_away() => self.join_again(None, cx),
            Ok(Taken::Removed) => cx.end(EndCause::Removed, "You were removed from the call."),
            Err(refusal) => self.rejoin(&refusal, cx),
        }
    }

    fn take_commit(
        &mut self,
        commit: &[u8],
        receipt: &Receipt,
        salt: &Bytes,
        cx: &mut Context,
    ) -> Result<Taken, Refusal> {
        let processed = self
            .group
            .process_message(&self.provider, handshake(commit, "commit")?)
            .map_err(|e| Refusal::mls("commit")(&e))?;
        let sender = processed.sender().clone();
        let hash = Sha256::digest(commit).into();
        match processed.into_content() {
            ProcessedMessageContent::OwnPendingCommit => {
                let flight = self.flight.take().ok_or(Refusal::UnknownProposal)?;
                // GRUP-6 holds for one's own commit too: whatever was proposed after it was made, an honest service would have
                // refused it for.
                if flight.proposals != self.pending.len() {
                    return Err(Refusal::ProposalLeftOut);
                }
                let staged = self.group.pending_commit().ok_or(Refusal::UnknownProposal)?;
                check_record(staged, hash, &flight.change, receipt, salt, cx)?;
                self.group
                    .merge_pending_commit(&self.provider)
                    .map_err(|e| Refusal::mls("own commit")(&e))?;
                self.merged(flight.change)
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let change = check::check_commit(&self.context, &self.roster, &self.pending, &sender, &staged, cx.now)?;
                if staged.self_removed() {
                    // OpenMLS stops where the removed member has no keys any more, before the new context is known, so
                    // there is no record to compare; nor does it matter to somebody who is out.
                    return Ok(self.removed_by(&change));
                }
                check_record(&staged, hash, &change, receipt, salt, cx)?;
                self.flight = None;
                self.group
                    .clear_pending_commit(self.provider.storage())
                    .map_err(|e| Refusal::mls("commit")(&e))?;
                self.group
                    .merge_staged_commit(&self.provider, *staged)
                    .map_err(|e| Refusal::mls("commit")(&e))?;
                self.merged(change)
            }
            _ => Err(Refusal::NotThatMessage("commit")),
        }
    }

    fn removed_by(&self, change: &Change) -> Taken {
        let own = &self.identity.certificate;
        let same = |m: &crate::identity::Member| Some(m.person()) == own.person() && Some(m.device()) == own.device();
        let requested = |m: &crate::identity::Member| m.certificate().der() == own.der();
        if change.added.iter().any(requested) {
            Taken::Moved
        } else if change.added.iter().any(same) {
            Taken::Replaced
        } else {
            Taken::Removed
        }
    }

    fn merged(&mut self, change: Change) -> Result<Taken, Refusal> {
        check::check_tree(&change.roster, self.group.members())?;
        self.roster = change.roster.clone();
        self.pending.clear();
        Ok(Taken::Entered(Box::new(change)))
    }

    pub(super) fn fits(&self, at: &GroupEpoch) -> Fit {
        let own = self.at();
        if at.group_id != own.group_id || at.epoch < own.epoch {
            Fit::Past
        } else if at.epoch == own.epoch {
            Fit::Now
        } else {
            Fit::Ahead
        }
    }

    fn missed(&self, at: &GroupEpoch) -> Refusal {
        Refusal::WrongEpoch {
            at: self.epoch(),
            got: at.epoch,
        }
    }
}

/// How a message's group and epoch relate to this client's.
pub(super) enum Fit {
    Now,
    /// Of an epoch, or of a group, that is over for this client.
    Past,
    /// A commit in between never came.
    Ahead,
}

enum Taken {
    Entered(Box<Change>),
    Removed,
    /// Removed, and let in at another leaf by an own request that crossed an earlier Welcome: the next one follows.
    Moved,
    /// Removed in favour of another leaf of this same device.
    Replaced,
}

/// C7, LOGV-6: the epoch about to be entered stands on the log as this client sees it, roster and all.
fn check_record(
    staged: &StagedCommit,
    commit_hash: [u8; 32],
    change: &Change,
    receipt: &Receipt,
    salt: &Bytes,
    cx: &mut Context,
) -> Result<(), Refusal> {
    let salt: [u8; 32] = salt
        .as_slice()
        .try_into()
        .map_err(|_| Refusal::ReceiptMissing("the epoch"))?;
    let expected = record(staged.group_context(), commit_hash, &change.roster, &salt);
    let session = cx.session.as_ref().ok_or(Refusal::NotThatMessage("commit"))?;
    let logged = session.log.verify_receipt(receipt, &LogEntry::Epoch(expected))?;
    cx.saw(&logged)?;
    Ok(())
}
