//! Awaits a connection; holds what survived the last one.

use super::State;
use super::admission::Applicant;
use super::context::Context;
use super::member::Member;
use super::output::Phase;
use super::ready::AwaitingReady;
use crate::wire::delivery::{ClientMessage, PROTOCOL};

#[derive(Debug, Default)]
pub(super) struct AwaitingConnection {
    /// Still a member, as far as it knows.
    pub(super) member: Option<Box<Member>>,
    /// Certified, but not in.
    pub(super) applicant: Option<Applicant>,
}

impl AwaitingConnection {
    pub(super) fn on_connected(self, cx: &mut Context) -> State {
        cx.connected();
        cx.status(Phase::Connecting, "Connecting …");
        cx.send(ClientMessage::Hello {
            protocol: PROTOCOL,
            session: cx.config.session.clone(),
            resume: self.member.as_ref().map(|member| member.at()),
        });
        State::AwaitingReady(AwaitingReady {
            member: self.member,
            applicant: self.applicant,
        })
    }
}
