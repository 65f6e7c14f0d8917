//! A new epoch: keys out, roster shown, and the moment to seal with it.

use std::time::Duration;

use openmls::prelude::PastEpochDeletion;
use openmls_traits::OpenMlsProvider;

use super::super::State;
use super::super::context::Context;
use super::super::output::{EndCause, EpochKeys, Output, Phase};
use super::application::Split;
use super::{Member, PAST_KEYS_LIVE, REKEYED_WITHIN, SWITCH_AFTER, SWITCH_AFTER_REMOVAL, Scene};
use crate::group::Refusal;
use crate::group::check::Change;
use crate::identity::code_of;
use crate::media::MediaEpoch;
use crate::sframe::mls::EXPORTER_LABEL;
use crate::sframe::{CipherSuite, Secret};
use crate::time::UnixMillis;
use crate::wire::delivery::ClientMessage;

impl Member {
    /// After a merge.
    pub(super) fn entered_epoch(mut self: Box<Self>, change: &Change, cx: &mut Context) -> State {
        self.switch_to_former(cx);
        self.newcomers = change.added.iter().map(crate::identity::Member::leaf).collect();
        let own_commit = change.committer == self.own_leaf();
        let scene = Scene {
            roster: &self.roster,
            pending: &self.pending,
        };
        self.committer.entered(&scene, &self.newcomers, own_commit, cx.now);
        self.pursuit.caught_up();
        self.rekey_by = cx.now + REKEYED_WITHIN;
        // Somebody who joined an epoch that this client never sealed with still waits for a key frame.
        self.key_frame |= !self.newcomers.is_empty();
        self.wipe_past_at = Some(cx.now + PAST_KEYS_LIVE);
        let patience = if change.removed.is_empty() {
            SWITCH_AFTER
        } else {
            SWITCH_AFTER_REMOVAL
        };
        if let Err(refusal) = self.announce(patience, cx) {
            return self.rejoin(&refusal, cx);
        }
        if let Err(Split(why)) = self.replay_early(cx) {
            return cx.end(EndCause::Split, why);
        }
        self.flush_chat(cx);
        State::Member(self)
    }

    /// C2: the roster is shown before the keys of its epoch are used for sending. Receive keys are installed at once.
    /// Without its keys the epoch is not entered: the former one would be sealed in on and on.
    pub(super) fn announce(&mut self, patience: Duration, cx: &mut Context) -> Result<(), Refusal> {
        self.acks.clear();
        let keys = self.export()?;
        cx.emit(Output::Roster(self.view()));
        cx.emit(Output::Epoch(keys));
        cx.emit(Output::MeetingCode {
            epoch: self.epoch(),
            code: self.meeting_code(),
        });
        cx.status(Phase::InCall, &self.words());
        cx.send(ClientMessage::Ack { at: self.at() });
        self.switch_by = Some(cx.now + patience);
        self.beats.start(cx.now, self.roster.len());
        self.switch_if_ready(cx);
        Ok(())
    }

    /// PF-25: a sender is never more than one epoch behind its own group, however fast epochs follow each other: the
    /// receivers hold the keys of three (EPOC-2), and whoever lags keeps what comes early (EPOC-7).
    fn switch_to_former(&mut self, cx: &mut Context) {
        if self.switch_by.take().is_some() {
            cx.emit(Output::SwitchSender {
                epoch: self.epoch() - 1,
                key_frame: std::mem::take(&mut self.key_frame),
            });
        }
    }

    /// HEAL-2: seal with this epoch when everybody who is connected holds its keys, or when the time is up.
    pub(super) fn switch_if_ready(&mut self, cx: &mut Context) {
        let Some(by) = self.switch_by else { return };
        let own = self.own_leaf();
        let waits_for = |leaf: u32| leaf != own && (self.committer.is_live(leaf) || self.newcomers.contains(&leaf));
        let all = self
            .roster
            .leaves()
            .all(|leaf| !waits_for(leaf) || self.acks.contains(&leaf));
        if all || cx.now >= by {
            self.switch_by = None;
            cx.emit(Output::SwitchSender {
                epoch: self.epoch(),
                key_frame: std::mem::take(&mut self.key_frame),
            });
        }
    }

    /// HEAL-3. Also while the connection is lost: what is over is over.
    pub(in super::super) fn wipe_if_due(&mut self, cx: &mut Context) {
        if self.wipe_past_at.is_some_and(|at| cx.now >= at) {
            self.wipe_past_at = None;
            self.wipe_past_keys(cx);
        }
    }

    pub(in super::super) fn wipe_at(&self) -> Option<UnixMillis> {
        self.wipe_past_at
    }

    /// Keys of epochs that are over go, so that a later break-in reads nothing of them.
    fn wipe_past_keys(&mut self, cx: &mut Context) {
        if self
            .group
            .delete_past_epoch_secrets(&self.provider, PastEpochDeletion::delete_all())
            .is_err()
        {
            cx.warn("Keys of a past epoch could not be deleted.");
        }
    }

    /// RFC 9605 section 5.2.
    fn export(&mut self) -> Result<EpochKeys, Refusal> {
        let policy = self.context.policy();
        let key = self
            .group
            .export_secret(self.provider.crypto(), EXPORTER_LABEL, &[], policy.sframe_key_len())
            .map_err(|e| Refusal::mls("exporter")(&e))?;
        let suite = if policy.sframe_suite() == 0x0005 {
            CipherSuite::Aes256GcmSha512_128
        } else {
            CipherSuite::Aes128GcmSha256_128
        };
        let width = self.roster.leaves().last().map_or(1, |last| last + 1);
        Ok(EpochKeys {
            media: MediaEpoch {
                epoch: self.epoch(),
                base_key: Secret::new(key),
                // RFC 9420 section 7.7: a tree has a power of two of leaves and no empty right half.
                leaf_count: width.next_power_of_two(),
                own_leaf: self.own_leaf(),
                members: self.roster.leaves().collect(),
            },
            suite,
            fresh: std::mem::take(&mut self.fresh),
        })
    }

    /// From the epoch authenticator (RFC 9420 section 8.7): equal codes, equal group, equal epoch.
    fn meeting_code(&self) -> String {
        code_of(
            "Conclave 1.0 Meeting Code",
            &[self.group.epoch_authenticator().as_slice()],
        )
    }
}
