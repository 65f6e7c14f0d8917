//! One WebSocket from `hello` to its end.
//!
//! Requirements held here: RELY-73.

use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use relay_token::{Claims, MAX_SKEW, TokenError};
use tokio::sync::mpsc;

use super::message::{ClientMessage, ErrorCode, PROTOCOL, RelayMessage};
use crate::Relay;
use crate::engine::{Command, Event, SessionId};
use crate::relay::{Seat, unix_now};
use crate::sdp::Offer;
use crate::stats::Counters;

/// The first message has to come within this time.
const HELLO: Duration = Duration::from_secs(5);
/// A connection that brings nothing for this long, not even an answer to our ping, is dead.
const SILENCE: Duration = Duration::from_secs(25);
const PING: Duration = Duration::from_secs(8);
/// How long a closed session waits for the client's own close.
const FAREWELL: Duration = Duration::from_secs(2);
/// Messages a session may send at once, and per second in the long run.
const BURST: f64 = 200.0;
const RATE: f64 = 50.0;
/// A client that takes nothing for so long is gone.
const WRITE: Duration = Duration::from_secs(5);
/// Messages that may wait for a slow client.
const OUTBOX: usize = 256;

/// Why a session ends.
enum End {
    /// The client closed it and will not come back.
    Left,
    /// The connection is gone; the participant may reconnect.
    Lost,
    /// RELY-73: the token ran out, and with it all that it allowed.
    Expired,
    /// We close it.
    Refused(ErrorCode, &'static str),
    /// We close it, and the engine knows.
    Closed(ErrorCode),
}

pub(super) async fn run(mut socket: WebSocket, relay: Relay) {
    let end = match tokio::time::timeout(HELLO, hello(&mut socket, &relay)).await {
        Ok(Ok(claims)) => serve(&mut socket, &relay, claims).await,
        Ok(Err(end)) => end,
        Err(_) => End::Refused(ErrorCode::Protocol, "no hello came"),
    };
    if let End::Refused(code, reason) = end {
        Counters::one(&relay.counters().signals_refused);
        close(&mut socket, code, reason).await;
    } else if let End::Closed(code) = end {
        close(&mut socket, code, "closed by the relay").await;
    } else if matches!(end, End::Expired) {
        Counters::one(&relay.counters().signals_refused);
        close(&mut socket, ErrorCode::TokenExpired, "the token has expired").await;
    }
}

async fn hello(socket: &mut WebSocket, relay: &Relay) -> Result<Claims, End> {
    let ClientMessage::Hello { protocol, token } = next(socket).await? else {
        return Err(End::Refused(ErrorCode::Protocol, "the first message has to be hello"));
    };
    if protocol != PROTOCOL {
        return Err(End::Refused(ErrorCode::Protocol, "this relay speaks protocol 1"));
    }
    verified(relay, &token)
}

fn verified(relay: &Relay, token: &str) -> Result<Claims, End> {
    relay.verifier().verify(token, unix_now()).map_err(|error| {
        Counters::one(&relay.counters().tokens_refused);
        match error {
            TokenError::Expired => End::Refused(ErrorCode::TokenExpired, "the token has expired"),
            _ => End::Refused(ErrorCode::TokenInvalid, "the token is not valid here"),
        }
    })
}

/// When what a token allows is over. Clocks may differ by as much as they may when it is verified.
fn end_of(claims: &Claims) -> Instant {
    Instant::now() + Duration::from_secs((claims.exp + MAX_SKEW).saturating_sub(unix_now()))
}

async fn serve(socket: &mut WebSocket, relay: &Relay, claims: Claims) -> End {
    if relay.is_draining() {
        return End::Refused(ErrorCode::ShuttingDown, "the relay takes nobody new");
    }
    let (outbox, mut events) = mpsc::channel(OUTBOX);
    let Some(seat) = relay.open(&claims.room, outbox).await else {
        return End::Refused(ErrorCode::ShuttingDown, "the relay is going down");
    };
    let session = seat.session;
    let (who, ends) = (claims.clone(), end_of(&claims));
    seat.command(Command::Join { session, claims, ends }).await;
    let end = talk(socket, relay, &seat, (who, ends), &mut events).await;
    if !matches!(end, End::Closed(_)) {
        seat.command(Command::Closed {
            session,
            leaving: matches!(end, End::Left | End::Expired),
        })
        .await;
    }
    end
}

async fn talk(
    socket: &mut WebSocket,
    relay: &Relay,
    seat: &Seat,
    (who, mut ends): (Claims, Instant),
    events: &mut mpsc::Receiver<Event>,
) -> End {
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
    let mut heard = Instant::now();
    let mut allowance = Allowance { left: BURST, at: heard };
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Say { message, .. }) => {
                    if say(socket, &message).await.is_err() {
                        return End::Lost;
                    }
                }
                Some(Event::Close { code, .. }) => return End::Closed(code),
                // The engine does not wait for who does not read.
                None => return End::Closed(ErrorCode::TooMany),
            },
            received = socket.recv() => {
                heard = Instant::now();
                let message = match received {
                    Some(Ok(Message::Text(text))) => match parse(&text) {
                        Ok(message) => message,
                        Err(end) => return end,
                    },
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Binary(_))) => return End::Refused(ErrorCode::Protocol, "messages are text"),
                    Some(Ok(Message::Close(frame))) => return ended(frame.as_ref()),
                    Some(Err(_)) | None => return End::Lost,
                };
                if !allowance.take(heard) {
                    return End::Refused(ErrorCode::TooMany, "too many messages");
                }
                if let ClientMessage::Renew { token } = &message {
                    match verified(relay, token) {
                        Ok(claims) if claims.room == who.room && claims.participant == who.participant => {
                            ends = end_of(&claims);
                            seat.command(Command::Renew { session: seat.session, claims, ends }).await;
                        }
                        Ok(_) => return End::Refused(ErrorCode::TokenInvalid, "the token is somebody else's"),
                        Err(end) => return end,
                    }
                    continue;
                }
                match act(relay, seat.session, message) {
                    Act::Command(command) => seat.command(command).await,
                    Act::Say(message) => if say(socket, &message).await.is_err() { return End::Lost },
                    Act::End(end) => return end,
                }
            }
            () = tokio::time::sleep_until(ends.into()) => return End::Expired,
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE || write(socket, Message::Ping(Default::default())).await.is_err() {
                    return End::Lost;
                }
            }
        }
    }
}

enum Act {
    Command(Command),
    Say(RelayMessage),
    End(End),
}

fn act(relay: &Relay, session: SessionId, message: ClientMessage) -> Act {
    Act::Command(match message {
        // A renewal is looked at before.
        ClientMessage::Hello { .. } | ClientMessage::Renew { .. } => {
            return Act::End(End::Refused(ErrorCode::Protocol, "hello comes once"));
        }
        ClientMessage::Ping {} => return Act::Say(RelayMessage::Pong {}),
        // Parsed here, on the session's own time, not on the engine's.
        ClientMessage::Offer {
            id,
            sdp,
            publish,
            subscribe,
        } => match Offer::parse(&sdp) {
            Ok(offer) => Command::Offer {
                session,
                id,
                offer: Box::new(offer),
                publish,
                subscribe,
            },
            Err(error) => {
                Counters::one(&relay.counters().signals_refused);
                let message = error.to_string();
                return Act::Say(RelayMessage::Error {
                    code: ErrorCode::Offer,
                    message,
                    fatal: false,
                });
            }
        },
        ClientMessage::KeyFrameSent {
            producer,
            ssrc,
            rtp_timestamp,
        } => Command::KeyFrameSent {
            session,
            producer,
            ssrc,
            rtp_timestamp,
        },
        ClientMessage::RequestKeyFrame { producer } => Command::RequestKeyFrame { session, producer },
        ClientMessage::Wishes { wishes } => Command::Wishes { session, wishes },
        ClientMessage::Pause { producer } => Command::Pause {
            session,
            producer,
            paused: true,
        },
        ClientMessage::Resume { producer } => Command::Pause {
            session,
            producer,
            paused: false,
        },
        ClientMessage::CloseProducer { producer } => Command::CloseProducer { session, producer },
    })
}

fn parse(text: &str) -> Result<ClientMessage, End> {
    ClientMessage::parse(text).ok_or(End::Refused(ErrorCode::Protocol, "not a message of this protocol"))
}

async fn next(socket: &mut WebSocket) -> Result<ClientMessage, End> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => return parse(&text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(End::Refused(ErrorCode::Protocol, "messages are text")),
            Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return Err(End::Lost),
        }
    }
}

/// A page that says goodbye (1000) or goes away (1001) takes its RTCPeerConnection with it; anything else may come back.
fn ended(frame: Option<&CloseFrame>) -> End {
    match frame.map(|frame| frame.code) {
        Some(close_code::NORMAL | close_code::AWAY) => End::Left,
        _ => End::Lost,
    }
}

/// The client is gone, or does not read.
struct Unwritten;

async fn write(socket: &mut WebSocket, message: Message) -> Result<(), Unwritten> {
    match tokio::time::timeout(WRITE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Unwritten),
    }
}

async fn say(socket: &mut WebSocket, message: &RelayMessage) -> Result<(), Unwritten> {
    match serde_json::to_string(message) {
        Ok(text) => write(socket, Message::Text(text.into())).await,
        Err(error) => {
            tracing::error!(%error, "a message could not be written");
            Ok(())
        }
    }
}

async fn close(socket: &mut WebSocket, code: ErrorCode, reason: &'static str) {
    let message = RelayMessage::Error {
        code,
        message: reason.to_owned(),
        fatal: true,
    };
    let frame = CloseFrame {
        code: close_code::POLICY,
        reason: reason.into(),
    };
    if say(socket, &message).await.is_err() || write(socket, Message::Close(Some(frame))).await.is_err() {
        return; // the connection was gone already
    }
    // Read until the client closes its side: a TCP socket dropped with unread data resets the connection, and the client might never
    // see why.
    let drained = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = tokio::time::timeout(FAREWELL, drained).await;
}

/// A token bucket.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        self.left = (self.left + now.saturating_duration_since(self.at).as_secs_f64() * RATE).min(BURST);
        self.at = now;
        self.left -= 1.0;
        self.left >= 0.0
    }
}
