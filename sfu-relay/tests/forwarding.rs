//! What reaches whom, and under which numbers.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::offers::{MID, OPUS, RID, RRID, TWCC, VP8, VP8_RTX};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use relay_token::Source;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use sfu_relay::engine::Command;
use sfu_relay::rtp::rtcp::{self, Rtcp, SenderReport, Writer};
use sfu_relay::signal::message::ErrorCode;

const MS: Duration = Duration::from_millis(1);
const CAMERA: u32 = 500;

/// Frame `n` of a camera: one packet, 33 ms after the last one.
fn frame(ssrc: u32, n: u16, key: bool) -> Rtp {
    let dd = if key { key_descriptor(n) } else { descriptor(n) };
    Rtp {
        ssrc,
        sequence: 100 + n,
        timestamp: 90_000 + 3_000 * u32::from(n),
        payload_type: VP8,
        marker: true,
        extensions: vec![(MID, b"v".to_vec()), (common::offers::DD, dd), (12, vec![1])],
        payload: format!("frame {n} of {ssrc}").into_bytes(),
        padding: 0,
    }
}

/// Alice with a camera; Bob with a view of it, started by a key frame (frame 0).
fn two() -> (World, usize, usize, u32) {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    let ssrc = world.clients[bob].announced("0").0;
    world.rtp(alice, &frame(CAMERA, 0, true));
    (world, alice, bob, ssrc)
}

fn sequences(world: &World, client: usize, ssrc: u32) -> Vec<u16> {
    world.clients[client]
        .of(ssrc)
        .iter()
        .map(|packet| packet.sequence)
        .collect()
}

fn payloads(world: &World, client: usize, ssrc: u32) -> Vec<String> {
    world.clients[client]
        .of(ssrc)
        .iter()
        .map(|p| String::from_utf8_lossy(&p.payload).into_owned())
        .collect()
}

fn is_consecutive(sequences: &[u16]) -> bool {
    sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1))
}

fn plis(world: &World, client: usize) -> Vec<u32> {
    let control = world.clients[client]
        .control
        .iter()
        .flat_map(|compound| rtcp::parse(compound));
    control
        .filter_map(|packet| {
            if let Rtcp::Pli { media_ssrc } = packet {
                Some(media_ssrc)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn a_payload_arrives_byte_for_byte_with_only_the_negotiated_extension() {
    let (mut world, alice, bob, ssrc) = two();
    let mut packet = frame(CAMERA, 1, false);
    packet.payload = (0..=255).collect();
    world.rtp(alice, &packet);
    let got = world.clients[bob].of(ssrc);
    assert_eq!(got.len(), 2);
    assert_eq!(got[1].payload, packet.payload);
    assert_eq!(got[1].timestamp - got[0].timestamp, 3_000);
    assert!(got[1].marker);
    let named: Vec<u8> = got[1].extensions.iter().map(|(id, _)| *id).collect();
    assert_eq!(named, [TWCC, common::offers::DD], "mid and orientation stay behind");
    assert_eq!(got[1].extensions[1].1, descriptor(1));
}

#[test]
fn each_leg_has_its_own_payload_types_and_extension_ids() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(alice, Source::Camera);
    let mut line = Line::receive("0", false, &camera);
    line.codecs = Some((
        "120 121 126",
        "a=rtpmap:126 H264/90000\r\na=rtpmap:120 VP8/90000\r\na=rtcp-fb:120 nack\r\na=rtpmap:121 rtx/90000\r\n\
         a=fmtp:121 apt=120\r\n",
    ));
    line.descriptor_id = 7;
    let bob = world.enter("bob", &[line]);
    world.rtp(alice, &frame(CAMERA, 0, true));
    let got = &world.clients[bob].media[0];
    assert_eq!(got.payload_type, 120);
    assert_eq!(got.extensions, vec![(7, key_descriptor(0))]);
    assert!(
        !world.clients[bob].answered("0").contains("H264"),
        "only what the producer may send is answered"
    );
}

#[test]
fn audio_flows_at_once_and_goes_to_all_but_its_sender() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::microphone("a", 900)]);
    let microphone = world.producer(alice, Source::Microphone);
    let others: Vec<usize> = (0..3)
        .map(|n| world.enter(&format!("p{n}"), &[Line::receive("0", true, &microphone)]))
        .collect();
    for n in 0..10 {
        let packet = Rtp {
            ssrc: 900,
            sequence: 65_530u16.wrapping_add(n),
            timestamp: u32::from(n) * 960,
            payload_type: OPUS,
            payload: vec![n as u8; 40],
            ..Rtp::default()
        };
        world.rtp(alice, &packet);
    }
    for other in others {
        let ssrc = world.clients[other].announced("0").0;
        assert_eq!(world.clients[other].of(ssrc).len(), 10);
        assert!(is_consecutive(&sequences(&world, other, ssrc)));
    }
    assert!(world.clients[alice].media.is_empty());
}

#[test]
fn the_older_protection_profile_works_too() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.clients[alice].profile = SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80;
    world.offer(alice, &[Line::camera("v", CAMERA)]);
    world.connect(alice);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.rtp(alice, &frame(CAMERA, 0, true));
    assert_eq!(world.clients[bob].media.len(), 1);
}

#[test]
fn video_starts_with_a_key_frame_and_never_before() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(alice, Source::Camera);
    for n in 0..3 {
        world.rtp(alice, &frame(CAMERA, n, n == 0));
        world.pass(400 * MS);
    }
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.rtp(alice, &frame(CAMERA, 3, false));
    assert!(
        world.clients[bob].media.is_empty(),
        "a delta frame is of no use to a newcomer"
    );
    assert_eq!(
        plis(&world, alice),
        vec![CAMERA],
        "the sender is asked as soon as the newcomer is connected"
    );
    world.rtp(alice, &frame(CAMERA, 4, true));
    assert_eq!(
        payloads(&world, bob, world.clients[bob].announced("0").0),
        ["frame 4 of 500"]
    );
}

#[test]
fn a_newcomer_right_after_a_key_frame_starts_from_history() {
    let (mut world, alice, _, _) = two();
    world.rtp(alice, &frame(CAMERA, 1, false));
    let camera = world.producer(alice, Source::Camera);
    let carol = world.enter("carol", &[Line::receive("0", false, &camera)]);
    let ssrc = world.clients[carol].announced("0").0;
    assert_eq!(payloads(&world, carol, ssrc), ["frame 0 of 500", "frame 1 of 500"]);
    assert!(is_consecutive(&sequences(&world, carol, ssrc)));
}

#[test]
fn pf_35_a_burst_of_joins_makes_one_key_frame_request() {
    let (mut world, alice, _, _) = two();
    world.pass(1_000 * MS);
    let before = plis(&world, alice).len();
    let camera = world.producer(alice, Source::Camera);
    for n in 0..20 {
        world.enter(&format!("p{n}"), &[Line::receive("0", false, &camera)]);
        world.pass(5 * MS);
    }
    assert_eq!(plis(&world, alice).len(), before + 1);
    world.rtp(alice, &frame(CAMERA, 9, true));
    world.pass(2_000 * MS);
    assert_eq!(plis(&world, alice).len(), before + 1, "one key frame serves them all");
    assert!(world.clients[2..].iter().all(|client| client.media.len() == 1));
}

#[test]
fn an_unanswered_request_is_repeated_until_a_key_frame_shows_up() {
    let (mut world, alice, bob, ssrc) = two();
    let mut pli = Vec::new();
    Writer::new(&mut pli).pli(1, ssrc);
    world.rtcp(bob, pli);
    world.live(1_000 * MS);
    let repeated = plis(&world, alice).len();
    assert!((3..=5).contains(&repeated), "{repeated}");
    world.rtp(alice, &frame(CAMERA, 1, true));
    world.live(3_000 * MS);
    assert_eq!(plis(&world, alice).len(), repeated);
}

#[test]
fn a_frame_sealed_twice_over_would_be_forwarded_the_same_whatever_its_payload_says() {
    let numbers = |payload: &dyn Fn(u16) -> Vec<u8>| {
        let (mut world, alice, bob, ssrc) = two();
        for n in 1..30 {
            let mut packet = frame(CAMERA, n, n % 7 == 0);
            packet.payload = payload(n);
            world.rtp(alice, &packet);
            world.pass(33 * MS);
        }
        let got = world.clients[bob].of(ssrc);
        let first = got[0].sequence;
        let got: Vec<_> = got
            .iter()
            .map(|p| (p.sequence.wrapping_sub(first), p.timestamp, p.marker))
            .collect();
        (got, plis(&world, alice).len())
    };
    let zeros = numbers(&|_| vec![0; 30]);
    assert_eq!(zeros, numbers(&|n| vec![0xFF ^ n as u8; 30]));
    assert_eq!(zeros, numbers(&|n| vec![0x10, 0, 0, 0x9D, 0x01, 0x2A, n as u8]));
}

#[test]
fn without_a_descriptor_the_senders_word_tells_key_frames() {
    for word_first in [true, false] {
        let mut world = World::new();
        let alice = world.enter("alice", &[Line::camera("v", CAMERA).without_descriptor()]);
        let camera = world.producer(alice, Source::Camera);
        let bob = world.enter("bob", &[Line::receive("0", false, &camera).without_descriptor()]);
        let strip = |mut packet: Rtp| {
            packet.extensions.truncate(1);
            packet
        };
        let session = world.clients[alice].session;
        let word = Command::KeyFrameSent {
            session,
            producer: camera,
            ssrc: CAMERA,
            rtp_timestamp: 90_000 + 3_000 * 2,
        };
        // Frame 2 is the key frame and has two packets.
        let mut first = strip(frame(CAMERA, 2, false));
        first.marker = false;
        let mut second = strip(frame(CAMERA, 3, false));
        second.timestamp = first.timestamp;
        let later = strip(frame(CAMERA, 4, false));
        world.rtp(alice, &strip(frame(CAMERA, 1, false)));
        if word_first {
            world.command(word);
            for packet in [&first, &second, &later] {
                world.rtp(alice, packet);
            }
        } else {
            for packet in [&first, &second, &later] {
                world.rtp(alice, packet);
            }
            assert!(world.clients[bob].media.is_empty());
            world.command(word);
        }
        let ssrc = world.clients[bob].announced("0").0;
        assert_eq!(
            payloads(&world, bob, ssrc),
            ["frame 2 of 500", "frame 3 of 500", "frame 4 of 500"],
            "{word_first}"
        );
        assert!(is_consecutive(&sequences(&world, bob, ssrc)));
    }
}

#[test]
fn a_key_frame_behind_a_wide_gap_starts_a_view_whose_numbers_go_on() {
    for gap in [1, 15, 16, 17, 40] {
        let mut world = World::new();
        let alice = world.enter("alice", &[Line::camera("v", CAMERA).without_descriptor()]);
        let camera = world.producer(alice, Source::Camera);
        let bob = world.enter("bob", &[Line::receive("0", false, &camera).without_descriptor()]);
        let ssrc = world.clients[bob].announced("0").0;
        let plain = |n: u16| {
            let mut packet = frame(CAMERA, n, false);
            packet.extensions.truncate(1);
            packet
        };
        world.rtp(alice, &plain(1));
        let key = 2 + gap;
        world.rtp(alice, &plain(key));
        world.command(Command::KeyFrameSent {
            session: world.clients[alice].session,
            producer: camera,
            ssrc: CAMERA,
            rtp_timestamp: 90_000 + 3_000 * u32::from(key),
        });
        for n in key + 1..key + 4 {
            world.rtp(alice, &plain(n));
        }
        let expected: Vec<String> = (key..key + 4).map(|n| format!("frame {n} of 500")).collect();
        assert_eq!(payloads(&world, bob, ssrc), expected, "a gap of {gap}");
        assert!(is_consecutive(&sequences(&world, bob, ssrc)), "a gap of {gap}");
    }
}

#[test]
fn where_nothing_tells_key_frames_the_stream_starts_after_a_second_as_it_is() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA).without_descriptor()]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    for n in 0..40 {
        let mut packet = frame(CAMERA, n, false);
        packet.extensions.truncate(1);
        world.rtp(alice, &packet);
        world.pass(33 * MS);
    }
    let got = world.clients[bob].media.len();
    assert!((5..15).contains(&got), "{got}");
}

fn layer(rid: &str, base: u16, n: u16, key: bool) -> Rtp {
    let ssrc = 1_000 + u32::from(rid.as_bytes()[0]);
    let mut packet = frame(ssrc, n, key);
    packet.sequence = packet.sequence.wrapping_add(base);
    packet.timestamp = packet.timestamp.wrapping_add(u32::from(base).wrapping_mul(1_000_003));
    packet.extensions.push((RID, rid.as_bytes().to_vec()));
    packet
}

#[test]
fn a_layer_switch_waits_for_a_key_frame_and_leaves_no_seam() {
    for with_reports in [false, true] {
        let mut world = World::new();
        let alice = world.enter("alice", &[Line::simulcast("v")]);
        let camera = world.producer(alice, Source::Camera);
        let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
        let ssrc = world.clients[bob].announced("0").0;
        for n in 0..40u16 {
            if n == 15 {
                world.wish(bob, &camera, Some(0), false);
            }
            let key = n == 0 || n == 20;
            for (i, rid) in ["q", "h", "f"].into_iter().enumerate() {
                let packet = layer(rid, i as u16 * 5_000, n, key);
                if with_reports && n % 10 == 5 {
                    let ntp = (1_000 << 32) + u64::from(n) * (1 << 32) / 30;
                    let report = SenderReport {
                        ssrc: packet.ssrc,
                        ntp,
                        rtp: packet.timestamp,
                        packets: 1,
                        octets: 1,
                    };
                    let mut bytes = Vec::new();
                    Writer::new(&mut bytes).sender_report(&report);
                    world.rtcp(alice, bytes);
                }
                world.rtp(alice, &packet);
            }
            world.pass(if n % 2 == 0 { 30 * MS } else { 35 * MS });
        }
        // At frame 0 the layers come up one after the other.
        let all = world.clients[bob].of(ssrc);
        assert_eq!(all[0].payload, b"frame 0 of 1113");
        let got = &all[2..];
        let from: Vec<&str> = got.iter().map(|p| std::str::from_utf8(&p.payload).unwrap()).collect();
        assert_eq!(
            from[0],
            format!("frame 0 of {}", 1_000 + u32::from(b'f')),
            "highest first"
        );
        let switch = from
            .iter()
            .position(|payload| payload.ends_with(&(1_000 + u32::from(b'q')).to_string()))
            .unwrap();
        assert_eq!(
            from[switch],
            format!("frame 20 of {}", 1_000 + u32::from(b'q')),
            "switched at the key frame"
        );
        assert!(
            from[switch..].iter().all(|payload| payload.ends_with("1113")),
            "{from:?}"
        );
        assert!(is_consecutive(&sequences(&world, bob, ssrc)));
        for pair in got.windows(2) {
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            let exact = if with_reports { 2_999..=3_001 } else { 2_000..=4_500 };
            assert!(exact.contains(&step), "{step} with reports: {with_reports}");
        }
        assert!(
            plis(&world, alice).contains(&(1_000 + u32::from(b'q'))),
            "the lower layer was asked for a key frame"
        );
    }
}

#[test]
fn a_layer_that_falls_asleep_is_left_for_one_that_is_awake() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::simulcast("v")]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    for n in 0..10 {
        world.rtp(alice, &layer("q", 0, n, n == 0));
        world.rtp(alice, &layer("f", 9, n, n == 0));
        world.pass(33 * MS);
    }
    for n in 10..60 {
        world.rtp(alice, &layer("q", 0, n, n == 50));
        world.pass(33 * MS);
    }
    let ssrc = world.clients[bob].announced("0").0;
    let got = payloads(&world, bob, ssrc);
    assert_eq!(
        got[..3],
        ["frame 0 of 1113", "frame 0 of 1102", "frame 1 of 1102"],
        "the highest as soon as it is there"
    );
    assert_eq!(got[10..13], ["frame 9 of 1102", "frame 50 of 1113", "frame 51 of 1113"]);
    assert!(is_consecutive(&sequences(&world, bob, ssrc)));
}

#[test]
fn a_nack_is_answered_by_rtx_with_the_original_number_and_payload() {
    let (mut world, alice, bob, ssrc) = two();
    for n in 1..10 {
        world.rtp(alice, &frame(CAMERA, n, false));
    }
    let rtx_ssrc = world.clients[bob].announced("0").1.unwrap();
    let lost = world.clients[bob].of(ssrc)[4].clone();
    let mut nack = Vec::new();
    Writer::new(&mut nack).nack(
        1,
        ssrc,
        [
            lost.sequence,
            lost.sequence.wrapping_add(2),
            lost.sequence.wrapping_add(500),
        ],
    );
    world.rtcp(bob, nack.clone());
    let repeated = world.clients[bob].of(rtx_ssrc);
    assert_eq!(repeated.len(), 2, "what was never sent cannot be repeated");
    assert_eq!(repeated[0].payload_type, VP8_RTX);
    assert_eq!(repeated[0].payload[..2], lost.sequence.to_be_bytes());
    assert_eq!(repeated[0].payload[2..], lost.payload);
    assert_eq!(
        (repeated[0].timestamp, repeated[0].marker),
        (lost.timestamp, lost.marker)
    );
    world.rtcp(bob, nack);
    assert_eq!(
        world.clients[bob].of(rtx_ssrc).len(),
        2,
        "asking twice in a moment does not double the traffic"
    );
    assert_eq!(
        world.clients[bob].of(ssrc).len(),
        10,
        "nothing is repeated on the stream's own SSRC"
    );
}

#[test]
fn a_packet_lost_on_the_way_in_is_asked_for_and_forwarded_late() {
    let (mut world, alice, bob, ssrc) = two();
    for n in [1, 2, 4, 5] {
        world.rtp(alice, &frame(CAMERA, n, false));
    }
    world.pass(40 * MS);
    let asked: Vec<u16> = world.clients[alice]
        .control
        .iter()
        .flat_map(|compound| rtcp::parse(compound))
        .filter_map(|packet| {
            if let Rtcp::Nack { entries, .. } = packet {
                Some(rtcp::nacked(entries))
            } else {
                None
            }
        })
        .flatten()
        .collect();
    assert_eq!(asked, [103]);
    let lost = frame(CAMERA, 3, false);
    let mut rtx = lost.clone();
    rtx.ssrc = CAMERA + 1;
    rtx.payload_type = VP8_RTX;
    rtx.sequence = 7;
    rtx.payload = [&lost.sequence.to_be_bytes()[..], &lost.payload].concat();
    world.rtp(alice, &rtx);
    let mut got = sequences(&world, bob, ssrc);
    assert_eq!(payloads(&world, bob, ssrc).last().unwrap(), "frame 3 of 500");
    got.sort_unstable();
    assert!(is_consecutive(&got));
    world.rtp(alice, &Rtp { sequence: 8, ..rtx });
    assert_eq!(world.clients[bob].of(ssrc).len(), 6, "a second copy is not forwarded");
    world.pass(500 * MS);
    assert_eq!(world.stats().nacks_sent, 1);
}

#[test]
fn pf_33_padding_is_stripped_and_packets_of_padding_leave_no_gap() {
    let (mut world, alice, bob, ssrc) = two();
    let mut padded = frame(CAMERA, 1, false);
    padded.padding = 13;
    world.rtp(alice, &padded);
    let mut only = frame(CAMERA, 2, false);
    only.payload.clear();
    only.padding = 255;
    world.rtp(alice, &only);
    world.rtp(alice, &frame(CAMERA, 4, false)); // overtakes
    world.rtp(alice, &frame(CAMERA, 3, false));
    let mut got = sequences(&world, bob, ssrc);
    assert_eq!(
        payloads(&world, bob, ssrc)[1..],
        ["frame 1 of 500", "frame 4 of 500", "frame 3 of 500"]
    );
    got.sort_unstable();
    assert!(is_consecutive(&got), "{got:?}");
    assert_eq!(got.len(), 4);
}

#[test]
fn rtx_of_simulcast_layers_is_recognised_by_its_repaired_rid() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::simulcast("v")]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.rtp(alice, &layer("f", 0, 0, true));
    world.rtp(alice, &layer("f", 0, 2, false));
    let lost = layer("f", 0, 1, false);
    let mut rtx = lost.clone();
    rtx.ssrc = 77_777;
    rtx.payload_type = VP8_RTX;
    rtx.extensions.retain(|(id, _)| *id != RID);
    rtx.extensions.push((RRID, b"f".to_vec()));
    rtx.payload = [&lost.sequence.to_be_bytes()[..], &lost.payload].concat();
    world.rtp(alice, &rtx);
    let ssrc = world.clients[bob].announced("0").0;
    assert_eq!(payloads(&world, bob, ssrc).last().unwrap(), "frame 1 of 1102");
}

#[test]
fn a_senders_report_reaches_consumers_in_their_numbers() {
    let (mut world, alice, bob, ssrc) = two();
    world.rtp(alice, &frame(CAMERA, 1, false));
    let report = SenderReport {
        ssrc: CAMERA,
        ntp: 42 << 32,
        rtp: 91_000,
        packets: 999,
        octets: 99_999,
    };
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).sender_report(&report);
    world.rtcp(alice, bytes);
    let got = world.clients[bob]
        .control
        .iter()
        .flat_map(|compound| rtcp::parse(compound))
        .find_map(|packet| {
            if let Rtcp::SenderReport(report) = packet {
                Some(report)
            } else {
                None
            }
        });
    let packets = world.clients[bob].of(ssrc);
    let octets = packets.iter().map(|p| p.payload.len() as u32).sum();
    let offset = packets[0].timestamp.wrapping_sub(90_000);
    let expected = SenderReport {
        ssrc,
        ntp: 42 << 32,
        rtp: 91_000u32.wrapping_add(offset),
        packets: 2,
        octets,
    };
    assert_eq!(got, Some(expected));
}

#[test]
fn senders_get_reports_and_transport_wide_feedback() {
    let (mut world, alice, ..) = two();
    for n in 1..50u16 {
        let mut packet = frame(CAMERA, n, false);
        packet.extensions.push((TWCC, n.to_be_bytes().to_vec()));
        world.rtp(alice, &packet);
        world.live(33 * MS);
    }
    let control = &world.clients[alice].control;
    let report = control
        .iter()
        .flat_map(|compound| rtcp::parse(compound))
        .filter_map(|packet| {
            if let Rtcp::Report(block) = packet {
                Some(block)
            } else {
                None
            }
        });
    let report = report.last().unwrap();
    assert_eq!(
        (report.ssrc, report.cumulative_lost, report.fraction_lost),
        (CAMERA, 0, 0)
    );
    let feedback = control.iter().filter(|bytes| bytes[..2] == [0x80 | 15, 205]).count();
    assert!((20..=40).contains(&feedback), "{feedback}");
}

#[test]
fn a_paused_view_gets_nothing_and_resumes_with_a_key_frame_without_a_seam() {
    let (mut world, alice, bob, ssrc) = two();
    let camera = world.producer(alice, Source::Camera);
    world.wish(bob, &camera, None, true);
    for n in 1..20 {
        world.rtp(alice, &frame(CAMERA, n, false));
        world.pass(33 * MS);
    }
    assert_eq!(world.clients[bob].of(ssrc).len(), 1);
    let before = plis(&world, alice).len();
    world.wish(bob, &camera, None, false);
    assert_eq!(plis(&world, alice).len(), before + 1);
    world.rtp(alice, &frame(CAMERA, 20, true));
    world.rtp(alice, &frame(CAMERA, 21, false));
    assert_eq!(payloads(&world, bob, ssrc)[1..], ["frame 20 of 500", "frame 21 of 500"]);
    assert!(is_consecutive(&sequences(&world, bob, ssrc)));
}

#[test]
fn a_sender_that_pauses_its_own_producer_reaches_nobody() {
    let (mut world, alice, bob, ssrc) = two();
    let (camera, session) = (world.producer(alice, Source::Camera), world.clients[alice].session);
    world.command(Command::Pause {
        session,
        producer: camera,
        paused: true,
    });
    world.rtp(alice, &frame(CAMERA, 1, true));
    assert_eq!(world.clients[bob].of(ssrc).len(), 1);
}

#[test]
fn nobody_pauses_what_is_somebody_elses() {
    let (mut world, alice, bob, ssrc) = two();
    let (producer, session) = (world.producer(alice, Source::Camera), world.clients[bob].session);
    world.command(Command::Pause {
        session,
        producer,
        paused: true,
    });
    assert_eq!(world.errors(bob), [ErrorCode::NotAllowed]);
    world.rtp(alice, &frame(CAMERA, 1, false));
    assert_eq!(world.clients[bob].of(ssrc).len(), 2);
}

#[test]
fn a_sender_may_ask_for_a_key_frame_of_its_own_encoder() {
    let (mut world, alice, ..) = two();
    world.pass(1_000 * MS);
    let before = plis(&world, alice).len();
    let (producer, session) = (world.producer(alice, Source::Camera), world.clients[alice].session);
    for _ in 0..5 {
        world.command(Command::RequestKeyFrame {
            session,
            producer: producer.clone(),
        });
    }
    assert_eq!(plis(&world, alice).len(), before + 1);
}
