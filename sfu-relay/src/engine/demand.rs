//! Senders are told which of their layers anybody wants (dynacast).
//!
//! Requirements held here: RELY-61.

use std::time::Instant;

use super::Engine;
use crate::arena::Key;
use crate::forward::demand::Layers;
use crate::forward::producer::Producer;
use crate::peer::Peer;
use crate::signal::message::RelayMessage;
use crate::stats::Counters;

impl Engine {
    /// RELY-61: tells the sender what changed. Wishes count from the moment somebody subscribes, so that an encoder that was idle is at work by
    /// the time the newcomer's transport is up.
    pub(super) fn tell_demand(&mut self, now: Instant, key: Key<Producer>) {
        let Some(producer) = self.producers.get_mut(key) else {
            return;
        };
        // Audio is never paused: that somebody listens, or does not, would show in its gaps.
        if producer.source.is_audio() {
            return;
        }
        let Some(session) = self.peers.get(producer.peer).and_then(|peer| peer.session) else {
            return;
        };
        let count = producer.choices();
        producer.demand.widen(count);
        let mut wanted = Layers::default();
        for consumer in producer.consumers.iter().filter_map(|key| self.consumers.get(*key)) {
            if let Some(layer) = consumer.target(count) {
                // The lowest goes on as long as anybody wants any: it is where a receiver can go at once when its path gets worse.
                wanted = wanted.with(layer).with(0);
                if consumer.is_tight(layer) {
                    // One in between may be what there is room for, and only what flows can be chosen.
                    wanted = (0..layer).fold(wanted, Layers::with);
                }
            }
        }
        if let Some(layers) = producer.demand.update(wanted, now) {
            Counters::one(&self.counters.demands);
            self.out.say(
                session,
                RelayMessage::WantedLayers {
                    producer: producer.id.clone(),
                    layers: layers.iter().collect(),
                },
            );
        }
    }

    /// A new signalling session does not know what the one before was told.
    pub(super) fn forget_demand(&mut self, peer: Key<Peer>) {
        let Some(peer) = self.peers.get(peer) else { return };
        for key in &peer.producers {
            if let Some(producer) = self.producers.get_mut(*key) {
                producer.demand.again();
            }
        }
    }
}
