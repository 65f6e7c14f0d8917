//! Awaits the certificate for a fresh signature key.

use std::time::Duration;

use openmls::prelude::{Credential, CredentialType, CredentialWithKey};
use openmls_traits::signatures::Signer;

use super::State;
use super::admission::AwaitingAdmission;
use super::context::Context;
use super::output::{EndCause, Phase};
use crate::group::Refusal;
use crate::group::signature::SignatureKey;
use crate::identity::{CertificateError, CheckedCertificate, Use, encode_chain};
use crate::time::UnixMillis;
use crate::wire::delivery::{ClientMessage, ErrorCode, GroupEpoch, ServerMessage, certificate_request_tbs};
use crate::wire::{Bytes, Receipt};

/// A certificate with less time left is renewed before it is used to join, and in a call (or with less than a quarter
/// of its life left, where it lives shorter).
const MIN_LEFT: Duration = Duration::from_secs(20 * 60);
/// HEAL-12: asked again when nothing came for so long.
const ASK_AGAIN: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct AwaitingCertificate {
    key: SignatureKey,
    replaces: Option<GroupEpoch>,
    /// When to ask again.
    ask_at: UnixMillis,
}

/// A signature key and the checked certificate for it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: SignatureKey,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) certificate: CheckedCertificate,
    /// The one before it ran as long: the session ends with it, and another would bring nothing.
    pub(super) is_last: bool,
}

impl AwaitingCertificate {
    pub(super) fn ask(replaces: Option<GroupEpoch>, cx: &mut Context) -> State {
        cx.status(Phase::Identifying, "Proving who you are …");
        let key = SignatureKey::generate(cx.profile(), &cx.randomness);
        let state = Self {
            key,
            replaces,
            ask_at: cx.now,
        };
        state.on_time(cx)
    }

    pub(super) fn wake(&self) -> UnixMillis {
        self.ask_at
    }

    /// Asks, and asks again where no answer came: the same key, so that an answer to either fits.
    pub(super) fn on_time(mut self, cx: &mut Context) -> State {
        if cx.now < self.ask_at {
            return State::AwaitingCertificate(self);
        }
        self.ask_at = cx.now + ASK_AGAIN;
        let public_key = self.key.public();
        let Ok(proof) = self.key.sign(&certificate_request_tbs(&cx.config.session, &public_key)) else {
            return cx.end(EndCause::Refused, "This device could not sign with its own key.");
        };
        cx.send(ClientMessage::CertificateRequest {
            public_key: public_key.into(),
            proof: proof.into(),
        });
        State::AwaitingCertificate(self)
    }

    pub(super) fn on_message(self, message: ServerMessage, cx: &mut Context) -> State {
        let ServerMessage::Certificate { chain, receipt } = message else {
            // Messages of a group that this client is about to rejoin may still arrive.
            if !is_group_traffic(&message) {
                cx.unexpected(&message);
            }
            return State::AwaitingCertificate(self);
        };
        match check(&self.key, &chain, &receipt, cx) {
            Ok(certificate) => {
                let is_last = cx.certified_until(certificate.not_after());
                if is_last {
                    cx.warn("Your sign-in ends soon, and the call with it. Sign in again to stay.");
                }
                let identity = Identity {
                    key: self.key,
                    chain: chain.into_iter().map(|c| c.0).collect(),
                    certificate,
                    is_last,
                };
                AwaitingAdmission::ask(identity, self.replaces, cx)
            }
            Err(refusal) => {
                if cx.refuse(None, &refusal) {
                    Self::ask(self.replaces, cx)
                } else {
                    cx.end(
                        EndCause::Refused,
                        "The server does not issue a certificate that can be accepted.",
                    )
                }
            }
        }
    }

    pub(super) fn on_error(self, code: ErrorCode, message: &str, cx: &mut Context) -> State {
        cx.warn(&format!("The server reports: {message}"));
        match code {
            ErrorCode::CertificateRefused | ErrorCode::SessionInvalid => cx.end(
                EndCause::Refused,
                &format!("The server issues no certificate: {message}"),
            ),
            _ => State::AwaitingCertificate(self),
        }
    }
}

impl Identity {
    /// Whether the certificate is good for long enough to join with.
    pub(super) fn is_fresh(&self, cx: &Context) -> bool {
        cx.now < self.renew_at()
    }

    /// When this certificate must be replaced by a new one.
    pub(super) fn renew_at(&self) -> UnixMillis {
        if self.is_last {
            return self.certificate.not_after();
        }
        let life = self.certificate.not_after().since(self.certificate.not_before());
        self.certificate.not_after() - MIN_LEFT.min(life / 4)
    }

    pub(super) fn credential(&self) -> Result<CredentialWithKey, Refusal> {
        Ok(CredentialWithKey {
            credential: Credential::new(CredentialType::X509, encode_chain(&self.chain)?),
            signature_key: self.key.public().into(),
        })
    }
}

/// IDEN-8: a good chain, for this key, this person and this device, and on the log.
fn check(
    key: &SignatureKey,
    chain: &[Bytes],
    receipt: &Receipt,
    cx: &mut Context,
) -> Result<CheckedCertificate, Refusal> {
    let session = cx.session.as_ref().ok_or(Refusal::NotThatMessage("certificate"))?;
    let certificate = session.root.check(chain, Use::Person, cx.now)?;
    certificate.check_key(&key.public())?;
    if certificate.person() != Some(&session.participant) || certificate.device() != Some(&session.device) {
        return Err(CertificateError::Unexpected("another person or device than this session's").into());
    }
    let logged = session.log.verify_certificate_receipt(receipt, certificate.der())?;
    cx.saw(&logged)?;
    Ok(certificate)
}

/// What a group's members are sent, which may still reach somebody who is rejoining it.
pub(super) fn is_group_traffic(message: &ServerMessage) -> bool {
    matches!(
        message,
        ServerMessage::Proposals { .. }
            | ServerMessage::Commit { .. }
            | ServerMessage::CommitRefused { .. }
            | ServerMessage::Ack { .. }
            | ServerMessage::Presence { .. }
            | ServerMessage::Application { .. }
    )
}
