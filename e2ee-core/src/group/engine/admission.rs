//! Awaits admission: somebody's Welcome, or the word that nobody is there and the group is ours to make.

use std::time::Duration;

use openmls::prelude::{
    KeyPackage, KeyPackageBundle, Lifetime, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, RatchetTreeIn,
    StagedWelcome, Welcome, WelcomeError,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::StorageProvider;
use tls_codec::DeserializeBytes;

use super::State;
use super::acceptance::AwaitingAcceptance;
use super::certificate::{AwaitingCertificate, Identity, is_group_traffic};
use super::context::{Context, Session};
use super::member::{Admission, Member, join_config};
use super::output::{EndCause, Phase};
use crate::group::Refusal;
use crate::group::check::roster_of;
use crate::group::key_package::MAX_KEY_PACKAGE_LIFETIME_SECS;
use crate::group::policy::{CheckedContext, capabilities};
use crate::group::provider::Provider;
use crate::time::UnixMillis;
use crate::wire::delivery::{ClientMessage, EndReason, ErrorCode, GroupEpoch, ServerMessage};
use crate::wire::{Bytes, Receipt};

/// Asked again, with a fresh key package, when nothing came for so long.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// When things changed under a request, it is repeated sooner; not at once, for it may still be answered.
const ASK_SOONER: Duration = Duration::from_secs(5);

/// Who asks, and with what: the key packages' private keys lie in the provider.
#[derive(Debug)]
pub(super) struct Applicant {
    identity: Identity,
    provider: Provider,
    replaces: Option<GroupEpoch>,
}

/// A Welcome and what came with it.
pub(super) struct Joined<'a> {
    pub(super) at: &'a GroupEpoch,
    pub(super) welcome: &'a Bytes,
    pub(super) tree: &'a Bytes,
    pub(super) receipts: &'a [Receipt],
}

impl Applicant {
    pub(super) fn new(identity: Identity, cx: &mut Context) -> Self {
        Self {
            identity,
            provider: Provider::new(&cx.randomness),
            replaces: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct AwaitingAdmission {
    identity: Identity,
    provider: Provider,
    replaces: Option<GroupEpoch>,
    /// When to ask (again).
    ask_at: UnixMillis,
    /// The newest word on who is connected, which may come before the Welcome.
    presence: Option<(GroupEpoch, Vec<u32>)>,
}

impl AwaitingAdmission {
    /// Asks to be let in: at once, or later when this client has just refused something.
    pub(super) fn ask(identity: Identity, replaces: Option<GroupEpoch>, cx: &mut Context) -> State {
        let mut applicant = Applicant::new(identity, cx);
        applicant.replaces = replaces;
        Self::ask_as(applicant, cx)
    }

    /// A Welcome for another request of somebody who is in already: requests and answers can cross. The service has
    /// moved this device to that leaf, so it follows, if it is let in there safely.
    pub(super) fn follow(identity: Identity, provider: Provider, joined: &Joined<'_>, cx: &mut Context) -> State {
        let state = Self {
            identity,
            provider,
            replaces: None,
            ask_at: cx.now,
            presence: None,
        };
        state.on_joined(joined, cx)
    }

    /// A request of this device was granted, and the Welcome follows; it is asked for again where it does not.
    pub(super) fn expect_welcome(identity: Identity, provider: Provider, cx: &Context) -> State {
        State::AwaitingAdmission(Self {
            identity,
            provider,
            replaces: None,
            ask_at: cx.now + ASK_AGAIN,
            presence: None,
        })
    }

    /// The same with what was prepared before: a Welcome for an earlier key package may still come.
    pub(super) fn ask_as(applicant: Applicant, cx: &mut Context) -> State {
        let Applicant {
            identity,
            provider,
            replaces,
        } = applicant;
        if !identity.is_fresh(cx) {
            return AwaitingCertificate::ask(replaces, cx);
        }
        let (phase, words) = if replaces.is_some() {
            (Phase::Rejoining, "Joining again …")
        } else {
            (Phase::AwaitingAdmission, "Waiting to be let in …")
        };
        cx.status(phase, words);
        State::AwaitingAdmission(Self {
            identity,
            provider,
            replaces,
            ask_at: cx.now + cx.patience(),
            presence: None,
        })
    }

    pub(super) fn into_applicant(self) -> Applicant {
        Applicant {
            identity: self.identity,
            provider: self.provider,
            replaces: self.replaces,
        }
    }

    pub(super) fn wake(&self) -> UnixMillis {
        self.ask_at
    }

    pub(super) fn on_time(mut self, cx: &mut Context) -> State {
        if cx.now < self.ask_at {
            return State::AwaitingAdmission(self);
        }
        self.ask_at = cx.now + ASK_AGAIN;
        match key_package(&self.identity, &self.provider, cx) {
            Ok(key_package) => {
                cx.send(ClientMessage::Join {
                    key_package: key_package.into(),
                    replaces: self.replaces.clone(),
                });
                State::AwaitingAdmission(self)
            }
            Err(refusal) => cx.end(
                EndCause::Refused,
                &format!("This device could not make a key package: {refusal}"),
            ),
        }
    }

    pub(super) fn on_message(mut self, message: ServerMessage, cx: &mut Context) -> State {
        match message {
            ServerMessage::Create { group_id } => {
                AwaitingAcceptance::create(self.identity, self.provider, group_id, cx)
            }
            ServerMessage::Joined {
                at,
                welcome,
                ratchet_tree,
                receipts,
            } => self.on_joined(
                &Joined {
                    at: &at,
                    welcome: &welcome,
                    tree: &ratchet_tree,
                    receipts: &receipts,
                },
                cx,
            ),
            ServerMessage::Presence { at, live } => {
                self.presence = Some((at, live));
                State::AwaitingAdmission(self)
            }
            ServerMessage::Ended {
                reason: EndReason::Closed,
                ..
            } => cx.end(EndCause::Closed, "The room is closed."),
            // A generation of the room is over. If it is the one to be replaced in, there is nothing to replace.
            ServerMessage::Ended { group_id, .. } => {
                if self.replaces.as_ref().is_some_and(|at| at.group_id == group_id) {
                    self.replaces = None;
                }
                self.ask_at = self.ask_at.min(cx.now + ASK_SOONER);
                State::AwaitingAdmission(self)
            }
            other => {
                if !is_group_traffic(&other) {
                    cx.unexpected(&other);
                }
                State::AwaitingAdmission(self)
            }
        }
    }

    pub(super) fn on_error(mut self, code: ErrorCode, message: &str, cx: &mut Context) -> State {
        cx.warn(&format!("The server reports: {message}"));
        match code {
            ErrorCode::KeyPackageRefused => {
                let refused = Refusal::Mls {
                    what: "own key package",
                    why: message.to_owned(),
                };
                if cx.refuse(None, &refused) {
                    self.ask_at = cx.now + cx.patience();
                    State::AwaitingAdmission(self)
                } else {
                    cx.end(
                        EndCause::Refused,
                        &format!("The server does not let this device in: {message}"),
                    )
                }
            }
            _ => State::AwaitingAdmission(self),
        }
    }

    fn on_joined(mut self, joined: &Joined<'_>, cx: &mut Context) -> State {
        let at = joined.at;
        match self.check_welcome(joined, cx) {
            Ok((group, context, roster)) => {
                let admission = Admission {
                    provider: self.provider,
                    identity: self.identity,
                    group,
                    context,
                    roster,
                    presence: self.presence,
                };
                Member::enter(admission, cx)
            }
            // For an earlier request of this device, whose keys are gone. The service counts it as a member now, and
            // the request that is under way, or the next, takes that leaf's place.
            Err(Refusal::NotForThisDevice) => {
                self.replaces = Some(at.clone());
                self.ask_at = self.ask_at.min(cx.now + ASK_SOONER);
                State::AwaitingAdmission(self)
            }
            Err(refusal) => {
                // The service counts this device as a member now, so the next try replaces that leaf.
                let replaces = Some(at.clone());
                if cx.refuse(replaces.clone(), &refusal) {
                    Self::ask(self.identity, replaces, cx)
                } else {
                    cx.end(EndCause::Refused, "The call cannot be joined safely.")
                }
            }
        }
    }

    /// ADMT-7, PF-21: everything in the Welcome's group is checked before a key of it is used: context and policy,
    /// every leaf's chain and its receipt, our own leaf.
    fn check_welcome(
        &self,
        joined: &Joined<'_>,
        cx: &mut Context,
    ) -> Result<(openmls::prelude::MlsGroup, CheckedContext, crate::identity::Roster), Refusal> {
        let Joined {
            at,
            welcome,
            tree,
            receipts,
        } = *joined;
        let session = cx.session.clone().ok_or(Refusal::NotThatMessage("Welcome"))?;
        let staged = stage(&self.provider, welcome, tree)?;
        let group_context = staged.group_context();
        if group_context.group_id().as_slice() != at.group_id.as_slice() {
            return Err(Refusal::OtherGroup);
        }
        let epoch = group_context.epoch().as_u64();
        if epoch != at.epoch {
            return Err(Refusal::WrongEpoch {
                at: at.epoch,
                got: epoch,
            });
        }
        let context = CheckedContext::check(group_context, &session.root, cx.now)?;
        if context.policy().profile() != cx.profile() {
            return Err(Refusal::OtherProfile);
        }
        // The service that may propose here is the one this client speaks with.
        if context.service().key() != session.service.key() {
            return Err(Refusal::ExternalSenders);
        }
        let roster = roster_of(staged.members(), &session.root, cx.now)?;
        let own = roster.get(staged.own_leaf_index().u32()).ok_or(Refusal::NotMyLeaf)?;
        if own.fingerprint() != self.identity.certificate.fingerprint() {
            return Err(Refusal::NotMyLeaf);
        }
        check_receipts(&session, &roster, receipts, cx)?;
        let group = staged
            .into_group(&self.provider)
            .map_err(|e| Refusal::mls("Welcome")(&e))?;
        Ok((group, context, roster))
    }
}

/// ADMT-8: for every leaf, in order, the log's word on its certificate.
fn check_receipts(
    session: &Session,
    roster: &crate::identity::Roster,
    receipts: &[Receipt],
    cx: &mut Context,
) -> Result<(), Refusal> {
    if receipts.len() != roster.len() {
        return Err(Refusal::ReceiptMissing("a member's certificate"));
    }
    let mut verified = session.log.receipts();
    for (member, receipt) in roster.iter().zip(receipts) {
        let logged = verified.verify_certificate(receipt, member.certificate().der())?;
        cx.saw(&logged)?;
    }
    Ok(())
}

impl Joined<'_> {
    /// Whether the Welcome is for a key package of this provider.
    pub(super) fn is_for(&self, provider: &Provider) -> bool {
        parse(self.welcome).is_ok_and(|welcome| {
            welcome.secrets().iter().any(|secrets| {
                let held: Result<Option<KeyPackageBundle>, _> = provider.storage().key_package(&secrets.new_member());
                matches!(held, Ok(Some(_)))
            })
        })
    }
}

fn parse(welcome: &Bytes) -> Result<Welcome, Refusal> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(welcome.as_slice())
        .map_err(|_| Refusal::NotThatMessage("Welcome"))?;
    match message.extract() {
        MlsMessageBodyIn::Welcome(welcome) => Ok(welcome),
        _ => Err(Refusal::NotThatMessage("Welcome")),
    }
}

fn stage(provider: &Provider, welcome: &Bytes, tree: &Bytes) -> Result<StagedWelcome, Refusal> {
    let welcome = parse(welcome)?;
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree.as_slice())
        .map_err(|_| Refusal::NotThatMessage("ratchet tree"))?;
    // Lifetimes of leaves were checked when they were added, by the clock that is an input here.
    StagedWelcome::build_from_welcome(provider, &join_config(), welcome)
        .map_err(|e| match e {
            WelcomeError::NoMatchingKeyPackage => Refusal::NotForThisDevice,
            e => Refusal::mls("Welcome")(&e),
        })?
        .with_ratchet_tree(tree)
        .skip_lifetime_validation()
        .replace_old_group()
        .build()
        .map_err(|e| Refusal::mls("Welcome")(&e))
}

fn key_package(identity: &Identity, provider: &Provider, cx: &Context) -> Result<Vec<u8>, Refusal> {
    let not_before = cx.now.as_secs().saturating_sub(3600);
    let bundle = KeyPackage::builder()
        .key_package_lifetime(Lifetime::init(not_before, not_before + MAX_KEY_PACKAGE_LIFETIME_SECS))
        .leaf_node_capabilities(capabilities(cx.profile()))
        .build(
            cx.profile().ciphersuite(),
            provider,
            &identity.key,
            identity.credential()?,
        )
        .map_err(|e| Refusal::mls("key package")(&e))?;
    MlsMessageOut::from(bundle.into_key_package())
        .to_bytes()
        .map_err(|e| Refusal::mls("key package")(&e))
}
