//! A client with real sockets: signalling by WebSocket, media by UDP or TCP.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use relay_token::{Claims, Rights, Source, encode};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sfu_relay::engine::SessionId;
use sfu_relay::signal::message::RelayMessage;
use sfu_relay::{Config, Relay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;

use crate::common::{Client, Line, Rtp};

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

/// For giving up, not for measuring.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Place {
    pub relay: Relay,
    pub url: String,
}

impl Place {
    /// A relay, with what `change` says of its configuration.
    pub async fn open(listen: &str, change: impl FnOnce(&mut Config)) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let key = pair.public_key().as_ref().try_into().unwrap();
        let mut config = Config::new(listen.parse().unwrap(), key);
        change(&mut config);
        let relay = Relay::start(&config).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/relay/v1", listener.local_addr().unwrap());
        let app = sfu_relay::router(relay.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Place { relay, url }
    }

    pub async fn join(&self, room: &str, participant: &str) -> Live {
        let mut socket = tokio_tungstenite::connect_async(&self.url).await.unwrap().0;
        let hello = json!({"type": "hello", "protocol": 1, "token": token(room, participant)});
        socket.send(Message::Text(hello.to_string().into())).await.unwrap();
        let mut live = Live {
            client: Client::new(SessionId(0), 0),
            signalling: socket,
            way: Way::None,
        };
        live.client.sdp_session = u64::from(rand::random::<u32>());
        live.hear(|message| matches!(message, RelayMessage::Producers { .. }))
            .await;
        live
    }
}

fn token(room: &str, participant: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = Claims {
        room: room.into(),
        participant: participant.into(),
        rights: Rights {
            publish: vec![Source::Microphone, Source::Camera],
            subscribe: true,
        },
        nbf: now,
        exp: now + 60,
        jti: "j".into(),
    };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    encode(&claims, |bytes| Ok::<_, Infallible>(pair.sign(bytes).as_ref().to_vec())).unwrap()
}

enum Way {
    None,
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream, Vec<u8>),
}

pub struct Live {
    pub client: Client,
    signalling: Socket,
    way: Way,
}

impl Live {
    /// Takes signalling messages in until one is `wanted`.
    pub async fn hear(&mut self, wanted: impl Fn(&RelayMessage) -> bool) -> RelayMessage {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.signalling.next()).await.unwrap();
            let Message::Text(text) = next.unwrap().unwrap() else {
                continue;
            };
            let message: RelayMessage = serde_json::from_str(&text).unwrap();
            self.client.told(message.clone());
            if wanted(&message) {
                return message;
            }
        }
    }

    pub async fn offer(&mut self, lines: &[Line]) {
        self.client.lines = lines.to_vec();
        self.client.offers += 1;
        let publish = lines.iter().filter(|line| line.source.is_some());
        let publish: Vec<Value> = publish
            .map(|line| json!({"mid": line.mid, "source": line.source}))
            .collect();
        let subscribe = lines.iter().filter(|line| line.producer.is_some());
        let subscribe: Vec<Value> = subscribe
            .map(|line| json!({"mid": line.mid, "producer": line.producer}))
            .collect();
        let offer = json!({
            "type": "offer", "id": self.client.offers, "sdp": self.client.offer_sdp(), "publish": publish, "subscribe": subscribe,
        });
        let text = Message::Text(offer.to_string().into());
        self.signalling.send(text).await.unwrap();
        self.hear(|message| matches!(message, RelayMessage::Answer { .. }))
            .await;
    }

    /// Its producers, by mid.
    pub fn producer(&self, mid: &str) -> String {
        let answered = self.client.messages.iter().rev().find_map(|message| match message {
            RelayMessage::Answer { producers, .. } => producers.iter().find(|producer| producer.mid == mid),
            _ => None,
        });
        answered.unwrap().producer.clone()
    }

    /// The candidates of the last answer: `udp` or `tcp`.
    pub fn candidates(&self, transport: &str) -> Vec<SocketAddr> {
        let lines = self.client.answer.lines();
        let candidates = lines.filter_map(|line| line.strip_prefix("a=candidate:"));
        let of = candidates.map(|line| line.split(' ').collect::<Vec<_>>());
        of.filter(|words| words[2] == transport)
            .map(|words| SocketAddr::new(words[4].parse().unwrap(), words[5].parse().unwrap()))
            .collect()
    }

    /// From a new UDP socket, to the candidate of its family.
    pub async fn by_udp(&mut self, local: &str) {
        let socket = UdpSocket::bind(local).await.unwrap();
        let is_v4 = socket.local_addr().unwrap().is_ipv4();
        let to = self
            .candidates("udp")
            .into_iter()
            .find(|address| address.is_ipv4() == is_v4);
        self.way = Way::Udp(socket, to.unwrap());
    }

    /// Over a new TCP connection, whose receive buffer is as large as said.
    pub async fn by_tcp(&mut self, buffer: Option<u32>) {
        let to = self.candidates("tcp")[0];
        let socket = if to.is_ipv4() {
            tokio::net::TcpSocket::new_v4().unwrap()
        } else {
            tokio::net::TcpSocket::new_v6().unwrap()
        };
        if let Some(size) = buffer {
            socket.set_recv_buffer_size(size).unwrap();
        }
        self.way = Way::Tcp(socket.connect(to).await.unwrap(), Vec::new());
    }

    /// Checks, and shakes hands if that was not done before.
    pub async fn connect(&mut self) {
        let answers = self.client.stun_answers;
        let check = self.client.check(true);
        self.send(&check).await;
        self.until(|client| client.stun_answers > answers && client.is_connected())
            .await;
        // Media and control prove where a client is (RELY-40); the second check's answer says that they have arrived.
        let control = self.client.seal_control(vec![0x80, 201, 0, 1, 0, 0, 0, 9]);
        self.send(&control).await;
        let check = self.client.check(true);
        self.send(&check).await;
        self.until(|client| client.stun_answers > answers + 1).await;
    }

    pub async fn send(&mut self, datagram: &[u8]) {
        assert!(self.try_send(datagram).await);
    }

    /// `false`: the other end closed the connection.
    pub async fn try_send(&mut self, datagram: &[u8]) -> bool {
        match &mut self.way {
            Way::None => panic!("no way"),
            Way::Udp(socket, to) => socket.send_to(datagram, *to).await.is_ok(),
            Way::Tcp(stream, _) => {
                let mut frame = (datagram.len() as u16).to_be_bytes().to_vec();
                frame.extend_from_slice(datagram);
                stream.write_all(&frame).await.is_ok()
            }
        }
    }

    /// Says that it is still there, and hears nothing.
    pub async fn consents(&mut self) -> bool {
        let check = self.client.check(true);
        self.try_send(&check).await
    }

    pub async fn rtp(&mut self, packet: &Rtp) {
        let sealed = self.client.seal(packet);
        self.send(&sealed).await;
    }

    /// Takes in what comes until `done`.
    pub async fn until(&mut self, done: impl Fn(&Client) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(&self.client) {
            assert!(Instant::now() < end, "it did not come");
            self.turn(Duration::from_millis(20)).await;
        }
    }

    /// Whether the other end closed the connection.
    pub async fn is_closed(&mut self) -> bool {
        let Way::Tcp(stream, _) = &mut self.way else {
            return false;
        };
        let read = async { while stream.read(&mut [0; 512]).await.is_ok_and(|len| len > 0) {} };
        tokio::time::timeout(PATIENCE, read).await.is_ok()
    }

    async fn turn(&mut self, wait: Duration) -> bool {
        let mut datagrams = Vec::new();
        let mut bytes = [0; 2_048];
        match &mut self.way {
            Way::None => panic!("no way"),
            Way::Udp(socket, _) => {
                if let Ok(got) = tokio::time::timeout(wait, socket.recv_from(&mut bytes)).await {
                    datagrams.push(bytes[..got.unwrap().0].to_vec());
                }
            }
            Way::Tcp(stream, rest) => {
                if let Ok(got) = tokio::time::timeout(wait, stream.read(&mut bytes)).await {
                    rest.extend_from_slice(&bytes[..got.unwrap()]);
                }
                while let Some((head, tail)) = rest.split_first_chunk::<2>() {
                    let len = usize::from(u16::from_be_bytes(*head));
                    let Some(datagram) = tail.get(..len) else { break };
                    datagrams.push(datagram.to_vec());
                    rest.drain(..2 + len);
                }
            }
        }
        for datagram in &datagrams {
            self.client.handle(Instant::now(), datagram);
        }
        self.client.handle_timeout(Instant::now());
        while let Some(datagram) = self.client.outgoing.pop_front() {
            self.send(&datagram).await;
        }
        !datagrams.is_empty()
    }
}
