//! Receivers with narrow lines: what they get, what they are told, and that nobody else notices.
#![allow(clippy::unwrap_used)]

mod common;
mod stage;

use std::time::Duration;

use common::offers::{TWCC, VP8_RTX};
use emulator::{Capacity, Profile};
use sfu_relay::rtp::rtcp::Writer;
use sfu_relay::rtp::twcc::Recorder;
use stage::{S, Stage, steps};

#[test]
fn rely_24_a_narrowed_receiver_falls_to_a_lower_layer_and_comes_back_and_nobody_else_notices() {
    let mut stage = Stage::new();
    let wide = stage.receiver("wide", Capacity::Steady(10_000_000));
    let narrow = stage.receiver("narrow", steps(&[(0, 4_000), (12, 800), (24, 4_000)]));
    stage.run(12 * S);
    let (layers, _) = stage.got(narrow);
    assert!(layers[2] > 500, "the best layer within some seconds: {layers:?}");
    stage.got(wide);
    stage.run(4 * S);
    stage.got(narrow);
    stage.run(8 * S);
    let (layers, voices) = stage.got(narrow);
    assert!(layers[2] == 0 && layers[1] + layers[0] > 200, "{layers:?}");
    assert!(voices >= 395, "no voice is lost: {voices}");
    stage.run(22 * S);
    stage.got(narrow);
    stage.run(4 * S);
    let (layers, _) = stage.got(narrow);
    assert!(layers[2] > 500 && layers[1] == 0, "back: {layers:?}");
    let (layers, voices) = stage.got(wide);
    assert_eq!((layers[0], layers[1]), (0, 0));
    assert!(layers[2] > 8_000 && voices > 1_890, "{layers:?} {voices}");
    assert!(stage.told(wide).is_empty() && stage.told(narrow).is_empty());
}

impl Stage {
    /// The receiver goes over to another network: another address, another line.
    fn moves(&mut self, receiver: usize, address: &str, capacity: Capacity) {
        self.world.clients[receiver].address = address.parse().unwrap();
        let profile = Profile {
            capacity,
            queue: 30_000,
            ..Profile::default()
        };
        self.world
            .lines
            .insert(receiver, emulator::Line::new(profile, 77, self.world.now));
        let check = self.world.clients[receiver].check(true);
        self.world.send_datagram(receiver, check);
        // An empty report: media and control prove where a client is (RELY-40).
        self.world.rtcp(receiver, vec![0x80, 201, 0, 1, 0, 0, 0, 9]);
    }
}

#[test]
fn rely_26_a_receiver_that_moves_to_a_narrow_network_gets_no_more_than_that_from_the_first_second_on() {
    let mut stage = Stage::new();
    let bob = stage.receiver("bob", Capacity::Steady(10_000_000));
    stage.run(10 * S);
    let (layers, _) = stage.got(bob);
    assert!(layers[2] > 400, "{layers:?}");
    stage.moves(bob, "198.51.100.9:40000", Capacity::Steady(500_000));
    assert_eq!(stage.world.stats().moves, 1);
    stage.run(S);
    stage.got(bob);
    let dropped = stage.world.lines[&bob].tally.dropped;
    stage.run(6 * S);
    let (layers, voices) = stage.got(bob);
    assert!(layers[2] == 0 && layers[0] > 80, "{layers:?}");
    assert!(voices >= 299, "{voices} of 300");
    assert_eq!(
        stage.world.lines[&bob].tally.dropped, dropped,
        "the queue never overflowed"
    );
    // And back: what the narrow one carried is no bound for the wide one.
    stage.moves(bob, "127.0.0.1:6999", Capacity::Steady(10_000_000));
    assert_eq!(stage.world.stats().moves, 2);
    stage.run(4 * S);
    stage.got(bob);
    stage.run(2 * S);
    let (layers, _) = stage.got(bob);
    assert!(layers[2] > 250 && layers[0] + layers[1] == 0, "{layers:?}");
}

#[test]
fn rely_26_an_ice_restart_that_finds_the_same_way_loses_nothing_of_what_is_known_of_it() {
    let mut stage = Stage::new();
    let bob = stage.receiver("bob", Capacity::Steady(10_000_000));
    stage.run(10 * S);
    stage.got(bob);
    let lines = stage.world.clients[bob].lines.clone();
    stage.world.clients[bob].ufrag.push_str("again");
    stage.world.offer(bob, &lines);
    let check = stage.world.clients[bob].check(true);
    stage.world.send_datagram(bob, check);
    stage.run(3 * S);
    let (layers, _) = stage.got(bob);
    assert_eq!(stage.world.stats().moves, 0);
    assert!(layers[2] > 400 && layers[0] + layers[1] == 0, "{layers:?}");
    // Now it finds another one.
    stage.world.clients[bob].ufrag.push_str("andagain");
    stage.world.offer(bob, &lines);
    stage.moves(bob, "198.51.100.9:40000", Capacity::Steady(10_000_000));
    assert_eq!(stage.world.stats().moves, 1);
}

#[test]
fn rely_61_a_receiver_with_room_for_the_layer_in_between_gets_it_though_nobody_wished_for_it() {
    let mut stage = Stage::new();
    let narrow = stage.receiver("narrow", Capacity::Steady(900_000));
    stage.run(20 * S);
    stage.got(narrow);
    stage.run(10 * S);
    let (layers, voices) = stage.got(narrow);
    assert!(layers[1] > 400 && layers[2] == 0, "{layers:?}");
    assert!(voices >= 490, "{voices}");
}

#[test]
fn rely_25_where_video_has_no_room_sound_goes_on_and_the_client_is_told_of_each_change() {
    let mut stage = Stage::new();
    let narrow = stage.receiver("narrow", steps(&[(0, 3_000), (10, 110), (30, 3_000)]));
    stage.run(10 * S);
    stage.got(narrow);
    stage.run(6 * S);
    assert_eq!(stage.told(narrow).last(), Some(&vec![stage.camera.clone()]));
    assert_eq!(stage.world.stats().starved, 1);
    stage.got(narrow);
    stage.run(14 * S);
    let (layers, voices) = stage.got(narrow);
    assert_eq!(layers, [0; 3]);
    assert!(voices >= 690, "{voices} of 700");
    stage.run(20 * S);
    assert_eq!(stage.told(narrow).last(), Some(&Vec::new()));
    let (layers, _) = stage.got(narrow);
    assert!(layers.iter().sum::<usize>() > 100, "{layers:?}");
}

/// Sound that is repeated where it gets lost has no transport-wide numbers (RELY-15): where only sound flows, nothing is reported on.
#[test]
fn rely_25_video_that_had_no_room_comes_back_though_of_the_sound_alone_nothing_is_reported() {
    for (jitter, seed) in [0, 30]
        .into_iter()
        .flat_map(|jitter| (0..8).map(move |seed| (jitter, seed)))
    {
        let mut stage = Stage::new();
        let narrow = stage.receiver_of_unreported_sound(jitter, seed);
        stage.run(38 * S);
        assert_eq!(
            stage.told(narrow).last(),
            Some(&vec![stage.camera.clone()]),
            "{jitter}, {seed}"
        );
        stage.run(12 * S);
        assert_eq!(
            stage.told(narrow).last(),
            Some(&Vec::new()),
            "something within ten seconds; {jitter}, {seed}"
        );
        stage.run(10 * S);
        stage.got(narrow);
        stage.run(10 * S);
        let (layers, voices) = stage.got(narrow);
        assert!(
            layers[2] > 100,
            "the best layer within thirty seconds: {layers:?}; {jitter}, {seed}"
        );
        assert!(voices >= 480, "{voices} of 500; {jitter}, {seed}");
    }
}

/// As where a machine does not keep up: not much perhaps, but pictures, on most of so many lines and most of the time.
#[test]
fn rely_25_video_comes_back_though_each_packet_is_late_by_up_to_a_hundred_milliseconds() {
    let mut pictures = Vec::new();
    for seed in 0..8 {
        let mut stage = Stage::new();
        let narrow = stage.receiver_of_unreported_sound(100, seed);
        stage.run(50 * S);
        stage.got(narrow);
        stage.run(20 * S);
        pictures.push(stage.got(narrow).0.iter().sum::<usize>());
    }
    assert!(
        pictures.iter().filter(|count| **count > 200).count() >= 6,
        "{pictures:?}"
    );
}

#[test]
fn rely_21_all_streams_of_a_leg_share_one_row_of_transport_wide_numbers() {
    let mut stage = Stage::new();
    let bob = stage.receiver("bob", Capacity::Steady(50_000_000));
    stage.run(2 * S);
    let numbers: Vec<u16> = stage.world.clients[bob]
        .media
        .iter()
        .filter_map(|packet| packet.extensions.iter().find(|(id, _)| *id == TWCC))
        .map(|(_, value)| u16::from_be_bytes([value[0], value[1]]))
        .collect();
    assert_eq!(numbers.len(), stage.world.clients[bob].media.len());
    assert!(numbers.len() > 300);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
}

#[test]
fn rely_23_padding_goes_out_on_the_ssrc_of_retransmissions_under_numbers_of_its_own() {
    let mut stage = Stage::new();
    let bob = stage.receiver("bob", Capacity::Steady(2_000_000));
    stage.run(5 * S);
    let client = &stage.world.clients[bob];
    let (media, rtx) = client.announced("0");
    let again = client.of(rtx.unwrap());
    assert!(stage.world.stats().padding_sent > 10);
    assert!(again.len() > 10, "{}", again.len());
    assert!(again.iter().all(|packet| packet.payload_type == VP8_RTX));
    assert!(
        again
            .windows(2)
            .all(|pair| (1..100).contains(&pair[1].sequence.wrapping_sub(pair[0].sequence))),
        "in ascending order, each once; what the line lost is missing"
    );
    let originals = client.of(media);
    let mut same = 0;
    for packet in again.iter().filter(|packet| !packet.payload.is_empty()) {
        // RFC 4588: the original number, then the original payload, sent before.
        let original = u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
        // The line may have lost it.
        if let Some(original) = originals.iter().find(|other| other.sequence == original) {
            assert_eq!(packet.payload[2..], original.payload[..]);
            same += 1;
        }
    }
    assert!(same > 10, "{same}");
}

#[test]
fn rely_21_a_spoilt_report_is_counted_and_changes_nothing() {
    let mut stage = Stage::new();
    let bob = stage.receiver("bob", Capacity::Steady(3_000_000));
    stage.run(3 * S);
    let before = stage.world.stats();
    // Of packets that were never sent.
    let mut recorder = Recorder::new(stage.world.now);
    recorder.arrived(20_000, stage.world.now);
    let mut never = Vec::new();
    Writer::new(&mut never).transport_cc(1, 2, &recorder.feedback().unwrap());
    stage.world.rtcp(bob, never.clone());
    // A run of nothing, a run beyond the end, a cut one.
    for (count, chunk) in [(1_u16, 0x2000_u16), (3, 0x2004), (9, 0x2009)] {
        let mut spoilt = never[..12].to_vec();
        spoilt.extend(1_u16.to_be_bytes());
        spoilt.extend(count.to_be_bytes());
        spoilt.extend([0, 0, 1, 0]);
        spoilt.extend(chunk.to_be_bytes());
        spoilt.extend([1, 0]);
        let words = (spoilt.len() / 4 - 1) as u16;
        spoilt[2..4].copy_from_slice(&words.to_be_bytes());
        stage.world.rtcp(bob, spoilt);
    }
    let after = stage.world.stats();
    assert_eq!(after.reports_refused - before.reports_refused, 4);
    assert_eq!(after.reports, before.reports);
    // The same good report twice says nothing new.
    stage.run(Duration::from_millis(40));
    if let Some(report) = stage.world.clients[bob].report() {
        stage.world.rtcp(bob, report.clone());
        stage.world.rtcp(bob, report);
        assert_eq!(stage.world.stats().reports_stale - before.reports_stale, 1);
    }
    stage.run(9 * S);
    stage.got(bob);
    stage.run(2 * S);
    assert!(stage.got(bob).0[2] > 200, "the next good ones work");
}

#[test]
fn rely_22_a_report_from_whoever_negotiated_none_is_refused() {
    let mut stage = Stage::new();
    let alice = stage.alice;
    let mut recorder = Recorder::new(stage.world.now);
    recorder.arrived(1, stage.world.now);
    let mut report = Vec::new();
    Writer::new(&mut report).transport_cc(1, 2, &recorder.feedback().unwrap());
    stage.world.rtcp(alice, report);
    assert_eq!(stage.world.stats().reports_refused, 1);
}

/// Nothing arrives for five seconds, and then as much as before: what was taken away for want of reports is given back with the first of them.
#[test]
fn rely_25_after_an_outage_the_picture_is_back_within_a_second_and_stays() {
    let mut stage = Stage::new();
    let receiver = stage.receiver("receiver", steps(&[(0, 10_000), (10, 0), (15, 10_000)]));
    stage.run(15 * S);
    assert_eq!(stage.told(receiver).last(), Some(&vec![stage.camera.clone()]));
    stage.got(receiver);
    stage.run(S);
    stage.got(receiver);
    for second in 1..9 {
        stage.run(S);
        let (layers, voices) = stage.got(receiver);
        assert!(layers[2] > 200 && voices >= 49, "second {second}: {layers:?}, {voices}");
    }
    assert_eq!(stage.told(receiver).last(), Some(&Vec::new()));
}

/// The same, but the line is another one afterwards: not a second try at what does not fit.
#[test]
fn rely_25_after_an_outage_a_line_that_became_narrow_is_not_filled_again_and_again() {
    let mut stage = Stage::new();
    let receiver = stage.receiver("receiver", steps(&[(0, 10_000), (10, 0), (15, 400)]));
    stage.run(20 * S);
    stage.got(receiver);
    stage.run(20 * S);
    let (layers, voices) = stage.got(receiver);
    assert_eq!(layers[2], 0, "{layers:?}");
    assert!(layers[0] + layers[1] > 400, "{layers:?}");
    assert!(voices >= 990, "{voices} of 1,000");
}
