//! Who is in which room, and what the others are told.
//!
//! Requirements held here: RELY-3, RELY-4, RELY-5, RELY-73, RELY-74.

use std::sync::atomic::Ordering;
use std::time::Instant;

use relay_token::{Claims, MAX_LIFETIME, MAX_SKEW, Rights};

use super::{Engine, Event, SessionId};
use crate::arena::Key;
use crate::forward::consumer::Consumer;
use crate::forward::producer::Producer;
use crate::peer::Peer;
use crate::room::Room;
use crate::signal::message::{ErrorCode, ProducerInfo, RelayMessage};

impl Engine {
    pub(super) fn join(&mut self, now: Instant, session: SessionId, claims: Claims, ends: Instant) {
        let who = (claims.room.clone(), claims.participant.clone());
        if self.expelled.get(&who).is_some_and(|at| claims.nbf < *at) {
            // RELY-4: put out means out, however long the token in hand is still valid. Tokens count whole seconds: one of the
            // same second may be that of somebody who came back at once, and shutting them out would cost more than it saves.
            self.out.events.push_back(Event::Close {
                session,
                code: ErrorCode::Disconnected,
            });
            return;
        }
        let room_key = match self.room_names.get(&claims.room) {
            Some(key) => *key,
            None => {
                let key = self.rooms.insert(Room::new(claims.room.clone()));
                self.room_names.insert(claims.room.clone(), key);
                key
            }
        };
        let Some(room) = self.rooms.get_mut(room_key) else {
            return;
        };
        let known = room.peers.get(&claims.participant).copied();
        if known.is_none() && room.peers.len() >= self.limits.peers_per_room {
            self.out.events.push_back(Event::Close {
                session,
                code: ErrorCode::TooMany,
            });
            self.remove_room_if_empty(room_key);
            return;
        }
        // RELY-65: who is here, or comes back, is not put out for those who come.
        if known.is_none() && self.is_full() {
            self.out.events.push_back(Event::Close {
                session,
                code: ErrorCode::RelayFull,
            });
            self.remove_room_if_empty(room_key);
            return;
        }
        if known.is_none() && !self.take_a_place() {
            self.out.events.push_back(Event::Close {
                session,
                code: ErrorCode::TooMany,
            });
            self.remove_room_if_empty(room_key);
            return;
        }
        let Some(room) = self.rooms.get_mut(room_key) else {
            return;
        };
        let peer_key = match known.and_then(|key| self.peers.get_mut(key).map(|peer| (key, peer))) {
            // The same participant came back: the newest connection speaks for it, its media goes on.
            Some((key, peer)) => {
                // RELY-5: one session speaks for a participant.
                if let Some(old) = peer.session.replace(session) {
                    self.sessions.remove(&old);
                    self.out.events.push_back(Event::Close {
                        session: old,
                        code: ErrorCode::Replaced,
                    });
                }
                peer.silent_since = None;
                if let Some(line) = peer.transport.as_mut().and_then(|transport| transport.line.as_mut()) {
                    line.told.clear();
                }
                self.grant(now, key, &claims, ends);
                self.forget_demand(key);
                key
            }
            None => {
                let key = self.peers.insert(Peer {
                    room: room_key,
                    participant: claims.participant.clone(),
                    rights: claims.rights,
                    rights_until: ends,
                    session: Some(session),
                    silent_since: None,
                    transport: None,
                    producers: Vec::new(),
                    consumers: Vec::new(),
                });
                room.peers.insert(claims.participant.clone(), key);
                key
            }
        };
        self.sessions.insert(session, peer_key);
        self.out.say(
            session,
            RelayMessage::Ready {
                participant: claims.participant,
            },
        );
        let added = self.producers_for(room_key, peer_key);
        self.out.say(
            session,
            RelayMessage::Producers {
                added,
                removed: Vec::new(),
            },
        );
    }

    /// RELY-68: the limit is that of the process, however its participants are spread over the threads.
    fn take_a_place(&self) -> bool {
        let one_more = |taken: usize| (taken < self.limits.peers).then_some(taken + 1);
        let taken = self
            .population
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok()
    }

    /// RELY-73: a session goes on with a fresh token.
    pub(super) fn renew(&mut self, now: Instant, session: SessionId, claims: &Claims, ends: Instant) {
        let Some(key) = self.peer_of(session) else { return };
        let who = (claims.room.clone(), claims.participant.clone());
        if self.expelled.get(&who).is_some_and(|at| claims.nbf < *at) {
            return;
        }
        self.grant(now, key, claims, ends);
    }

    /// RELY-74: what a token without rights finds running goes on as long as the one before would have let it: the key server gives such
    /// a token to whom it has yet to recognise.
    fn grant(&mut self, now: Instant, key: Key<Peer>, claims: &Claims, ends: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let was_held = peer.is_held();
        if claims.rights.is_empty() && (was_held || now < peer.rights_until) {
            return;
        }
        peer.rights = claims.rights.clone();
        peer.rights_until = ends;
        self.apply_rights(key);
        if was_held && !claims.rights.is_empty() {
            self.release_held(now, key);
        }
    }

    /// RELY-74: a session that goes on under a token without rights has those of the one before until that has run out.
    pub(super) fn end_rights(&mut self, now: Instant, key: Key<Peer>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if !peer.is_held() && peer.rights_until <= now {
            peer.rights = Rights::default();
            self.apply_rights(key);
        }
    }

    /// Whoever was held gets and gives from now on what was agreed on meanwhile.
    fn release_held(&mut self, now: Instant, key: Key<Peer>) {
        let Some(peer) = self.peers.get(key) else { return };
        let (room, producers, consumers) = (peer.room, peer.producers.clone(), peer.consumers.clone());
        for consumer in &consumers {
            if let Some(consumer) = self.consumers.get_mut(*consumer) {
                consumer.hold(false, now);
            }
        }
        let producers = producers.into_iter().filter_map(|key| self.producers.get(key));
        let added: Vec<ProducerInfo> = producers.map(Producer::info).collect();
        self.announce(room, key, &added, &[]);
        self.wake_consumers(now, key);
    }

    /// RELY-3: what a fresh token does not allow any more ends.
    fn apply_rights(&mut self, peer_key: Key<Peer>) {
        let Some(peer) = self.peers.get(peer_key) else { return };
        let forbidden = |key: &Key<Producer>| {
            self.producers
                .get(*key)
                .is_some_and(|producer| !peer.rights.publish.contains(&producer.source))
        };
        let producers: Vec<_> = peer.producers.iter().copied().filter(forbidden).collect();
        let consumers = if peer.rights.subscribe {
            Vec::new()
        } else {
            peer.consumers.clone()
        };
        let room = peer.room;
        for consumer in consumers {
            self.remove_consumer(consumer);
        }
        let removed: Vec<String> = producers
            .into_iter()
            .filter_map(|key| self.remove_producer(key))
            .collect();
        tracing::debug!(peer = ?peer_key, ended = removed.len(), "came back");
        self.announce(room, peer_key, &[], &removed);
    }

    /// All producers of a room but one's own.
    fn producers_for(&self, room: Key<Room>, peer: Key<Peer>) -> Vec<ProducerInfo> {
        let keys = self
            .rooms
            .get(room)
            .into_iter()
            .flat_map(|room| room.producers.values());
        let producers = keys.filter_map(|key| self.producers.get(*key));
        producers
            .filter(|producer| {
                producer.peer != peer && self.peers.get(producer.peer).is_some_and(|peer| !peer.is_held())
            })
            .map(Producer::info)
            .collect()
    }

    /// Tells everybody in the room but `except`.
    pub(super) fn announce(&mut self, room: Key<Room>, except: Key<Peer>, added: &[ProducerInfo], removed: &[String]) {
        if added.is_empty() && removed.is_empty() {
            return;
        }
        let peers = self.rooms.get(room).into_iter().flat_map(|room| room.peers.values());
        let sessions = peers
            .filter(|key| **key != except)
            .filter_map(|key| self.peers.get(*key)?.session);
        for session in sessions {
            self.out.say(
                session,
                RelayMessage::Producers {
                    added: added.to_vec(),
                    removed: removed.to_vec(),
                },
            );
        }
    }

    pub(super) fn session_closed(&mut self, now: Instant, session: SessionId, leaving: bool) {
        let Some(peer_key) = self.sessions.remove(&session) else {
            return;
        };
        let Some(peer) = self
            .peers
            .get_mut(peer_key)
            .filter(|peer| peer.session == Some(session))
        else {
            return;
        };
        peer.session = None;
        peer.silent_since = Some(now);
        if leaving {
            self.remove_peer(now, peer_key);
        }
    }

    pub(super) fn disconnect(&mut self, now: Instant, room: String, participant: String, at: u64) {
        // Tokens made before `at` have run out by then: what is older need not be remembered.
        self.expelled
            .retain(|_, expelled| *expelled + MAX_LIFETIME + MAX_SKEW > at);
        let peer = self
            .room_names
            .get(&room)
            .and_then(|key| self.rooms.get(*key)?.peers.get(&participant).copied());
        self.expelled.insert((room, participant), at);
        let Some(peer_key) = peer else { return };
        if let Some(session) = self.peers.get(peer_key).and_then(|peer| peer.session) {
            self.out.events.push_back(Event::Close {
                session,
                code: ErrorCode::Disconnected,
            });
        }
        self.remove_peer(now, peer_key);
    }

    /// Ends everything of a peer.
    pub(super) fn remove_peer(&mut self, now: Instant, peer_key: Key<Peer>) {
        self.drop_transport(now, peer_key);
        let Some(peer) = self.peers.remove(peer_key) else {
            return;
        };
        self.population.fetch_sub(1, Ordering::Relaxed);
        if let Some(session) = peer.session {
            self.sessions.remove(&session);
        }
        if let Some(room) = self.rooms.get_mut(peer.room) {
            room.peers.remove(&peer.participant);
        }
        self.remove_room_if_empty(peer.room);
    }

    fn remove_room_if_empty(&mut self, key: Key<Room>) {
        if self.rooms.get(key).is_some_and(|room| room.peers.is_empty())
            && let Some(room) = self.rooms.remove(key)
        {
            self.room_names.remove(&room.id);
        }
    }

    /// Ends a peer's transport with all that ran over it. The peer stays.
    pub(super) fn drop_transport(&mut self, now: Instant, peer_key: Key<Peer>) {
        let Some(peer) = self.peers.get_mut(peer_key) else {
            return;
        };
        let producers = std::mem::take(&mut peer.producers);
        let consumers = std::mem::take(&mut peer.consumers);
        let room = peer.room;
        if let Some(mut transport) = peer.transport.take() {
            self.demux.remove_ufrag(&transport.ice.ufrag);
            for path in &transport.paths {
                self.demux.forget(*path, peer_key);
            }
            transport.dtls.close(now);
            if let Some(to) = transport.ice.path() {
                while let Some(datagram) = transport.dtls.poll_transmit() {
                    self.out.send(to, datagram.to_vec());
                }
            }
        }
        for consumer in consumers {
            self.remove_consumer(consumer);
        }
        let removed: Vec<String> = producers
            .into_iter()
            .filter_map(|key| self.remove_producer(key))
            .collect();
        self.announce(room, peer_key, &[], &removed);
    }

    /// Ends a producer and returns its id. The caller tells the room.
    pub(super) fn remove_producer(&mut self, key: Key<Producer>) -> Option<String> {
        let producer = self.producers.remove(key)?;
        self.keep_figures_of_producer(&producer);
        for consumer in &producer.consumers {
            self.remove_consumer(*consumer);
        }
        if let Some(peer) = self.peers.get_mut(producer.peer) {
            peer.producers.retain(|other| *other != key);
            if let Some(transport) = &mut peer.transport {
                transport.streams.retain(|_, stream| stream.producer != key);
            }
            if let Some(room) = self.rooms.get_mut(peer.room) {
                room.producers.remove(&producer.id);
            }
        }
        self.tap.close(&producer.id);
        Some(producer.id)
    }

    pub(super) fn remove_consumer(&mut self, key: Key<Consumer>) {
        let Some(consumer) = self.consumers.remove(key) else {
            return;
        };
        self.keep_figures_of_consumer(&consumer);
        if let Some(peer) = self.peers.get_mut(consumer.peer) {
            peer.consumers.retain(|other| *other != key);
        }
        if let Some(producer) = self.producers.get_mut(consumer.producer) {
            producer.consumers.retain(|other| *other != key);
        }
    }

    pub(super) fn close_own_producer(&mut self, session: SessionId, id: &str) {
        let Some((peer, key)) = self.producer_named(session, id) else {
            return self
                .out
                .complain(session, ErrorCode::UnknownProducer, "there is no such producer");
        };
        if self.producers.get(key).is_none_or(|producer| producer.peer != peer) {
            return self
                .out
                .complain(session, ErrorCode::NotAllowed, "the producer is somebody else's");
        }
        let Some(room) = self.peers.get(peer).map(|peer| peer.room) else {
            return;
        };
        let removed = self.remove_producer(key);
        self.announce(room, peer, &[], removed.as_slice());
    }
}
