//! RTCP in: what senders report goes on to consumers, what consumers miss is repeated or asked for.
//!
//! Requirements held here: RELY-72.

use std::time::{Duration, Instant};

use super::Engine;
use super::media::{send_rtcp, send_rtp};
use crate::arena::Key;
use crate::forward::consumer::Consumer;
use crate::peer::Peer;
use crate::rtp::rtcp::{self, Rtcp, SenderReport, Writer};
use crate::stats::Counters;

/// A layer's reports go on at most this often. Browsers make one a second, some while a stream begins.
const REPORTS: Duration = Duration::from_millis(200);

impl Engine {
    pub(super) fn rtcp(&mut self, now: Instant, peer_key: Key<Peer>, compound: &[u8]) {
        for packet in rtcp::parse(compound) {
            match packet {
                Rtcp::SenderReport(report) => self.sender_report(now, peer_key, report),
                Rtcp::Nack { media_ssrc, entries } => self.nack(now, peer_key, media_ssrc, entries),
                Rtcp::Pli { media_ssrc } | Rtcp::Fir { media_ssrc } => {
                    if let Some(key) = self.consumer_of_ssrc(peer_key, media_ssrc) {
                        self.want_key_frame(now, key);
                    }
                }
                Rtcp::Goodbye { ssrc } => {
                    if let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) {
                        transport.streams.remove(&ssrc);
                    }
                }
                Rtcp::Arrivals { body } => self.arrivals(now, peer_key, body),
                // The reports on arrivals say more.
                Rtcp::Report(_) => {}
            }
        }
    }

    /// A sender's report goes on to the consumers of that layer, in their numbers (RFC 3550 section 6.4.1).
    fn sender_report(&mut self, now: Instant, peer_key: Key<Peer>, report: SenderReport) {
        let transport = self.peers.get(peer_key).and_then(|peer| peer.transport.as_ref());
        let Some(stream) = transport
            .and_then(|t| t.streams.get(&report.ssrc))
            .copied()
            .filter(|s| !s.is_rtx)
        else {
            return;
        };
        let Some(producer) = self.producers.get_mut(stream.producer) else {
            return;
        };
        let Some(layer) = producer.layers.get_mut(stream.layer) else {
            return;
        };
        layer.reception.sender_report(report, now);
        // RELY-72: each is sealed once for each consumer, and a datagram holds some fifty.
        let last = layer.reported.replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) < REPORTS) {
            layer.reported = last;
            return;
        }
        for key in &producer.consumers {
            let Some(consumer) = self.consumers.get(*key).filter(|c| c.layer() == Some(stream.layer)) else {
                continue;
            };
            let Some(offset) = consumer.timestamp_offset() else {
                continue;
            };
            let own = SenderReport {
                ssrc: consumer.ssrc,
                ntp: report.ntp,
                rtp: report.rtp.wrapping_add(offset),
                packets: consumer.packets as u32,
                octets: consumer.octets as u32,
            };
            let Some(transport) = self
                .peers
                .get_mut(consumer.peer)
                .and_then(|peer| peer.transport.as_mut())
            else {
                continue;
            };
            let mut buffer = self.out.buffer();
            let mut writer = Writer::new(&mut buffer);
            writer.sender_report(&own);
            writer.cname(consumer.ssrc, "conclave");
            send_rtcp(transport, &mut self.out, buffer);
        }
    }

    fn nack(&mut self, now: Instant, peer_key: Key<Peer>, media_ssrc: u32, entries: &[u8]) {
        let Some(key) = self.consumer_of_ssrc(peer_key, media_ssrc) else {
            return;
        };
        let Some(consumer) = self.consumers.get_mut(key) else {
            return;
        };
        let Some(producer) = self.producers.get(consumer.producer) else {
            return;
        };
        let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) else {
            return;
        };
        let estimate = transport.line.as_ref().map(|line| line.controller.estimate());
        transport.repeats.refill(now, estimate);
        for sequence in rtcp::nacked(entries) {
            // RELY-72: what is not repeated now may be asked for again.
            if transport.repeats.is_spent() {
                return Counters::one(&self.counters.rtx_refused);
            }
            let mut len = 0;
            let sent = send_rtp(transport, &mut self.out, (consumer.manner(), now), |buffer, number| {
                let start = buffer.len();
                let repeated = consumer.repeat(producer, sequence, now, number, buffer).is_some();
                len = buffer.len() - start;
                repeated
            });
            if sent {
                transport.repeats.take(len);
                Counters::one(&self.counters.rtx_sent);
            }
        }
    }

    fn consumer_of_ssrc(&self, peer_key: Key<Peer>, ssrc: u32) -> Option<Key<Consumer>> {
        let consumers = &self.peers.get(peer_key)?.consumers;
        consumers
            .iter()
            .copied()
            .find(|key| self.consumers.get(*key).is_some_and(|consumer| consumer.ssrc == ssrc))
    }
}
