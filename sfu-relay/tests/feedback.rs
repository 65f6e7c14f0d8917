//! Loss, reports and requests: what is repeated, what is asked for, and what stays on its own leg.
//!
//! Requirements held here: RELY-14, RELY-15, RELY-16, RELY-62, RELY-72.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use common::offers::{DD, MID, OPUS, RID, VP8};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use relay_token::Source;
use sfu_relay::rtp::is_rtcp;
use sfu_relay::rtp::rtcp::{self, ReportBlock, Rtcp, SenderReport, Writer};

const MS: Duration = Duration::from_millis(1);
const CAMERA: u32 = 500;

const WITH_NACK: (&str, &str) = (
    "111",
    "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack\r\n",
);

fn frame(n: u16, key: bool) -> Rtp {
    Rtp {
        ssrc: CAMERA,
        sequence: 100 + n,
        timestamp: 3_000 * u32::from(n),
        payload_type: VP8,
        marker: true,
        extensions: vec![
            (MID, b"v".to_vec()),
            (DD, if key { key_descriptor(n) } else { descriptor(n) }),
        ],
        payload: n.to_be_bytes().to_vec(),
        padding: 0,
    }
}

/// Alice with a camera, and so many who watch it from its first key frame on.
fn watched(by: usize) -> (World, usize, Vec<usize>) {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(alice, Source::Camera);
    let watchers = (0..by)
        .map(|n| world.enter(&format!("p{n}"), &[Line::receive("0", false, &camera)]))
        .collect();
    world.rtp(alice, &frame(0, true));
    (world, alice, watchers)
}

fn said(world: &World, client: usize) -> Vec<Rtcp<'_>> {
    let control = world.clients[client].control.iter();
    control.flat_map(|compound| rtcp::parse(compound)).collect()
}

fn asked(world: &World, client: usize) -> Vec<u16> {
    let nacks = said(world, client).into_iter().filter_map(|packet| match packet {
        Rtcp::Nack { entries, .. } => Some(rtcp::nacked(entries)),
        _ => None,
    });
    nacks.flatten().collect()
}

fn nack(world: &mut World, client: usize, ssrc: u32, missing: impl IntoIterator<Item = u16>) {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).nack(1, ssrc, missing);
    world.rtcp(client, bytes);
}

/// Full intra requests (RFC 5104 section 4.3.1).
fn fir(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(&[1, 0, 0, 0]);
    bytes
}

#[test]
fn rely_14_requests_of_both_kinds_by_many_receivers_are_one_in_three_hundred_milliseconds() {
    let (mut world, alice, watchers) = watched(10);
    world.live(1_000 * MS);
    let before = world.stats().key_frame_requests;
    for round in 0..30_u32 {
        for watcher in &watchers {
            let ssrc = world.clients[*watcher].announced("0").0;
            let mut pli = Vec::new();
            Writer::new(&mut pli).pli(1, ssrc);
            world.rtcp(*watcher, if round % 2 == 0 { pli } else { fir(ssrc) });
        }
        world.live(33 * MS);
    }
    let requests = world.stats().key_frame_requests - before;
    assert!((3..=4).contains(&requests), "{requests} in a second of 300 wishes");
    let plis = said(&world, alice).into_iter();
    let plis = plis.filter(|packet| matches!(packet, Rtcp::Pli { media_ssrc } if *media_ssrc == CAMERA));
    assert_eq!(plis.count() as u64, world.stats().key_frame_requests);
}

#[test]
fn rely_15_history_is_bounded_the_oldest_is_forgotten_and_the_newest_repeated() {
    let (mut world, alice, watchers) = watched(1);
    let bob = watchers[0];
    for n in 1..700 {
        world.rtp(alice, &frame(n, false));
        world.pass(5 * MS); // at a pace that a line carries
    }
    let (ssrc, rtx) = world.clients[bob].announced("0");
    let sent: Vec<u16> = world.clients[bob].of(ssrc).iter().map(|p| p.sequence).collect();
    nack(&mut world, bob, ssrc, sent.iter().copied().take(150));
    assert_eq!(world.clients[bob].of(rtx.unwrap()).len(), 0);
    nack(&mut world, bob, ssrc, sent.iter().copied().skip(600));
    assert_eq!(world.clients[bob].of(rtx.unwrap()).len(), 100);
}

#[test]
fn pf_01_rely_15_whoever_asks_for_everything_all_the_time_gets_each_packet_once_in_a_while() {
    let (mut world, alice, watchers) = watched(2);
    for n in 1..300 {
        world.rtp(alice, &frame(n, false));
        world.pass(5 * MS); // at a pace that a line carries
    }
    let (ssrc, rtx) = world.clients[watchers[0]].announced("0");
    for _ in 0..50 {
        nack(&mut world, watchers[0], ssrc, 0..=u16::MAX);
    }
    assert!(
        world.clients[watchers[0]].of(rtx.unwrap()).len() <= 300,
        "within one moment"
    );
    let before = world.clients[watchers[1]].media.len();
    world.rtp(alice, &frame(300, false));
    assert_eq!(world.clients[watchers[1]].media.len(), before + 1);
}

#[test]
fn rely_62_lost_sound_is_asked_for_where_its_sender_agreed_to_repeat_it() {
    for agreed in [true, false] {
        let mut world = World::new();
        let mut line = Line::microphone("a", 900);
        if agreed {
            line.codecs = Some(WITH_NACK);
        }
        let alice = world.enter("alice", &[line]);
        let microphone = world.producer(alice, Source::Microphone);
        let bob = world.enter("bob", &[Line::receive("0", true, &microphone)]);
        let packet = |n: u16| Rtp {
            ssrc: 900,
            sequence: n,
            timestamp: u32::from(n) * 960,
            payload_type: OPUS,
            payload: n.to_be_bytes().to_vec(),
            ..Rtp::default()
        };
        for n in [1, 2, 3, 5, 6] {
            world.rtp(alice, &packet(n));
            world.live(20 * MS);
        }
        assert_eq!(asked(&world, alice).contains(&4), agreed);
        // It comes on its own stream: there is no other for sound.
        world.rtp(alice, &packet(4));
        let ssrc = world.clients[bob].announced("0").0;
        let mut got: Vec<u16> = world.clients[bob].of(ssrc).iter().map(|p| p.sequence).collect();
        got.sort_unstable();
        assert!(
            got.len() == 6 && got.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{got:?}"
        );
        let before = asked(&world, alice).len();
        world.live(500 * MS);
        assert_eq!(asked(&world, alice).len(), before, "it is there");
    }
}

/// Alice speaks, and Bob hears her on a line with NACK or without.
fn heard(agreed: bool) -> (World, usize, usize, u32) {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::microphone("a", 900)]);
    let microphone = world.producer(alice, Source::Microphone);
    let mut line = Line::receive("0", true, &microphone);
    if agreed {
        line.codecs = Some(WITH_NACK);
    }
    let bob = world.enter("bob", &[line]);
    let ssrc = world.clients[bob].announced("0").0;
    (world, alice, bob, ssrc)
}

fn spoken(n: u16) -> Rtp {
    Rtp {
        ssrc: 900,
        sequence: n,
        timestamp: u32::from(n) * 960,
        payload_type: OPUS,
        payload: vec![n as u8; 80],
        ..Rtp::default()
    }
}

#[test]
fn rely_15_sound_that_a_receiver_missed_comes_again_byte_for_byte_where_that_was_agreed() {
    for agreed in [true, false] {
        let (mut world, alice, bob, ssrc) = heard(agreed);
        let answer = world.clients[bob].answered("0");
        // A transport-wide number would be a new one for the same packet, under the same nonce.
        assert_eq!(answer.contains("a=rtcp-fb:111 nack"), agreed);
        assert_eq!(!answer.contains("transport-"), agreed);
        // The network keeps all that Bob is sent, and loses every fifth packet the first time.
        let wire = Rc::new(RefCell::new(Vec::<Vec<u8>>::new()));
        let (kept, mut count) = (wire.clone(), 0);
        world.network = Box::new(move |client, to_relay, datagram| {
            let media = client == bob && !to_relay && datagram[0] >= 128 && !is_rtcp(datagram);
            if media {
                count += 1;
                kept.borrow_mut().push(datagram.to_vec());
            }
            !media || count % 5 != 4
        });
        let mut asked_for: Vec<u16> = Vec::new();
        for n in 0..200 {
            world.rtp(alice, &spoken(n));
            world.live(20 * MS);
            let got: Vec<u16> = world.clients[bob].of(ssrc).iter().map(|p| p.sequence).collect();
            let newest = got.iter().copied().max().unwrap_or(0);
            let missing = |back: &u16| !got.contains(&newest.wrapping_sub(*back));
            let missed: Vec<u16> = (1..10).filter(missing).map(|back| newest.wrapping_sub(back)).collect();
            if n > 10 && !missed.is_empty() {
                asked_for.extend(&missed);
                nack(&mut world, bob, ssrc, missed);
            }
        }
        assert!(asked_for.len() > 20);
        let got: BTreeSet<u16> = world.clients[bob].of(ssrc).iter().map(|p| p.sequence).collect();
        let (first, last) = (*got.first().unwrap(), *got.last().unwrap());
        let holes = usize::from(last - first) + 1 - got.len();
        if !agreed {
            assert!(holes > 20, "{holes}");
            continue;
        }
        assert!(holes <= 3, "{holes} of those at either end");
        let mut by_number = BTreeMap::<[u8; 2], BTreeSet<Vec<u8>>>::new();
        for datagram in wire.borrow().iter() {
            by_number
                .entry([datagram[2], datagram[3]])
                .or_default()
                .insert(datagram.clone());
        }
        assert!(by_number.len() < wire.borrow().len(), "some went out more than once");
        assert!(
            by_number.values().all(|forms| forms.len() == 1),
            "and each time the same"
        );
    }
}

#[test]
fn rely_15_old_sound_is_not_repeated_nor_any_of_it_all_the_time() {
    let (mut world, alice, bob, ssrc) = heard(true);
    for n in 0..100 {
        world.rtp(alice, &spoken(n));
        world.live(20 * MS);
    }
    let sent: Vec<u16> = world.clients[bob].of(ssrc).iter().map(|p| p.sequence).collect();
    let before = world.stats().rtx_sent;
    nack(&mut world, bob, ssrc, sent.iter().copied().take(60));
    assert_eq!(world.stats().rtx_sent, before);
    world.network = Box::new(move |client, to_relay, _| client != bob || to_relay);
    for _ in 0..50 {
        nack(&mut world, bob, ssrc, 0..=u16::MAX);
    }
    assert!(
        (1..=32).contains(&(world.stats().rtx_sent - before)),
        "within one moment"
    );
}

#[test]
fn rely_62_a_receivers_losses_are_not_its_senders() {
    let (mut world, alice, watchers) = watched(1);
    for n in 1..60 {
        world.rtp(alice, &frame(n, false));
        let mut report = Vec::new();
        let ssrc = world.clients[watchers[0]].announced("0").0;
        let lossy = ReportBlock {
            ssrc,
            fraction_lost: 128,
            cumulative_lost: 1_000,
            ..ReportBlock::default()
        };
        Writer::new(&mut report).receiver_report(1, &[lossy]);
        world.rtcp(watchers[0], report);
        world.live(33 * MS);
    }
    let reports = said(&world, alice).into_iter().filter_map(|packet| match packet {
        Rtcp::Report(block) => Some((block.ssrc, block.fraction_lost, block.cumulative_lost)),
        _ => None,
    });
    let reports: Vec<_> = reports.collect();
    assert!(!reports.is_empty());
    assert!(reports.iter().all(|report| *report == (CAMERA, 0, 0)), "{reports:?}");
}

/// Sound has no transport-wide feedback, so that of somebody who is alone and shows no picture the reports are all that comes back.
#[test]
fn rely_49_whoever_is_alone_and_speaks_hears_the_relay_at_least_twice_a_second() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::microphone("a", 600)]);
    let mut heard = Vec::new();
    for n in 0..250 {
        let mut sound = spoken(n);
        sound.ssrc = 600;
        world.rtp(alice, &sound);
        world.live(20 * MS);
        let reports = said(&world, alice).into_iter();
        heard.push(
            reports
                .filter(|packet| matches!(packet, Rtcp::Report(block) if block.ssrc == 600))
                .count(),
        );
    }
    let longest = heard.chunk_by(|one, next| one == next).map(<[_]>::len).max();
    assert!(
        longest <= Some(31),
        "{longest:?} packets of 20 ms without a report: {heard:?}"
    );
}

#[test]
fn rely_16_redundant_sound_is_neither_agreed_to_nor_forwarded() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::microphone("a", 900)]);
    let microphone = world.producer(alice, Source::Microphone);
    let bob = world.enter("bob", &[Line::receive("0", true, &microphone)]);
    for client in [alice, bob] {
        assert!(!world.clients[client].answer.contains("red/"));
    }
    let unknown = world.stats().unknown_stream;
    let red = Rtp {
        ssrc: 900,
        sequence: 1,
        payload_type: 63,
        payload: vec![111, 1, 2, 3],
        ..Rtp::default()
    };
    world.rtp(alice, &red);
    assert!(world.clients[bob].media.is_empty());
    assert_eq!(world.stats().unknown_stream, unknown + 1);
}

#[test]
fn rely_62_a_receiver_that_is_gone_without_a_word_costs_the_others_nothing() {
    let (mut world, alice, watchers) = watched(3);
    let dead = watchers[1];
    world.network = Box::new(move |client, _, _| client != dead);
    for n in 1..400 {
        world.rtp(alice, &frame(n, false));
        world.live(33 * MS);
    }
    for watcher in [watchers[0], watchers[2]] {
        let ssrc = world.clients[watcher].announced("0").0;
        let got = world.clients[watcher].of(ssrc);
        assert_eq!(got.len(), 400);
        assert!(
            got.windows(2)
                .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
        );
    }
    // Nothing was sent to it any more after ten seconds.
    assert_eq!(world.stats().consumers, 2);
}

#[test]
fn rely_13_h264_layers_switch_at_a_key_frame_of_the_layer() {
    const H264: (&str, &str) = (
        "106",
        "a=rtpmap:106 H264/90000\r\na=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
         a=rtcp-fb:106 nack\r\na=rtcp-fb:106 nack pli\r\n",
    );
    let with = |mut line: Line| {
        line.codecs = Some(H264);
        line
    };
    let mut world = World::new();
    let alice = world.enter("alice", &[with(Line::simulcast("v"))]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[with(Line::receive("0", false, &camera))]);
    for n in 0..30_u16 {
        if n == 10 {
            world.wish(bob, &camera, Some(0), false);
        }
        for (layer, rid) in ["q", "h", "f"].into_iter().enumerate() {
            let mut packet = frame(n, n == 0 || n == 20);
            packet.ssrc = 2_000 + layer as u32;
            packet.payload_type = 106;
            packet.payload = vec![0x61, layer as u8, n as u8];
            packet.extensions.push((RID, rid.as_bytes().to_vec()));
            world.rtp(alice, &packet);
        }
        world.live(33 * MS);
    }
    let ssrc = world.clients[bob].announced("0").0;
    let got = world.clients[bob].of(ssrc);
    assert!(
        got.windows(2)
            .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
    );
    let switch = got.iter().position(|p| p.payload[1] == 0 && p.payload[2] > 0).unwrap();
    assert_eq!(got[switch].payload[2], 20);
    assert!(got[switch..].iter().all(|p| p.payload[1] == 0));
    assert!(got[3..switch].iter().all(|p| p.payload[1] == 2));
}

#[test]
fn pf_01_rely_72_whoever_asks_again_and_again_gets_no_more_than_its_share() {
    let (mut world, alice, watchers) = watched(1);
    let bob = watchers[0];
    for n in 1..500 {
        let mut packet = frame(n, false);
        packet.payload = vec![n as u8; 1_000];
        world.rtp(alice, &packet);
        world.live(5 * MS);
    }
    let (ssrc, rtx) = world.clients[bob].announced("0");
    let newest = world.clients[bob].of(ssrc).last().unwrap().sequence;
    let repeated = |world: &World| world.clients[bob].of(rtx.unwrap()).len();
    // Padding goes out on the same SSRC.
    let before = world.stats().rtx_sent;
    for _ in 0..80 {
        nack(&mut world, bob, ssrc, (0..400).map(|n| newest.wrapping_sub(n)));
        world.live(25 * MS);
    }
    // 80 times 400 were asked for; a megabit a second is 125 of these, for two seconds and one at once.
    let sent = world.stats().rtx_sent - before;
    assert!((200..=1_500).contains(&sent), "{sent}");
    assert!(repeated(&world) > 0 && world.stats().rtx_refused > 0);
    // Later there is something again.
    world.live(1_000 * MS);
    let before = world.stats().rtx_sent;
    nack(&mut world, bob, ssrc, [newest]);
    assert_eq!(world.stats().rtx_sent, before + 1);
}

#[test]
fn rely_72_a_senders_reports_go_on_once_in_a_while_however_many_there_are() {
    let (mut world, alice, watchers) = watched(2);
    let heard = |world: &World, client: usize| {
        let reports = said(world, client).into_iter();
        reports.filter(|packet| matches!(packet, Rtcp::SenderReport(_))).count()
    };
    let flood = |ntp: u64| {
        let mut bytes = Vec::new();
        for n in 0..40 {
            let report = SenderReport {
                ssrc: CAMERA,
                ntp: (ntp << 32) + n,
                rtp: 0,
                packets: 1,
                octets: 1,
            };
            Writer::new(&mut bytes).sender_report(&report);
        }
        bytes
    };
    world.rtcp(alice, flood(1));
    world.rtcp(alice, flood(1));
    assert_eq!((heard(&world, watchers[0]), heard(&world, watchers[1])), (1, 1));
    world.live(1_000 * MS);
    world.rtcp(alice, flood(2));
    assert_eq!((heard(&world, watchers[0]), heard(&world, watchers[1])), (2, 2));
}
