//! A client's side of a meeting, without a socket, a clock or a thread: inputs and the time go in, outputs come out.
//!
//! ```text
//! AwaitingConnection -> AwaitingReady -> AwaitingCertificate -> AwaitingAdmission -> Member
//!        ^                                                       | (nobody there)      |
//!        |                                          AwaitingAcceptance ----------------+
//!        +------------- connection lost, from anywhere; the group is kept -------------+
//! Member -- refused a commit, or was removed while away --> AwaitingAdmission (a fresh key package)
//! ```
//! Each state is a struct named for what it awaits and is consumed by what arrives. A message that does not fit the
//! state is answered with a warning and changes nothing (PF-23). What the service sends is never believed: chains,
//! receipts, proposals, commits and Welcomes pass [`super::check`], and a refusal is told to the service and to the
//! page and leads to rejoining (PF-18).

mod acceptance;
mod admission;
mod certificate;
pub mod committer;
mod connection;
mod content;
mod context;
mod heartbeat;
mod member;
mod output;
pub mod pursuit;
mod ready;
mod timing;

use std::time::Duration;

use crate::time::UnixMillis;
use crate::wire::delivery::{ClientMessage, MAX_FROM_SERVICE, PING_SECONDS, ServerMessage};

use super::policy::Profile;
use super::randomness::Entropy;
use acceptance::AwaitingAcceptance;
use admission::AwaitingAdmission;
use certificate::AwaitingCertificate;
use connection::AwaitingConnection;
use context::Context;
use member::Member;
use ready::AwaitingReady;

pub use content::MAX_CHAT;
pub use output::{ChatMessage, EndCause, EpochKeys, MemberView, Output, Phase, RosterView, Status};

/// What a client wants and where.
#[derive(Clone)]
pub struct Config {
    /// From the platform's generator; see [`Engine::stir`] for what comes after it.
    pub seed: Entropy,
    /// The client's own wish. A room of another profile is refused.
    pub profile: Profile,
    /// SHA-256 of the trust root's DER, from the fragment of the room's link.
    pub expected_root: [u8; 32],
    /// The room's id, from the link.
    pub room: String,
    /// Bearer token of this person's session in the room.
    pub session: String,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("profile", &self.profile)
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

/// What happens to a client.
#[derive(Clone, Debug)]
pub enum Input {
    /// The WebSocket to the delivery service is open.
    Connected,
    /// It is closed.
    ConnectionLost,
    /// One text frame from the service.
    Text(String),
    /// The same, parsed.
    Server(ServerMessage),
    /// The time of the last `WakeAt` has come. Early or repeated ticks do no harm.
    Tick,
    /// Say this to everybody in the call.
    Chat(String),
    /// Go, for good.
    Leave,
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Engine {
    cx: Context,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitingConnection(AwaitingConnection),
    AwaitingReady(AwaitingReady),
    AwaitingCertificate(AwaitingCertificate),
    AwaitingAdmission(AwaitingAdmission),
    AwaitingAcceptance(Box<AwaitingAcceptance>),
    Member(Box<Member>),
    Ended,
}

impl Engine {
    pub fn new(config: Config) -> Self {
        Self {
            cx: Context::new(config),
            state: State::AwaitingConnection(AwaitingConnection::default()),
        }
    }

    /// MLSP-3: fresh bytes from the platform's generator, before every step. What is drawn from here on cannot be computed by
    /// whoever read this engine's memory before.
    pub fn stir(&mut self, entropy: &Entropy) {
        self.cx.randomness.stir(entropy);
    }

    /// One step. `now` may not run backwards; where it does, the time of the last call counts.
    pub fn handle(&mut self, input: Input, now: UnixMillis) -> Vec<Output> {
        self.cx.begin(now);
        let state = std::mem::replace(&mut self.state, State::Ended);
        self.state = state.step(input, &mut self.cx);
        self.state = std::mem::replace(&mut self.state, State::Ended).on_time(&mut self.cx);
        if let Some(wake) = self.state.wake(&self.cx) {
            self.cx.emit(Output::WakeAt(wake));
        }
        self.cx.take_outputs()
    }

    /// Whether the engine is done and may be dropped.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// The epoch this client is in, if it is in a call.
    pub fn epoch(&self) -> Option<u64> {
        match &self.state {
            State::Member(member) => Some(member.epoch()),
            _ => None,
        }
    }
}

impl State {
    fn step(self, input: Input, cx: &mut Context) -> Self {
        match input {
            Input::Connected => self.on_connected(cx),
            Input::ConnectionLost => self.on_connection_lost(cx),
            Input::Text(text) => self.on_text(&text, cx),
            Input::Server(message) => self.on_message(message, cx),
            Input::Tick => self,
            Input::Chat(text) => self.on_chat(text, cx),
            Input::Leave => self.on_leave(cx),
        }
    }

    fn on_text(self, text: &str, cx: &mut Context) -> Self {
        if text.len() > MAX_FROM_SERVICE {
            cx.warn("The server sent a message that is too large; it was ignored.");
            return self;
        }
        match serde_json::from_str(text) {
            Ok(message) => self.on_message(message, cx),
            Err(_) => {
                cx.warn("The server sent a message that is none of this protocol; it was ignored.");
                self
            }
        }
    }

    fn on_message(self, message: ServerMessage, cx: &mut Context) -> Self {
        cx.heard();
        match message {
            ServerMessage::Pong {} => self,
            ServerMessage::RelayToken { token, ice_servers, .. } => {
                cx.renew_relay_token(token, ice_servers);
                self
            }
            ServerMessage::Error {
                message, fatal: true, ..
            } => cx.end(EndCause::Refused, &format!("The server ended the session: {message}")),
            ServerMessage::Error {
                code,
                message,
                fatal: false,
            } => match self {
                Self::AwaitingCertificate(state) => state.on_error(code, &message, cx),
                Self::AwaitingAdmission(state) => state.on_error(code, &message, cx),
                Self::Member(state) => state.on_error(code, &message, cx),
                other => {
                    cx.warn(&format!("The server reports: {message}"));
                    other
                }
            },
            message => match self {
                Self::AwaitingReady(state) => state.on_message(message, cx),
                Self::AwaitingCertificate(state) => state.on_message(message, cx),
                Self::AwaitingAdmission(state) => state.on_message(message, cx),
                Self::AwaitingAcceptance(state) => state.on_message(message, cx),
                Self::Member(state) => state.on_message(message, cx),
                Self::AwaitingConnection(_) | Self::Ended => {
                    cx.unexpected(&message);
                    self
                }
            },
        }
    }

    fn on_connected(self, cx: &mut Context) -> Self {
        match self {
            Self::AwaitingConnection(state) => state.on_connected(cx),
            Self::Ended => self,
            // A second "open" without a "closed" between: the first connection is gone.
            other => other.on_connection_lost(cx).on_connected(cx),
        }
    }

    fn on_connection_lost(self, cx: &mut Context) -> Self {
        let (member, applicant) = match self {
            Self::AwaitingConnection(_) | Self::Ended => return self,
            Self::AwaitingReady(state) => state.into_parts(),
            Self::AwaitingCertificate(_) => (None, None),
            Self::AwaitingAdmission(state) => (None, Some(state.into_applicant())),
            Self::AwaitingAcceptance(state) => (None, Some(state.into_applicant(cx))),
            Self::Member(member) => (Some(member), None),
        };
        cx.disconnected();
        Self::AwaitingConnection(AwaitingConnection { member, applicant })
    }

    fn on_chat(mut self, text: String, cx: &mut Context) -> Self {
        if text.is_empty() || text.len() > MAX_CHAT {
            cx.warn(&format!("A message must have 1 to {MAX_CHAT} bytes; it was not sent."));
            return self;
        }
        match &mut self {
            Self::Member(member) => member.chat(text, cx),
            Self::AwaitingConnection(AwaitingConnection {
                member: Some(member), ..
            })
            | Self::AwaitingReady(AwaitingReady {
                member: Some(member), ..
            }) => member.queue_chat(text),
            _ => cx.warn("You are not in the call; the message was not sent."),
        }
        self
    }

    fn on_leave(self, cx: &mut Context) -> Self {
        if !matches!(self, Self::AwaitingConnection(_) | Self::Ended) {
            cx.send(ClientMessage::Leave {});
        }
        cx.end(EndCause::Left, "You left.")
    }

    fn on_time(self, cx: &mut Context) -> Self {
        cx.ping_if_due(!matches!(self, Self::AwaitingConnection(_) | Self::Ended));
        match self {
            Self::Member(state) => state.on_time(cx),
            Self::AwaitingCertificate(state) => state.on_time(cx),
            Self::AwaitingAdmission(state) => state.on_time(cx),
            Self::AwaitingAcceptance(state) => state.on_time(cx),
            mut other => {
                if let Some(member) = other.kept_member() {
                    member.wipe_if_due(cx);
                }
                other
            }
        }
    }

    /// Who is a member still, as far as it knows, but not connected.
    fn kept_member(&mut self) -> Option<&mut Member> {
        match self {
            Self::AwaitingConnection(state) => state.member.as_deref_mut(),
            Self::AwaitingReady(state) => state.member.as_deref_mut(),
            _ => None,
        }
    }

    fn wake(&self, cx: &Context) -> Option<UnixMillis> {
        let own = match self {
            Self::Member(state) => Some(state.wake(cx)),
            Self::AwaitingCertificate(state) => Some(state.wake()),
            Self::AwaitingAdmission(state) => Some(state.wake()),
            Self::AwaitingAcceptance(state) => Some(state.wake()),
            Self::AwaitingConnection(state) => return state.member.as_ref().and_then(|member| member.wipe_at()),
            Self::AwaitingReady(state) => state.member.as_ref().and_then(|member| member.wipe_at()),
            Self::Ended => return None,
        };
        let ping = cx.next_ping();
        Some(own.map_or(ping, |own| own.min(ping)))
    }
}

/// How often a client shows that it is alive.
const PING_INTERVAL: Duration = Duration::from_secs(PING_SECONDS);
