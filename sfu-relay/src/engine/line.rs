//! The way to one receiver: packets leave at its pace, probes are filled, its reports are taken in.
//!
//! Requirements held here: RELY-21, RELY-22, RELY-23.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::media::send_rtp;
use super::{Engine, Out};
use crate::arena::{Arena, Key};
use crate::congestion::{Controller, Unused};
use crate::forward::consumer::{Admitted, Consumer};
use crate::forward::producer::Producer;
use crate::peer::{Peer, Transport};
use crate::stats::Counters;

/// What waits is looked at this often.
const PACE: Duration = Duration::from_millis(5);
/// Packets that wait for one receiver. They lie in their layers' history meanwhile, and more would be overwritten there.
const MAX_WAITING: usize = 400;
/// Padding packets sent at once.
const MAX_PADDING: usize = 64;
/// What a packet is beyond its payload.
const HEADERS: u64 = 40;

/// See the module's description.
pub(crate) struct Line {
    pub(crate) controller: Controller,
    waiting: VecDeque<(Key<Consumer>, Admitted)>,
    bytes: u64,
    /// It stands in the list of those that are looked at every few milliseconds.
    listed: bool,
    pub(super) next_allocation: Instant,
    pub(super) tight: Option<Instant>,
    /// The consumers of which the client was told that there is no room.
    pub(super) told: Vec<Key<Consumer>>,
}

/// Lines with something to be sent soon.
#[derive(Default)]
pub(super) struct Pacing {
    peers: Vec<Key<Peer>>,
    at: Option<Instant>,
}

impl Pacing {
    pub(super) fn next(&self) -> Option<Instant> {
        self.at
    }

    fn list(&mut self, peer: Key<Peer>, now: Instant) {
        self.peers.push(peer);
        self.at.get_or_insert(now + PACE);
    }
}

impl Line {
    pub(crate) fn new(now: Instant) -> Self {
        Line {
            controller: Controller::new(now),
            waiting: VecDeque::new(),
            bytes: 0,
            listed: false,
            next_allocation: now,
            tight: None,
            told: Vec::new(),
        }
    }

    /// RELY-26: what goes to this receiver takes another way from now on.
    pub(crate) fn path_changed(&mut self, now: Instant) {
        self.controller.path_changed(now);
        self.tight = None;
        self.next_allocation = now;
    }

    /// Bytes that wait for their turn.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.bytes
    }

    /// For so many producers there is no room.
    pub(super) fn starved(&self) -> usize {
        self.told.len()
    }

    /// What waits for a consumer is not sent any more: a key frame will follow.
    pub(super) fn give_up(&mut self, consumer: Key<Consumer>) {
        self.waiting.retain(|(key, _)| *key != consumer);
        let bytes = self
            .waiting
            .iter()
            .map(|(_, admitted)| u64::from(admitted.len) + HEADERS);
        self.bytes = bytes.sum();
    }

    fn take(&mut self) -> Option<(Key<Consumer>, Admitted)> {
        let next = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(u64::from(next.1.len) + HEADERS);
        Some(next)
    }
}

/// Whether a packet has to wait; then it does.
pub(super) fn holds_back(
    transport: &mut Transport,
    pacing: &mut Pacing,
    consumer: (&mut Consumer, Key<Consumer>),
    admitted: Admitted,
    now: Instant,
) -> bool {
    let Some(line) = transport.line.as_mut().filter(|_| consumer.0.can_wait()) else {
        return false;
    };
    if line.waiting.is_empty() && line.controller.may_send(now) {
        return false;
    }
    if line.waiting.len() >= MAX_WAITING {
        // Far too much. Newer ones may not overtake those that wait (RELY-11), so the stream is given up until its next key frame.
        line.give_up(consumer.1);
        consumer.0.restart(now);
        return true;
    }
    line.bytes += u64::from(admitted.len) + HEADERS;
    line.waiting.push_back((consumer.1, admitted));
    line.controller.waiting(now, line.bytes);
    if !std::mem::replace(&mut line.listed, true) {
        pacing.list(consumer.0.peer, now);
    }
    true
}

impl Engine {
    /// Sends what may leave now of what waits.
    pub(super) fn pace(&mut self, now: Instant) {
        if self.pacing.at.is_none_or(|at| now < at) {
            return;
        }
        // In place, so that a meeting that runs allocates nothing.
        let mut index = 0;
        while let Some(key) = self.pacing.peers.get(index).copied() {
            if self.pace_peer(now, key) {
                index += 1;
            } else {
                self.pacing.peers.swap_remove(index);
            }
        }
        self.pacing.at = (!self.pacing.peers.is_empty()).then(|| now + PACE);
    }

    /// `false`: nothing is left to do for this peer.
    fn pace_peer(&mut self, now: Instant, key: Key<Peer>) -> bool {
        let Some(peer) = self.peers.get_mut(key) else {
            return false;
        };
        let Some(transport) = &mut peer.transport else {
            return false;
        };
        let mut sent = 0;
        loop {
            let Some(line) = &mut transport.line else { return false };
            if !line.controller.may_send(now) {
                break;
            }
            let Some((consumer_key, admitted)) = line.take() else {
                break;
            };
            // Whoever is gone, or got no more of it, misses nothing.
            let Some(consumer) = self.consumers.get_mut(consumer_key) else {
                continue;
            };
            let Some(producer) = self.producers.get(consumer.producer) else {
                continue;
            };
            sent += u64::from(send(transport, &mut self.out, producer, consumer, &admitted, now));
        }
        Counters::add(&self.counters.rtp_forwarded, sent);
        let Some(line) = &mut transport.line else { return false };
        line.controller.waiting(now, line.bytes);
        line.controller.tick(now);
        let due = line.controller.padding(now);
        if due > 0 {
            let padded = pad(
                transport,
                &mut self.out,
                (&mut self.consumers, &self.producers),
                &peer.consumers,
                due,
                now,
            );
            Counters::add(&self.counters.padding_sent, padded);
        }
        let Some(line) = &mut transport.line else { return false };
        line.listed = !line.waiting.is_empty() || line.controller.is_probing();
        line.listed
    }

    /// A receiver's report on what arrived.
    pub(super) fn arrivals(&mut self, now: Instant, key: Key<Peer>, body: &[u8]) {
        let transport = self.peers.get_mut(key).and_then(|peer| peer.transport.as_mut());
        let Some(line) = transport.and_then(|transport| transport.line.as_mut()) else {
            return Counters::one(&self.counters.reports_refused);
        };
        let before = line.controller.estimate();
        match line.controller.feedback(now, body) {
            Ok(()) => Counters::one(&self.counters.reports),
            Err(Unused::Stale) => Counters::one(&self.counters.reports_stale),
            Err(_) => Counters::one(&self.counters.reports_refused),
        }
        if line.controller.estimate() != before {
            line.next_allocation = line.next_allocation.min(now + PACE);
        }
    }

    /// Every tick of a peer with a line.
    pub(super) fn tick_line(&mut self, now: Instant, key: Key<Peer>) {
        let transport = self.peers.get_mut(key).and_then(|peer| peer.transport.as_mut());
        let Some(line) = transport.and_then(|transport| transport.line.as_mut()) else {
            return;
        };
        line.controller.tick(now);
        if line.controller.is_probing() && !std::mem::replace(&mut line.listed, true) {
            self.pacing.list(key, now);
        }
        if now >= line.next_allocation {
            self.allocate(now, key);
        }
    }
}

/// Writes an admitted packet. `false`: it is not there any more, or there is no way to send it.
pub(super) fn send(
    transport: &mut Transport,
    out: &mut Out,
    producer: &Producer,
    consumer: &mut Consumer,
    admitted: &Admitted,
    now: Instant,
) -> bool {
    let layer = producer.layers.get(usize::from(admitted.layer));
    let Some(slot) = layer.and_then(|layer| layer.ring.get(admitted.number)) else {
        return false;
    };
    send_rtp(transport, out, (consumer.manner(), now), |buffer, number| {
        consumer.write(admitted, slot, number, buffer);
        true
    })
}

/// Sends packets of no use by themselves until they come to so many bytes. Returns how many.
fn pad(
    transport: &mut Transport,
    out: &mut Out,
    (consumers, producers): (&mut Arena<Consumer>, &Arena<Producer>),
    of: &[Key<Consumer>],
    due: usize,
    now: Instant,
) -> u64 {
    let able = |key: &&Key<Consumer>| consumers.get(**key).is_some_and(Consumer::can_pad);
    // What flows has more to repeat.
    let flowing = of
        .iter()
        .filter(able)
        .find(|key| consumers.get(**key).is_some_and(|c| c.layer().is_some()));
    let Some(key) = flowing.or_else(|| of.iter().find(able)) else {
        return 0;
    };
    let Some(consumer) = consumers.get_mut(*key) else {
        return 0;
    };
    let Some(producer) = producers.get(consumer.producer) else {
        return 0;
    };
    let (mut left, mut count) = (due, 0);
    while left > 0 && count < MAX_PADDING as u64 {
        let mut len = 0;
        let sent = send_rtp(transport, out, (consumer.manner(), now), |buffer, number| {
            let start = buffer.len();
            let written = consumer.pad(producer, number, buffer).is_some();
            len = buffer.len() - start;
            written
        });
        if !sent {
            break;
        }
        left = left.saturating_sub(len + 44);
        count += 1;
    }
    count
}
