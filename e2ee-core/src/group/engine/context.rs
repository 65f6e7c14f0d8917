//! What every state shares: configuration, time, randomness, what the session told, and the outputs of this step.

use std::collections::BTreeMap;
use std::time::Duration;

use zeroize::Zeroize;

use super::output::{EndCause, Output, Phase, Status};
use super::{Config, PING_INTERVAL, State};
use crate::group::Refusal;
use crate::group::policy::Profile;
use crate::group::randomness::Randomness;
use crate::identity::{CheckedCertificate, TrustRoot};
use crate::log::{Checkpoint, LogError, LogKey, Logged};
use crate::time::UnixMillis;
use crate::wire::delivery::{ClientMessage, GONE_SECONDS, GroupEpoch, IceServer, ServerMessage};

/// So many refusals in so long a time mean that rejoining does not help.
const MAX_REFUSALS: usize = 5;
const REFUSALS_WITHIN: Duration = Duration::from_secs(60);
/// A time this long between two calls means that the client slept.
const STALL: Duration = Duration::from_secs(GONE_SECONDS - 1);
/// Whoever was away within this time and finds itself removed joins again.
const AWAY_WITHIN: Duration = Duration::from_secs(120);
/// A new certificate that ends no later than so long after the one before was not worth a rejoin.
const RENEWAL_GAINS: Duration = Duration::from_secs(60);
/// Checkpoints remembered, to tell forks by.
const MAX_CHECKPOINTS: usize = 256;

pub(super) struct Context {
    pub(super) config: Config,
    pub(super) now: UnixMillis,
    pub(super) randomness: Randomness,
    pub(super) session: Option<Session>,
    outputs: Vec<Output>,
    checkpoints: BTreeMap<u64, Checkpoint>,
    refused_at: Vec<UnixMillis>,
    /// The end of the newest certificate.
    certified_until: Option<UnixMillis>,
    away_at: Option<UnixMillis>,
    slept: bool,
    heard_at: UnixMillis,
    pinged_at: UnixMillis,
    relay_url: String,
}

/// What `ready` told, checked against the pinned root.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) root: TrustRoot,
    pub(super) log: LogKey,
    pub(super) service: CheckedCertificate,
    pub(super) service_chain: Vec<Vec<u8>>,
    pub(super) participant: String,
    pub(super) device: String,
}

impl Context {
    pub(super) fn new(mut config: Config) -> Self {
        let randomness = Randomness::new(&config.seed);
        config.seed.zeroize();
        Self {
            config,
            now: UnixMillis(0),
            randomness,
            session: None,
            outputs: Vec::new(),
            checkpoints: BTreeMap::new(),
            refused_at: Vec::new(),
            certified_until: None,
            away_at: None,
            slept: false,
            heard_at: UnixMillis(0),
            pinged_at: UnixMillis(0),
            relay_url: String::new(),
        }
    }

    pub(super) fn begin(&mut self, now: UnixMillis) {
        self.slept = self.now != UnixMillis(0) && now.since(self.now) >= STALL;
        if self.slept {
            self.away_at = Some(now);
        }
        self.now = self.now.max(now);
    }

    pub(super) fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    pub(super) fn profile(&self) -> Profile {
        self.config.profile
    }

    pub(super) fn emit(&mut self, output: Output) {
        self.outputs.push(output);
    }

    pub(super) fn send(&mut self, message: ClientMessage) {
        self.outputs.push(Output::Send(message));
    }

    pub(super) fn warn(&mut self, words: &str) {
        self.outputs.push(Output::Warning(words.to_owned()));
    }

    pub(super) fn status(&mut self, state: Phase, words: &str) {
        self.outputs.push(Output::Status(Status {
            state,
            words: words.to_owned(),
        }));
    }

    /// PF-23: said and forgotten.
    pub(super) fn unexpected(&mut self, message: &ServerMessage) {
        self.warn(&format!(
            "The server sent a message that does not belong here ({}); it was ignored.",
            kind(message)
        ));
    }

    pub(super) fn end(&mut self, cause: EndCause, reason: &str) -> State {
        self.status(Phase::Ended, reason);
        self.emit(Output::Ended {
            cause,
            reason: reason.to_owned(),
        });
        State::Ended
    }

    /// PF-18: a refusal is said to the page and to the service. True when rejoining is worth a try.
    pub(super) fn refuse(&mut self, at: Option<GroupEpoch>, refusal: &Refusal) -> bool {
        let reason = refusal.to_string();
        if let Some(at) = at {
            self.send(ClientMessage::Refused {
                at,
                reason: reason.clone(),
            });
        }
        self.emit(Output::Refused { reason });
        let now = self.now;
        self.refused_at.retain(|at| now.since(*at) < REFUSALS_WITHIN);
        self.refused_at.push(now);
        self.refused_at.len() < MAX_REFUSALS
    }

    /// How long to wait before the next try: none after the first refusal, then doubling.
    pub(super) fn patience(&self) -> Duration {
        match self.refused_at.len() {
            0 | 1 => Duration::ZERO,
            n => Duration::from_millis(500 << (n - 2).min(5)),
        }
    }

    /// C4: one log, one tree of each size. Remembers what was seen.
    pub(super) fn saw(&mut self, logged: &Logged) -> Result<(), LogError> {
        self.saw_checkpoint(logged.checkpoint().clone())
    }

    fn saw_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), LogError> {
        if let Some(known) = self.checkpoints.get(&checkpoint.size()) {
            return known.check_no_fork(&checkpoint);
        }
        self.checkpoints.insert(checkpoint.size(), checkpoint);
        while self.checkpoints.len() > MAX_CHECKPOINTS {
            self.checkpoints.pop_first();
        }
        Ok(())
    }

    /// Whether somebody else's word on the log contradicts what this client saw.
    pub(super) fn contradicts(&self, size: u64, root: &[u8; 32]) -> bool {
        self.checkpoints.get(&size).is_some_and(|known| known.root() != root)
    }

    pub(super) fn newest_checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoints.last_key_value().map(|(_, checkpoint)| checkpoint)
    }

    pub(super) fn disconnected(&mut self) {
        self.away_at = Some(self.now);
        self.status(
            Phase::Reconnecting,
            "The connection to the server is lost. Reconnecting …",
        );
    }

    /// Whether much time passed before this step in which the engine was not called.
    pub(super) fn has_slept(&self) -> bool {
        self.slept
    }

    /// Whether this client was cut off or asleep a short while ago.
    pub(super) fn was_away(&self) -> bool {
        self.away_at.is_some_and(|at| self.now.since(at) < AWAY_WITHIN)
    }

    pub(super) fn set_relay(&mut self, url: String, token: String, ice_servers: Vec<IceServer>) {
        self.relay_url.clone_from(&url);
        self.emit(Output::Relay {
            url,
            token,
            ice_servers,
        });
    }

    pub(super) fn renew_relay_token(&mut self, token: String, ice_servers: Vec<IceServer>) {
        if !self.relay_url.is_empty() {
            let url = self.relay_url.clone();
            self.emit(Output::Relay {
                url,
                token,
                ice_servers,
            });
        }
    }

    /// Notes the end of a new certificate; whether it is that of the one before, so that renewing gains nothing any more.
    pub(super) fn certified_until(&mut self, end: UnixMillis) -> bool {
        let former = self.certified_until.replace(end);
        former.is_some_and(|former| end <= former + RENEWAL_GAINS)
    }

    /// The next one is somebody else's.
    pub(super) fn forget_certificate(&mut self) {
        self.certified_until = None;
    }

    pub(super) fn heard(&mut self) {
        self.heard_at = self.now;
    }

    pub(super) fn connected(&mut self) {
        self.heard_at = self.now;
        self.pinged_at = self.now;
    }

    pub(super) fn next_ping(&self) -> UnixMillis {
        self.pinged_at + PING_INTERVAL
    }

    pub(super) fn ping_if_due(&mut self, connected: bool) {
        if !connected || self.now < self.next_ping() {
            return;
        }
        self.pinged_at = self.now;
        self.send(ClientMessage::Ping {});
        if self.now.since(self.heard_at) >= Duration::from_secs(GONE_SECONDS) {
            self.heard_at = self.now;
            self.emit(Output::Reconnect);
        }
    }
}

/// Without the generator, the outputs and the session's token.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("config", &self.config)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

fn kind(message: &ServerMessage) -> &'static str {
    match message {
        ServerMessage::Ready(_) => "ready",
        ServerMessage::Certificate { .. } => "certificate",
        ServerMessage::Create { .. } => "create",
        ServerMessage::CreateAccepted { .. } => "create-accepted",
        ServerMessage::Joined { .. } => "joined",
        ServerMessage::Proposals { .. } => "proposals",
        ServerMessage::Commit { .. } => "commit",
        ServerMessage::CommitRefused { .. } => "commit-refused",
        ServerMessage::Ack { .. } => "ack",
        ServerMessage::Presence { .. } => "presence",
        ServerMessage::Application { .. } => "application",
        ServerMessage::Ended { .. } => "ended",
        ServerMessage::RelayToken { .. } => "relay-token",
        ServerMessage::Error { .. } => "error",
        ServerMessage::Pong {} => "pong",
    }
}
