//! str0m's bandwidth estimation, pacer and probes, driven as a user of the library drives them: two connections in RTP mode with the line
//! between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use emulator::trial::{Engine, Use};
use str0m::bwe::{Bitrate, BweKind};
use str0m::format::Codec;
use str0m::media::{MediaKind, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// What is assumed at first: as ours.
const START: u64 = 500_000;
const VIDEO: u32 = 42;
const VIDEO_RTX: u32 = 44;
const AUDIO: u32 = 46;
/// UDP and IPv4 headers.
const OVERHEAD: usize = 28;

pub struct Theirs {
    sender: Rtc,
    receiver: Rtc,
    addresses: (SocketAddr, SocketAddr),
    video: Pt,
    audio: Pt,
    numbers: (u64, u64),
    leaving: VecDeque<Vec<u8>>,
    answers: VecDeque<Vec<u8>>,
    polled: (Instant, Instant),
    estimate: u64,
    /// The share of its estimate that its user makes use of.
    share: f64,
    demand: (u64, u64),
}

impl Theirs {
    pub fn new(start: Instant, share: f64) -> Self {
        let mut now = start - Duration::from_secs(5);
        let mut sender = Rtc::builder()
            .set_rtp_mode(true)
            .enable_bwe(Some(Bitrate::from(START)))
            .build(now);
        let mut receiver = Rtc::builder().set_rtp_mode(true).build(now);
        let addresses: (SocketAddr, SocketAddr) = (([1, 1, 1, 1], 1_000).into(), ([2, 2, 2, 2], 2_000).into());
        for (rtc, own, other) in [
            (&mut sender, addresses.0, addresses.1),
            (&mut receiver, addresses.1, addresses.0),
        ] {
            rtc.add_local_candidate(Candidate::host(own, "udp").expect("a candidate"));
            rtc.add_remote_candidate(Candidate::host(other, "udp").expect("a candidate"));
        }
        let prints = [&mut sender, &mut receiver].map(|rtc| {
            let mut api = rtc.direct_api();
            (api.local_dtls_fingerprint().clone(), api.local_ice_credentials())
        });
        let [(sender_print, sender_ice), (receiver_print, receiver_ice)] = prints;
        for (rtc, first, print, ice) in [
            (&mut sender, true, receiver_print, receiver_ice),
            (&mut receiver, false, sender_print, sender_ice),
        ] {
            let mut api = rtc.direct_api();
            api.set_remote_fingerprint(print);
            api.set_remote_ice_credentials(ice);
            api.set_ice_controlling(first);
            api.start_dtls(first).expect("DTLS");
        }
        let (video, audio) = (payload_type(&sender, Codec::Vp8), payload_type(&sender, Codec::Opus));
        let mut theirs = Theirs {
            sender,
            receiver,
            addresses,
            video,
            audio,
            numbers: (1_000, 1_000),
            leaving: VecDeque::new(),
            answers: VecDeque::new(),
            polled: (now, now),
            estimate: START,
            share,
            demand: (0, 0),
        };
        while now < start - Duration::from_millis(100) {
            now += Duration::from_millis(5);
            theirs.poll_sender(now);
            theirs.poll_receiver(now);
            while let Some(datagram) = theirs.leaving.pop_front() {
                theirs.to_receiver(now, &datagram);
            }
            while let Some(datagram) = theirs.answers.pop_front() {
                theirs.to_sender(now, &datagram);
            }
        }
        assert!(theirs.sender.is_connected(), "str0m connects to itself");
        theirs.declare();
        theirs
    }

    fn declare(&mut self) {
        let streams = [
            ("vid", MediaKind::Video, VIDEO, Some(VIDEO_RTX)),
            ("aud", MediaKind::Audio, AUDIO, None),
        ];
        for (mid, kind, ssrc, rtx) in streams {
            let mid = mid.into();
            let (ssrc, rtx): (Ssrc, Option<Ssrc>) = (ssrc.into(), rtx.map(Into::into));
            self.sender.direct_api().declare_media(mid, kind);
            self.sender.direct_api().declare_stream_tx(ssrc, rtx, mid, None);
            self.receiver.direct_api().declare_media(mid, kind);
            self.receiver.direct_api().expect_stream_rx(ssrc, rtx, mid, None);
        }
        self.receiver.direct_api().enable_twcc_feedback();
    }

    fn poll_sender(&mut self, now: Instant) {
        self.polled.0 = now;
        self.sender.handle_input(Input::Timeout(now)).expect("time passes");
        self.drain_sender();
    }

    fn drain_sender(&mut self) {
        loop {
            match self.sender.poll_output().expect("output") {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => self.leaving.push_back(transmit.contents.to_vec()),
                Output::Event(Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. })) => {
                    self.estimate = estimate.as_u64();
                }
                Output::Event(_) => {}
            }
        }
    }

    fn poll_receiver(&mut self, now: Instant) {
        self.polled.1 = now;
        self.receiver.handle_input(Input::Timeout(now)).expect("time passes");
        self.drain_receiver();
    }

    fn drain_receiver(&mut self) {
        loop {
            match self.receiver.poll_output().expect("output") {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => self.answers.push_back(transmit.contents.to_vec()),
                Output::Event(_) => {}
            }
        }
    }

    fn to_receiver(&mut self, now: Instant, datagram: &[u8]) {
        let input = received(now, self.addresses.0, self.addresses.1, datagram);
        self.receiver.handle_input(input).expect("input");
        self.drain_receiver();
    }

    fn to_sender(&mut self, now: Instant, datagram: &[u8]) {
        let input = received(now, self.addresses.1, self.addresses.0, datagram);
        self.sender.handle_input(input).expect("input");
        self.drain_sender();
    }
}

fn received(now: Instant, source: SocketAddr, destination: SocketAddr, datagram: &[u8]) -> Input<'_> {
    let receive = Receive {
        proto: Protocol::Udp,
        source,
        destination,
        contents: datagram.try_into().expect("a datagram of a known kind"),
    };
    Input::Receive(now, receive)
}

fn payload_type(rtc: &Rtc, codec: Codec) -> Pt {
    let mut known = rtc.codec_config().iter();
    known.find(|params| params.spec().codec == codec).expect("a usual codec").pt()
}

fn use_of(datagram: &[u8]) -> Use {
    let is_rtp = matches!(datagram.first(), Some(128..=191)) && !matches!(datagram.get(1), Some(192..=223));
    let ssrc = datagram.get(8..12).map_or(0, |ssrc| ssrc.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
    match ssrc {
        VIDEO if is_rtp => Use::Video,
        AUDIO if is_rtp => Use::Audio,
        _ => Use::Other,
    }
}

impl Engine for Theirs {
    type Packet = Vec<u8>;
    type Word = Vec<u8>;

    fn offer(&mut self, now: Instant, use_: Use, bytes: usize) {
        let (ssrc, pt, number) = match use_ {
            Use::Audio => (AUDIO, self.audio, &mut self.numbers.0),
            _ => (VIDEO, self.video, &mut self.numbers.1),
        };
        *number += 1;
        let (number, time) = (*number, (*number * 1_000) as u32);
        let payload = vec![0_u8; bytes];
        let packet = RtpWrite::new(pt, number.into(), time, now, payload).nackable(use_ == Use::Video);
        let ssrc: Ssrc = ssrc.into();
        if let Some(stream) = self.sender.direct_api().stream_tx(&ssrc) {
            stream.write_rtp(packet);
        }
        self.poll_sender(now);
    }

    fn depart(&mut self, now: Instant) -> Option<(usize, Use, Vec<u8>)> {
        if self.leaving.is_empty() && self.polled.0 < now {
            self.poll_sender(now);
        }
        let datagram = self.leaving.pop_front()?;
        Some((datagram.len() + OVERHEAD, use_of(&datagram), datagram))
    }

    fn arrive(&mut self, now: Instant, packet: Vec<u8>) {
        self.to_receiver(now, &packet);
    }

    fn answer(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.answers.is_empty() && self.polled.1 < now {
            self.poll_receiver(now);
        }
        self.answers.pop_front()
    }

    fn hear(&mut self, now: Instant, word: Vec<u8>) {
        self.to_sender(now, &word);
    }

    fn estimate(&self) -> u64 {
        (self.estimate as f64 * self.share) as u64
    }

    fn demand(&mut self, _now: Instant, all: u64, next: u64) {
        if self.demand == (all, next) {
            return;
        }
        self.demand = (all, next);
        // As its documentation has it for a relay: padding up to what the next layer needs. An encoder that follows needs none.
        let minimum = if next < all { next } else { 0 };
        self.sender.bwe().set_bitrate(Bitrate::from(minimum), Bitrate::from(all));
    }
}
