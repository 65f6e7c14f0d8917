//! One stream with layers inside (VP9 and AV1, L3T1_KEY): who gets which frames, by the Dependency Descriptor alone.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::bits::Bits;
use common::offers::{DD, MID, VP8};
use common::{Line, Rtp, World};
use emulator::{Capacity, Profile};
use relay_token::Source;
use sfu_relay::rtp::rtcp::{self, Rtcp, Writer};
use sfu_relay::signal::message::RelayMessage;

const CAMERA: u32 = 500;

/// The structure of three spatial layers that refer to each other on key frames only, with one decode target each. Templates 0 to 2 are a key
/// frame's layers, 3 to 5 a delta frame's.
fn structure(bits: Bits) -> Bits {
    let mut bits = bits.put(0, 6).put(2, 5); // offset 0, three targets
    for next in [0, 2, 0, 2, 0, 3] {
        bits = bits.put(next, 2); // twice each layer
    }
    // In the order of templates: layer 0 key and delta, layer 1, layer 2.
    let indications = [[2, 2, 2], [3, 0, 0], [0, 2, 2], [0, 3, 0], [0, 0, 2], [0, 0, 3]];
    for indication in indications.as_flattened() {
        bits = bits.put(*indication, 2);
    }
    for difference in [None, Some(3), Some(1), Some(3), Some(1), Some(3)] {
        if let Some(difference) = difference {
            bits = bits.put(1, 1).put(difference - 1, 4);
        }
        bits = bits.put(0, 1);
    }
    bits.put(0, 1).put(0, 1).put(0, 1) // ns(4) of no chains: 0 in two bits; no resolutions
}

struct Sender {
    alice: usize,
    camera: String,
    sequence: u16,
    moment: u32,
    frame: u16,
    /// Bytes of a packet of each layer, at least.
    sizes: [usize; 3],
}

impl Sender {
    /// One moment of the camera: three frames of two packets each. The payload names moment, layer and packet.
    fn moment(&mut self, world: &mut World, key: bool) {
        self.moment += 1;
        for spatial in 0..3_u32 {
            self.frame = self.frame.wrapping_add(1);
            for part in 0..2_u32 {
                let mut bits = Bits::default().put(1 - part, 1).put(part, 1);
                bits = bits
                    .put(2 * spatial + u32::from(!key), 6)
                    .put(u32::from(self.frame), 16);
                if key && spatial == 0 && part == 0 {
                    bits = structure(bits.put(1, 1).put(0, 4));
                }
                self.sequence = self.sequence.wrapping_add(1);
                let mut payload = vec![self.moment as u8, spatial as u8, part as u8];
                payload.resize(self.sizes[spatial as usize].max(3), 0);
                let packet = Rtp {
                    ssrc: CAMERA,
                    sequence: self.sequence,
                    timestamp: 3_000 * self.moment,
                    payload_type: VP8,
                    marker: spatial == 2 && part == 1,
                    extensions: vec![(MID, b"v".to_vec()), (DD, bits.bytes())],
                    payload,
                    padding: 0,
                };
                world.rtp(self.alice, &packet);
            }
        }
        world.pass(Duration::from_millis(30));
    }
}

fn meeting() -> (World, Sender, usize, u32) {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    let ssrc = world.clients[bob].announced("0").0;
    let sender = Sender {
        alice,
        camera,
        sequence: 0xFFF0,
        moment: 0,
        frame: 0,
        sizes: [0; 3],
    };
    (world, sender, bob, ssrc)
}

fn limit(world: &mut World, sender: &Sender, client: usize, max_layer: Option<u8>) {
    world.wish(client, &sender.camera, max_layer, false);
}

/// The layers of each moment that a client got, and whether what it got was whole: both packets of each, numbered without a gap, and the
/// marker on the last packet of each moment alone.
fn got(world: &World, client: usize, ssrc: u32) -> Vec<Vec<u8>> {
    let packets = world.clients[client].of(ssrc);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let ends = pair[1].payload[0] != pair[0].payload[0];
        assert_eq!(pair[0].marker, ends, "marker of {:?}", pair[0].payload);
    }
    let mut moments: Vec<(u8, Vec<u8>)> = Vec::new();
    for pair in packets.chunks(2) {
        let [moment, spatial, _] = pair[0].payload[..] else {
            panic!()
        };
        assert_eq!(pair[1].payload, [moment, spatial, 1]);
        match moments.last_mut() {
            Some((last, layers)) if *last == moment => layers.push(spatial),
            _ => moments.push((moment, vec![spatial])),
        }
    }
    moments.into_iter().map(|(_, layers)| layers).collect()
}

fn plis(world: &World, client: usize) -> usize {
    let control = world.clients[client].control.iter();
    control
        .flat_map(|compound| rtcp::parse(compound))
        .filter(|packet| matches!(packet, Rtcp::Pli { .. }))
        .count()
}

#[test]
fn rely_13_without_a_limit_the_highest_layer_goes_through_and_on_key_frames_what_it_refers_to() {
    let (mut world, mut sender, bob, ssrc) = meeting();
    for i in 0..8 {
        sender.moment(&mut world, i % 4 == 0);
    }
    let all = [vec![vec![0, 1, 2]], vec![vec![2]; 3]].concat();
    assert_eq!(got(&world, bob, ssrc), [all.clone(), all].concat());
}

#[test]
fn rely_13_a_limit_takes_whole_frames_out_without_a_gap_and_the_marker_stays_at_the_end() {
    let (mut world, mut sender, bob, ssrc) = meeting();
    limit(&mut world, &sender, bob, Some(1));
    for i in 0..5 {
        sender.moment(&mut world, i == 0);
    }
    assert_eq!(got(&world, bob, ssrc), [vec![0, 1], vec![1], vec![1], vec![1], vec![1]]);
}

#[test]
fn rely_13_a_higher_layer_begins_at_the_key_frame_that_the_relay_asks_for() {
    let (mut world, mut sender, bob, ssrc) = meeting();
    limit(&mut world, &sender, bob, Some(0));
    sender.moment(&mut world, true);
    sender.moment(&mut world, false);
    world.pass(Duration::from_millis(400));
    let before = plis(&world, sender.alice);
    limit(&mut world, &sender, bob, Some(2));
    sender.moment(&mut world, false);
    assert_eq!(plis(&world, sender.alice), before + 1);
    sender.moment(&mut world, true);
    sender.moment(&mut world, false);
    assert_eq!(
        got(&world, bob, ssrc),
        [vec![0], vec![0], vec![0], vec![0, 1, 2], vec![2]]
    );
    world.pass(Duration::from_millis(1_000));
    assert_eq!(plis(&world, sender.alice), before + 1, "it has what it wanted");
}

/// What the sender was told of its layers, in order.
fn told(world: &World, client: usize) -> Vec<Vec<u8>> {
    let messages = world.clients[client].messages.iter();
    messages
        .filter_map(|message| match message {
            RelayMessage::WantedLayers { layers, .. } => Some(layers.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn rely_61_a_sender_is_told_up_to_which_of_its_layers_inside_anybody_wants() {
    let (mut world, mut sender, bob, _) = meeting();
    limit(&mut world, &sender, bob, Some(0));
    sender.moment(&mut world, true);
    world.live(Duration::from_millis(3_200));
    assert_eq!(told(&world, sender.alice), [[0]]);
    limit(&mut world, &sender, bob, None);
    world.live(Duration::from_millis(100));
    assert_eq!(told(&world, sender.alice)[1..], [[0, 2]]);
    limit(&mut world, &sender, bob, Some(1));
    world.live(Duration::from_millis(3_200));
    assert_eq!(told(&world, sender.alice)[2..], [vec![0, 1, 2], vec![0, 1]]);
}

#[test]
fn rely_24_a_narrow_line_gets_a_lower_layer_inside_and_the_highest_again_when_it_is_wide() {
    let (mut world, mut sender, bob, ssrc) = meeting();
    let camera = sender.camera.clone();
    let carol = world.enter("carol", &[Line::receive("0", false, &camera)]);
    let carols = world.clients[carol].announced("0").0;
    // Some 60, 210 and 570 kbit/s.
    sender.sizes = [60, 380, 1_120];
    let profile = Profile {
        capacity: Capacity::Steps(vec![
            (Duration::ZERO, 5_000_000),
            (Duration::from_secs(5), 330_000),
            (Duration::from_secs(15), 5_000_000),
        ]),
        queue: 30_000,
        ..Profile::default()
    };
    world.lines.insert(bob, emulator::Line::new(profile, 1, world.now));
    let mut seconds: Vec<[usize; 3]> = Vec::new();
    let mut asked = 0;
    for _ in 0..40 {
        world.clients[bob].media.clear();
        for n in 0..33 {
            let now = plis(&world, sender.alice);
            let key = std::mem::replace(&mut asked, now) != now || sender.moment == 0;
            sender.moment(&mut world, key);
            if n % 2 == 0 {
                world.report();
            }
        }
        world.live(Duration::from_millis(5));
        let of = |spatial: u8| {
            let packets = world.clients[bob].of(ssrc);
            packets
                .iter()
                .filter(|p| p.payload[1] == spatial && p.payload[2] == 1)
                .count()
        };
        seconds.push([of(0), of(1), of(2)]);
    }
    let mostly = |second: usize| {
        seconds[second]
            .iter()
            .enumerate()
            .max_by_key(|(_, count)| **count)
            .unwrap()
            .0
    };
    assert_eq!(mostly(4), 2, "{seconds:?}");
    assert!((10..14).all(|second| mostly(second) < 2), "{seconds:?}");
    assert_eq!(mostly(39), 2, "{seconds:?}");
    // Nobody else's line is narrow.
    let got = world.clients[carol].of(carols);
    assert!(got.iter().filter(|p| p.payload[1] == 2).count() > 30 * 33 * 2);
}

#[test]
fn one_receivers_limit_is_nobody_elses() {
    let (mut world, mut sender, bob, ssrc) = meeting();
    let camera = sender.camera.clone();
    let carol = world.enter("carol", &[Line::receive("0", false, &camera)]);
    limit(&mut world, &sender, carol, Some(0));
    for i in 0..3 {
        sender.moment(&mut world, i == 0);
    }
    assert_eq!(got(&world, bob, ssrc), [vec![0, 1, 2], vec![2], vec![2]]);
    let carols = world.clients[carol].announced("0").0;
    assert_eq!(got(&world, carol, carols), vec![vec![0]; 3]);
}

#[test]
fn rely_63_a_receiver_without_descriptors_gets_the_same_layers_without_descriptors() {
    let (mut world, mut sender, bob, ssrc) = meeting();
    let camera = sender.camera.clone();
    let carol = world.enter("carol", &[Line::receive("0", false, &camera).without_descriptor()]);
    let carols = world.clients[carol].announced("0").0;
    for client in [bob, carol] {
        limit(&mut world, &sender, client, Some(1));
    }
    for i in 0..4 {
        sender.moment(&mut world, i == 0);
    }
    for (client, ssrc, described) in [(bob, ssrc, true), (carol, carols, false)] {
        assert_eq!(got(&world, client, ssrc), [vec![0, 1], vec![1], vec![1], vec![1]]);
        let packets = world.clients[client].of(ssrc);
        assert!(
            packets
                .iter()
                .all(|p| p.extensions.iter().any(|(id, _)| *id == DD) == described)
        );
    }
}

#[test]
fn rely_15_a_repeated_packet_keeps_the_marker_it_was_sent_with() {
    let (mut world, mut sender, bob, ssrc) = meeting();
    limit(&mut world, &sender, bob, Some(0));
    sender.moment(&mut world, true);
    let last = world.clients[bob]
        .of(ssrc)
        .last()
        .map(|packet| (packet.sequence, packet.marker));
    let (sequence, marker) = last.unwrap();
    assert!(marker);
    let mut nack = Vec::new();
    Writer::new(&mut nack).nack(1, ssrc, [sequence]);
    world.rtcp(bob, nack);
    let rtx = world.clients[bob].announced("0").1.unwrap();
    let repeated = world.clients[bob].of(rtx);
    assert_eq!(repeated.len(), 1);
    assert!(repeated[0].marker);
}
