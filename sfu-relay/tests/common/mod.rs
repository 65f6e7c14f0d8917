//! Whole meetings without sockets: the engine, clients that speak real ICE, DTLS and SRTP, and a network under the test's control.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, unused_imports)]

pub mod bits;
pub mod client;
pub mod offers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_token::{Claims, Rights, Source};
use sfu_relay::engine::{Command, Engine, EngineConfig, Event, SessionId};
use sfu_relay::net::dtls::Identity;
use sfu_relay::signal::message::{ErrorCode, ProducerInfo, Publish, RelayMessage, Subscribe, Wish};
use sfu_relay::{Counters, Limits, RelayStats};

pub use client::{Client, Rtp, key_frame};
pub use offers::{Line, descriptor, key_descriptor};

/// What the network does with a datagram to or from client `index`: `false` loses it.
pub type Network = Box<dyn FnMut(usize, bool, &[u8]) -> bool>;

/// Of a member: sound and camera, and to see and hear the others.
pub fn member_rights() -> Rights {
    Rights {
        publish: vec![Source::Microphone, Source::Camera],
        subscribe: true,
    }
}

pub struct World {
    pub engine: Engine,
    pub now: Instant,
    pub clients: Vec<Client>,
    pub counters: Arc<Counters>,
    pub network: Network,
    /// Between the relay and some of the clients, in that direction.
    pub lines: HashMap<usize, emulator::Line<Vec<u8>>>,
    sessions: u64,
}

impl World {
    pub fn new() -> Self {
        let counters = Arc::new(Counters::default());
        let engine = Engine::new(EngineConfig {
            identity: Identity::generate().unwrap(),
            candidates: vec!["127.0.0.1:5000".parse().unwrap(), "[::1]:5000".parse().unwrap()],
            limits: Limits::default(),
            rng: StdRng::seed_from_u64(7),
            counters: counters.clone(),
        });
        World {
            engine,
            now: Instant::now(),
            clients: Vec::new(),
            counters,
            network: Box::new(|_, _, _| true),
            lines: HashMap::new(),
            sessions: 0,
        }
    }

    pub fn stats(&self) -> RelayStats {
        self.counters.snapshot()
    }

    pub fn next_session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId(self.sessions)
    }

    /// A client whose token allows everything, joined to room `r`.
    pub fn join(&mut self, participant: &str) -> usize {
        let all = vec![Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];
        self.join_with(
            participant,
            Rights {
                publish: all,
                subscribe: true,
            },
            1_000,
        )
    }

    pub fn join_with(&mut self, participant: &str, rights: Rights, nbf: u64) -> usize {
        let session = self.next_session();
        let index = self.clients.len();
        self.clients.push(Client::new(session, index));
        self.hello(index, participant, rights, nbf);
        index
    }

    pub fn hello(&mut self, index: usize, participant: &str, rights: Rights, nbf: u64) {
        let session = self.clients[index].session;
        let claims = Claims {
            room: "r".into(),
            participant: participant.into(),
            rights,
            nbf,
            exp: nbf + 60,
            jti: "j".into(),
        };
        // Longer than any test.
        let ends = self.now + Duration::from_secs(86_400);
        self.command(Command::Join { session, claims, ends });
    }

    pub fn command(&mut self, command: Command) {
        self.engine.handle_command(self.now, command);
        self.pump();
    }

    /// Sends the client's offer with these lines and takes the answer in.
    /// What a client wants to see of one producer.
    pub fn wish(&mut self, index: usize, producer: &str, max_layer: Option<u8>, paused: bool) {
        let wish = Wish {
            producer: producer.to_owned(),
            max_layer,
            paused,
            pinned: false,
        };
        let session = self.clients[index].session;
        self.command(Command::Wishes {
            session,
            wishes: vec![wish],
        });
    }

    pub fn offer(&mut self, index: usize, lines: &[Line]) {
        let client = &mut self.clients[index];
        client.lines = lines.to_vec();
        client.offers += 1;
        let id = client.offers;
        let offer = sfu_relay::sdp::Offer::parse(&client.offer_sdp()).unwrap();
        let publish = lines.iter().filter_map(|line| {
            Some(Publish {
                mid: line.mid.clone(),
                source: line.source?,
            })
        });
        let subscribe = lines.iter().filter_map(|line| {
            Some(Subscribe {
                mid: line.mid.clone(),
                producer: line.producer.clone()?,
            })
        });
        let command = Command::Offer {
            session: client.session,
            id,
            offer: Box::new(offer),
            publish: publish.collect(),
            subscribe: subscribe.collect(),
        };
        self.command(command);
    }

    /// Joins, publishes and subscribes to `lines`, and connects.
    pub fn enter(&mut self, participant: &str, lines: &[Line]) -> usize {
        let index = self.join(participant);
        self.offer(index, lines);
        self.connect(index);
        index
    }

    pub fn connect(&mut self, index: usize) {
        assert!(self.try_connect(index), "client {index} did not connect");
    }

    pub fn try_connect(&mut self, index: usize) -> bool {
        let check = self.clients[index].check(true);
        self.send_datagram(index, check);
        self.pump();
        for _ in 0..500 {
            if self.clients[index].is_connected() {
                return true;
            }
            self.pass(Duration::from_millis(10));
        }
        false
    }

    /// The producer that client `index` publishes from `source`.
    pub fn producer(&self, index: usize, source: Source) -> String {
        let mid = self.clients[index]
            .lines
            .iter()
            .find(|line| line.source == Some(source))
            .unwrap()
            .mid
            .clone();
        let answered = self.clients[index]
            .messages
            .iter()
            .rev()
            .find_map(|message| match message {
                RelayMessage::Answer { producers, .. } => producers.iter().find(|p| p.mid == mid),
                _ => None,
            });
        answered.unwrap().producer.clone()
    }

    /// What client `index` was told about others' producers so far, applied in order.
    pub fn known_producers(&self, index: usize) -> Vec<ProducerInfo> {
        let mut known: Vec<ProducerInfo> = Vec::new();
        for message in &self.clients[index].messages {
            if let RelayMessage::Producers { added, removed } = message {
                known.retain(|info| !removed.contains(&info.producer));
                known.extend(added.iter().cloned());
            }
        }
        known
    }

    pub fn errors(&self, index: usize) -> Vec<ErrorCode> {
        let messages = self.clients[index].messages.iter();
        messages
            .filter_map(|m| {
                if let RelayMessage::Error { code, .. } = m {
                    Some(*code)
                } else {
                    None
                }
            })
            .collect()
    }

    pub fn send_datagram(&mut self, index: usize, mut datagram: Vec<u8>) {
        if (self.network)(index, true, &datagram) {
            let from = self.clients[index].address;
            self.engine.handle_datagram(self.now, from, &mut datagram);
        }
    }

    /// Sends an RTP packet of client `index`.
    pub fn rtp(&mut self, index: usize, packet: &Rtp) {
        let sealed = self.clients[index].seal(packet);
        self.send_datagram(index, sealed);
        self.pump();
    }

    pub fn rtcp(&mut self, index: usize, packet: Vec<u8>) {
        let sealed = self.clients[index].seal_control(packet);
        self.send_datagram(index, sealed);
        self.pump();
    }

    /// Lets time pass in small steps.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(5);
            self.engine.handle_timeout(self.now);
            for index in 0..self.clients.len() {
                self.clients[index].handle_timeout(self.now);
            }
            self.arrive();
            self.pump();
        }
    }

    fn arrive(&mut self) {
        for (index, line) in &mut self.lines {
            while let Some((at, datagram)) = line.poll(self.now) {
                self.clients[*index].handle(at, &datagram);
            }
        }
    }

    /// All clients tell what arrived.
    pub fn report(&mut self) {
        for index in 0..self.clients.len() {
            while let Some(report) = self.clients[index].report() {
                self.rtcp(index, report);
            }
        }
    }

    /// Like [`World::pass`], with everybody's consent checks going on.
    pub fn live(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            for index in 0..self.clients.len() {
                if self.clients[index].is_connected() {
                    let check = self.clients[index].check(true);
                    self.send_datagram(index, check);
                }
            }
            self.pass(Duration::from_millis(1_000).min(end - self.now));
        }
    }

    pub fn pump(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.engine.poll_transmit() {
                quiet = false;
                let target = self.clients.iter().position(|client| client.address == transmit.to);
                for datagram in transmit.datagrams() {
                    if let Some(index) = target
                        && (self.network)(index, false, datagram)
                    {
                        match self.lines.get_mut(&index) {
                            Some(line) => drop(line.send(self.now, datagram.len() + 28, datagram.to_vec())),
                            None => self.clients[index].handle(self.now, datagram),
                        }
                    }
                }
                self.engine.recycle(transmit);
            }
            while let Some(event) = self.engine.poll_event() {
                quiet = false;
                let (Event::Say { session, .. } | Event::Close { session, .. }) = event;
                let client = self.clients.iter_mut().find(|client| client.session == session);
                match (client, event) {
                    (Some(client), Event::Say { message, .. }) => client.told(message),
                    (Some(client), Event::Close { code, .. }) => client.closed = Some(code),
                    (None, _) => {}
                }
            }
            for index in 0..self.clients.len() {
                while let Some(datagram) = self.clients[index].outgoing.pop_front() {
                    quiet = false;
                    self.send_datagram(index, datagram);
                }
            }
            if quiet {
                return;
            }
        }
    }
}
