//! Whatever arrives: an error and a count, no panic, no state, and the next good thing works.
//!
//! Requirements held here: RELY-19.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::offers::MID;
use common::{Line, Rtp, World};
use proptest::prelude::*;
use sfu_relay::dd::Descriptor;
use sfu_relay::net::dtls::Identity;
use sfu_relay::net::stun::BindingRequest;
use sfu_relay::rtp::{Packet, header_len, rtcp};
use sfu_relay::sdp::{MAX_SDP, Offer, SdpError};
use sfu_relay::signal::message::ClientMessage;

fn camera_frame(sequence: u16) -> Rtp {
    Rtp::key_frame(sequence, 50)
}

/// Alice sends to Bob, over an established path.
fn call() -> (World, usize, usize) {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, relay_token::Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    (world, alice, bob)
}

fn good_offer() -> String {
    let mut client = common::Client::new(sfu_relay::engine::SessionId(1), 0);
    client.lines = vec![
        Line::simulcast("v"),
        Line::microphone("a", 9),
        Line::receive("0", false, "p"),
    ];
    client.offer_sdp()
}

/// A valid text with a piece replaced, cut out or doubled.
fn mutated(text: String) -> impl Strategy<Value = Vec<u8>> {
    let bytes = text.into_bytes();
    let len = bytes.len();
    (0..len, 0..40usize, proptest::collection::vec(any::<u8>(), 0..12)).prop_map(move |(at, cut, insert)| {
        let mut bytes = bytes.clone();
        let end = (at + cut).min(len);
        bytes.splice(at..end, insert);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_parser_of_datagrams_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = BindingRequest::parse(&bytes);
        let _ = header_len(&bytes);
        if let Some(packet) = Packet::parse(&bytes) {
            let _ = (packet.payload(), packet.sequence(), packet.marker());
            for id in 0..=255 {
                let _ = packet.extension(id);
            }
        }
        for packet in rtcp::parse(&bytes) {
            if let rtcp::Rtcp::Nack { entries, .. } = packet {
                let _ = rtcp::nacked(entries).count();
            }
        }
        if let Some(Some(structure)) = Descriptor::parse(&bytes).map(|descriptor| descriptor.structure) {
            for id in 0..64 {
                let _ = structure.template(id);
            }
        }
    }

    #[test]
    fn rtp_headers_with_any_extension_block_are_read_without_panic(
        profile in prop_oneof![Just(0xBEDEu16), Just(0x1000), Just(0x100F), any::<u16>()],
        block in proptest::collection::vec(any::<u8>(), 0..64),
        padding in any::<bool>(),
    ) {
        let mut bytes = vec![if padding { 0xB0 } else { 0x90 }, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(&profile.to_be_bytes());
        bytes.extend_from_slice(&((block.len() / 4) as u16).to_be_bytes());
        bytes.extend_from_slice(&block);
        if let Some(packet) = Packet::parse(&bytes) {
            for id in 0..=255 {
                let _ = packet.extension(id);
            }
        }
    }

    #[test]
    fn no_offer_panics_whatever_is_done_to_it(bytes in mutated(good_offer())) {
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Offer::parse(&text);
        }
    }

    #[test]
    fn no_json_panics_and_nothing_unknown_is_accepted(
        bytes in mutated(r#"{"type":"offer","id":1,"sdp":"v=0","publish":[{"mid":"0","source":"camera"}],"subscribe":[]}"#.into())
    ) {
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = ClientMessage::parse(&text);
        }
    }
}

#[test]
fn a_message_with_an_unknown_field_or_type_is_refused() {
    for text in [
        r#"{"type":"ping","extra":1}"#,
        r#"{"type":"request-key-frame","producer":"p","force":true}"#,
        r#"{"type":"make-me-host"}"#,
        r#"{"type":"offer","id":1,"sdp":"","publish":[{"mid":"0","source":"camera","simulcast":1}],"subscribe":[]}"#,
        r#"{"type":"offer","id":1,"sdp":"","publish":[{"mid":"0","source":"keyboard"}],"subscribe":[]}"#,
        r#"{"type":"offer","id":-1,"sdp":"","publish":[],"subscribe":[]}"#,
        r#"["ping"]"#,
        "",
    ] {
        assert_eq!(ClientMessage::parse(text), None, "{text}");
    }
    assert_eq!(
        ClientMessage::parse(r#" {"type":"ping"}"#),
        Some(ClientMessage::Ping {})
    );
}

#[test]
fn offers_without_what_is_needed_are_refused_for_that_reason() {
    let offer = good_offer();
    let without = |prefix: &str| {
        let lines = offer.lines().filter(|line| !line.starts_with(prefix));
        lines.collect::<Vec<_>>().join("\r\n")
    };
    assert!(Offer::parse(&offer).is_ok());
    assert_eq!(Offer::parse(&without("a=fingerprint")), Err(SdpError::Fingerprint));
    assert_eq!(
        Offer::parse(&offer.replace("sha-256", "sha-1")),
        Err(SdpError::Fingerprint)
    );
    assert_eq!(Offer::parse(&without("a=ice-ufrag")), Err(SdpError::Ice));
    assert_eq!(Offer::parse(&without("a=ice-pwd")), Err(SdpError::Ice));
    assert_eq!(Offer::parse(&offer.replace("actpass", "passive")), Err(SdpError::Setup));
    assert_eq!(Offer::parse(&without("a=mid")), Err(SdpError::Mid));
    assert_eq!(Offer::parse(&without("a=group")), Err(SdpError::Bundle));
    assert_eq!(Offer::parse(&offer.replace("a=mid:a", "a=mid:v")), Err(SdpError::Mid));
    assert_eq!(Offer::parse(&"v=0\r\n".repeat(MAX_SDP)), Err(SdpError::Oversized));
    assert_eq!(Offer::parse("hello"), Err(SdpError::Malformed));
}

#[test]
fn any_datagram_from_a_known_address_leaves_the_call_intact() {
    let (mut world, alice, bob) = call();
    let address = world.clients[alice].address;
    let good = world.clients[alice].seal(&camera_frame(1));
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for round in 0..20_000 {
        let mut bytes = match round % 4 {
            0 => good.clone(),
            1 => world.clients[alice].check(true),
            _ => (0..random() % 200).map(|_| random() as u8).collect(),
        };
        if round % 4 == 2 && !bytes.is_empty() {
            bytes[0] = [0, 20, 22, 23, 63, 128, 144, 191][random() % 8];
        }
        for _ in 0..1 + random() % 3 {
            if !bytes.is_empty() {
                let at = random() % bytes.len();
                bytes[at] ^= 1 << (random() % 8);
            }
        }
        bytes.truncate(if random() % 3 == 0 { random() % 200 } else { usize::MAX });
        world.engine.handle_datagram(world.now, address, &mut bytes);
    }
    world.pump();
    let before = world.clients[bob].media.len();
    let mut datagram = world.clients[alice].seal(&camera_frame(2));
    world.engine.handle_datagram(world.now, address, &mut datagram);
    world.pump();
    assert_eq!(world.clients[bob].media.len(), before + 1);
}

#[test]
fn authentic_but_senseless_media_and_control_are_survived() {
    let (mut world, alice, bob) = call();
    let mut state = 9u64;
    for round in 0..3_000u16 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [a, b, c, d, ..] = state.to_be_bytes();
        let packet = Rtp {
            ssrc: if a % 2 == 0 { 500 } else { u32::from(b) },
            sequence: u16::from_be_bytes([c, d]),
            timestamp: state as u32,
            payload_type: a & 0x7F,
            marker: b % 2 == 0,
            extensions: vec![
                (MID, vec![b'v'; usize::from(c % 16) + 1]),
                (common::offers::RID, vec![d; 3]),
                (common::offers::DD, vec![a, b, c, d, a, b]),
            ],
            payload: vec![d; usize::from(c)],
            padding: if d % 5 == 0 { d } else { 0 },
        };
        // A repeated index is the test client's own refusal, not the relay's concern.
        let extensions: Vec<(u8, &[u8])> = packet.extensions.iter().map(|(id, v)| (*id, v.as_slice())).collect();
        let mut bytes = Vec::new();
        sfu_relay::rtp::Outgoing {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            extensions: &extensions,
        }
        .write(&mut bytes);
        bytes.extend_from_slice(&packet.payload);
        if world.clients[alice].srtp.as_mut().unwrap().seal_rtp(&mut bytes).is_ok() {
            world.send_datagram(alice, bytes);
        }
        let mut control = vec![0x80 | (a & 31), 200 + b % 8, 0, c % 20];
        control.extend((0..usize::from(d)).map(|n| (n as u8).wrapping_mul(b)));
        if control.len() >= 8 {
            let who = if round % 2 == 0 { alice } else { bob };
            world.rtcp(who, control);
        }
    }
    world.pass(Duration::from_secs(2));
}

#[test]
fn a_flood_of_unauthenticated_stun_is_neither_answered_nor_remembered() {
    let (mut world, alice, _) = call();
    let stranger: SocketAddr = "203.0.113.5:999".parse().unwrap();
    let forged = world.clients[alice].check_with("nobody:here", "wrong-password-of-24-char", true);
    let relay_ufrag = world.clients[alice]
        .answer
        .lines()
        .find_map(|l| l.strip_prefix("a=ice-ufrag:"))
        .unwrap()
        .to_owned();
    let name = format!("{relay_ufrag}:{}", world.clients[alice].ufrag);
    let guessed = world.clients[alice].check_with(&name, "wrong-password-of-24-char", true);
    for _ in 0..1_000 {
        world.engine.handle_datagram(world.now, stranger, &mut forged.clone());
        world.engine.handle_datagram(world.now, stranger, &mut guessed.clone());
        world.engine.handle_datagram(world.now, stranger, &mut [22u8; 100]);
    }
    assert_eq!(world.engine.poll_transmit(), None, "no answer: no amplification");
    let stats = world.stats();
    assert_eq!((stats.stun_refused, stats.stun_unauthenticated), (1_000, 1_000));
    assert!(
        stats.unknown >= 990,
        "early DTLS is held for a few datagrams per address only"
    );
}

#[test]
fn a_handshake_that_overtakes_its_connectivity_check_is_held_and_goes_on() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.offer(alice, &[Line::camera("v", 500)]);
    let now = world.now;
    world.clients[alice].start_dtls(now);
    world.pump();
    assert!(!world.clients[alice].is_connected());
    let check = world.clients[alice].check(true);
    let from = world.clients[alice].address;
    world.engine.handle_datagram(now, from, &mut check.clone());
    // Not pumped through the client's own STUN handling, which would start another handshake.
    let mut answered = false;
    while let Some(transmit) = world.engine.poll_transmit() {
        answered |= transmit.data[0] >= 20;
    }
    assert!(answered, "the held ClientHello was answered together with the check");
}

/// A datagram full of handshake fragments, each of which says to be the byte at its place of a message of `length` bytes.
fn fragments(message: u16, from: u32, count: u32, length: u32, bytes: usize) -> Vec<u8> {
    let mut datagram = Vec::new();
    for offset in from..from + count {
        let mut body = vec![11];
        body.extend_from_slice(&length.to_be_bytes()[1..]);
        body.extend_from_slice(&message.to_be_bytes());
        body.extend_from_slice(&offset.to_be_bytes()[1..]);
        body.extend_from_slice(&[0, 0, 1]);
        body.resize(12 + bytes, 0);
        datagram.extend_from_slice(&[22, 254, 253, 0, 0, 0, 0]);
        datagram.extend_from_slice(&offset.to_be_bytes());
        datagram.extend_from_slice(&(body.len() as u16).to_be_bytes());
        datagram.extend_from_slice(&body);
    }
    datagram
}

#[test]
fn rely_70_handshake_fragments_by_the_ten_thousand_end_neither_the_relay_nor_a_call() {
    // Of nothing, and of a message as long as there are fragments.
    for (length, bytes) in [(0, 0), (43_000, 1)] {
        let (mut world, alice, bob) = call();
        let mallory = world.join("mallory");
        world.offer(mallory, &[Line::camera("v", 900)]);
        let check = world.clients[mallory].check(true);
        let from = world.clients[mallory].address;
        world.engine.handle_datagram(world.now, from, &mut check.clone());
        while world.engine.poll_transmit().is_some() {}
        // The last of them is the first, with which the library would begin to put them together.
        let per_datagram = 1_400 / (25 + bytes as u32);
        let flood = |message: u16| {
            let starts = (0..250u32).rev().map(move |n| n * per_datagram);
            starts.map(move |start| fragments(message, start, per_datagram, length, bytes))
        };
        for mut datagram in flood(0) {
            world.engine.handle_datagram(world.now, from, &mut datagram);
        }
        // And by somebody who is in a call, as whatever message is next.
        let from = world.clients[alice].address;
        for message in 0..8 {
            for mut datagram in flood(message) {
                world.engine.handle_datagram(world.now, from, &mut datagram);
            }
        }
        world.pump();
        let before = world.clients[bob].media.len();
        world.rtp(alice, &camera_frame(1));
        assert_eq!(world.clients[bob].media.len(), before + 1);
    }
}

#[test]
fn rely_70_a_handshake_in_which_everything_comes_three_times_is_completed() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.offer(alice, &[Line::camera("v", 500)]);
    let check = world.clients[alice].check(true);
    world.send_datagram(alice, check);
    for _ in 0..100 {
        while let Some(transmit) = world.engine.poll_transmit() {
            for datagram in transmit.datagrams() {
                world.clients[alice].handle(world.now, datagram);
            }
        }
        let from = world.clients[alice].address;
        for datagram in std::mem::take(&mut world.clients[alice].outgoing) {
            for _ in 0..3 {
                world.engine.handle_datagram(world.now, from, &mut datagram.clone());
            }
        }
        world.now += Duration::from_millis(10);
        world.engine.handle_timeout(world.now);
        let now = world.now;
        world.clients[alice].handle_timeout(now);
    }
    assert!(world.clients[alice].is_connected());
    assert_eq!(world.stats().connected, 1);
}

#[test]
fn a_client_with_another_certificate_than_its_offer_named_is_refused() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.offer(alice, &[Line::camera("v", 500)]);
    world.clients[alice].identity = Identity::generate().unwrap();
    let check = world.clients[alice].check(true);
    world.send_datagram(alice, check);
    world.pump();
    world.pass(Duration::from_secs(2));
    assert_eq!(world.stats().connected, 0);
    assert!(world.stats().dtls_errors > 0);
    world.rtp_raw_is_ignored(alice);
}

impl World {
    fn rtp_raw_is_ignored(&mut self, client: usize) {
        let from = self.clients[client].address;
        self.engine.handle_datagram(self.now, from, &mut [0x80u8; 60]);
        assert_eq!(self.stats().rtp_in, 0);
    }
}

#[test]
fn a_handshake_survives_the_loss_of_any_one_datagram() {
    let connects = |lost: usize, client_interval: u64| {
        let mut world = World::new();
        let mut seen = 0;
        world.network = Box::new(move |_, _, datagram| {
            seen += usize::from((20..64).contains(&datagram[0]));
            seen != lost + 1
        });
        let alice = world.join("alice");
        world.clients[alice].flight_interval = Duration::from_millis(client_interval);
        world.offer(alice, &[Line::camera("v", 500)]);
        world.try_connect(alice)
    };
    // As a browser, which repeats its flight after 50 ms.
    let failed: Vec<usize> = (0..10).filter(|lost| !connects(*lost, 50)).collect();
    assert!(failed.is_empty(), "lost datagrams that broke the handshake: {failed:?}");
}

#[test]
fn time_may_stand_still_or_jump() {
    let (mut world, alice, _) = call();
    let early = world.now - Duration::from_secs(1);
    world.engine.handle_timeout(early);
    let mut packet = world.clients[alice].seal(&camera_frame(1));
    let from = world.clients[alice].address;
    world.engine.handle_datagram(early, from, &mut packet);
    world
        .engine
        .handle_timeout(Instant::now() + Duration::from_secs(86_400));
    world.pump();
}
