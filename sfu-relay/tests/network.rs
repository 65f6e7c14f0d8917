//! Real sockets: both families on one port, TCP where UDP does not reach, clients that move, and several threads.
//!
//! Requirements tested here: RELY-40, RELY-42 to RELY-47.
#![allow(clippy::unwrap_used)]

mod common;
mod live;

use std::num::NonZeroUsize;
use std::time::Duration;

use common::offers::{DD, MID, OPUS, VP8};
use common::{Client, Line, Rtp, key_descriptor};
use live::{Live, Place};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn frame(sequence: u16) -> Rtp {
    Rtp::key_frame(sequence, 1_000)
}

fn sound(sequence: u16) -> Rtp {
    Rtp {
        ssrc: 900,
        sequence,
        timestamp: u32::from(sequence) * 960,
        payload_type: OPUS,
        marker: false,
        extensions: vec![(MID, b"a".to_vec())],
        payload: vec![2; 120],
        padding: 0,
    }
}

/// Somebody who sends, connected from `local`.
async fn sender(place: &Place, room: &str, local: &str) -> Live {
    let mut alice = place.join(room, "alice").await;
    alice.offer(&[Line::camera("v", 500), Line::microphone("a", 900)]).await;
    alice.by_udp(local).await;
    alice.connect().await;
    alice
}

/// Somebody who receives all that `alice` sends, not connected yet.
async fn receiver(place: &Place, room: &str, name: &str, alice: &Live) -> Live {
    let mut bob = place.join(room, name).await;
    let lines = [
        Line::receive("0", false, &alice.producer("v")),
        Line::receive("1", true, &alice.producer("a")),
    ];
    bob.offer(&lines).await;
    bob
}

fn threads(count: usize) -> Option<NonZeroUsize> {
    NonZeroUsize::new(count)
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

#[tokio::test]
async fn rely_42_answers_have_host_candidates_of_both_families_at_one_port() {
    let place = Place::open("0.0.0.0:0", |config| {
        config.public_addresses = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        config.listen_tcp = Some("0.0.0.0:0".parse().unwrap());
    })
    .await;
    let mut alice = place.join("r", "alice").await;
    alice.offer(&[Line::camera("v", 500)]).await;
    let expected = |port: u16| {
        let mut all = vec![format!("127.0.0.1:{port}")];
        if has_ipv6() {
            all.push(format!("[::1]:{port}"));
        }
        all
    };
    let text = |all: Vec<std::net::SocketAddr>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(alice.candidates("udp")), expected(place.relay.port()));
    assert_eq!(text(alice.candidates("tcp")), expected(place.relay.tcp_port().unwrap()));
    let mut tcp = alice.client.answer.lines().filter(|line| line.contains(" tcp "));
    assert!(tcp.all(|line| line.ends_with("typ host tcptype passive")));

    let alone = Place::open("127.0.0.1:0", |_| {}).await;
    let mut bob = alone.join("r", "bob").await;
    bob.offer(&[Line::camera("v", 500)]).await;
    assert_eq!(bob.candidates("udp").len(), 1, "what is not bound is not offered");
    assert!(bob.candidates("tcp").is_empty());
}

#[tokio::test]
async fn rely_40_a_client_moves_to_another_port_and_to_the_other_family_with_its_keys() {
    let place = Place::open("0.0.0.0:0", |config| {
        config.public_addresses = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        config.threads = threads(2);
    })
    .await;
    let mut alice = sender(&place, "r", "127.0.0.1:0").await;
    let mut bob = receiver(&place, "r", "bob", &alice).await;
    bob.by_udp("127.0.0.1:0").await;
    bob.connect().await;
    let mut ways = vec!["127.0.0.1:0", "127.0.0.1:0"];
    if has_ipv6() {
        ways.extend(["[::1]:0", "127.0.0.1:0", "[::1]:0"]);
    }
    let mut sequence = 0;
    for (turn, way) in ways.into_iter().enumerate() {
        // Now the receiver moves, now the sender.
        let moving = if turn % 2 == 0 { &mut bob } else { &mut alice };
        moving.by_udp(way).await;
        moving.connect().await;
        for _ in 0..3 {
            sequence += 1;
            alice.rtp(&frame(sequence)).await;
        }
        bob.until(|client| client.media.len() == usize::from(sequence)).await;
    }
    assert_eq!(place.relay.stats().connected, 2, "one handshake each");
}

#[tokio::test]
async fn rely_43_media_goes_from_udp_to_tcp_and_from_tcp_to_udp() {
    let place = Place::open("127.0.0.1:0", |config| {
        config.listen_tcp = Some("127.0.0.1:0".parse().unwrap());
        config.threads = threads(3);
    })
    .await;
    let mut alice = place.join("r", "alice").await;
    alice.offer(&[Line::camera("v", 500), Line::microphone("a", 900)]).await;
    alice.by_tcp(None).await;
    alice.connect().await;
    let mut over_udp = receiver(&place, "r", "bob", &alice).await;
    over_udp.by_udp("127.0.0.1:0").await;
    over_udp.connect().await;
    let mut over_tcp = receiver(&place, "r", "cleo", &alice).await;
    over_tcp.by_tcp(None).await;
    over_tcp.connect().await;
    for sequence in 1..=50 {
        alice.rtp(&frame(sequence)).await;
        alice.rtp(&sound(sequence)).await;
    }
    over_udp.until(|client| client.media.len() == 100).await;
    over_tcp.until(|client| client.media.len() == 100).await;
    // A connection that ends is no end of the peer: over another one, or UDP, it goes on with its keys.
    over_tcp.by_tcp(None).await;
    over_tcp.connect().await;
    alice.by_udp("127.0.0.1:0").await;
    alice.connect().await;
    alice.rtp(&frame(51)).await;
    over_tcp.until(|client| client.media.len() == 101).await;
    assert_eq!(place.relay.stats().connected, 3);
}

#[tokio::test]
async fn rely_44_who_does_not_read_harms_nobody_and_keeps_its_sound_longest() {
    let place = Place::open("127.0.0.1:0", |config| {
        config.listen_tcp = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let mut alice = sender(&place, "r", "127.0.0.1:0").await;
    let mut slow = receiver(&place, "r", "bob", &alice).await;
    slow.by_tcp(Some(8 << 10)).await;
    slow.connect().await;
    let mut other = receiver(&place, "r", "cleo", &alice).await;
    other.by_tcp(None).await;
    other.connect().await;
    let count = 600;
    for sequence in 1..=count {
        alice.rtp(&frame(sequence)).await;
        alice.rtp(&sound(sequence)).await;
        let so_far = usize::from(sequence) * 2;
        if sequence % 20 == 0 {
            other.until(|client| client.media.len() == so_far).await;
        }
    }
    assert!(place.relay.stats().send_dropped > 0);
    // What waited for it in queues: little, and mostly sound.
    let of = |client: &Client, kind: u8| client.media.iter().filter(|packet| packet.payload_type == kind).count();
    slow.until(|client| of(client, OPUS) > 250).await;
    let (pictures, sounds) = (of(&slow.client, VP8), of(&slow.client, OPUS));
    assert!(sounds > pictures * 3 / 2, "{sounds} sounds beside {pictures} pictures");
}

#[tokio::test]
async fn rely_44_the_dead_on_tcp_hold_little_harm_nobody_and_are_let_go() {
    let place = Place::open("127.0.0.1:0", |config| {
        config.listen_tcp = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let mut alice = sender(&place, "r", "127.0.0.1:0").await;
    let mut dead = Vec::new();
    for number in 0..12 {
        let mut one = receiver(&place, "r", &format!("dead-{number}"), &alice).await;
        one.by_tcp(Some(4 << 10)).await;
        one.connect().await;
        dead.push(one);
    }
    let mut over_tcp = receiver(&place, "r", "bob", &alice).await;
    over_tcp.by_tcp(None).await;
    over_tcp.connect().await;
    let mut over_udp = receiver(&place, "r", "cleo", &alice).await;
    over_udp.by_udp("127.0.0.1:0").await;
    over_udp.connect().await;
    // The twelve read nothing of what they are sent, and go on saying that they are there. So what ends them is that.
    let (mut sequence, mut most, mut round) = (0, 0, 0);
    while place.relay.stats().tcp_open > 1 {
        if round % 40 == 0 {
            for one in dead.iter_mut().chain([&mut over_tcp, &mut over_udp]) {
                one.consents().await;
            }
        }
        round += 1;
        for _ in 0..5 {
            sequence += 1;
            alice.rtp(&frame(sequence)).await;
            alice.rtp(&sound(sequence)).await;
        }
        let so_far = usize::from(sequence) * 2;
        over_tcp.until(|client| client.media.len() == so_far).await;
        over_udp.until(|client| client.media.len() == so_far).await;
        most = most.max(place.relay.stats().tcp_waiting);
        assert!(sequence < 60_000, "they are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(most > 12 * 16_000, "something waited: {most}");
    assert!(most <= 13 * (128 << 10), "{most} bytes waited for thirteen");
    let stats = place.relay.stats();
    assert!(stats.send_dropped > 0 && stats.tcp_waiting == 0);
    assert_eq!(
        stats.peers, 15,
        "the participants are still there, and may come by another way"
    );
}

#[tokio::test]
async fn rely_43_the_first_picture_over_tcp_is_a_key_frame_whole_and_in_order() {
    let place = Place::open("127.0.0.1:0", |config| {
        config.listen_tcp = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let mut alice = sender(&place, "r", "127.0.0.1:0").await;
    // A picture in the middle of nowhere, which nobody can begin with.
    let packet = |sequence: u16, of: u16, key: bool| {
        let [high, low] = of.to_be_bytes();
        let mut dd = if key { key_descriptor(of) } else { vec![0, high, low] };
        dd[0] = u8::from(key) << 7 | u8::from(sequence == 40) << 6;
        Rtp {
            timestamp: u32::from(of) * 3_000,
            marker: sequence == 40,
            extensions: vec![(MID, b"v".to_vec()), (DD, dd)],
            payload: vec![of as u8; 1_000],
            ..frame(of * 100 + sequence)
        }
    };
    alice.rtp(&packet(40, 1, false)).await;
    // As slow a start as there is: no more than a fraction of the key frame fits into the receiver's buffer.
    let mut bob = receiver(&place, "r", "bob", &alice).await;
    bob.by_tcp(Some(4 << 10)).await;
    bob.connect().await;
    let asked = place.relay.stats().key_frame_requests;
    assert!(asked > 0, "for a key frame, when somebody came");
    for sequence in 1..=40 {
        alice.rtp(&packet(sequence, 2, sequence == 1)).await;
    }
    bob.until(|client| client.media.len() == 40).await;
    let got = &bob.client.media;
    assert!(
        got.iter().all(|packet| packet.payload[0] == 2),
        "the key frame and nothing before it"
    );
    assert!(
        got.windows(2)
            .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
    );
    assert!(got[39].marker);
    assert_eq!(place.relay.stats().send_dropped, 0);
}

#[tokio::test]
async fn rely_45_a_tcp_connection_begins_with_an_authentic_check_or_ends() {
    let place = Place::open("127.0.0.1:0", |config| {
        config.listen_tcp = Some("127.0.0.1:0".parse().unwrap());
        config.threads = threads(2);
    })
    .await;
    let mut alice = place.join("r", "alice").await;
    alice.offer(&[Line::camera("v", 500)]).await;
    let to = alice.candidates("tcp")[0];
    let name = alice
        .client
        .answer
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    let name = format!("{}:{}", name.unwrap(), alice.client.ufrag);
    let framed = |datagram: &[u8]| [&(datagram.len() as u16).to_be_bytes()[..], datagram].concat();
    let guessed = alice.client.check_with(&name, "wrong-password-of-24-char", true);
    for hello in [
        framed(&guessed),
        framed(&alice.client.check_with("?:x", "wrong-password-of-24-char", true)),
        framed(&[22; 100]),
        framed(&[0x80; 100]),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![255; 70_000],
        [framed(&[]), framed(&[1; 2_049])].concat(),
    ] {
        let mut stream = tokio::net::TcpStream::connect(to).await.unwrap();
        // Closed while it is being written to, it may end either way.
        let _ = stream.write_all(&hello).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "nobody is told anything");
    }
    // One that became somebody's ends when it is out of step.
    alice.by_tcp(None).await;
    alice.connect().await;
    alice.send(&[1; 2_049]).await;
    assert!(alice.is_closed().await);
    alice.by_tcp(None).await;
    alice.connect().await;
}

#[tokio::test]
async fn rely_46_rooms_are_spread_over_the_threads_and_every_packet_finds_its_own() {
    let place = Place::open("0.0.0.0:0", |config| {
        config.public_addresses = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        config.threads = threads(3);
    })
    .await;
    assert_eq!(place.relay.threads(), 3);
    let mut rooms = Vec::new();
    for number in 0..6 {
        let room = format!("room-{number}");
        let local = if number % 2 == 1 && has_ipv6() {
            "[::1]:0"
        } else {
            "127.0.0.1:0"
        };
        let alice = sender(&place, &room, local).await;
        let mut bob = receiver(&place, &room, "bob", &alice).await;
        bob.by_udp(local).await;
        bob.connect().await;
        rooms.push((alice, bob));
    }
    for sequence in 1..=20 {
        for (alice, _) in &mut rooms {
            alice.rtp(&frame(sequence)).await;
        }
    }
    for (_, bob) in &mut rooms {
        bob.until(|client| client.media.len() == 20).await;
        assert!(
            bob.client
                .media
                .windows(2)
                .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
        );
    }
    let stats = place.relay.stats();
    assert_eq!((stats.rooms, stats.peers, stats.connected), (6, 12, 12));
    assert_eq!(stats.handover_dropped, 0);
    // Twelve sockets, each of which the kernel gives to one of three threads at random.
    assert!(stats.handed_over > 0);
}
