//! In the call: holds the group, follows its commits, makes some of them, and says what it hears.

mod application;
mod commit;
mod epoch;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use openmls::prelude::{MlsGroup, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, SenderRatchetConfiguration};

use super::State;
use super::admission::{AwaitingAdmission, Joined};
use super::certificate::Identity;
use super::committer::{Committer, Epoch};
use super::context::Context;
use super::heartbeat::Heartbeats;
use super::output::{EndCause, Output, Phase, RosterView};
use super::pursuit::{Pursuit, Step};
use crate::group::Refusal;
use crate::group::check::Pending;
use crate::group::pace::SWITCH_WITHIN;
use crate::group::policy::CheckedContext;
use crate::group::provider::Provider;
use crate::identity::Roster;
use crate::time::UnixMillis;
use crate::wire::Bytes;
use crate::wire::delivery::{EndReason, ErrorCode, GroupEpoch, ServerMessage};
use commit::{Fit, Flight};

/// Application messages are padded to a multiple of this, so that their sizes say little.
pub(super) const PADDING: usize = 256;
/// Messages of the epoch before are still read; its keys are wiped with the media's, after [`PAST_KEYS_LIVE`].
pub(super) const PAST_EPOCHS: usize = 1;
const PAST_KEYS_LIVE: Duration = Duration::from_secs(10);
/// HEAL-2: a sender waits at most this long for the others' acknowledgements.
const SWITCH_AFTER: Duration = SWITCH_WITHIN;
/// The same where somebody was removed: with the commit's way here it stays under the second of C5.
const SWITCH_AFTER_REMOVAL: Duration = Duration::from_millis(700);
const CERTIFICATE_STAGGER: Duration = Duration::from_secs(1);
/// COMM-4: where an epoch is this old, the commits that should have ended it are held back.
const REKEYED_WITHIN: Duration = Duration::from_secs(360);
/// The same after this member was away or asleep itself, and the next commit is still on its way.
const REKEYED_WITHIN_OF_RETURN: Duration = Duration::from_secs(60);

/// The delivery service keeps the order, so little is out of it; what a resuming client missed is skipped.
pub(super) fn sender_ratchet() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(16, 1000)
}

pub(super) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .max_past_epochs(PAST_EPOCHS)
        .sender_ratchet_configuration(sender_ratchet())
        .use_ratchet_tree_extension(false)
        .build()
}

/// A group that was made or joined, and checked.
pub(super) struct Admission {
    pub(super) provider: Provider,
    pub(super) identity: Identity,
    pub(super) group: MlsGroup,
    pub(super) context: CheckedContext,
    pub(super) roster: Roster,
    pub(super) presence: Option<(GroupEpoch, Vec<u32>)>,
}

pub(super) struct Member {
    provider: Provider,
    identity: Identity,
    group: MlsGroup,
    context: CheckedContext,
    roster: Roster,
    pending: Pending,
    /// Whose turn it is to commit, and who is connected.
    committer: Committer,
    /// What was not delivered.
    pursuit: Pursuit,
    /// Leaves that hold this epoch's keys, by the service's word.
    acks: BTreeSet<u32>,
    newcomers: BTreeSet<u32>,
    /// Own commit that the service has not answered.
    flight: Option<Flight>,
    /// When to seal with this epoch at the latest; none once that is done.
    switch_by: Option<UnixMillis>,
    key_frame: bool,
    wipe_past_at: Option<UnixMillis>,
    /// Application messages of the next epoch, which came before its commit.
    early: VecDeque<Bytes>,
    /// Chat that waits for the end of a commit or of an outage.
    outbox: VecDeque<String>,
    beats: Heartbeats,
    fresh: bool,
    /// When the next epoch must be here (COMM-4).
    rekey_by: UnixMillis,
}

impl Member {
    /// The first epoch of this client in a group.
    pub(super) fn enter(admission: Admission, cx: &mut Context) -> State {
        let Admission {
            provider,
            identity,
            group,
            context,
            roster,
            presence,
        } = admission;
        let live = presence
            .filter(|(at, _)| at.group_id.as_slice() == group.group_id().as_slice())
            .map(|(_, live)| live.into_iter().collect());
        let mut member = Box::new(Self {
            committer: Committer::new(group.own_leaf_index().u32(), live, cx.now),
            pursuit: Pursuit::default(),
            provider,
            identity,
            group,
            context,
            roster,
            pending: Pending::default(),
            acks: BTreeSet::new(),
            newcomers: BTreeSet::new(),
            flight: None,
            switch_by: None,
            key_frame: true,
            wipe_past_at: None,
            early: VecDeque::new(),
            outbox: VecDeque::new(),
            beats: Heartbeats::default(),
            fresh: true,
            rekey_by: cx.now + REKEYED_WITHIN,
        });
        match member.announce(SWITCH_AFTER, cx) {
            Ok(()) => State::Member(member),
            Err(refusal) => member.rejoin(&refusal, cx),
        }
    }

    /// The connection is back; what was missed follows.
    pub(super) fn resumed(mut self: Box<Self>, cx: &mut Context) -> State {
        self.beats.forgive(cx.now);
        self.pursuit.resumed(cx.now);
        self.rekey_by = self.rekey_by.max(cx.now + REKEYED_WITHIN_OF_RETURN);
        cx.status(Phase::InCall, &self.words());
        self.resend_anew(cx);
        State::Member(self)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.group.epoch().as_u64()
    }

    pub(super) fn at(&self) -> GroupEpoch {
        GroupEpoch {
            group_id: self.group.group_id().as_slice().into(),
            epoch: self.epoch(),
        }
    }

    pub(super) fn on_message(mut self: Box<Self>, message: ServerMessage, cx: &mut Context) -> State {
        match message {
            ServerMessage::Proposals {
                at,
                proposals,
                receipts,
            } => self.on_proposals(&at, &proposals, &receipts, cx),
            ServerMessage::Commit {
                at,
                commit,
                receipt,
                roster_salt,
            } => self.on_commit(&at, &commit, &receipt, &roster_salt, cx),
            ServerMessage::CommitRefused { at, reason, detail } => self.on_commit_refused(&at, reason, &detail, cx),
            ServerMessage::Ack { at, leaf } => {
                self.notice(&at, cx);
                if at == self.at() && self.roster.contains(leaf) {
                    self.acks.insert(leaf);
                }
                State::Member(self)
            }
            ServerMessage::Presence { at, live } => {
                self.notice(&at, cx);
                if at.group_id == self.at().group_id {
                    self.committer.presence(live.into_iter().collect());
                    cx.emit(Output::Roster(self.view()));
                }
                // It comes last after a reconnection: what was written meanwhile belongs to the epoch that is reached now.
                if at == self.at() {
                    self.flush_chat(cx);
                }
                State::Member(self)
            }
            ServerMessage::Application { at, message } => self.on_application(&at, &message, cx),
            ServerMessage::Joined {
                at,
                welcome,
                ratchet_tree,
                receipts,
            } => {
                let joined = Joined {
                    at: &at,
                    welcome: &welcome,
                    tree: &ratchet_tree,
                    receipts: &receipts,
                };
                if joined.is_for(&self.provider) {
                    let Self { identity, provider, .. } = *self;
                    return AwaitingAdmission::follow(identity, provider, &joined, cx);
                }
                cx.warn("The server sent a Welcome that is not for this device; it was ignored.");
                State::Member(self)
            }
            ServerMessage::Ended { group_id, reason } if group_id == self.at().group_id => self.on_ended(reason, cx),
            other => {
                cx.unexpected(&other);
                State::Member(self)
            }
        }
    }

    /// HEAL-12: a service that does not know this member in this group has ended the group, or removed the member, and its
    /// word on that did not come. In order it would have been here.
    pub(super) fn on_error(mut self: Box<Self>, code: ErrorCode, message: &str, cx: &mut Context) -> State {
        cx.warn(&format!("The server reports: {message}"));
        if code == ErrorCode::UnexpectedMessage {
            self.pursuit.noticed(cx.now);
        }
        State::Member(self)
    }

    /// Everything that is due.
    pub(super) fn on_time(mut self: Box<Self>, cx: &mut Context) -> State {
        self.switch_if_ready(cx);
        self.wipe_if_due(cx);
        self.demand_rekey(cx);
        if cx.now >= self.renew_at() {
            let at = self.at();
            return self.join_again(Some(at), cx);
        }
        match self.pursuit.step(cx.now) {
            Some(Step::AskAgain) => {
                cx.warn("The server speaks of a later state of the call than it delivered. Asking for it again …");
                cx.emit(Output::Reconnect);
            }
            Some(Step::GiveUp) => {
                return self.rejoin(&Refusal::Withheld, cx);
            }
            None => {}
        }
        self.commit_if_due(cx);
        self.beat_if_due(cx);
        State::Member(self)
    }

    pub(super) fn wake(&self, cx: &Context) -> UnixMillis {
        [
            self.switch_by,
            self.wipe_past_at,
            self.committer.commit_at(&self.scene()),
            self.beats.next(),
            Some(self.renew_at()),
            self.committer.resend_at(),
            self.pursuit.due(),
            Some(self.rekey_by),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(cx.now + SWITCH_AFTER)
    }

    /// COMM-4: no member can end the epoch alone where the service takes no commit, or delivers none; but each can tell.
    fn demand_rekey(&mut self, cx: &mut Context) {
        if cx.has_slept() {
            self.rekey_by = self.rekey_by.max(cx.now + REKEYED_WITHIN_OF_RETURN);
        }
        if cx.now >= self.rekey_by {
            self.rekey_by = cx.now + REKEYED_WITHIN_OF_RETURN;
            cx.warn("The keys of this call are older than five minutes: the server takes or delivers no new ones.");
            self.pursuit.noticed(cx.now);
        }
    }

    fn on_ended(self: Box<Self>, reason: EndReason, cx: &mut Context) -> State {
        match reason {
            EndReason::Closed => cx.end(EndCause::Closed, "The room was closed."),
            EndReason::Removed if !cx.was_away() => cx.end(EndCause::Removed, "You were removed from the call."),
            // The group went on, or ended, without us: a new one, or a new place in it, is to be had.
            EndReason::Removed | EndReason::Abandoned => self.join_again(None, cx),
        }
    }

    /// After a refusal: give this group up and ask for a new leaf in its place (PF-18).
    fn rejoin(self: Box<Self>, refusal: &Refusal, cx: &mut Context) -> State {
        let at = self.at();
        if cx.refuse(Some(at.clone()), refusal) {
            self.join_again(Some(at), cx)
        } else {
            cx.end(EndCause::Refused, "The call cannot go on safely.")
        }
    }

    fn join_again(self: Box<Self>, replaces: Option<GroupEpoch>, cx: &mut Context) -> State {
        cx.status(Phase::Rejoining, "Joining again …");
        AwaitingAdmission::ask(self.identity, replaces, cx)
    }

    fn own_leaf(&self) -> u32 {
        self.group.own_leaf_index().u32()
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            roster: &self.roster,
            pending: &self.pending,
        }
    }

    /// HEAL-12: the service keeps one order, so what names a later epoch comes after the commit that makes it.
    fn notice(&mut self, at: &GroupEpoch, cx: &Context) {
        if matches!(self.fits(at), Fit::Ahead) {
            self.pursuit.noticed(cx.now);
        }
    }

    fn view(&self) -> RosterView {
        RosterView::new(self.epoch(), &self.roster, self.own_leaf(), |leaf| {
            self.committer.is_live(leaf)
        })
    }

    /// IDEN-3: before its certificate runs out, a member takes a new one and a new leaf; not all at the same moment.
    fn renew_at(&self) -> UnixMillis {
        let due = self.identity.renew_at();
        let left = self.identity.certificate.not_after().since(due);
        due + (CERTIFICATE_STAGGER * self.own_leaf().min(300)).min(left / 2)
    }

    fn words(&self) -> String {
        match self.roster.len() {
            1 => "You are alone in the call. Whoever joins is checked before anything is sent to them.".to_owned(),
            n => format!("End-to-end encrypted among {n} people, each with a certificate from your organisation."),
        }
    }
}

/// The epoch as the committer sees it.
struct Scene<'a> {
    roster: &'a Roster,
    pending: &'a Pending,
}

impl Epoch for Scene<'_> {
    fn leaves(&self) -> impl Iterator<Item = u32> {
        self.roster.leaves()
    }

    fn removes(&self, leaf: u32) -> bool {
        self.pending.removes(leaf)
    }

    fn waits(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("epoch", &self.epoch())
            .field("leaf", &self.own_leaf())
            .field("members", &self.roster.len())
            .finish_non_exhaustive()
    }
}
