//! What arrives on the socket.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use crate::arena::Key;
use crate::net::dtls::{DtlsServer, Progress};
use crate::net::stun::BindingRequest;
use crate::peer::Peer;
use crate::rtp;
use crate::stats::Counters;

impl Engine {
    /// Takes a datagram in. It is decrypted in place.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        Counters::one(&self.counters.datagrams_in);
        Counters::add(&self.counters.bytes_in, datagram.len() as u64);
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
                Some(peer) => self.srtp(now, peer, datagram),
                None => Counters::one(&self.counters.unknown),
            },
            _ => Counters::one(&self.counters.unknown),
        }
    }

    fn stun(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(request) = BindingRequest::parse(datagram) else {
            return Counters::one(&self.counters.stun_refused);
        };
        let Some(peer_key) = self.demux.ufrag(request.local_ufrag) else {
            return Counters::one(&self.counters.stun_refused);
        };
        let Some(transport) = self.peers.get_mut(peer_key).and_then(|peer| peer.transport.as_mut()) else {
            return;
        };
        let mut answer = self.out.buffer();
        if !transport.ice.handle(&request, from, &mut answer) {
            self.out.recycle(answer);
            return Counters::one(&self.counters.stun_unauthenticated);
        }
        transport.heard = now;
        self.demux.learn(from, peer_key, &mut transport.paths);
        self.out.send(from, answer);
        for held in self.demux.release(from) {
            self.dtls(now, peer_key, from, &held);
        }
    }

    fn dtls(&mut self, now: Instant, peer_key: Key<Peer>, from: SocketAddr, datagram: &[u8]) {
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

    fn srtp(&mut self, now: Instant, peer_key: Key<Peer>, datagram: &mut [u8]) {
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
                if control {
                    self.rtcp(now, peer_key, &datagram[..len]);
                } else {
                    self.rtp(now, peer_key, &datagram[..len]);
                }
            }
            Err(_) => Counters::one(&self.counters.srtp_refused),
        }
    }
}
