//! All peers of a load, driven by one loop.

use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use nix::sys::time::TimeSpec;
use sfu_relay::net::dtls::Identity;
use sfu_relay::rtp::rtcp::{self, Rtcp};
use sfu_relay::rtp::{Packet, is_rtcp};

use crate::media::{self, Stream};
use crate::peer::Peer;
use crate::sdp::Kind;

/// Datagrams taken from a socket by one system call.
const BATCH: usize = 64;
const MAX_DATAGRAM: usize = 2048;
/// Every so many packets one is authenticated, decrypted and its delay taken: a generator that opened all of them would be the slower side.
const SAMPLE: u16 = 8;
/// How long the loop sleeps when there is nothing to do. Sockets are looked at in turn, not waited for, so that no relay pays for waking
/// the generator up.
const NAP: Duration = Duration::from_micros(300);

pub(crate) struct Swarm {
    pub(crate) peers: Vec<Peer>,
    pub(crate) streams: Vec<Stream>,
    /// Packets a second of each stream.
    pub(crate) rate: f64,
    /// How often publishers let go of what is due.
    pub(crate) pace: Duration,
    pub(crate) identity: Identity,
    local: IpAddr,
    next_tick: Instant,
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Vec<[u8; MAX_DATAGRAM]>,
}

impl Swarm {
    pub(crate) fn new(local: IpAddr) -> Result<Self> {
        Ok(Swarm {
            peers: Vec::new(),
            streams: Vec::new(),
            rate: 0.0,
            pace: media::PACE,
            identity: Identity::generate()?,
            local,
            next_tick: Instant::now(),
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec))),
            buffers: vec![[0; MAX_DATAGRAM]; BATCH],
        })
    }

    pub(crate) fn add_peer(&mut self) -> Result<usize> {
        self.peers.push(Peer::new(self.local, &self.identity)?);
        Ok(self.peers.len() - 1)
    }

    /// Runs the load for this long.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Lets what is on its way arrive: nobody sends.
    pub(crate) fn pause(&mut self, duration: Duration) -> Result<()> {
        let rate = std::mem::take(&mut self.rate);
        self.run(duration)?;
        self.rate = rate;
        Ok(())
    }

    /// Runs until `done`, or for this long at most. `false`: it never was.
    pub(crate) fn run_until(&mut self, at_most: Duration, done: impl Fn(&Self) -> bool) -> Result<bool> {
        let end = Instant::now() + at_most;
        while !done(self) {
            if Instant::now() >= end {
                return Ok(false);
            }
            self.step()?;
        }
        Ok(true)
    }

    fn step(&mut self) -> Result<()> {
        let now = Instant::now();
        for stream in &mut self.streams {
            let peer = &mut self.peers[stream.peer];
            if peer.is_connected() {
                stream.send(now, (self.rate, self.pace), peer)?;
            }
        }
        if now >= self.next_tick {
            self.next_tick = now + Duration::from_millis(10);
            for peer in &mut self.peers {
                peer.tick(now)?;
            }
        }
        let mut taken = 0;
        for index in 0..self.peers.len() {
            taken += self.receive(index)?;
        }
        self.arrive(now)?;
        if taken == 0 {
            std::thread::sleep(NAP);
        }
        Ok(())
    }

    /// Takes what waits in one socket, at most a batch.
    fn receive(&mut self, index: usize) -> Result<usize> {
        let peer = &mut self.peers[index];
        let mut arrivals = [(0, 0); BATCH];
        let mut count = 0;
        {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
                .buffers
                .iter_mut()
                .map(|buffer| [IoSliceMut::new(buffer)])
                .collect();
            let fd = peer.socket.as_raw_fd();
            let Ok(messages) = recvmmsg(fd, &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) else {
                return Ok(0);
            };
            for (message, arrival) in messages.zip(&mut arrivals) {
                let at = message.cmsgs().ok().and_then(|mut cmsgs| {
                    cmsgs.find_map(|cmsg| match cmsg {
                        ControlMessageOwned::ScmTimestampns(at) => {
                            Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64)
                        }
                        _ => None,
                    })
                });
                *arrival = (message.bytes, at.unwrap_or(0));
                count += 1;
            }
        }
        let now = Instant::now();
        for (buffer, (len, at)) in self.buffers.iter_mut().zip(arrivals).take(count) {
            let datagram = &mut buffer[..len];
            match &mut peer.watching {
                Some((_, lines)) => drop(lines.down.send(now, len + 28, datagram.to_vec())),
                None => take(peer, now, datagram, at)?,
            }
        }
        Ok(count)
    }

    /// What comes out of the lines of those who watch.
    fn arrive(&mut self, now: Instant) -> Result<()> {
        for peer in &mut self.peers {
            while let Some((_, mut datagram)) = peer.watching.as_mut().and_then(|(_, lines)| lines.down.poll(now)) {
                take(peer, now, &mut datagram, 0)?;
            }
            peer.speak(now)?;
        }
        Ok(())
    }
}

fn take(peer: &mut Peer, now: Instant, datagram: &mut [u8], at: u64) -> Result<()> {
    match datagram.first() {
        Some(0..=3) => peer.handle_stun(now, datagram)?,
        Some(20..=63) => peer.handle_dtls(now, datagram)?,
        Some(128..=191) if is_rtcp(datagram) => control(peer, datagram),
        Some(128..=191) if peer.watching.is_some() => watched(peer, now, datagram),
        Some(128..=191) => packet(peer, now, datagram, at),
        _ => {}
    }
    Ok(())
}

fn watched(peer: &mut Peer, now: Instant, datagram: &mut [u8]) {
    let (Some(srtp), Some((viewer, _))) = (&mut peer.srtp, &mut peer.watching) else {
        return;
    };
    let seen = srtp
        .open_rtp(datagram)
        .is_ok_and(|len| viewer.packet(now, &datagram[..len]));
    peer.received.broken += u64::from(!seen);
}

fn packet(peer: &mut Peer, now: Instant, datagram: &mut [u8], at: u64) {
    let Some(&[_, kind, high, low]) = datagram.first_chunk() else {
        return;
    };
    let payload_type = kind & 0x7F;
    if ![Kind::Audio, Kind::Video]
        .iter()
        .any(|k| k.payload_type() == payload_type)
    {
        return; // a retransmission
    }
    peer.received.packets += 1;
    peer.received.first.get_or_insert(now);
    if u16::from_be_bytes([high, low]) % SAMPLE != 0 {
        return;
    }
    let Some(srtp) = &mut peer.srtp else { return };
    let sent = srtp.open_rtp(datagram).ok().and_then(|len| {
        let packet = Packet::parse(&datagram[..len])?;
        media::stamp(&datagram[packet.payload()])
    });
    match sent {
        Some(sent) => peer.received.delays.push(at.saturating_sub(sent)),
        None => peer.received.broken += 1,
    }
}

fn control(peer: &mut Peer, datagram: &mut [u8]) {
    let Some(srtp) = &mut peer.srtp else { return };
    let Ok(len) = srtp.open_rtcp(datagram) else { return };
    for packet in rtcp::parse(&datagram[..len]) {
        if matches!(packet, Rtcp::Pli { .. } | Rtcp::Fir { .. }) {
            peer.key_frames += 1;
        }
    }
}
