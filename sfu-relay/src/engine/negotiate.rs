//! Offers answered: m-lines to producers and consumers.
//!
//! Requirements held here: RELY-3, RELY-74.

use std::time::Instant;

use rand::RngCore;

use super::{Engine, Line, SessionId};
use crate::arena::Key;
use crate::forward::consumer::Consumer;
use crate::forward::producer::Producer;
use crate::peer::{Peer, Stream, Transport};
use crate::sdp::{self, AnswerMedia, AnswerTransport, Kind, Offer, OfferedCodec, OfferedMedia, Role, Sending};
use crate::signal::message::{ErrorCode, ProducerInfo, Publish, PublishedProducer, RelayMessage, Subscribe};

/// Why an offer is refused as a whole, before anything changed.
type Refusal = (ErrorCode, &'static str);

impl Engine {
    pub(super) fn offer(
        &mut self,
        now: Instant,
        session: SessionId,
        id: u64,
        offer: &Offer,
        publish: &[Publish],
        subscribe: &[Subscribe],
    ) {
        let Some(peer_key) = self.peer_of(session) else { return };
        if let Err((code, message)) = self.check_offer(peer_key, offer, publish, subscribe) {
            return self.out.complain(session, code, message);
        }
        if let Err(error) = self.settle_transport(now, peer_key, offer) {
            tracing::error!(%error, "no transport could be made");
            return self
                .out
                .complain(session, ErrorCode::Offer, "the relay could not make a transport");
        }
        let (producers, added, removed) = self.settle_producers(peer_key, offer, publish);
        self.settle_consumers(now, peer_key, offer, subscribe);
        let Some(sdp) = self.answer(peer_key, offer) else {
            return;
        };
        self.out.say(session, RelayMessage::Answer { id, sdp, producers });
        if let Some(room) = self
            .peers
            .get(peer_key)
            .filter(|peer| !peer.is_held())
            .map(|peer| peer.room)
        {
            self.announce(room, peer_key, &added, &removed);
        }
    }

    fn check_offer(
        &self,
        peer: Key<Peer>,
        offer: &Offer,
        publish: &[Publish],
        subscribe: &[Subscribe],
    ) -> Result<(), Refusal> {
        let peer = self
            .peers
            .get(peer)
            .ok_or((ErrorCode::Protocol, "there is no such participant"))?;
        if publish.len() > self.limits.producers_per_peer || subscribe.len() > self.limits.consumers_per_peer {
            return Err((ErrorCode::TooMany, "too many m-lines in use"));
        }
        let mut mids: Vec<&str> = publish.iter().map(|p| p.mid.as_str()).collect();
        mids.extend(subscribe.iter().map(|s| s.mid.as_str()));
        mids.sort_unstable();
        if mids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err((ErrorCode::Offer, "an m-line is used twice"));
        }
        for (i, p) in publish.iter().enumerate() {
            if publish[..i].iter().any(|other| other.source == p.source) {
                return Err((ErrorCode::Offer, "a source is published twice"));
            }
            // RELY-3: by the token alone.
            if !peer.is_held() && !peer.rights.publish.contains(&p.source) {
                return Err((ErrorCode::NotAllowed, "the token does not allow this source"));
            }
            let media = media_of(offer, &p.mid).ok_or((ErrorCode::Offer, "publish names an unknown mid"))?;
            let kind = if p.source.is_audio() { Kind::Audio } else { Kind::Video };
            if media.kind != kind || !media.direction.sends() || media.codecs.is_empty() {
                return Err((
                    ErrorCode::Offer,
                    "a published m-line does not send such media in a codec we forward",
                ));
            }
        }
        if !subscribe.is_empty() && !peer.is_held() && !peer.rights.subscribe {
            return Err((ErrorCode::NotAllowed, "the token does not allow receiving"));
        }
        for s in subscribe {
            let media = media_of(offer, &s.mid).ok_or((ErrorCode::Offer, "subscribe names an unknown mid"))?;
            if !media.direction.receives() {
                return Err((ErrorCode::Offer, "a subscribed m-line does not receive"));
            }
        }
        Ok(())
    }

    /// The same RTCPeerConnection keeps its transport, with new ICE credentials if it restarts ICE; another one replaces everything.
    fn settle_transport(
        &mut self,
        now: Instant,
        peer_key: Key<Peer>,
        offer: &Offer,
    ) -> Result<(), crate::net::dtls::DtlsError> {
        let known = self.peers.get(peer_key).and_then(|peer| peer.transport.as_ref());
        if known.is_some_and(|transport| !transport.is_of(offer)) {
            self.drop_transport(now, peer_key);
        }
        let Some(peer) = self.peers.get_mut(peer_key) else {
            return Ok(());
        };
        let transport = match &mut peer.transport {
            Some(transport) => transport,
            empty => empty.insert(Transport::new(offer, &self.identity, self.shard, &mut self.rng, now)?),
        };
        if transport.ice.remote_ufrag() != offer.ice.ufrag {
            self.demux.remove_ufrag(&transport.ice.ufrag);
            transport
                .ice
                .restart(offer.ice.ufrag.clone(), self.shard, &mut self.rng, now);
            transport.heard = now;
        }
        self.demux.add_ufrag(&transport.ice.ufrag, peer_key);
        transport.sound = 0;
        for codec in offer
            .media
            .iter()
            .filter(|m| m.kind == Kind::Audio)
            .flat_map(|m| &m.codecs)
        {
            transport.sound |= 1 << (codec.payload_type & 127);
        }
        transport.ids = Default::default();
        for (id, extension) in offer.media.iter().flat_map(|media| &media.extensions) {
            transport.ids.set(*extension, *id);
        }
        Ok(())
    }

    fn settle_producers(
        &mut self,
        peer_key: Key<Peer>,
        offer: &Offer,
        publish: &[Publish],
    ) -> (Vec<PublishedProducer>, Vec<ProducerInfo>, Vec<String>) {
        let Some(peer) = self.peers.get(peer_key) else {
            return Default::default();
        };
        let (room, participant) = (peer.room, peer.participant.clone());
        let ended: Vec<Key<Producer>> = peer
            .producers
            .iter()
            .copied()
            .filter(|key| {
                let producer = self.producers.get(*key);
                !producer.is_some_and(|p| publish.iter().any(|new| new.mid == p.mid && new.source == p.source))
            })
            .collect();
        let removed = ended.into_iter().filter_map(|key| self.remove_producer(key)).collect();

        let (mut all, mut added) = (Vec::new(), Vec::new());
        for wanted in publish {
            let Some(media) = media_of(offer, &wanted.mid) else {
                continue;
            };
            let existing = self.peers.get(peer_key).and_then(|peer| {
                peer.producers
                    .iter()
                    .copied()
                    .find(|key| self.producers.get(*key).is_some_and(|p| p.mid == wanted.mid))
            });
            let key = match existing {
                Some(key) => key,
                None => {
                    let id = format!("{:016x}", self.rng.next_u64());
                    let producer = Producer::new(id.clone(), peer_key, participant.clone(), wanted.source, media);
                    added.push(producer.info());
                    let key = self.producers.insert(producer);
                    if let Some(room) = self.rooms.get_mut(room) {
                        room.producers.insert(id, key);
                    }
                    if let Some(peer) = self.peers.get_mut(peer_key) {
                        peer.producers.push(key);
                    }
                    key
                }
            };
            let Some(producer) = self.producers.get_mut(key) else {
                continue;
            };
            producer.negotiate(media);
            all.push(PublishedProducer {
                mid: wanted.mid.clone(),
                producer: producer.id.clone(),
            });
            self.bind_announced(peer_key, key);
        }
        (all, added, removed)
    }

    /// SSRCs that the offer itself names need no header extension to be recognised.
    fn bind_announced(&mut self, peer_key: Key<Peer>, key: Key<Producer>) {
        let transport = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut());
        let (Some(transport), Some(producer)) = (transport, self.producers.get(key)) else {
            return;
        };
        for (layer, streams) in producer.layers.iter().enumerate() {
            for (ssrc, is_rtx) in [(streams.ssrc, false), (streams.rtx_ssrc, true)] {
                if let Some(ssrc) = ssrc {
                    transport.bind(
                        ssrc,
                        Stream {
                            producer: key,
                            layer,
                            is_rtx,
                        },
                    );
                }
            }
        }
    }

    fn settle_consumers(&mut self, now: Instant, peer_key: Key<Peer>, offer: &Offer, subscribe: &[Subscribe]) {
        let Some(peer) = self.peers.get(peer_key) else { return };
        let room = peer.room;
        let wanted: Vec<(&Subscribe, Key<Producer>)> = subscribe
            .iter()
            .filter_map(|s| Some((s, *self.rooms.get(room)?.producers.get(&s.producer)?)))
            .filter(|(_, key)| {
                self.producers
                    .get(*key)
                    .is_some_and(|producer| producer.peer != peer_key)
            })
            .collect();
        for key in peer.consumers.clone() {
            let keep = self.consumers.get(key).is_some_and(|consumer| {
                wanted
                    .iter()
                    .any(|(s, producer)| s.mid == consumer.mid && *producer == consumer.producer)
            });
            if !keep {
                self.remove_consumer(key);
            }
        }
        for (subscribe, producer_key) in wanted {
            let Some(media) = media_of(offer, &subscribe.mid) else {
                continue;
            };
            match self.consumer_of(peer_key, producer_key) {
                Some(key) => {
                    if let Some(consumer) = self.consumers.get_mut(key).filter(|c| c.mid == subscribe.mid) {
                        consumer.negotiate(media);
                        let measured = consumer.measured;
                        self.measure(now, peer_key, measured);
                    }
                }
                None => self.add_consumer(now, peer_key, producer_key, media),
            }
        }
    }

    fn add_consumer(&mut self, now: Instant, peer_key: Key<Peer>, producer_key: Key<Producer>, media: &OfferedMedia) {
        let Some(producer) = self.producers.get(producer_key) else {
            return;
        };
        let audio = producer.source.is_audio();
        if media.kind != if audio { Kind::Audio } else { Kind::Video } || common_codecs(producer, media).is_empty() {
            return;
        }
        let rtx = common_codecs(producer, media).iter().any(|codec| codec.rtx.is_some());
        let Some(peer) = self.peers.get(peer_key) else { return };
        let Some(transport) = &peer.transport else { return };
        let consumers = peer.consumers.iter().filter_map(|key| self.consumers.get(*key));
        let mut taken: Vec<u32> = consumers
            .flat_map(|c| std::iter::once(c.ssrc).chain(c.rtx_ssrc))
            .collect();
        let ssrc = transport.fresh_ssrc(&taken, &mut self.rng);
        taken.push(ssrc);
        let rtx_ssrc = rtx.then(|| transport.fresh_ssrc(&taken, &mut self.rng));
        // First numbers in the lower half: RFC 3711 section 3.3.1 has receivers guess the roll-over counter.
        let first = ((self.rng.next_u32() >> 17) as u16, (self.rng.next_u32() >> 17) as u16);
        let mut consumer = Consumer::new(peer_key, producer_key, audio, media, (ssrc, rtx_ssrc), first, now);
        consumer.hold(peer.is_held(), now);
        consumer.spare(self.spared(), now);
        self.measure(now, peer_key, consumer.measured);
        let key = self.consumers.insert(consumer);
        if let Some(peer) = self.peers.get_mut(peer_key) {
            peer.consumers.push(key);
        }
        if let Some(producer) = self.producers.get_mut(producer_key) {
            producer.consumers.push(key);
        }
    }

    /// The first stream that is reported on makes what is known of the way to a peer.
    fn measure(&mut self, now: Instant, peer_key: Key<Peer>, measured: bool) {
        let transport = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut());
        if let Some(transport) = transport.filter(|transport| measured && transport.line.is_none()) {
            transport.line = Some(Box::new(Line::new(now)));
        }
    }

    fn answer(&mut self, peer_key: Key<Peer>, offer: &Offer) -> Option<String> {
        let media: Vec<AnswerMedia<'_>> = offer
            .media
            .iter()
            .map(|media| self.answer_media(peer_key, media))
            .collect();
        let (session, version) = {
            let transport = self.peers.get(peer_key)?.transport.as_ref()?;
            (transport.answer_session, transport.answer_version + 1)
        };
        let transport = self.peers.get_mut(peer_key)?.transport.as_mut()?;
        transport.answer_version = version;
        let transport = AnswerTransport {
            ufrag: &transport.ice.ufrag,
            password: &transport.ice.password,
            fingerprint: self.identity.fingerprint(),
            candidates: &self.candidates,
            tcp_candidates: &self.tcp_candidates,
        };
        Some(sdp::write(session, version, &transport, &media))
    }

    fn answer_media<'a>(&self, peer_key: Key<Peer>, media: &'a OfferedMedia) -> AnswerMedia<'a> {
        let all = || media.codecs.iter().collect::<Vec<_>>();
        if media.kind == Kind::Other || media.stopped || media.codecs.is_empty() {
            return AnswerMedia {
                offered: media,
                role: Role::Reject,
                codecs: Vec::new(),
            };
        }
        let Some(peer) = self.peers.get(peer_key) else {
            return AnswerMedia {
                offered: media,
                role: Role::Inactive,
                codecs: all(),
            };
        };
        if peer
            .producers
            .iter()
            .filter_map(|key| self.producers.get(*key))
            .any(|p| p.mid == media.mid)
        {
            return AnswerMedia {
                offered: media,
                role: Role::Receive,
                codecs: all(),
            };
        }
        let consumer = peer
            .consumers
            .iter()
            .filter_map(|key| self.consumers.get(*key))
            .find(|c| c.mid == media.mid);
        let Some((consumer, producer)) = consumer.and_then(|c| Some((c, self.producers.get(c.producer)?))) else {
            return AnswerMedia {
                offered: media,
                role: Role::Inactive,
                codecs: all(),
            };
        };
        // A person's camera and microphone play in sync; a shared screen goes with its own sound.
        let group = if (producer.source as u8) < 2 {
            "person"
        } else {
            "screen"
        };
        let sending = Sending {
            stream: format!("{}-{group}", producer.peer.stream_name()),
            producer: producer.id.clone(),
            cname: producer.peer.stream_name(),
            ssrc: consumer.ssrc,
            rtx_ssrc: consumer.rtx_ssrc,
        };
        AnswerMedia {
            offered: media,
            role: Role::Send(sending),
            codecs: common_codecs(producer, media),
        }
    }
}

fn media_of<'a>(offer: &'a Offer, mid: &str) -> Option<&'a OfferedMedia> {
    offer.media.iter().find(|media| media.mid == mid && !media.stopped)
}

/// The consumer's codecs in which this producer may send, in the producer's order.
fn common_codecs<'a>(producer: &Producer, media: &'a OfferedMedia) -> Vec<&'a OfferedCodec> {
    let of_format = |format| media.codecs.iter().find(move |codec| codec.format == format);
    producer
        .codecs
        .iter()
        .filter_map(|produced| of_format(produced.format))
        .collect()
}

impl Key<Peer> {
    /// A name for this peer in session descriptions: constant while it is in the room, without meaning elsewhere.
    fn stream_name(self) -> String {
        format!("{self:?}").trim_start_matches('#').replace('.', "-")
    }
}
