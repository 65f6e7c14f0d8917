//! What each room comes to, for whoever runs the relay. Counted where packets pass anyway, and added up when somebody asks.
//!
//! Requirements held here: RELY-53.

use super::Engine;
use crate::arena::Key;
use crate::forward::consumer::Consumer;
use crate::forward::producer::Producer;
use crate::room::Room;

/// Layers told apart: none, the lowest three, and all above as the last.
pub(crate) const LAYERS: usize = 4;

/// What passed in a room so far. What has left it is in it still.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    pub packets_in: u64,
    pub bytes_in: u64,
    /// Packets that senders numbered and that did not come at first.
    pub lost_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    pub key_frame_requests: u64,
}

impl Passed {
    pub(crate) fn add(&mut self, other: Passed) {
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.lost_in += other.lost_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
        self.key_frame_requests += other.key_frame_requests;
    }

    fn of_producer(producer: &Producer) -> Self {
        let mut passed = Passed::default();
        for layer in &producer.layers {
            let (packets_in, bytes_in) = layer.taken_in();
            passed.add(Passed {
                packets_in,
                bytes_in,
                lost_in: layer.reception.lost(),
                key_frame_requests: layer.requests.sent(),
                ..Passed::default()
            });
        }
        passed
    }

    fn of_consumer(consumer: &Consumer) -> Self {
        Passed {
            packets_out: consumer.packets,
            bytes_out: consumer.octets,
            ..Passed::default()
        }
    }
}

/// One room's figures at one moment. It has no name, only the place it has at its thread, which the next room gets when it is gone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RoomFigures {
    pub place: u32,
    pub peers: u64,
    pub producers: u64,
    pub consumers: u64,
    pub passed: Passed,
    /// Views of video by the layer they get: none, the lowest, and so on.
    pub views: [u64; LAYERS],
    /// Receivers whose lines are measured, what those are thought to carry together, and the least of them; bits a second.
    pub measured: u64,
    pub estimate: u64,
    pub least_estimate: u64,
    /// Of a thousand packets, on the worst line.
    pub lost_permille: u64,
    /// Bytes that wait here, and the longest queue before any receiver, in microseconds.
    pub waiting: u64,
    pub queue: u64,
}

impl RoomFigures {
    /// Several rooms as one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.peers += other.peers;
        self.producers += other.producers;
        self.consumers += other.consumers;
        self.passed.add(other.passed);
        self.views.iter_mut().zip(other.views).for_each(|(a, b)| *a += b);
        self.least_estimate = match (self.measured, other.measured) {
            (0, _) => other.least_estimate,
            (_, 0) => self.least_estimate,
            _ => self.least_estimate.min(other.least_estimate),
        };
        self.measured += other.measured;
        self.estimate += other.estimate;
        self.lost_permille = self.lost_permille.max(other.lost_permille);
        self.waiting += other.waiting;
        self.queue = self.queue.max(other.queue);
        self
    }
}

impl Engine {
    /// All rooms, in no order.
    pub fn rooms(&self) -> Vec<RoomFigures> {
        let keys = self.rooms.keys();
        keys.into_iter()
            .filter_map(|key| Some(self.figures(key, self.rooms.get(key)?)))
            .collect()
    }

    fn figures(&self, key: Key<Room>, room: &Room) -> RoomFigures {
        let mut figures = RoomFigures {
            place: key.index(),
            peers: room.peers.len() as u64,
            producers: room.producers.len() as u64,
            passed: room.passed,
            ..RoomFigures::default()
        };
        for producer in room.producers.values().filter_map(|key| self.producers.get(*key)) {
            figures.passed.add(Passed::of_producer(producer));
            for consumer in producer.consumers.iter().filter_map(|key| self.consumers.get(*key)) {
                figures.consumers += 1;
                figures.passed.add(Passed::of_consumer(consumer));
                if !producer.source.is_audio() {
                    let flowing = consumer.layer().filter(|_| !consumer.rests());
                    figures.views[flowing.map_or(0, |layer| (layer + 1).min(LAYERS - 1))] += 1;
                }
            }
        }
        let transports = room
            .peers
            .values()
            .filter_map(|key| self.peers.get(*key)?.transport.as_ref());
        for line in transports.filter_map(|transport| transport.line.as_ref()) {
            let estimate = line.controller.estimate().as_bits();
            figures = figures.and(RoomFigures {
                measured: 1,
                estimate,
                least_estimate: estimate,
                lost_permille: (line.controller.loss() * 1_000.0) as u64,
                waiting: line.waiting_bytes(),
                queue: line.controller.queue(),
                ..RoomFigures::default()
            });
        }
        figures
    }

    /// What passed through a consumer that goes stays in its room's figures.
    pub(super) fn keep_figures_of_consumer(&mut self, consumer: &Consumer) {
        let room = self.peers.get(consumer.peer).map(|peer| peer.room);
        if let Some(room) = room.and_then(|room| self.rooms.get_mut(room)) {
            room.passed.add(Passed::of_consumer(consumer));
        }
    }

    pub(super) fn keep_figures_of_producer(&mut self, producer: &Producer) {
        let room = self.peers.get(producer.peer).map(|peer| peer.room);
        if let Some(room) = room.and_then(|room| self.rooms.get_mut(room)) {
            room.passed.add(Passed::of_producer(producer));
        }
    }
}
