//! Awaits `ready`: who the service says it is, and who we are to it. All of it is checked against the pinned root.

use super::State;
use super::admission::{Applicant, AwaitingAdmission};
use super::certificate::AwaitingCertificate;
use super::context::{Context, Session};
use super::member::Member;
use super::output::EndCause;
use crate::group::Refusal;
use crate::identity::{TrustRoot, Use};
use crate::log::LogKey;
use crate::wire::delivery::{PROTOCOL, Ready, ServerMessage};

#[derive(Debug)]
pub(super) struct AwaitingReady {
    pub(super) member: Option<Box<Member>>,
    pub(super) applicant: Option<Applicant>,
}

impl AwaitingReady {
    pub(super) fn into_parts(self) -> (Option<Box<Member>>, Option<Applicant>) {
        (self.member, self.applicant)
    }

    pub(super) fn on_message(self, message: ServerMessage, cx: &mut Context) -> State {
        let ServerMessage::Ready(ready) = message else {
            cx.unexpected(&message);
            return State::AwaitingReady(self);
        };
        if ready.protocol != PROTOCOL {
            return cx.end(
                EndCause::Version,
                "The server speaks another version of the protocol. Reload the page.",
            );
        }
        if ready.room != cx.config.room {
            return cx.end(
                EndCause::Refused,
                "The server answered for another room than the one in the link.",
            );
        }
        let session = match check(&ready, cx) {
            Ok(session) => session,
            Err((cause, refusal)) => {
                cx.refuse(None, &refusal);
                // IDEN-1: without the pinned root there is nobody to trust; trying again would not change it.
                return cx.end(
                    cause,
                    "The server could not prove that it belongs to the organisation in the link.",
                );
            }
        };
        let same_person = cx
            .session
            .as_ref()
            .is_none_or(|old| old.participant == session.participant && old.device == session.device);
        cx.session = Some(session);
        cx.set_relay(ready.relay_url, ready.relay_token, ready.ice_servers);

        match (self.member, self.applicant) {
            (Some(member), _) if same_person => member.resumed(cx),
            (_, Some(applicant)) if same_person => AwaitingAdmission::ask_as(applicant, cx),
            _ => {
                cx.forget_certificate();
                AwaitingCertificate::ask(None, cx)
            }
        }
    }
}

/// IDEN-1, LOGV-1, ADMT-3: root by its hash, service and log by their certificates and roles.
fn check(ready: &Ready, cx: &Context) -> Result<Session, (EndCause, Refusal)> {
    let root = TrustRoot::pin(ready.trust_root.as_slice(), &cx.config.expected_root)
        .map_err(|error| (EndCause::WrongRoot, error.into()))?;
    let service = root
        .check(&ready.service_chain, Use::DeliveryService, cx.now)
        .map_err(|error| (EndCause::Refused, error.into()))?;
    // CLNT-8: the link says which algorithms; a service of others could not propose anything in such a room.
    if !cx.profile().signs_with(service.key()) {
        return Err((EndCause::Refused, Refusal::OtherProfile));
    }
    let log = LogKey::from_chain(&root, &ready.log_chain, &ready.log_origin, cx.now)
        .map_err(|error| (EndCause::Refused, error.into()))?;
    Ok(Session {
        root,
        log,
        service,
        service_chain: ready.service_chain.iter().map(|c| c.0.clone()).collect(),
        participant: ready.participant.clone(),
        device: ready.device.clone(),
    })
}
