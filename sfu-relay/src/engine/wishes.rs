//! What sessions ask for concerning media: key frames, layers, pauses. And the sender's word on key frames.
//!
//! Requirements held here: RELY-60.

use std::collections::HashMap;
use std::time::Instant;

use super::media::forward;
use super::{Engine, SessionId};
use crate::arena::Key;
use crate::forward::consumer::Consumer;
use crate::signal::message::{ErrorCode, Wish};
use crate::stats::Counters;

impl Engine {
    /// A consumer cannot go on without a key frame.
    pub(super) fn want_key_frame(&mut self, now: Instant, key: Key<Consumer>) {
        let Some(consumer) = self.consumers.get(key).filter(|consumer| !consumer.is_held()) else {
            return;
        };
        let Some(producer) = self.producers.get_mut(consumer.producer) else {
            return;
        };
        let layer = consumer
            .layer()
            .unwrap_or_else(|| producer.best_layer(consumer.limit(), now));
        let producer_key = consumer.producer;
        if let Some(layer) = producer.layers.get_mut(layer) {
            layer.requests.want();
        }
        self.request_due_key_frames(now, producer_key);
    }

    pub(super) fn key_frame_sent(
        &mut self,
        now: Instant,
        session: SessionId,
        producer: &str,
        ssrc: u32,
        timestamp: u32,
    ) {
        let Some((peer, key)) = self.producer_named(session, producer) else {
            return; // the producer ended while the word was on its way
        };
        let Some(producer) = self.producers.get_mut(key) else {
            return;
        };
        if producer.peer != peer {
            return self
                .out
                .complain(session, ErrorCode::NotAllowed, "the producer is somebody else's");
        }
        let Some(index) = producer
            .layer_of_ssrc(ssrc)
            .or((producer.layers.len() == 1).then_some(0))
        else {
            return;
        };
        let Some(first) = producer.layers[index].announce_key_frame(timestamp, now) else {
            return;
        };
        Counters::one(&self.counters.key_frames);
        let Some(producer) = self.producers.get(key) else {
            return;
        };
        for key in &producer.consumers {
            let Some(consumer) = self.consumers.get_mut(*key) else {
                continue;
            };
            if let Some(due) = consumer.key_frame(producer, index, first, now) {
                Counters::one(&self.counters.switches);
                let way = (&mut self.peers, &mut self.out, &mut self.pacing);
                forward(way, &self.counters, (producer, index), (consumer, *key), due, now);
            }
        }
    }

    pub(super) fn request_key_frame(&mut self, now: Instant, session: SessionId, producer: &str) {
        let Some((peer, key)) = self.producer_named(session, producer) else {
            return self
                .out
                .complain(session, ErrorCode::UnknownProducer, "there is no such producer");
        };
        let Some(producer) = self.producers.get_mut(key) else {
            return;
        };
        if producer.peer == peer {
            for layer in &mut producer.layers {
                layer.requests.want();
            }
            self.request_due_key_frames(now, key);
        } else if let Some(consumer) = self.consumer_of(peer, key) {
            self.want_key_frame(now, consumer);
        }
    }

    /// RELY-60: one message for all that a receiver sees. The work is one pass over its consumers, whatever the message names.
    pub(super) fn wishes(&mut self, now: Instant, session: SessionId, wishes: &[Wish]) {
        if wishes.len() > self.limits.consumers_per_peer {
            return self
                .out
                .complain(session, ErrorCode::TooMany, "more wishes than can be consumed");
        }
        let Some(peer) = self.peer_of(session).and_then(|key| self.peers.get(key)) else {
            return;
        };
        let wishes: HashMap<&str, &Wish> = wishes.iter().map(|wish| (wish.producer.as_str(), wish)).collect();
        for key in peer.consumers.clone() {
            let Some(consumer) = self.consumers.get_mut(key) else {
                continue;
            };
            let producer = self.producers.get(consumer.producer);
            let Some(wish) = producer.and_then(|producer| wishes.get(producer.id.as_str())) else {
                continue;
            };
            consumer.max_layer = wish.max_layer;
            consumer.pinned = wish.pinned;
            consumer.pause(wish.paused, now);
            self.settle_consumer(now, key);
        }
    }

    pub(super) fn pause(&mut self, now: Instant, session: SessionId, producer: &str, paused: bool) {
        let Some((peer, key)) = self.producer_named(session, producer) else {
            return self
                .out
                .complain(session, ErrorCode::UnknownProducer, "there is no such producer");
        };
        let Some(producer) = self.producers.get_mut(key) else {
            return;
        };
        if producer.peer != peer {
            return self
                .out
                .complain(session, ErrorCode::NotAllowed, "the producer is somebody else's");
        }
        producer.paused = paused;
        for consumer in producer.consumers.clone() {
            if let Some(consumer) = self.consumers.get_mut(consumer) {
                consumer.restart(now);
            }
            self.settle_consumer(now, consumer);
        }
    }
}
