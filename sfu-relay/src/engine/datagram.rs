//! What arrives on the socket.
//!
//! Requirements held here: RELY-71.

use std::time::Instant;

use super::Engine;
use crate::arena::Key;
use crate::net::demux::Word;
use crate::net::dtls::{DtlsServer, Progress};
use crate::net::handover::News;
use crate::net::ice::Checked;
use crate::net::remote::Remote;
use crate::net::srtp::SrtpError;
use crate::net::stun::BindingRequest;
use crate::peer::Peer;
use crate::rtp;
use crate::stats::Counters;

impl Engine {
    /// Takes a datagram in. It is decrypted in place.
    pub fn handle_datagram(&mut self, now: Instant, from: impl Into<Remote>, datagram: &mut [u8]) {
        let from = from.into();
        Counters::one(&self.counters.datagrams_in);
        Counters::add(&self.counters.bytes_in, datagram.len() as u64);
        // RELY-19: whatever is malformed is counted and dropped.
        // RFC 7983: the first byte tells the protocols on one port apart.
        match datagram.first() {
            Some(0..=3) if BindingRequest::looks_like(datagram) => self.stun(now, from, datagram),
            Some(20..=63) if DtlsServer::looks_like(datagram) => match self.demux.address(from) {
                Some(peer) => self.dtls(now, peer, from, datagram),
                None => {
                    if !self.demux.hold(now, from, datagram) {
                        Counters::one(&self.counters.unknown);
                    }
                }
            },
            Some(128..=191) => match self.demux.address(from) {
                Some(peer) => self.srtp(now, peer, from, datagram),
                None => Counters::one(&self.counters.unknown),
            },
            _ => Counters::one(&self.counters.unknown),
        }
    }

    fn stun(&mut self, now: Instant, from: Remote, datagram: &[u8]) {
        let Ok(request) = BindingRequest::parse(datagram) else {
            return Counters::one(&self.counters.stun_refused);
        };
        let Some(peer_key) = self.demux.ufrag(request.local_ufrag) else {
            return Counters::one(&self.counters.stun_refused);
        };
        // RELY-71: where somebody is, nobody else is by saying so.
        let holder = self.demux.address(from).filter(|holder| *holder != peer_key);
        if holder.is_some_and(|holder| self.is_live_at(holder, from, now)) {
            return Counters::one(&self.counters.stun_refused);
        }
        let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) else {
            return;
        };
        if let Remote::Udp(address) = from
            && self.demux.elsewhere(address).is_some()
        {
            if transport.ice.proves(now, &request) {
                self.demux.want(from);
            }
            return Counters::one(&self.counters.stun_refused);
        }
        let known = self.demux.address(from) == Some(peer_key);
        let mut answer = self.out.buffer();
        let silent = transport.ice.path().is_none_or(|path| !transport.is_live_at(path, now));
        let checked = transport.ice.handle(now, &request, from, (known, silent), &mut answer);
        if checked != Checked::Answered {
            self.out.recycle(answer);
            return Counters::one(match checked {
                Checked::Unauthenticated => &self.counters.stun_unauthenticated,
                _ => &self.counters.stun_refused,
            });
        }
        transport.heard = now;
        transport.checked(from, now);
        if transport.follow_path(now) {
            Counters::one(&self.counters.moves);
        }
        self.demux
            .learn(from, peer_key, &mut transport.paths, transport.ice.path());
        self.out.send(from, answer);
        for held in self.demux.release(from) {
            self.dtls(now, peer_key, from, &held);
        }
    }

    fn dtls(&mut self, now: Instant, peer_key: Key<Peer>, from: Remote, datagram: &[u8]) {
        let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) else {
            return;
        };
        let progress = transport.dtls.handle(now, datagram);
        let to = transport.ice.path().unwrap_or(from);
        while let Some(flight) = transport.dtls.poll_transmit() {
            let mut buffer = self.out.buffer();
            buffer.extend_from_slice(&flight);
            self.out.send(to, buffer);
        }
        match progress {
            Ok(Progress::None) => {}
            Ok(Progress::Connected(srtp)) => {
                transport.srtp = Some(srtp);
                transport.ice.protect();
                transport.heard = now;
                Counters::one(&self.counters.connected);
                tracing::debug!(peer = ?peer_key, "connected");
                self.wake_consumers(now, peer_key);
            }
            Ok(Progress::Closed) => {
                tracing::debug!(peer = ?peer_key, "the peer closed its transport");
                self.drop_transport(now, peer_key);
            }
            Err(error) => {
                Counters::one(&self.counters.dtls_errors);
                tracing::debug!(peer = ?peer_key, %error, "DTLS");
            }
        }
    }

    fn srtp(&mut self, now: Instant, peer_key: Key<Peer>, from: Remote, datagram: &mut [u8]) {
        let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) else {
            return;
        };
        let Some(srtp) = &mut transport.srtp else {
            return Counters::one(&self.counters.unknown);
        };
        let control = rtp::is_rtcp(datagram);
        let opened = if control {
            srtp.open_rtcp(datagram)
        } else {
            srtp.open_rtp(datagram)
        };
        match opened {
            Ok(len) => {
                transport.heard = now;
                transport.media_from = Some((from, now));
                transport.ice.heard(from);
                if transport.follow_path(now) {
                    Counters::one(&self.counters.moves);
                }
                if control {
                    self.rtcp(now, peer_key, &datagram[..len]);
                } else {
                    self.rtp(now, peer_key, &datagram[..len]);
                }
            }
            Err(error) => {
                Counters::one(&self.counters.srtp_refused);
                if error == SrtpError::TooManyStreams {
                    self.forget_ended_streams(peer_key);
                }
            }
        }
    }

    /// An association lives for hours, and each share of a screen has SSRCs of its own.
    fn forget_ended_streams(&mut self, peer_key: Key<Peer>) {
        let Some(peer) = self.peers.get_mut(peer_key) else {
            return;
        };
        let producers = peer.producers.iter().filter_map(|key| self.producers.get(*key));
        let layers = producers.flat_map(|producer| &producer.layers);
        let live: Vec<u32> = layers
            .flat_map(|layer| layer.ssrc.into_iter().chain(layer.rtx_ssrc))
            .collect();
        let Some(transport) = &mut peer.transport else { return };
        if let Some(srtp) = &mut transport.srtp {
            srtp.forget_but(|ssrc| live.contains(&ssrc) || transport.streams.contains_key(&ssrc));
        }
    }

    fn is_live_at(&self, peer: Key<Peer>, remote: Remote, now: Instant) -> bool {
        let transport = self.peers.get(peer).and_then(|peer| peer.transport.as_ref());
        transport.is_some_and(|transport| transport.is_live_at(remote, now))
    }

    /// Takes in what another engine says of an address. Returns early datagrams from there: they are for that engine.
    pub(crate) fn hear(&mut self, now: Instant, news: News) -> Vec<Vec<u8>> {
        let remote = Remote::Udp(news.address);
        let holder = self.demux.address(remote);
        if holder.is_some_and(|holder| self.is_live_at(holder, remote, now)) {
            return Vec::new();
        }
        match news.word {
            Word::Gone => self.demux.is_nowhere(news.address, news.shard),
            Word::Wanted => {
                if let Some(holder) = holder {
                    self.demux.forget(remote, holder);
                }
            }
            Word::Here => {
                if let Some(holder) = holder {
                    self.demux.forget(remote, holder);
                }
                self.demux.is_elsewhere(news.address, news.shard);
                return self.demux.release(remote);
            }
        }
        Vec::new()
    }

    /// Whether a peer proved to be at `remote`.
    pub(crate) fn knows(&self, remote: Remote) -> bool {
        self.demux.address(remote).is_some()
    }

    /// A TCP connection is gone, and whatever was to go along it.
    pub(crate) fn connection_closed(&mut self, remote: Remote) {
        let Some(peer_key) = self.demux.address(remote) else {
            return;
        };
        self.demux.forget(remote, peer_key);
        if let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) {
            transport.paths.retain(|path| *path != remote);
            transport.ice.lost(remote);
        }
    }

    /// Whether a datagram on its way to `to` should go on where there is no room for all: everything but video.
    pub(crate) fn is_essential(&self, to: Remote, datagram: &[u8]) -> bool {
        if !matches!(datagram.first(), Some(128..=191)) || rtp::is_rtcp(datagram) {
            return true;
        }
        let transport = self
            .demux
            .address(to)
            .and_then(|key| self.peers.get(key)?.transport.as_ref());
        let payload_type = datagram.get(1).map_or(0, |byte| byte & 127);
        transport.is_some_and(|transport| transport.sound >> payload_type & 1 == 1)
    }
}
