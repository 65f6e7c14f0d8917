//! Awaits the service's word that the group this client made is the room's.

use std::time::Duration;

use openmls::prelude::{
    GroupContext, GroupId, MlsGroup, MlsMessageBodyIn, MlsMessageIn, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
};
use openmls_traits::OpenMlsProvider;
use sha2::{Digest, Sha256};
use tls_codec::DeserializeBytes;

use super::State;
use super::admission::{Applicant, AwaitingAdmission};
use super::certificate::{Identity, is_group_traffic};
use super::context::Context;
use super::member::{Admission, Member, PADDING, sender_ratchet};
use super::output::{EndCause, Output};
use crate::group::Refusal;
use crate::group::check::roster_of;
use crate::group::policy::{CheckedContext, RoomPolicy, capabilities, context_extensions};
use crate::group::provider::Provider;
use crate::group::public::record;
use crate::identity::Roster;
use crate::log::entry::LogEntry;
use crate::time::UnixMillis;
use crate::wire::delivery::{ClientMessage, GroupEpoch, ServerMessage};
use crate::wire::{Bytes, Receipt};

#[derive(Debug)]
pub(super) struct AwaitingAcceptance {
    identity: Identity,
    provider: Provider,
    made: Made,
    presence: Option<(GroupEpoch, Vec<u32>)>,
    /// When to ask anew.
    give_up_at: UnixMillis,
}

/// HEAL-12: without the answer nobody can join, for the service may take this client for the one who lets them in.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Made {
    group: MlsGroup,
    context: CheckedContext,
    roster: Roster,
    group_context: GroupContext,
    info_hash: [u8; 32],
    info: Vec<u8>,
}

impl AwaitingAcceptance {
    /// ADMT-9: the creator writes the policy; nobody can change it later.
    pub(super) fn create(identity: Identity, provider: Provider, group_id: Bytes, cx: &mut Context) -> State {
        match make(&identity, &provider, &group_id, cx) {
            Ok(made) => {
                cx.send(ClientMessage::Created {
                    group_id,
                    group_info: made.info.clone().into(),
                });
                State::AwaitingAcceptance(Box::new(Self {
                    identity,
                    provider,
                    made,
                    presence: None,
                    give_up_at: cx.now + PATIENCE,
                }))
            }
            Err(refusal) => cx.end(
                EndCause::Refused,
                &format!("This device could not make the group: {refusal}"),
            ),
        }
    }

    /// The connection is lost. Whether the group was accepted will never be known: ask anew.
    pub(super) fn into_applicant(self, cx: &mut Context) -> Applicant {
        Applicant::new(self.identity, cx)
    }

    pub(super) fn wake(&self) -> UnixMillis {
        self.give_up_at
    }

    pub(super) fn on_time(mut self: Box<Self>, cx: &mut Context) -> State {
        if cx.now >= self.give_up_at {
            self.give_up_at = cx.now + PATIENCE;
            cx.warn("The server does not say whether it took the group. Asking anew …");
            cx.emit(Output::Reconnect);
        }
        State::AwaitingAcceptance(self)
    }

    pub(super) fn on_message(mut self: Box<Self>, message: ServerMessage, cx: &mut Context) -> State {
        match message {
            ServerMessage::CreateAccepted {
                at,
                receipt,
                roster_salt,
            } => self.on_accepted(&at, &receipt, &roster_salt, cx),
            // Somebody else was first, or the service gave the room another group: start over.
            ServerMessage::Create { group_id } => {
                let provider = Provider::new(&cx.randomness);
                Self::create(self.identity, provider, group_id, cx)
            }
            ServerMessage::Ended { .. } => AwaitingAdmission::ask(self.identity, None, cx),
            ServerMessage::Presence { at, live } => {
                self.presence = Some((at, live));
                State::AwaitingAcceptance(self)
            }
            other => {
                if !is_group_traffic(&other) {
                    cx.unexpected(&other);
                }
                State::AwaitingAcceptance(self)
            }
        }
    }

    fn on_accepted(self, at: &GroupEpoch, receipt: &Receipt, salt: &Bytes, cx: &mut Context) -> State {
        match check_record(&self.made, at, receipt, salt, cx) {
            Ok(()) => Member::enter(
                Admission {
                    provider: self.provider,
                    identity: self.identity,
                    group: self.made.group,
                    context: self.made.context,
                    roster: self.made.roster,
                    presence: self.presence,
                },
                cx,
            ),
            Err(refusal) => {
                if cx.refuse(Some(at.clone()), &refusal) {
                    AwaitingAdmission::ask(self.identity, Some(at.clone()), cx)
                } else {
                    cx.end(
                        EndCause::Refused,
                        "The server does not put the group on the log as it is.",
                    )
                }
            }
        }
    }
}

fn make(identity: &Identity, provider: &Provider, group_id: &Bytes, cx: &Context) -> Result<Made, Refusal> {
    let session = cx.session.as_ref().ok_or(Refusal::NotThatMessage("create"))?;
    let policy = RoomPolicy::new(cx.profile(), *session.root.hash());
    let group = MlsGroup::builder()
        .with_group_id(GroupId::from_slice(group_id.as_slice()))
        .ciphersuite(cx.profile().ciphersuite())
        .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .max_past_epochs(super::member::PAST_EPOCHS)
        .sender_ratchet_configuration(sender_ratchet())
        .use_ratchet_tree_extension(false)
        .with_capabilities(capabilities(cx.profile()))
        .with_group_context_extensions(context_extensions(&policy, &session.service, &session.service_chain)?)
        .build(provider, &identity.key, identity.credential()?)
        .map_err(|e| Refusal::mls("new group")(&e))?;
    let info = group
        .export_group_info(provider.crypto(), &identity.key, true)
        .map_err(|e| Refusal::mls("GroupInfo")(&e))?
        .to_bytes()
        .map_err(|e| Refusal::mls("GroupInfo")(&e))?;
    let group_context = context_of(&info)?;
    Ok(Made {
        context: CheckedContext::check(&group_context, &session.root, cx.now)?,
        roster: roster_of(group.members(), &session.root, cx.now)?,
        group_context,
        info_hash: Sha256::digest(&info).into(),
        info,
        group,
    })
}

/// The context that the `GroupInfo` carries; OpenMLS shows a group's own context only there.
fn context_of(info: &[u8]) -> Result<GroupContext, Refusal> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(info).map_err(|_| Refusal::NotThatMessage("GroupInfo"))?;
    match message.extract() {
        MlsMessageBodyIn::GroupInfo(info) => Ok(info.group_context().clone()),
        _ => Err(Refusal::NotThatMessage("GroupInfo")),
    }
}

fn check_record(
    made: &Made,
    at: &GroupEpoch,
    receipt: &Receipt,
    salt: &Bytes,
    cx: &mut Context,
) -> Result<(), Refusal> {
    if at.group_id.as_slice() != made.group_context.group_id().as_slice() {
        return Err(Refusal::OtherGroup);
    }
    if at.epoch != 0 {
        return Err(Refusal::WrongEpoch { at: 0, got: at.epoch });
    }
    let salt: [u8; 32] = salt
        .as_slice()
        .try_into()
        .map_err(|_| Refusal::ReceiptMissing("the epoch"))?;
    let expected = record(&made.group_context, made.info_hash, &made.roster, &salt);
    let session = cx.session.as_ref().ok_or(Refusal::NotThatMessage("create-accepted"))?;
    let logged = session.log.verify_receipt(receipt, &LogEntry::Epoch(expected))?;
    cx.saw(&logged)?;
    Ok(())
}
