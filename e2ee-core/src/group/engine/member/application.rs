//! Chat and heartbeats: what members say to each other inside the group.

use openmls::prelude::{MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, ProtocolMessage, Sender};
use tls_codec::DeserializeBytes;

use super::super::State;
use super::super::content::{Content, Heartbeat, authenticator};
use super::super::context::Context;
use super::super::output::{ChatMessage, EndCause, Output};
use super::Member;
use super::commit::Fit;
use crate::group::Refusal;
use crate::wire::Bytes;
use crate::wire::delivery::{ClientMessage, GroupEpoch, MAX_APPLICATION};

/// Messages kept for the next epoch, and chat kept for better times.
const MAX_EARLY: usize = 64;
const MAX_OUTBOX: usize = 64;

/// Two members hold different groups, or were shown different logs: the call is not one call any more.
pub(super) struct Split(pub(super) &'static str);

impl Member {
    pub(in super::super) fn chat(&mut self, text: String, cx: &mut Context) {
        self.queue_chat(text);
        self.flush_chat(cx);
    }

    pub(in super::super) fn queue_chat(&mut self, text: String) {
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(text);
        }
    }

    /// RFC 9420 section 15.2 wants no application data while proposals are pending: it waits for the commit.
    pub(super) fn flush_chat(&mut self, cx: &mut Context) {
        while self.pending.is_empty()
            && let Some(text) = self.outbox.pop_front()
        {
            if let Err(why) = self.say(&Content::Chat(text.clone()), cx) {
                cx.warn(&format!("The message was not sent: {why}"));
                continue;
            }
            let own = self.own_leaf();
            cx.emit(Output::Chat(ChatMessage {
                leaf: own,
                name: self.name_of(own),
                text,
                epoch: self.epoch(),
                own: true,
            }));
        }
    }

    fn say(&mut self, content: &Content, cx: &mut Context) -> Result<(), Refusal> {
        let plain = content.to_bytes().map_err(|_| Refusal::NotThatMessage("own message"))?;
        let message = self
            .group
            .create_message(&self.provider, &self.identity.key, &plain)
            .map_err(|e| Refusal::mls("own message")(&e))?
            .to_bytes()
            .map_err(|e| Refusal::mls("own message")(&e))?;
        cx.send(ClientMessage::Application {
            at: self.at(),
            message: message.into(),
        });
        Ok(())
    }

    pub(super) fn beat_if_due(&mut self, cx: &mut Context) {
        self.warn_of_missing(cx);
        if !self.beats.is_due(cx.now) {
            return;
        }
        if !self.pending.is_empty() {
            // Nothing may be said while proposals wait (see above); the commit is a matter of milliseconds.
            self.beats.held_up(cx.now);
            return;
        }
        // Alone, it is still heard by the service, which says so where it knows no such member (HEAL-12).
        self.beats.sent(cx.now, self.roster.len());
        let (log_size, log_root) = cx
            .newest_checkpoint()
            .map_or((0, [0; 32]), |newest| (newest.size(), *newest.root()));
        let beat = Heartbeat {
            epoch: self.epoch(),
            authenticator: authenticator(self.group.epoch_authenticator().as_slice()),
            log_size,
            log_root,
        };
        if let Err(why) = self.say(&Content::Heartbeat(beat), cx) {
            cx.warn(&format!("The heartbeat was not sent: {why}"));
        }
    }

    fn warn_of_missing(&mut self, cx: &mut Context) {
        if cx.has_slept() {
            self.beats.forgive(cx.now);
        }
        let own = self.own_leaf();
        let committer = &self.committer;
        let expected = |leaf| leaf != own && committer.is_live(leaf);
        let missing = self.beats.missing(&self.roster, |leaf| leaf == own, expected, cx.now);
        for leaf in missing {
            let name = self.name_of(leaf);
            let server = if self.committer.is_live(leaf) {
                "although the server says that they are connected"
            } else {
                "and the server neither connects them nor removes them"
            };
            cx.warn(&format!("Nothing signed was heard from {name} for a while, {server}."));
        }
    }

    pub(super) fn on_application(mut self: Box<Self>, at: &GroupEpoch, message: &Bytes, cx: &mut Context) -> State {
        if message.0.len() > MAX_APPLICATION {
            cx.warn("A message was too large; it was ignored.");
            return State::Member(self);
        }
        // One epoch late is read with keys kept for that; one early waits for its commit.
        if matches!(self.fits(at), Fit::Ahead) {
            self.notice(at, cx);
            if at.epoch == self.epoch() + 1 && self.early.len() < MAX_EARLY {
                self.early.push_back(message.clone());
            }
            return State::Member(self);
        }
        if at.group_id != self.at().group_id {
            return State::Member(self);
        }
        match self.read(message, cx) {
            Ok(()) => State::Member(self),
            // HEAL-6: fail closed, and say why.
            Err(Split(why)) => cx.end(EndCause::Split, why),
        }
    }

    pub(super) fn replay_early(&mut self, cx: &mut Context) -> Result<(), Split> {
        std::mem::take(&mut self.early)
            .iter()
            .try_for_each(|message| self.read(message, cx))
    }

    fn read(&mut self, message: &Bytes, cx: &mut Context) -> Result<(), Split> {
        let Some(message) = private(message) else {
            cx.warn("The server delivered something that is no message of a member; it was ignored.");
            return Ok(());
        };
        let epoch = message.epoch().as_u64();
        let processed = match self.group.process_message(&self.provider, message) {
            Ok(processed) => processed,
            Err(_) => {
                cx.warn("A message could not be decrypted; it was ignored.");
                return Ok(());
            }
        };
        let Sender::Member(leaf) = processed.sender() else {
            return Ok(());
        };
        let leaf = leaf.u32();
        let ProcessedMessageContent::ApplicationMessage(content) = processed.into_content() else {
            return Ok(());
        };
        match Content::from_bytes(&content.into_bytes()) {
            Ok(Content::Chat(text)) => {
                cx.emit(Output::Chat(ChatMessage {
                    leaf,
                    name: self.name_of(leaf),
                    text,
                    epoch,
                    own: leaf == self.own_leaf(),
                }));
                Ok(())
            }
            Ok(Content::Heartbeat(beat)) => self.compare(leaf, epoch, &beat, cx),
            Err(unreadable) => {
                cx.warn(&format!("{}: {unreadable}", self.name_of(leaf)));
                Ok(())
            }
        }
    }

    /// HEAL-5, C4: same epoch, same group; same log size, same log.
    fn compare(&mut self, leaf: u32, epoch: u64, beat: &Heartbeat, cx: &mut Context) -> Result<(), Split> {
        if epoch == self.epoch() && beat.epoch == epoch {
            let own = authenticator(self.group.epoch_authenticator().as_slice());
            if beat.authenticator != own {
                return Err(Split(
                    "Another member holds different keys for the same moment of this call. The server may have split the call.",
                ));
            }
        }
        if beat.log_size != 0 && cx.contradicts(beat.log_size, &beat.log_root) {
            return Err(Split(
                "Another member was shown a different transparency log. The server shows different people different truths.",
            ));
        }
        self.beats.heard(leaf, cx.now);
        Ok(())
    }

    fn name_of(&self, leaf: u32) -> String {
        self.roster
            .get(leaf)
            .map_or_else(|| "Somebody who left".to_owned(), |member| member.name().to_owned())
    }
}

/// Only private messages: application data is never sent in clear.
fn private(bytes: &Bytes) -> Option<ProtocolMessage> {
    match MlsMessageIn::tls_deserialize_exact_bytes(bytes.as_slice())
        .ok()?
        .extract()
    {
        MlsMessageBodyIn::PrivateMessage(message) => Some(message.into()),
        _ => None,
    }
}
