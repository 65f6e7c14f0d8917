//! What is counted of a room, and that it stays counted when somebody goes.
//!
//! Requirements held here: RELY-53.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::offers::{DD, MID, VP8};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use relay_token::Source;
use sfu_relay::engine::{Command, Passed, RoomFigures};
use sfu_relay::rtp::rtcp::Writer;

fn picture(n: u16) -> Rtp {
    Rtp {
        ssrc: 500,
        sequence: n,
        timestamp: 3_000 * u32::from(n),
        payload_type: VP8,
        marker: true,
        extensions: vec![
            (MID, b"v".to_vec()),
            (DD, if n == 1 { key_descriptor(n) } else { descriptor(n) }),
        ],
        payload: vec![1; 100],
        padding: 0,
    }
}

fn only(world: &World) -> RoomFigures {
    let rooms = world.engine.rooms();
    assert_eq!(rooms.len(), 1);
    rooms[0]
}

#[test]
fn rely_53_a_rooms_figures_are_what_passed_in_it_and_never_become_less() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let watch = |world: &mut World, who: &str| world.enter(who, &[Line::receive("0", false, &camera)]);
    let (bob, carol) = (watch(&mut world, "bob"), watch(&mut world, "carol"));
    // 5 is lost on its way.
    for n in [1, 2, 3, 4, 6, 7] {
        world.rtp(alice, &picture(n));
    }
    let figures = only(&world);
    assert_eq!((figures.peers, figures.producers, figures.consumers), (3, 1, 2));
    let passed = figures.passed;
    assert_eq!((passed.packets_in, passed.bytes_in, passed.lost_in), (6, 600, 1));
    assert_eq!((passed.packets_out, passed.bytes_out), (12, 1_200));
    assert_eq!(figures.views, [0, 2, 0, 0]);
    assert_eq!((figures.measured, figures.estimate), (2, 2 * figures.least_estimate));
    // Carol asks for a key frame, and goes.
    let mut pli = Vec::new();
    Writer::new(&mut pli).pli(1, world.clients[carol].announced("0").0);
    world.rtcp(carol, pli);
    world.pass(Duration::from_millis(400));
    assert!(only(&world).passed.key_frame_requests > passed.key_frame_requests);
    let session = world.clients[carol].session;
    world.command(Command::Closed { session, leaving: true });
    let figures = only(&world);
    assert_eq!((figures.peers, figures.consumers), (2, 1));
    assert_eq!((figures.passed.packets_out, figures.passed.bytes_out), (12, 1_200));
    // Alice closes her camera: it is still in the figures.
    let session = world.clients[alice].session;
    world.command(Command::CloseProducer {
        session,
        producer: camera.clone(),
    });
    let figures = only(&world);
    assert_eq!((figures.producers, figures.consumers), (0, 0));
    assert_eq!(figures.passed.packets_in, 6);
    assert_eq!(figures.passed.packets_out, 12);
    for index in [alice, bob] {
        let session = world.clients[index].session;
        world.command(Command::Closed { session, leaving: true });
    }
    assert!(world.engine.rooms().is_empty());
    // The next room in that place begins at nought.
    world.join("dave");
    assert_eq!(only(&world).passed, Passed::default());
}
