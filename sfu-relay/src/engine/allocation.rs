//! A receiver's line shared out among what it consumes.
//!
//! Requirements held here: RELY-24, RELY-25.

use std::time::{Duration, Instant};

use relay_token::Source;

use super::Engine;
use crate::arena::Key;
use crate::congestion::allocation::{Budget, Priority, Stream, allocate};
use crate::congestion::{Demand, Rate};
use crate::forward::consumer::Consumer;
use crate::forward::producer::Producer;
use crate::peer::Peer;
use crate::signal::message::RelayMessage;

/// How often a line is shared out anew, if nothing happens.
const INTERVAL: Duration = Duration::from_millis(100);

/// A queue of so many microseconds is heard.
const HEARD_US: u64 = 120_000;

impl Engine {
    /// RELY-24: what there is room for, to this peer.
    pub(super) fn allocate(&mut self, now: Instant, key: Key<Peer>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(line) = peer.transport.as_mut().and_then(|transport| transport.line.as_mut()) else {
            return;
        };
        line.next_allocation = now + INTERVAL;
        if line.controller.has_recovered() {
            for key in &peer.consumers {
                if let Some(consumer) = self.consumers.get_mut(*key) {
                    consumer.share.forgive();
                }
            }
        }
        let mut streams = std::mem::take(&mut self.streams);
        streams.clear();
        let mut sound = Rate::ZERO;
        for key in &peer.consumers {
            let Some(consumer) = self.consumers.get(*key) else {
                continue;
            };
            let Some(producer) = self.producers.get(consumer.producer) else {
                continue;
            };
            if producer.source.is_audio() {
                // Sound is not asked: it goes out whatever is left for the rest.
                if consumer.measured && !consumer.rests() && !producer.paused {
                    sound = sound + producer.layers.iter().flat_map(|layer| layer.rates()).copied().sum();
                }
            } else if !consumer.rests() && !producer.paused {
                streams.push(stream(*key, consumer, producer, now));
            }
        }
        streams.sort_by_key(|stream| stream.priority);
        let estimate = line.controller.estimate();
        let budget = Budget {
            rate: estimate.minus(sound),
            known: line.controller.is_settled(),
            flows: line.controller.queue() < HEARD_US,
        };
        let done = allocate(now, budget, &mut line.tight, &mut streams);
        // Where nothing can be sent to try it out, nothing is asked for.
        let demand = if streams
            .iter()
            .any(|s| self.consumers.get(s.key).is_some_and(Consumer::can_pad))
        {
            done.demand
        } else {
            Demand::default()
        };
        let with_sound = |rate: Rate| if rate == Rate::ZERO { rate } else { rate + sound };
        line.controller.demand(Demand {
            all: with_sound(demand.all),
            next: with_sound(demand.next),
        });
        for stream in &streams {
            let Some(consumer) = self.consumers.get_mut(stream.key) else {
                continue;
            };
            let before = consumer.share.layer;
            consumer.share = stream.share;
            if stream.share.layer == before {
                continue;
            }
            // What does not fit by far stops at once, rather than when a key frame of less has come.
            if consumer.is_starved() || (done.steep && stream.share.layer < before) {
                consumer.restart(now);
                let transport = self.peers.get_mut(key).and_then(|peer| peer.transport.as_mut());
                if let Some(line) = transport.and_then(|transport| transport.line.as_mut()) {
                    line.give_up(stream.key);
                }
            }
            self.settle_consumer(now, stream.key);
        }
        self.tell_starved(key);
        self.streams = streams;
    }

    /// The client is told for which producers there is no room, when that changed.
    fn tell_starved(&mut self, key: Key<Peer>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        // Without a session there is nobody to tell: whoever comes back is told.
        let Some(session) = peer.session else { return };
        let Some(line) = peer.transport.as_mut().and_then(|transport| transport.line.as_mut()) else {
            return;
        };
        let starved = |key: &&Key<Consumer>| self.consumers.get(**key).is_some_and(|c| c.is_starved() && !c.rests());
        if peer.consumers.iter().filter(starved).eq(&line.told) {
            return;
        }
        line.told.clear();
        line.told.extend(peer.consumers.iter().filter(starved));
        let producers = line
            .told
            .iter()
            .filter_map(|key| self.producers.get(self.consumers.get(*key)?.producer));
        let message = RelayMessage::Paused {
            producers: producers.map(|producer| producer.id.clone()).collect(),
        };
        self.out.say(session, message);
    }
}

fn stream(key: Key<Consumer>, consumer: &Consumer, producer: &Producer, now: Instant) -> Stream<Key<Consumer>> {
    let priority = if producer.source == Source::Screen {
        Priority::Screen
    } else if consumer.pinned {
        Priority::Pinned
    } else {
        Priority::Rest
    };
    let mut stream = Stream::new(key, priority, consumer.share);
    let wanted = consumer.wanted().unwrap_or(u8::MAX);
    match producer.layers.as_slice() {
        [only] => {
            for (layer, cost) in (0..=wanted).zip(only.rates()) {
                stream.option(layer, *cost);
            }
        }
        layers => {
            let awake = (0..).zip(layers).filter(|(_, layer)| layer.is_awake(now));
            let within = awake.clone().filter(|(layer, _)| *layer <= wanted);
            for (layer, of) in within {
                stream.option(layer, of.rates().iter().copied().sum());
            }
            if stream.is_empty()
                && let Some((layer, of)) = awake.into_iter().next()
            {
                stream.option(layer, of.rates().iter().copied().sum());
            }
        }
    }
    stream
}
