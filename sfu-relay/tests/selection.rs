//! What receivers wish for, and what senders are told of it.
//!
//! Requirements held here: RELY-60, RELY-61.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::offers::{DD, MID, OPUS, RID, VP8};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use relay_token::Source;
use sfu_relay::engine::Command;
use sfu_relay::rtp::rtcp::{self, Rtcp};
use sfu_relay::signal::message::{ErrorCode, RelayMessage, Wish};

const MS: Duration = Duration::from_millis(1);
const RIDS: [&str; 3] = ["q", "h", "f"];

/// A camera of three layers, of which only those are sent that its sender was told to send. A layer that starts, starts with a key frame.
struct Camera {
    alice: usize,
    id: String,
    frame: u16,
    sending: Vec<u8>,
    /// Frames sent of each layer so far.
    sent: [usize; 3],
}

impl Camera {
    fn new(world: &mut World) -> Self {
        let alice = world.enter("alice", &[Line::simulcast("v")]);
        Camera {
            alice,
            id: world.producer(alice, Source::Camera),
            frame: 0,
            sending: Vec::new(),
            sent: [0; 3],
        }
    }

    fn frame(&mut self, world: &mut World) {
        let told = told(world, self.alice).pop().unwrap_or(vec![0, 1, 2]);
        let asked = world.clients[self.alice].control.drain(..).collect::<Vec<_>>();
        let asked: Vec<u32> = asked
            .iter()
            .flat_map(|compound| rtcp::parse(compound))
            .filter_map(|packet| match packet {
                Rtcp::Pli { media_ssrc } => Some(media_ssrc),
                _ => None,
            })
            .collect();
        self.frame += 1;
        for layer in &told {
            let ssrc = 1_000 + u32::from(*layer);
            let key = !self.sending.contains(layer) || asked.contains(&ssrc);
            let dd = if key {
                key_descriptor(self.frame)
            } else {
                descriptor(self.frame)
            };
            let sent = &mut self.sent[usize::from(*layer)];
            *sent += 1;
            let packet = Rtp {
                ssrc,
                sequence: 100 + *sent as u16,
                timestamp: 3_000 * u32::from(self.frame),
                payload_type: VP8,
                marker: true,
                extensions: vec![
                    (MID, b"v".to_vec()),
                    (RID, RIDS[usize::from(*layer)].as_bytes().to_vec()),
                    (DD, dd),
                ],
                payload: vec![*layer, self.frame as u8],
                padding: 0,
            };
            world.rtp(self.alice, &packet);
        }
        self.sending = told;
    }

    fn run(&mut self, world: &mut World, time: Duration) {
        let end = world.now + time;
        while world.now < end {
            self.frame(world);
            world.live(33 * MS);
        }
    }
}

/// What a sender was told of its layers, in order.
fn told(world: &World, client: usize) -> Vec<Vec<u8>> {
    let messages = world.clients[client].messages.iter();
    messages
        .filter_map(|message| match message {
            RelayMessage::WantedLayers { layers, .. } => Some(layers.clone()),
            _ => None,
        })
        .collect()
}

fn wish(producer: &str, max_layer: Option<u8>, paused: bool) -> Wish {
    Wish {
        producer: producer.into(),
        max_layer,
        paused,
        pinned: false,
    }
}

fn wishes(world: &mut World, client: usize, wishes: Vec<Wish>) {
    let session = world.clients[client].session;
    world.command(Command::Wishes { session, wishes });
}

fn watching(world: &mut World, camera: &Camera, who: &str) -> usize {
    world.enter(who, &[Line::receive("0", false, &camera.id)])
}

/// The layers of what a client got, in order, and that it was numbered without a gap.
fn got(world: &World, client: usize) -> Vec<u8> {
    let packets = &world.clients[client].media;
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
    }
    packets.iter().map(|packet| packet.payload[0]).collect()
}

#[test]
fn rely_61_layers_that_nobody_wants_are_paused_at_their_sender() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let bob = watching(&mut world, &camera, "bob");
    let carol = watching(&mut world, &camera, "carol");
    camera.run(&mut world, 2_000 * MS);
    assert_eq!(
        told(&world, camera.alice),
        Vec::<Vec<u8>>::new(),
        "all are sent until told otherwise"
    );
    wishes(&mut world, bob, vec![wish(&camera.id, Some(1), false)]);
    wishes(&mut world, carol, vec![wish(&camera.id, Some(0), false)]);
    camera.run(&mut world, 4_000 * MS);
    assert_eq!(told(&world, camera.alice).last().unwrap(), &[0, 1]);
    wishes(&mut world, bob, vec![wish(&camera.id, None, true)]);
    camera.run(&mut world, 4_000 * MS);
    assert_eq!(told(&world, camera.alice).last().unwrap(), &[0]);
    wishes(&mut world, carol, vec![wish(&camera.id, None, true)]);
    camera.run(&mut world, 4_000 * MS);
    assert!(told(&world, camera.alice).last().unwrap().is_empty());
    let before = camera.sent;
    camera.run(&mut world, 1_000 * MS);
    assert_eq!(camera.sent, before);
}

#[test]
fn rely_61_a_paused_layer_is_back_with_a_key_frame_as_soon_as_somebody_wants_it() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let bob = watching(&mut world, &camera, "bob");
    wishes(&mut world, bob, vec![wish(&camera.id, Some(0), false)]);
    camera.run(&mut world, 5_000 * MS);
    assert_eq!(told(&world, camera.alice), [vec![0]]);
    let before = world.clients[bob].media.len();
    wishes(&mut world, bob, vec![wish(&camera.id, Some(2), false)]);
    camera.run(&mut world, 330 * MS);
    assert_eq!(told(&world, camera.alice), [vec![0], vec![0, 2]]);
    let layers = got(&world, bob).split_off(before);
    let switch = layers.iter().position(|layer| *layer == 2).unwrap();
    assert!(switch <= 2, "the lower layer went on until then: {layers:?}");
    assert!(layers[switch..].iter().all(|layer| *layer == 2), "{layers:?}");
    let first = &world.clients[bob].media[before + switch];
    assert!(
        first.extensions.iter().any(|(id, dd)| *id == DD && dd.len() > 3),
        "a key frame"
    );
}

#[test]
fn rely_61_a_newcomer_wakes_a_camera_that_nobody_watched() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    camera.run(&mut world, 4_000 * MS);
    assert_eq!(told(&world, camera.alice), [Vec::<u8>::new()], "alone");
    let bob = world.join("bob");
    world.offer(bob, &[Line::receive("0", false, &camera.id)]);
    world.pass(20 * MS);
    assert!(!world.clients[bob].is_connected());
    assert_eq!(
        told(&world, camera.alice).last().unwrap(),
        &[0, 2],
        "before its transport is up"
    );
    world.connect(bob);
    camera.run(&mut world, 200 * MS);
    let first = &world.clients[bob].media[0];
    assert!(
        first.extensions.iter().any(|(id, dd)| *id == DD && dd.len() > 3),
        "a key frame"
    );
    assert_eq!(got(&world, bob).last(), Some(&2));
}

#[test]
fn rely_61_whoever_signals_anew_is_told_anew() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    camera.run(&mut world, 4_000 * MS);
    assert_eq!(told(&world, camera.alice).len(), 1);
    let session = world.next_session();
    world.clients[camera.alice].session = session;
    world.clients[camera.alice].messages.clear();
    let all = relay_token::Rights {
        publish: vec![Source::Camera],
        subscribe: true,
    };
    world.hello(camera.alice, "alice", all, 1_001);
    world.live(4_000 * MS);
    assert_eq!(told(&world, camera.alice), [Vec::<u8>::new()]);
}

#[test]
fn rely_61_sound_is_never_paused() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::microphone("a", 900)]);
    world.live(8_000 * MS);
    assert!(told(&world, alice).is_empty());
}

#[test]
fn rely_60_one_receivers_wishes_are_nobody_elses() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let bob = watching(&mut world, &camera, "bob");
    let carol = watching(&mut world, &camera, "carol");
    camera.run(&mut world, 1_000 * MS);
    wishes(&mut world, carol, vec![wish(&camera.id, Some(0), true)]);
    let (bobs, carols) = (world.clients[bob].media.len(), world.clients[carol].media.len());
    camera.run(&mut world, 3_000 * MS);
    assert_eq!(world.clients[carol].media.len(), carols);
    let layers = got(&world, bob).split_off(bobs);
    assert!(
        layers.len() >= 85 && layers.iter().all(|layer| *layer == 2),
        "{layers:?}"
    );
}

#[test]
fn rely_60_wishes_for_what_is_not_consumed_are_passed_over_and_the_others_hold() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let bob = watching(&mut world, &camera, "bob");
    camera.run(&mut world, 500 * MS);
    let strange = wish("nobodys", None, true);
    wishes(&mut world, bob, vec![strange, wish(&camera.id, None, true)]);
    let before = world.clients[bob].media.len();
    camera.run(&mut world, 500 * MS);
    assert_eq!(world.clients[bob].media.len(), before);
    assert!(world.errors(bob).is_empty());
    // Nor does a sender's wish about its own producer do anything.
    let own = wish(&camera.id, None, true);
    wishes(&mut world, camera.alice, vec![own]);
    wishes(&mut world, bob, vec![wish(&camera.id, None, false)]);
    camera.run(&mut world, 500 * MS);
    assert!(world.clients[bob].media.len() > before);
}

#[test]
fn pf_01_rely_60_more_wishes_than_anybody_can_have_are_refused_as_a_whole() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let bob = watching(&mut world, &camera, "bob");
    camera.run(&mut world, 500 * MS);
    let flood = (0..100_000).map(|n| wish(&format!("{n:016x}"), None, true));
    wishes(&mut world, bob, flood.chain([wish(&camera.id, None, true)]).collect());
    assert_eq!(world.errors(bob), [ErrorCode::TooMany]);
    let before = world.clients[bob].media.len();
    camera.run(&mut world, 500 * MS);
    assert!(world.clients[bob].media.len() > before, "the view goes on");
}

#[test]
fn pf_01_rely_61_a_receiver_that_changes_its_mind_all_the_time_costs_its_sender_next_to_nothing() {
    let mut world = World::new();
    let mut camera = Camera::new(&mut world);
    let bob = watching(&mut world, &camera, "bob");
    let mallory = watching(&mut world, &camera, "mallory");
    wishes(&mut world, bob, vec![wish(&camera.id, Some(0), false)]);
    camera.run(&mut world, 500 * MS);
    let (requests, demands) = (world.stats().key_frame_requests, world.stats().demands);
    let bobs = world.clients[bob].media.len();
    for n in 0..300_u32 {
        for step in 0..4 {
            let layer = [Some(0), Some(2), None, Some(1)][step];
            wishes(&mut world, mallory, vec![wish(&camera.id, layer, n % 2 == 0)]);
        }
        camera.run(&mut world, 33 * MS);
    }
    // Ten seconds: at most one request in 300 ms for each of three layers.
    assert!(
        world.stats().key_frame_requests - requests <= 3 * 34,
        "{:?}",
        world.stats()
    );
    assert!(world.stats().demands - demands <= 4, "{:?}", world.stats());
    let layers = got(&world, bob).split_off(bobs);
    assert!(
        layers.len() >= 295 && layers.iter().all(|layer| *layer == 0),
        "{}",
        layers.len()
    );
}

#[test]
fn a_view_of_sound_may_be_paused_too() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::microphone("a", 900)]);
    let microphone = world.producer(alice, Source::Microphone);
    let bob = world.enter("bob", &[Line::receive("0", true, &microphone)]);
    let mut n = 0;
    let mut say = |world: &mut World| {
        n += 1;
        let packet = Rtp {
            ssrc: 900,
            sequence: n,
            timestamp: u32::from(n) * 960,
            payload_type: OPUS,
            payload: vec![1; 40],
            ..Rtp::default()
        };
        world.rtp(alice, &packet);
    };
    say(&mut world);
    wishes(&mut world, bob, vec![wish(&microphone, None, true)]);
    say(&mut world);
    wishes(&mut world, bob, vec![wish(&microphone, None, false)]);
    say(&mut world);
    assert_eq!(world.clients[bob].media.len(), 2);
}
