//! Tokens without rights: who is not in the meeting yet, and who is no longer.
//!
//! Requirements held here: RELY-74.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::offers::OPUS;
use common::{Line, Rtp, World, key_frame, member_rights};
use relay_token::{Rights, Source};
use sfu_relay::engine::Command;

const SECOND: Duration = Duration::from_secs(1);

/// A token of whoever is not in the meeting yet.
fn none() -> Rights {
    Rights {
        publish: Vec::new(),
        subscribe: false,
    }
}

/// With a token that is good for so long.
fn renew(world: &mut World, client: usize, participant: &str, rights: Rights, lasts: Duration) {
    let claims = relay_token::Claims {
        room: "r".into(),
        participant: participant.into(),
        rights,
        nbf: 1_000,
        exp: 1_060,
        jti: "j".into(),
    };
    let session = world.clients[client].session;
    let ends = world.now + lasts;
    world.command(Command::Renew { session, claims, ends });
}

#[test]
fn rely_74_whoever_is_not_in_the_meeting_yet_may_connect_and_neither_gives_nor_gets_until_it_is() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500), Line::microphone("a", 900)]);
    let camera = world.producer(alice, Source::Camera);
    let microphone = world.producer(alice, Source::Microphone);
    let guest = world.join_with("guest", none(), 1_000);
    let lines = [
        Line::camera("v", 700),
        Line::receive("0", false, &camera),
        Line::receive("1", true, &microphone),
    ];
    world.offer(guest, &lines);
    world.connect(guest);
    assert!(world.errors(guest).is_empty());
    let his = world.producer(guest, Source::Camera);
    assert!(world.known_producers(alice).is_empty(), "nobody hears of what is held");
    let late = world.join("late");
    assert!(world.known_producers(late).iter().all(|info| info.producer != his));
    // What the guest asks for, by either way, is not asked of Alice either.
    let session = world.clients[guest].session;
    let asked = world.stats().key_frame_requests;
    world.command(Command::RequestKeyFrame {
        session,
        producer: camera.clone(),
    });
    world.command(Command::Pause {
        session,
        producer: camera.clone(),
        paused: false,
    });
    for sequence in 1..20 {
        world.rtp(alice, &key_frame(500, sequence));
        world.rtp(guest, &key_frame(700, sequence));
        let sound = Rtp {
            ssrc: 900,
            sequence,
            payload_type: OPUS,
            payload: vec![1; 30],
            ..Rtp::default()
        };
        world.rtp(alice, &sound);
        world.live(Duration::from_millis(100));
    }
    assert_eq!(world.clients[guest].media.len(), 0);
    assert_eq!(world.stats().key_frame_requests, asked);

    // Put into the meeting: the same connection, at once.
    renew(&mut world, guest, "guest", member_rights(), 60 * SECOND);
    assert_eq!(world.known_producers(alice).len(), 1);
    world.rtp(alice, &key_frame(500, 20));
    assert!(!world.clients[guest].media.is_empty());
    world.offer(
        alice,
        &[
            Line::camera("v", 500),
            Line::microphone("a", 900),
            Line::receive("9", false, &his),
        ],
    );
    let before = world.clients[alice].media.len();
    world.rtp(guest, &key_frame(700, 20));
    assert_eq!(world.clients[alice].media.len(), before + 1);
}

#[test]
fn rely_74_a_call_that_goes_on_under_a_token_without_rights_ends_when_the_one_before_has_run_out_and_not_before() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    renew(&mut world, alice, "alice", member_rights(), 60 * SECOND);
    renew(&mut world, bob, "bob", member_rights(), 30 * SECOND);
    // Their key server has yet to recognise them. Saying so again, or coming anew, gains nothing.
    for (client, name) in [(alice, "alice"), (bob, "bob")] {
        renew(&mut world, client, name, none(), 300 * SECOND);
        world.live(10 * SECOND);
        world.clients[client].session = world.next_session();
        world.hello(client, name, none(), 1_001);
    }
    world.live(9 * SECOND);
    world.rtp(alice, &key_frame(500, 1));
    assert_eq!(world.clients[bob].media.len(), 1);
    world.live(2 * SECOND);
    world.rtp(alice, &key_frame(500, 2));
    assert_eq!(world.clients[bob].media.len(), 1);
    assert_eq!(world.stats().consumers, 0);
    assert!(
        !world.known_producers(bob).is_empty(),
        "Alice's token is good for longer"
    );
    world.live(30 * SECOND);
    assert!(world.known_producers(bob).is_empty(), "and the others are told");
    assert_eq!(world.stats().peers, 2, "both may wait to be let in again");
}

#[test]
fn rely_74_a_token_with_rights_that_comes_in_time_leaves_everything_as_it_was() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    renew(&mut world, bob, "bob", member_rights(), 30 * SECOND);
    renew(&mut world, bob, "bob", none(), 30 * SECOND);
    world.live(20 * SECOND);
    renew(&mut world, bob, "bob", member_rights(), 30 * SECOND);
    world.live(20 * SECOND);
    world.rtp(alice, &key_frame(500, 1));
    assert_eq!(world.clients[bob].media.len(), 1);
}
