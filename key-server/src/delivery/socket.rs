//! One client's WebSocket: framing, hello, limits and certificates here; everything about the room goes to its task.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use e2ee_core::wire::Bytes;
use e2ee_core::wire::delivery::{
    ClientMessage, CommitRefusal, ErrorCode, GroupEpoch, IceServer, PROTOCOL, Ready, ServerMessage,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use super::rooms::stopped;
use super::{Command, ConnectionId, OUTBOX, encode, error};
use crate::clock::now;
use crate::error::Error;
use crate::identity::check_request;
use crate::ids;
use crate::limits::SessionBuckets;
use crate::server::Shared;
use crate::store::sessions::{self, Session};

/// Serves a connection until it ends, then tells the room.
pub(crate) async fn serve(shared: Arc<Shared>, room: String, mut socket: WebSocket) {
    let mut stopping = shared.rooms.stopping();
    let hello = tokio::select! {
        hello = timeout(shared.config.timing.hello, hello(&shared, &room, &mut socket)) => hello,
        () = stopped(&mut stopping) => return,
    };
    let Ok(Some((token, session, resume))) = hello else {
        let _ = socket.send(Message::Close(None)).await;
        return;
    };
    let id = ConnectionId::next();
    let (out, outbox) = mpsc::channel(OUTBOX);
    let (member, membership) = watch::channel(false);
    let buckets = buckets(&shared, session.token_hash);
    let inbox = shared.rooms.inbox(&shared, &room);
    let connect = Command::Connect {
        id,
        session: Box::new(session.clone()),
        out,
        member,
        resume,
    };
    if inbox.send(connect).await.is_err() {
        let _ = socket
            .send(text(&error(
                ErrorCode::Unavailable,
                "the room cannot be served now",
                false,
            )))
            .await;
        return;
    }
    tracing::debug!(connection = ?id, "connected");
    let mut client = Socket {
        shared,
        socket,
        id,
        token,
        session,
        inbox,
        buckets,
        membership,
        heard: Instant::now(),
        strikes: 0,
    };
    client.run(outbox).await;
    let _ = client
        .inbox
        .send(Command::Disconnect {
            id,
            heard: client.heard,
        })
        .await;
    tracing::debug!(connection = ?id, "disconnected");
}

/// The first message: protocol, session; answered with `ready`.
async fn hello(
    shared: &Arc<Shared>,
    room: &str,
    socket: &mut WebSocket,
) -> Option<(String, Session, Option<GroupEpoch>)> {
    let refused = match receive(socket).await? {
        Some(ClientMessage::Hello { protocol, .. }) if protocol != PROTOCOL => error(
            ErrorCode::UnsupportedProtocol,
            "this server speaks another version of the protocol; reload the page",
            true,
        ),
        // DLVR-15: a hello costs a signature in the token, and what it resumes more.
        Some(ClientMessage::Hello { session: token, .. }) if !may_say_hello(shared, &token) => {
            error(ErrorCode::RateLimited, "too many connections; wait a little", false)
        }
        Some(ClientMessage::Hello {
            session: token, resume, ..
        }) => match ready(shared, room, &token).await {
            Ok(Some((session, ready))) => {
                socket.send(text(&ServerMessage::Ready(ready))).await.ok()?;
                return Some((token, session, resume));
            }
            Ok(None) => error(
                ErrorCode::SessionInvalid,
                "the session has expired or is not for this room; sign in again",
                true,
            ),
            Err(failure) => {
                tracing::error!(error = %failure, "a hello could not be answered");
                error(ErrorCode::Unavailable, "the server failed; try again", false)
            }
        },
        Some(_) => error(ErrorCode::UnexpectedMessage, "say hello first", true),
        None => error(ErrorCode::Malformed, "this is no message of the protocol", true),
    };
    let _ = socket.send(text(&refused)).await;
    None
}

fn may_say_hello(shared: &Shared, token: &str) -> bool {
    let buckets = buckets(shared, ids::token_hash(token));
    let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
    let now = std::time::Instant::now();
    buckets.hellos.take(now) && buckets.messages.take(now)
}

pub(crate) fn buckets(shared: &Shared, session: [u8; 32]) -> Arc<Mutex<SessionBuckets>> {
    let now = std::time::Instant::now();
    shared
        .session_limits
        .of(session, now, || SessionBuckets::new(&shared.config.limits, now))
}

async fn ready(shared: &Arc<Shared>, room: &str, token: &str) -> Result<Option<(Session, Ready)>, Error> {
    let hash = ids::token_hash(token);
    let mut db = shared.store.read().await?;
    let found = sessions::find(&mut db, &hash, room, now().0).await?;
    let Some(session) = found else { return Ok(None) };
    let profile = sessions::room_profile(&mut db, room).await?;
    drop(db);
    let service = shared
        .identity
        .service(profile.ok_or(Error::Bug("a session in no room"))?);
    // What the room says of the session follows, with a token for it.
    let relay_token = shared.relay.issue(&session, false, now()).await?;
    let bytes = |chain: &[Vec<u8>]| chain.iter().map(|c| Bytes(c.clone())).collect();
    let ready = Ready {
        protocol: PROTOCOL,
        room: room.to_owned(),
        participant: session.participant.clone(),
        device: session.device.clone(),
        trust_root: shared.identity.root().der.clone().into(),
        service_chain: bytes(&service.chain),
        log_chain: bytes(&shared.identity.log_chain),
        log_origin: shared.log.origin().to_owned(),
        relay_url: shared.config.relay_url.clone(),
        relay_token,
        ice_servers: ice_servers(shared, &session),
    };
    Ok(Some((session, ready)))
}

/// The TURN server that there may be, with credentials for this person.
fn ice_servers(shared: &Shared, session: &Session) -> Vec<IceServer> {
    let turn = shared.config.turn.iter();
    turn.map(|turn| turn.issue(&session.participant, now())).collect()
}

struct Socket {
    shared: Arc<Shared>,
    socket: WebSocket,
    id: ConnectionId,
    token: String,
    session: Session,
    inbox: mpsc::Sender<Command>,
    buckets: Arc<Mutex<SessionBuckets>>,
    membership: watch::Receiver<bool>,
    heard: Instant,
    strikes: u32,
}

/// Messages over the limit that are answered with words; whoever goes on is disconnected.
const STRIKES: u32 = 50;

enum Next {
    Go,
    Stop,
}

impl Socket {
    async fn run(&mut self, mut outbox: mpsc::Receiver<Utf8Bytes>) {
        let every = self.shared.config.timing.relay_token;
        let mut relay_token = interval_at(Instant::now() + every, every);
        let mut stopping = self.shared.rooms.stopping();
        let expires =
            Instant::now() + std::time::Duration::from_millis(self.session.expires_at.saturating_sub(now().0));
        loop {
            let gone = self.heard + self.shared.config.timing.gone;
            let next = tokio::select! {
                // What the room says goes first: a client that floods does not keep itself from reading.
                biased;
                () = stopped(&mut stopping) => {
                    self.close(close_code::RESTART, "the server restarts").await;
                    Next::Stop
                }
                said = outbox.recv() => match said {
                    Some(said) => self.write(Message::Text(said)).await,
                    None => { self.close(close_code::AGAIN, "reconnect and resume").await; Next::Stop }
                },
                message = receive(&mut self.socket) => match message {
                    Some(message) => { self.heard = Instant::now(); self.on_message(message).await }
                    None => Next::Stop,
                },
                _ = relay_token.tick() => self.renew_relay_token().await,
                // A room that is gone closes the outbox.
                Ok(()) = self.membership.changed() => self.renew_relay_token().await,
                () = sleep_until(gone) => Next::Stop,
                () = sleep_until(expires) => {
                    let _ = self.write(text(&error(ErrorCode::SessionInvalid, "the session has expired; sign in again", true))).await;
                    Next::Stop
                }
            };
            if matches!(next, Next::Stop) {
                return;
            }
        }
    }

    async fn on_message(&mut self, message: Option<ClientMessage>) -> Next {
        let verdict = self.limit(message.as_ref());
        let Some(message) = message else {
            return self
                .answer(&error(
                    ErrorCode::Malformed,
                    "this is no message of the protocol",
                    false,
                ))
                .await;
        };
        if !verdict {
            self.strikes += 1;
            if self.strikes > STRIKES {
                tracing::warn!(connection = ?self.id, "a client floods; it is disconnected");
                return Next::Stop;
            }
            let over = "too many requests; wait a little";
            return match message {
                ClientMessage::Commit { at, .. } => {
                    let detail = over.to_owned();
                    self.answer(&ServerMessage::CommitRefused {
                        at,
                        reason: CommitRefusal::RateLimited,
                        detail,
                    })
                    .await
                }
                _ => self.answer(&error(ErrorCode::RateLimited, over, false)).await,
            };
        }
        match message {
            ClientMessage::Ping {} => self.answer(&ServerMessage::Pong {}).await,
            ClientMessage::CertificateRequest { public_key, proof } => {
                self.on_certificate_request(&public_key, &proof).await
            }
            message => {
                let leaves = matches!(message, ClientMessage::Leave {});
                let command = Command::Message {
                    id: self.id,
                    message: Box::new(message),
                };
                match self.inbox.send(command).await {
                    Ok(()) if !leaves => Next::Go,
                    _ => Next::Stop,
                }
            }
        }
    }

    /// PF-01.
    fn limit(&self, message: Option<&ClientMessage>) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = std::time::Instant::now();
        let own = match message {
            Some(ClientMessage::Commit { .. }) => buckets.commits.take(now),
            Some(ClientMessage::Application { .. }) => buckets.applications.take(now),
            Some(ClientMessage::Join { .. } | ClientMessage::Created { .. }) => buckets.joins.take(now),
            Some(ClientMessage::CertificateRequest { .. }) => buckets.certificates.take(now),
            _ => true,
        };
        buckets.messages.take(now) && own
    }

    async fn on_certificate_request(&mut self, public_key: &Bytes, proof: &Bytes) -> Next {
        let key = match check_request(&self.token, public_key.as_slice(), proof.as_slice()) {
            Ok(key) => key,
            Err(why) => {
                return self
                    .answer(&error(ErrorCode::CertificateRefused, &why.to_string(), false))
                    .await;
            }
        };
        match self.shared.identity.issue(&self.session, key, now()).await {
            Ok((chain, receipt)) => {
                let chain = chain.into_iter().map(Bytes).collect();
                self.answer(&ServerMessage::Certificate { chain, receipt }).await
            }
            Err(failure) => {
                tracing::error!(error = %failure, "a certificate could not be issued");
                self.answer(&error(ErrorCode::Unavailable, "the server failed; try again", false))
                    .await
            }
        }
    }

    async fn renew_relay_token(&mut self) -> Next {
        let is_member = *self.membership.borrow_and_update();
        match self.shared.relay.issue(&self.session, is_member, now()).await {
            Ok(token) => {
                self.answer(&ServerMessage::RelayToken {
                    token,
                    expires_in: self.shared.relay.lifetime(),
                    ice_servers: ice_servers(&self.shared, &self.session),
                })
                .await
            }
            Err(failure) => {
                tracing::error!(error = %failure, "a relay token could not be signed");
                Next::Go
            }
        }
    }

    async fn answer(&mut self, message: &ServerMessage) -> Next {
        self.write(text(message)).await
    }

    /// A client that takes nothing for so long is as good as gone.
    async fn write(&mut self, message: Message) -> Next {
        match timeout(self.shared.config.timing.gone, self.socket.send(message)).await {
            Ok(Ok(())) => Next::Go,
            _ => Next::Stop,
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        let _ = self
            .write(Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            })))
            .await;
    }
}

/// The next text frame: outer None when the connection is over, inner None when it is no message of ours.
async fn receive(socket: &mut WebSocket) -> Option<Option<ClientMessage>> {
    loop {
        return match socket.recv().await?.ok()? {
            Message::Text(text) => Some(serde_json::from_str(text.as_str()).ok()),
            Message::Binary(_) => Some(None),
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => None,
        };
    }
}

fn text(message: &ServerMessage) -> Message {
    Message::Text(encode(message))
}
