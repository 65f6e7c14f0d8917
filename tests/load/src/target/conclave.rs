//! Our own relay: one WebSocket a participant.

use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use relay_token::{Claims, Rights, Source, encode};
use ring::signature::Ed25519KeyPair;
use sfu_relay::signal::message::{ClientMessage, PROTOCOL, Publish, RelayMessage, Subscribe};
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Message, WebSocket, connect};

use super::{Published, Target, is_at};
use crate::media::wall_clock;
use crate::sdp::{self, Kind, Line, Remote};

/// The seed of the key that signs a load's tokens. A relay under load is told the public half.
pub(crate) const TOKEN_SEED: [u8; 32] = [7; 32];

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

pub(super) struct Conclave {
    signalling: String,
    room: String,
    /// Kept open: a participant whose signalling is gone leaves.
    sockets: Vec<Socket>,
}

impl Conclave {
    pub(super) fn new(signalling: &str, room: &str) -> Self {
        Conclave {
            signalling: signalling.to_owned(),
            room: room.to_owned(),
            sockets: Vec::new(),
        }
    }

    fn join(&mut self) -> Result<Socket> {
        let key = Ed25519KeyPair::from_seed_unchecked(&TOKEN_SEED)
            .ok()
            .context("the key")?;
        let now = wall_clock() / 1_000_000_000;
        let claims = Claims {
            room: self.room.clone(),
            participant: format!("p-{}", self.sockets.len()),
            rights: Rights {
                publish: vec![Source::Microphone, Source::Camera],
                subscribe: true,
            },
            nbf: now - 1,
            exp: now + 60,
            jti: format!("j-{}-{now}", self.sockets.len()),
        };
        let token = encode(&claims, |bytes| {
            Ok::<_, std::convert::Infallible>(key.sign(bytes).as_ref().to_vec())
        })?;
        let (mut socket, _) = connect(format!("ws://{}{}", self.signalling, sfu_relay::PATH))
            .with_context(|| format!("no relay at {}", self.signalling))?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_nodelay(true)?;
        }
        say(
            &mut socket,
            &ClientMessage::Hello {
                protocol: PROTOCOL,
                token,
            },
        )?;
        Ok(socket)
    }

    fn offer(
        &mut self,
        mut socket: Socket,
        fingerprint: &[u8; 32],
        lines: &[Line],
        publish: Vec<Publish>,
        subscribe: Vec<Subscribe>,
    ) -> Result<(Remote, Option<Published>)> {
        let sdp = sdp::write(self.sockets.len() + 1, "actpass", fingerprint, lines);
        say(
            &mut socket,
            &ClientMessage::Offer {
                id: 1,
                sdp,
                publish,
                subscribe,
            },
        )?;
        let (answer, published) = loop {
            match hear(&mut socket)? {
                RelayMessage::Answer { sdp, producers, .. } => {
                    break (sdp, producers.into_iter().next().map(|producer| producer.producer));
                }
                RelayMessage::Error { code, message, .. } => bail!("{code:?}: {message}"),
                _ => {}
            }
        };
        self.sockets.push(socket);
        let remote = sdp::remote(&answer, |candidate| is_at(&self.signalling, candidate))?;
        Ok((remote, published))
    }
}

impl Target for Conclave {
    fn publish(&mut self, fingerprint: &[u8; 32], kind: Kind, ssrc: u32) -> Result<(Published, Remote)> {
        let socket = self.join()?;
        let line = Line {
            mid: "0".into(),
            kind,
            ssrc: Some(ssrc),
        };
        let source = match kind {
            Kind::Audio => Source::Microphone,
            Kind::Video | Kind::Layers | Kind::Watched => Source::Camera,
        };
        let publish = vec![Publish {
            mid: "0".into(),
            source,
        }];
        let (remote, published) = self.offer(socket, fingerprint, &[line], publish, Vec::new())?;
        Ok((published.context("the relay made no producer")?, remote))
    }

    fn subscribe(&mut self, fingerprint: &[u8; 32], streams: &[(Published, Kind)]) -> Result<Remote> {
        ensure!(!streams.is_empty(), "nothing to subscribe to");
        let socket = self.join()?;
        let lines = streams.iter().enumerate().map(|(i, (_, kind))| Line {
            mid: i.to_string(),
            kind: *kind,
            ssrc: None,
        });
        let lines: Vec<Line> = lines.collect();
        let subscribe = streams.iter().enumerate().map(|(i, (producer, _))| Subscribe {
            mid: i.to_string(),
            producer: producer.clone(),
        });
        let subscribe = subscribe.collect();
        Ok(self.offer(socket, fingerprint, &lines, Vec::new(), subscribe)?.0)
    }

    fn takes_descriptor(&self) -> bool {
        true
    }
}

fn say(socket: &mut Socket, message: &ClientMessage) -> Result<()> {
    socket.send(Message::text(serde_json::to_string(message)?))?;
    Ok(())
}

fn hear(socket: &mut Socket) -> Result<RelayMessage> {
    loop {
        if let Message::Text(text) = socket.read()? {
            return Ok(serde_json::from_str(&text)?);
        }
    }
}
