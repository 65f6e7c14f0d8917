//! The relay without sockets, clock and threads: datagrams, commands and the time go in, datagrams and events come out.
//!
//! - [`Engine::handle_datagram`]: something arrived.
//! - [`Engine::handle_command`]: a signalling session wants something.
//! - [`Engine::handle_timeout`]: it is (at least) the time that [`Engine::poll_timeout`] gave.
//! - [`Engine::poll_transmit`], [`Engine::poll_event`]: until both are empty, after each of the above.
//!
//! Input never makes it panic: what is not understood is counted and dropped.

mod allocation;
mod clock;
mod control;
mod datagram;
mod demand;
mod figures;
mod line;
mod media;
mod membership;
mod negotiate;
mod out;
mod pressure;
mod wishes;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use rand::rngs::StdRng;
use relay_token::Claims;

pub(crate) use self::figures::LAYERS;
pub use self::figures::{Passed, RoomFigures};
pub(crate) use self::line::Line;
use self::line::Pacing;
use self::out::Out;
pub(crate) use self::out::Run;
pub use self::out::Transmit;
use self::pressure::Pressure;
use crate::arena::{Arena, Key};
use crate::config::Limits;
use crate::congestion::allocation::Stream;
use crate::forward::consumer::Consumer;
use crate::forward::producer::Producer;
use crate::net::demux::{Demux, Route};
use crate::net::dtls::Identity;
use crate::peer::Peer;
use crate::room::Room;
use crate::sdp::Offer;
use crate::signal::message::{ErrorCode, Publish, RelayMessage, Subscribe, Wish};
use crate::stats::Counters;
use crate::tap::Tap;

/// One signalling connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

/// What a signalling session (or the embedding process) asks for.
#[derive(Debug)]
pub enum Command {
    /// A session presented this token, which was verified, and which ends then.
    Join {
        session: SessionId,
        claims: Claims,
        ends: Instant,
    },
    /// It presented another for the same participant, which was verified.
    Renew {
        session: SessionId,
        claims: Claims,
        ends: Instant,
    },
    Offer {
        session: SessionId,
        id: u64,
        offer: Box<Offer>,
        publish: Vec<Publish>,
        subscribe: Vec<Subscribe>,
    },
    KeyFrameSent {
        session: SessionId,
        producer: String,
        ssrc: u32,
        rtp_timestamp: u32,
    },
    RequestKeyFrame {
        session: SessionId,
        producer: String,
    },
    Wishes {
        session: SessionId,
        wishes: Vec<Wish>,
    },
    Pause {
        session: SessionId,
        producer: String,
        paused: bool,
    },
    CloseProducer {
        session: SessionId,
        producer: String,
    },
    /// The connection is gone; `leaving`: the client meant it.
    Closed {
        session: SessionId,
        leaving: bool,
    },
    /// The key server puts somebody out. `at`: now, in seconds since 1970; tokens not newer than that do not let them in again.
    Disconnect {
        room: String,
        participant: String,
        at: u64,
    },
}

/// What a signalling session is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Say {
        session: SessionId,
        message: RelayMessage,
    },
    /// Say this and close.
    Close {
        session: SessionId,
        code: ErrorCode,
    },
}

/// What the engine is made with.
pub struct EngineConfig {
    pub identity: Identity,
    /// Host candidates for answers.
    pub candidates: Vec<SocketAddr>,
    pub limits: Limits,
    /// All randomness of the engine but that of DTLS.
    pub rng: StdRng,
    pub counters: Arc<Counters>,
}

/// The relay's core. See the module's description.
pub struct Engine {
    identity: Identity,
    candidates: Vec<SocketAddr>,
    tcp_candidates: Vec<SocketAddr>,
    /// Which of the relay's engines this is; user names say it.
    shard: usize,
    limits: Limits,
    rng: StdRng,
    counters: Arc<Counters>,
    demux: Demux<Key<Peer>>,
    rooms: Arena<Room>,
    room_names: HashMap<String, Key<Room>>,
    peers: Arena<Peer>,
    producers: Arena<Producer>,
    consumers: Arena<Consumer>,
    sessions: HashMap<SessionId, Key<Peer>>,
    /// Participants of all engines of the process.
    population: Arc<AtomicUsize>,
    /// Room and participant to the moment they were put out, in seconds since 1970.
    expelled: HashMap<(String, String), u64>,
    out: Out,
    next_tick: Option<Instant>,
    pressure: Pressure,
    /// Receivers for whom something waits.
    pacing: Pacing,
    /// Room for a receiver's videos while its line is shared out.
    streams: Vec<Stream<Key<Consumer>>>,
    tap: Tap,
}

impl Engine {
    pub fn new(config: EngineConfig) -> Self {
        Engine {
            identity: config.identity,
            candidates: config.candidates,
            tcp_candidates: Vec::new(),
            shard: 0,
            limits: config.limits,
            rng: config.rng,
            counters: config.counters,
            demux: Demux::new(),
            rooms: Arena::default(),
            room_names: HashMap::new(),
            peers: Arena::default(),
            producers: Arena::default(),
            consumers: Arena::default(),
            sessions: HashMap::new(),
            population: Arc::default(),
            expelled: HashMap::new(),
            out: Out::default(),
            next_tick: None,
            pressure: Pressure::default(),
            pacing: Pacing::default(),
            streams: Vec::new(),
            tap: Tap::from_environment(),
        }
    }

    /// One of several engines behind one port: number `shard` goes into its user names, and [`Engine::poll_route`] tells the others which
    /// addresses are its peers'.
    pub fn sharded(mut self, shard: usize) -> Self {
        self.shard = shard;
        self.demux.tell_routes();
        self
    }

    /// One of several engines that together have no more participants than the limit: all are given the same count.
    pub fn with_population(mut self, population: Arc<AtomicUsize>) -> Self {
        self.population = population;
        self
    }

    /// With TCP candidates (RFC 6544, passive) in its answers.
    pub fn with_tcp(mut self, candidates: Vec<SocketAddr>) -> Self {
        self.tcp_candidates = candidates;
        self
    }

    pub(crate) fn poll_route(&mut self) -> Option<Route> {
        self.demux.poll_route()
    }

    /// Which other engine's peer is at this address.
    pub(crate) fn elsewhere(&self, address: SocketAddr) -> Option<usize> {
        self.demux.elsewhere(address)
    }

    /// The next datagrams to send. Give their buffer back by [`Engine::recycle`].
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop()
    }

    /// Whether so much waits to be sent that it should be, before more datagrams are handed in.
    pub fn is_burst(&self) -> bool {
        self.out.is_burst()
    }

    pub fn recycle(&mut self, transmit: Transmit) {
        self.out.recycle(transmit.data);
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Join { session, claims, ends } => self.join(now, session, claims, ends),
            Command::Renew { session, claims, ends } => self.renew(now, session, &claims, ends),
            Command::Offer {
                session,
                id,
                offer,
                publish,
                subscribe,
            } => {
                self.offer(now, session, id, &offer, &publish, &subscribe);
            }
            Command::KeyFrameSent {
                session,
                producer,
                ssrc,
                rtp_timestamp,
            } => {
                self.key_frame_sent(now, session, &producer, ssrc, rtp_timestamp);
            }
            Command::RequestKeyFrame { session, producer } => self.request_key_frame(now, session, &producer),
            Command::Wishes { session, wishes } => self.wishes(now, session, &wishes),
            Command::Pause {
                session,
                producer,
                paused,
            } => self.pause(now, session, &producer, paused),
            Command::CloseProducer { session, producer } => self.close_own_producer(session, &producer),
            Command::Closed { session, leaving } => self.session_closed(now, session, leaving),
            Command::Disconnect { room, participant, at } => self.disconnect(now, room, participant, at),
        }
        self.count_population();
        self.next_tick.get_or_insert(now);
    }

    fn count_population(&self) {
        Counters::set(&self.counters.rooms, self.rooms.len());
        Counters::set(&self.counters.peers, self.peers.len());
        Counters::set(&self.counters.producers, self.producers.len());
        Counters::set(&self.counters.consumers, self.consumers.len());
    }

    fn count_starved(&self) {
        let lines = self
            .peers
            .values()
            .filter_map(|peer| peer.transport.as_ref()?.line.as_ref());
        Counters::set(&self.counters.starved, lines.map(|line| line.starved()).sum());
    }

    /// The peer a session speaks for.
    fn peer_of(&self, session: SessionId) -> Option<Key<Peer>> {
        self.sessions.get(&session).copied()
    }

    /// The producer a session means, in its own room.
    fn producer_named(&self, session: SessionId, producer: &str) -> Option<(Key<Peer>, Key<Producer>)> {
        let peer = self.peer_of(session)?;
        let room = self.rooms.get(self.peers.get(peer)?.room)?;
        Some((peer, *room.producers.get(producer)?))
    }

    /// The consumer by which `peer` gets `producer`.
    fn consumer_of(&self, peer: Key<Peer>, producer: Key<Producer>) -> Option<Key<Consumer>> {
        let consumers = &self.peers.get(peer)?.consumers;
        consumers
            .iter()
            .copied()
            .find(|key| self.consumers.get(*key).is_some_and(|c| c.producer == producer))
    }
}
