//! What happens because time passes: reports, feedback, repeated requests, and the end of patience.
//!
//! Requirements held here: RELY-7, RELY-8, RELY-74.

use std::time::{Duration, Instant};

use super::Engine;
use super::media::send_rtcp;
use crate::arena::Key;
use crate::forward::producer::Producer;
use crate::peer::{PATIENCE, Peer, REPORT_INTERVAL};
use crate::rtp::rtcp::Writer;
use crate::rtp::twcc::Recorder;
use crate::signal::message::ErrorCode;
use crate::stats::Counters;

/// The granularity of everything timed.
const TICK: Duration = Duration::from_millis(20);

impl Engine {
    /// When [`Engine::handle_timeout`] is to be called next. `None`: nobody is here.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.next_tick, self.pacing.next()) {
            (Some(tick), Some(pace)) => Some(tick.min(pace)),
            (tick, pace) => tick.or(pace),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.pace(now);
        if self.next_tick.is_none_or(|tick| now < tick) {
            return;
        }
        for key in self.peers.keys() {
            self.end_rights(now, key);
            self.tick_peer(now, key);
            self.tick_line(now, key);
        }
        for key in self.producers.keys() {
            self.tick_producer(now, key);
        }
        self.relieve(now);
        self.count_starved();
        self.count_population();
        self.next_tick = (self.peers.len() > 0).then(|| now + TICK);
    }

    fn tick_peer(&mut self, now: Instant, key: Key<Peer>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        // RELY-7: media goes on without signalling, for a while.
        if peer
            .silent_since
            .is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE)
        {
            tracing::debug!(peer = ?key, "gone: no signalling");
            return self.remove_peer(now, key);
        }
        let Some(transport) = &mut peer.transport else { return };
        // RELY-8: nothing authentic came, or no handshake was finished.
        if transport.is_lost(now) {
            tracing::debug!(peer = ?key, "gone: nothing heard");
            let session = peer.session;
            self.drop_transport(now, key);
            match session {
                Some(session) => {
                    self.out.complain(
                        session,
                        ErrorCode::TransportLost,
                        "nothing was heard on the media path for 10 s",
                    );
                }
                None => self.remove_peer(now, key),
            }
            return;
        }
        if transport.dtls.poll_timeout().is_some_and(|at| at <= now) {
            if transport.dtls.handle_timeout(now).is_err() {
                Counters::one(&self.counters.dtls_errors);
            }
            while let Some(flight) = transport.dtls.poll_transmit() {
                if let Some(to) = transport.ice.path() {
                    self.out.send(to, flight.to_vec());
                }
            }
        }
        if transport.srtp.is_none() {
            return;
        }
        if now >= transport.next_feedback && !transport.arrivals.is_empty() {
            transport.next_feedback = now + Recorder::INTERVAL;
            let media_ssrc = transport.streams.keys().next().copied().unwrap_or(0);
            while let Some(feedback) = transport.arrivals.feedback() {
                let mut buffer = self.out.buffer();
                Writer::new(&mut buffer).transport_cc(transport.own_ssrc, media_ssrc, &feedback);
                send_rtcp(transport, &mut self.out, buffer);
            }
        }
        if now >= transport.next_report {
            transport.next_report = now + REPORT_INTERVAL;
            let mut blocks = Vec::new();
            for producer in &peer.producers {
                let Some(producer) = self.producers.get_mut(*producer) else {
                    continue;
                };
                for layer in &mut producer.layers {
                    blocks.extend(layer.ssrc.and_then(|ssrc| layer.reception.report(ssrc, now)));
                }
            }
            if !blocks.is_empty() {
                let mut buffer = self.out.buffer();
                let mut writer = Writer::new(&mut buffer);
                writer.receiver_report(transport.own_ssrc, &blocks);
                writer.cname(transport.own_ssrc, "conclave");
                send_rtcp(transport, &mut self.out, buffer);
            }
        }
    }

    fn tick_producer(&mut self, now: Instant, key: Key<Producer>) {
        let Some(producer) = self.producers.get_mut(key) else {
            return;
        };
        for layer in &mut producer.layers {
            layer.update_rates(now);
        }
        if let Some(transport) = self
            .peers
            .get_mut(producer.peer)
            .and_then(|peer| peer.transport.as_mut())
        {
            let nack = producer.codecs.iter().any(|codec| codec.nack);
            for layer in producer.layers.iter_mut().filter(|_| nack) {
                let due = layer.missing.due(now);
                let Some(ssrc) = layer.ssrc.filter(|_| !due.is_empty()) else {
                    continue;
                };
                Counters::add(&self.counters.nacks_sent, due.len() as u64);
                let mut buffer = self.out.buffer();
                Writer::new(&mut buffer).nack(transport.own_ssrc, ssrc, due);
                send_rtcp(transport, &mut self.out, buffer);
            }
        }
        for consumer in producer.consumers.clone() {
            self.settle_consumer(now, consumer);
        }
        self.request_due_key_frames(now, key);
        self.tell_demand(now, key);
    }
}
