//! Media: what comes from a sender goes to its consumers.

use std::ops::RangeInclusive;
use std::time::Instant;

use super::line::{Pacing, holds_back};
use super::{Engine, Out};
use crate::arena::{Arena, Key};
use crate::forward::consumer::{Consumer, Manner};
use crate::forward::layer::Received;
use crate::forward::producer::Producer;
use crate::peer::{Peer, Stream, Transport};
use crate::rtp::Packet;
use crate::rtp::rtcp::Writer;
use crate::stats::Counters;

impl Engine {
    pub(super) fn rtp(&mut self, now: Instant, peer_key: Key<Peer>, bytes: &[u8]) {
        let Some(packet) = Packet::parse(bytes) else {
            return Counters::one(&self.counters.malformed);
        };
        let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) else {
            return;
        };
        if let Some((&[high, low], _)) = packet
            .extension(transport.ids.transport_cc)
            .and_then(|(value, at)| Some((value.first_chunk()?, at)))
        {
            transport.arrivals.arrived(u16::from_be_bytes([high, low]), now);
        }
        if self.peers.get(peer_key).is_none_or(Peer::is_held) {
            return;
        }
        let Some(stream) = self.stream_of(peer_key, &packet) else {
            return Counters::one(&self.counters.unknown_stream);
        };
        let Some(producer) = self.producers.get_mut(stream.producer) else {
            return;
        };
        // RELY-12: its length is looked at, and where it is empty; never a byte of it.
        let payload = &bytes[packet.payload()];
        let descriptor = packet
            .extension(producer.ids.dependency_descriptor)
            .map_or(&[][..], |(value, _)| value);
        let mut received = Received {
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            payload_type: packet.payload_type(),
            marker: packet.marker(),
            descriptor,
            payload,
            recovered: false,
        };
        if stream.is_rtx {
            // RFC 4588 section 4: the original sequence number, then the original payload. Too short: padding, a bandwidth probe.
            let Some((original, payload)) = payload.split_first_chunk::<2>() else {
                return;
            };
            let Some(codec) = producer.codec_of_rtx(packet.payload_type()) else {
                return Counters::one(&self.counters.unknown_stream);
            };
            received.sequence = u16::from_be_bytes(*original);
            received.payload_type = codec.payload_type;
            received.payload = payload;
            received.recovered = true;
            if producer.layers[stream.layer].is_known(received.sequence) {
                return; // a probe that repeats what arrived
            }
        } else if producer.codec(packet.payload_type()).is_none() {
            return Counters::one(&self.counters.unknown_stream);
        }
        Counters::one(&self.counters.rtp_in);
        let Some(layer) = producer.layers.get_mut(stream.layer) else {
            return;
        };
        let Some(arrival) = layer.receive(received, now) else {
            return;
        };
        if arrival.torn {
            layer.requests.want();
        }
        if arrival.key_frame.is_some() {
            Counters::one(&self.counters.key_frames);
        }
        self.tap
            .packet(&producer.id, received.timestamp, received.marker, received.payload);

        let Some(producer) = self.producers.get(stream.producer) else {
            return;
        };
        for key in &producer.consumers {
            let Some(consumer) = self.consumers.get_mut(*key) else {
                continue;
            };
            let flowing = consumer.layer();
            if let Some(due) = consumer.due(producer, stream.layer, arrival, now) {
                if flowing != Some(stream.layer) {
                    Counters::one(&self.counters.switches);
                }
                let way = (&mut self.peers, &mut self.out, &mut self.pacing);
                forward(
                    way,
                    &self.counters,
                    (producer, stream.layer),
                    (consumer, *key),
                    due,
                    now,
                );
            }
        }
    }

    /// Which stream a packet is of: by SSRC, or by the header extensions of the first packets (RFC 8843 section 9.2, RFC 8852).
    fn stream_of(&mut self, peer_key: Key<Peer>, packet: &Packet<'_>) -> Option<Stream> {
        let peer = self.peers.get_mut(peer_key)?;
        let transport = peer.transport.as_mut()?;
        if let Some(stream) = transport.streams.get(&packet.ssrc()) {
            return Some(*stream);
        }
        // One that said goodbye and comes back, maybe without its names, is the one it was.
        let known = peer.producers.iter().find_map(|key| {
            let mut layers = self.producers.get(*key)?.layers.iter().enumerate();
            layers.find_map(|(layer, of)| {
                let is_rtx = of.rtx_ssrc == Some(packet.ssrc());
                (is_rtx || of.ssrc == Some(packet.ssrc())).then_some(Stream {
                    producer: *key,
                    layer,
                    is_rtx,
                })
            })
        });
        if let Some(stream) = known {
            return transport.bind(packet.ssrc(), stream).then_some(stream);
        }
        let text = |id| {
            packet
                .extension(id)
                .and_then(|(value, _)| std::str::from_utf8(value).ok())
        };
        let mid = text(transport.ids.mid)?;
        let mut keys = peer.producers.iter().copied();
        let key = keys.find(|key| self.producers.get(*key).is_some_and(|producer| producer.mid == mid))?;
        let producer = self.producers.get_mut(key)?;
        let (rid, repaired) = (text(transport.ids.rid), text(transport.ids.repaired_rid));
        let is_rtx = repaired.is_some() || producer.codec_of_rtx(packet.payload_type()).is_some();
        let name = repaired.or(rid);
        let layer = match name {
            Some(name) => producer
                .layers
                .iter()
                .position(|layer| layer.rid.as_deref() == Some(name))?,
            None if producer.layers.len() == 1 => 0,
            None => return None,
        };
        let stream = Stream {
            producer: key,
            layer,
            is_rtx,
        };
        if !transport.bind(packet.ssrc(), stream) {
            return None;
        }
        let layer = &mut producer.layers[layer];
        *if is_rtx { &mut layer.rtx_ssrc } else { &mut layer.ssrc } = Some(packet.ssrc());
        Some(stream)
    }

    /// Starts a consumer as soon as can be: from a key frame that is here, or by asking for one.
    pub(super) fn settle_consumer(&mut self, now: Instant, key: Key<Consumer>) {
        let Some(consumer) = self.consumers.get_mut(key) else {
            return;
        };
        let producer_key = consumer.producer;
        let Some(producer) = self.producers.get(producer_key) else {
            return;
        };
        let wanted = match (consumer.wants(producer, now), consumer.layer()) {
            (Some(wanted), _) => wanted,
            (None, Some(flowing)) if consumer.needs_key_frame(producer) => {
                if let Some(layer) = self
                    .producers
                    .get_mut(producer_key)
                    .and_then(|p| p.layers.get_mut(flowing))
                {
                    layer.requests.want();
                }
                return self.request_due_key_frames(now, producer_key);
            }
            _ => return,
        };
        let connected = self
            .peers
            .get(consumer.peer)
            .is_some_and(|peer| peer.transport.as_ref().is_some_and(|t| t.srtp.is_some()));
        if !connected {
            return;
        }
        if let Some(first) = producer.layers.get(wanted).and_then(|layer| layer.fresh_key_frame(now))
            && let Some(due) = consumer.key_frame(producer, wanted, first, now)
        {
            Counters::one(&self.counters.switches);
            let way = (&mut self.peers, &mut self.out, &mut self.pacing);
            forward(way, &self.counters, (producer, wanted), (consumer, key), due, now);
            return;
        }
        if let Some(layer) = self
            .producers
            .get_mut(producer_key)
            .and_then(|p| p.layers.get_mut(wanted))
        {
            layer.requests.want();
        }
        self.request_due_key_frames(now, producer_key);
    }

    /// A peer's transport came up: everything it consumes may start.
    pub(super) fn wake_consumers(&mut self, now: Instant, peer_key: Key<Peer>) {
        let consumers = self
            .peers
            .get(peer_key)
            .map(|peer| peer.consumers.clone())
            .unwrap_or_default();
        for key in consumers {
            self.settle_consumer(now, key);
        }
    }

    /// Sends the PLIs whose time has come.
    pub(super) fn request_due_key_frames(&mut self, now: Instant, key: Key<Producer>) {
        let Some(producer) = self.producers.get_mut(key) else {
            return;
        };
        let transport = self
            .peers
            .get_mut(producer.peer)
            .and_then(|peer| peer.transport.as_mut());
        let Some(transport) = transport.filter(|transport| transport.srtp.is_some()) else {
            return;
        };
        for layer in &mut producer.layers {
            let Some(ssrc) = layer.ssrc.filter(|_| !producer.source.is_audio()) else {
                continue;
            };
            let answers_seen = layer.key_frames_known();
            if layer.requests.due(now, answers_seen) {
                Counters::one(&self.counters.key_frame_requests);
                let mut buffer = self.out.buffer();
                Writer::new(&mut buffer).pli(transport.own_ssrc, ssrc);
                send_rtcp(transport, &mut self.out, buffer);
            }
        }
    }
}

/// Sends the packets of `due` to one consumer, or has them wait for their turn.
pub(super) fn forward(
    (peers, out, pacing): (&mut Arena<Peer>, &mut Out, &mut Pacing),
    counters: &Counters,
    (producer, layer): (&Producer, usize),
    (consumer, key): (&mut Consumer, Key<Consumer>),
    due: RangeInclusive<u64>,
    now: Instant,
) {
    let Some(transport) = peers.get_mut(consumer.peer).and_then(|peer| peer.transport.as_mut()) else {
        return;
    };
    let (mut forwarded, mut paced) = (0, 0);
    for slot in due.filter_map(|number| producer.layers.get(layer)?.ring.get(number)) {
        let Some(admitted) = consumer.admit(producer, layer, slot, now) else {
            continue;
        };
        if holds_back(transport, pacing, (&mut *consumer, key), admitted, now) {
            paced += 1;
            if consumer.layer() != Some(layer) {
                break; // given up
            }
            continue;
        }
        let manner = consumer.manner();
        forwarded += u64::from(send_rtp(transport, out, (manner, now), |buffer, number| {
            consumer.write(&admitted, slot, number, buffer);
            true
        }));
    }
    Counters::add(&counters.rtp_forwarded, forwarded);
    if paced > 0 {
        Counters::add(&counters.paced, paced);
    }
}

/// Seals and queues the packet that `write` appends to the buffer it is given. `false`: there is none, or no way to send it.
///
/// A packet that is measured gets a transport-wide number, which `write` is given as well.
pub(super) fn send_rtp(
    transport: &mut Transport,
    out: &mut Out,
    (manner, now): (Manner, Instant),
    write: impl FnOnce(&mut Vec<u8>, Option<u16>) -> bool,
) -> bool {
    let (Some(srtp), Some(to)) = (&mut transport.srtp, transport.ice.path()) else {
        return false;
    };
    let mut controller = transport
        .line
        .as_mut()
        .filter(|_| manner.measured)
        .map(|line| &mut line.controller);
    let number = controller.as_ref().map(|controller| controller.next_number());
    out.append(&mut transport.run, to, |buffer| {
        let start = buffer.len();
        let sealed = write(buffer, number)
            && match manner.repeatable {
                true => srtp.seal_last_repeatable_rtp(buffer, start).is_ok(),
                false => srtp.seal_last_rtp(buffer, start).is_ok(),
            };
        if let Some(controller) = controller.as_mut().filter(|_| sealed) {
            controller.sent(now, buffer.len() - start);
        }
        sealed
    })
}

pub(super) fn send_rtcp(transport: &mut Transport, out: &mut Out, mut packet: Vec<u8>) {
    let sealed = transport
        .srtp
        .as_mut()
        .is_some_and(|srtp| srtp.seal_rtcp(&mut packet).is_ok());
    match transport.ice.path().filter(|_| sealed) {
        Some(to) => out.send(to, packet),
        None => out.recycle(packet),
    }
}
