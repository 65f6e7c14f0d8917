//! Who is in, who is told what, and what survives a lost connection.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Line, World, key_frame, member_rights};
use relay_token::{Rights, Source};
use sfu_relay::engine::Command;
use sfu_relay::signal::message::{ErrorCode, RelayMessage};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_newcomer_is_told_of_everything_and_the_others_of_each_change() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500), Line::microphone("a", 900)]);
    let bob = world.join("bob");
    assert_eq!(
        world.clients[bob].messages[0],
        RelayMessage::Ready {
            participant: "bob".into()
        }
    );
    let mut told: Vec<Source> = world.known_producers(bob).iter().map(|info| info.source).collect();
    told.sort_unstable();
    assert_eq!(told, [Source::Microphone, Source::Camera]);
    assert!(
        world
            .known_producers(bob)
            .iter()
            .all(|info| info.participant == "alice")
    );
    assert!(world.known_producers(alice).is_empty(), "nobody hears of its own");

    world.offer(alice, &[Line::camera("v", 500)]);
    assert_eq!(
        world.known_producers(bob).len(),
        1,
        "what an offer leaves out has ended"
    );
    let session = world.clients[alice].session;
    world.command(Command::CloseProducer {
        session,
        producer: world.producer(alice, Source::Camera),
    });
    assert!(world.known_producers(bob).is_empty());
}

#[test]
fn rooms_do_not_see_each_other() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.join("bob");
    world.command(Command::Closed {
        session: world.clients[bob].session,
        leaving: true,
    });
    let session = world.next_session();
    world.clients[bob].session = session;
    world.clients[bob].messages.clear();
    let claims = relay_token::Claims {
        room: "another".into(),
        participant: "bob".into(),
        rights: member_rights(),
        nbf: 1,
        exp: 2,
        jti: "j".into(),
    };
    let ends = world.now + 60 * SECOND;
    world.command(Command::Join { session, claims, ends });
    assert!(world.known_producers(bob).is_empty());
    world.offer(bob, &[Line::receive("0", false, &camera)]);
    assert!(
        world.clients[bob].answered("0").contains("a=inactive"),
        "a producer of another room does not exist"
    );
    world.command(Command::RequestKeyFrame {
        session,
        producer: camera,
    });
    assert_eq!(world.errors(bob), [ErrorCode::UnknownProducer]);
}

#[test]
fn rights_bound_what_is_published_and_received() {
    let mut world = World::new();
    let alice = world.join_with(
        "alice",
        Rights {
            publish: vec![Source::Microphone],
            subscribe: false,
        },
        1_000,
    );
    world.offer(alice, &[Line::camera("v", 500)]);
    world.offer(alice, &[Line::receive("0", false, "anything")]);
    assert_eq!(world.errors(alice), [ErrorCode::NotAllowed, ErrorCode::NotAllowed]);
    assert_eq!(world.stats().producers, 0);
    world.offer(alice, &[Line::microphone("a", 900)]);
    assert_eq!(world.stats().producers, 1);
}

#[test]
fn a_token_with_fewer_rights_ends_what_it_does_not_cover() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500), Line::microphone("a", 900)]);
    let bob = world.join("bob");
    let again = world.join_with(
        "alice",
        Rights {
            publish: vec![Source::Microphone],
            subscribe: true,
        },
        1_001,
    );
    assert_eq!(world.clients[alice].closed, Some(ErrorCode::Replaced));
    assert_eq!(world.clients[again].closed, None);
    let left: Vec<Source> = world.known_producers(bob).iter().map(|info| info.source).collect();
    assert_eq!(left, [Source::Microphone]);
}

#[test]
fn only_the_owner_closes_a_producer_or_speaks_for_it() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let mallory = world.join("mallory");
    let session = world.clients[mallory].session;
    world.command(Command::CloseProducer {
        session,
        producer: camera.clone(),
    });
    world.command(Command::KeyFrameSent {
        session,
        producer: camera,
        ssrc: 500,
        rtp_timestamp: 0,
    });
    assert_eq!(world.errors(mallory), [ErrorCode::NotAllowed, ErrorCode::NotAllowed]);
    assert_eq!(world.known_producers(mallory).len(), 1);
}

#[test]
fn media_outlives_a_lost_signalling_connection_for_ten_seconds() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.command(Command::Closed {
        session: world.clients[alice].session,
        leaving: false,
    });
    world.live(9 * SECOND);
    world.rtp(alice, &key_frame(500, 1));
    assert_eq!(world.clients[bob].media.len(), 1);
    world.live(2 * SECOND);
    assert!(world.known_producers(bob).is_empty());
    assert_eq!(world.stats().peers, 1);
}

#[test]
fn whoever_comes_back_in_time_keeps_its_media() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.command(Command::Closed {
        session: world.clients[alice].session,
        leaving: false,
    });
    world.live(5 * SECOND);
    let session = world.next_session();
    world.clients[alice].session = session;
    world.hello(alice, "alice", member_rights(), 1_005);
    // ICE restart over the same connection: new credentials, same keys.
    world.clients[alice].ufrag.push_str("again");
    world.offer(alice, &[Line::camera("v", 500)]);
    assert_eq!(world.producer(alice, Source::Camera), camera);
    world.live(20 * SECOND);
    world.rtp(alice, &key_frame(500, 1));
    assert_eq!(world.clients[bob].media.len(), 1);
    assert_eq!(world.known_producers(bob).len(), 1);
}

#[test]
fn a_new_peer_connection_replaces_everything_of_the_old_one() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let old = world.producer(alice, Source::Camera);
    let bob = world.join("bob");
    world.clients[alice].new_connection();
    world.offer(alice, &[Line::camera("v", 600)]);
    world.connect(alice);
    let new = world.producer(alice, Source::Camera);
    assert_ne!(old, new);
    assert_eq!(
        world
            .known_producers(bob)
            .iter()
            .map(|info| info.producer.clone())
            .collect::<Vec<_>>(),
        std::slice::from_ref(&new)
    );
    world.offer(bob, &[Line::receive("0", false, &new)]);
    world.connect(bob);
    world.rtp(alice, &key_frame(600, 1));
    assert_eq!(world.clients[bob].media.len(), 1);
}

#[test]
fn a_silent_transport_is_dropped_and_its_owner_told() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let bob = world.join("bob");
    world.pass(11 * SECOND);
    assert_eq!(world.errors(alice), [ErrorCode::TransportLost]);
    assert!(world.known_producers(bob).is_empty());
    world.clients[alice].new_connection();
    world.offer(alice, &[Line::camera("v", 501)]);
    world.connect(alice);
    assert_eq!(world.known_producers(bob).len(), 1, "the participant can start over");
}

#[test]
fn a_handshake_that_comes_to_nothing_is_given_up_though_checks_go_on() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.offer(alice, &[Line::camera("v", 500)]);
    world.network = Box::new(|_, _, datagram| datagram[0] < 4);
    for _ in 0..11 {
        let check = world.clients[alice].check(true);
        world.send_datagram(alice, check);
        world.pass(SECOND);
    }
    assert_eq!(world.errors(alice), [ErrorCode::TransportLost]);
    assert_eq!(world.stats().producers, 0);
}

#[test]
fn leaving_is_immediate_and_the_last_one_closes_the_room() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let bob = world.join("bob");
    world.command(Command::Closed {
        session: world.clients[alice].session,
        leaving: true,
    });
    assert!(world.known_producers(bob).is_empty());
    world.command(Command::Closed {
        session: world.clients[bob].session,
        leaving: true,
    });
    assert_eq!((world.stats().rooms, world.stats().peers), (0, 0));
    world.pass(SECOND);
    assert_eq!(world.engine.poll_timeout(), None, "an empty relay sleeps");
}

#[test]
fn rely_4_a_participant_put_out_stays_out_until_it_has_a_token_of_then_or_later() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    world.command(Command::Disconnect {
        room: "r".into(),
        participant: "alice".into(),
        at: 1_010,
    });
    assert_eq!(world.clients[alice].closed, Some(ErrorCode::Disconnected));
    assert_eq!(world.stats().peers, 0);
    let old_token = world.join_with("alice", member_rights(), 1_009);
    assert_eq!(world.clients[old_token].closed, Some(ErrorCode::Disconnected));
    let new_token = world.join_with("alice", member_rights(), 1_010);
    assert_eq!(world.clients[new_token].closed, None);
    let other = world.join_with("bob", member_rights(), 1_000);
    assert_eq!(world.clients[other].closed, None);
}

#[test]
fn the_path_follows_a_nomination_to_another_address() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.rtp(alice, &key_frame(500, 1));
    // Bob's network changes; nothing from the new address is believed before it is authenticated.
    world.clients[bob].address = "[2001:db8::7]:4321".parse().unwrap();
    world.rtp(alice, &key_frame(500, 2));
    assert_eq!(world.clients[bob].media.len(), 1, "still sent to the old address");
    let check = world.clients[bob].check(true);
    world.send_datagram(bob, check);
    world.rtcp(bob, vec![0x80, 201, 0, 1, 0, 0, 0, 9]);
    world.rtp(alice, &key_frame(500, 3));
    assert_eq!(world.clients[bob].media.len(), 2);
    assert_eq!(
        world.clients[bob].media[1].sequence,
        world.clients[bob].media[0].sequence.wrapping_add(2)
    );
}

#[test]
fn an_answer_promises_nothing_the_relay_does_not_do() {
    let mut world = World::new();
    let alice = world.join("alice");
    world.offer(alice, &[Line::simulcast("v"), Line::microphone("a", 900)]);
    let answer = world.clients[alice].answer.clone();
    for absent in [
        "red/",
        "ulpfec",
        "goog-remb",
        "audio-level",
        "video-orientation",
        "telephone-event",
        "G722",
    ] {
        assert!(!answer.contains(absent), "{absent} in {answer}");
    }
    for present in [
        "a=ice-lite",
        "a=group:BUNDLE v a",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=rid:q recv",
        "a=simulcast:recv q;h;f",
        "a=rtpmap:97 rtx/90000",
        "a=rtcp-fb:96 transport-cc",
        "127.0.0.1 5000 typ host",
        "::1 5000 typ host",
    ] {
        assert!(answer.contains(present), "{present} not in {answer}");
    }
}

#[test]
fn rely_21_a_consumed_line_has_transport_wide_feedback_and_nothing_that_leads_nowhere() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500), Line::microphone("a", 900)]);
    let camera = world.producer(alice, Source::Camera);
    let microphone = world.producer(alice, Source::Microphone);
    let bob = world.join("bob");
    world.offer(
        bob,
        &[
            Line::receive("0", false, &camera),
            Line::receive("1", true, &microphone),
        ],
    );
    let video = world.clients[bob].answered("0");
    assert!(video.contains("a=sendonly") && video.contains("a=rtcp-fb:96 nack pli") && video.contains(&camera));
    assert!(
        video.contains("a=rtcp-fb:96 transport-cc") && video.contains("a=extmap:3 http://www.ietf.org/id/draft-holmer")
    );
    assert!(!video.contains("goog-remb") && !video.contains("sdes:mid"));
    assert!(world.clients[bob].answered("1").contains("a=rtcp-fb:111 transport-cc"));
    let stream = |part: &str| {
        let line = part
            .lines()
            .find_map(|line| line.strip_prefix("a=msid:"))
            .unwrap()
            .to_owned();
        line.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        stream(&video),
        stream(&world.clients[bob].answered("1")),
        "a person's streams play in sync"
    );
}

#[test]
fn a_stream_that_said_goodbye_and_comes_back_without_its_names_is_the_one_it_was() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.rtp(alice, &key_frame(500, 1));
    world.rtcp(alice, vec![0x81, 203, 0, 1, 0, 0, 1, 0xF4]);
    let nameless = |sequence: u16| {
        let mut packet = key_frame(500, sequence);
        packet.extensions.remove(0);
        packet
    };
    world.rtp(alice, &nameless(2));
    assert_eq!(world.clients[bob].media.len(), 2);
    let mut others = nameless(3);
    others.ssrc = 501;
    world.rtp(alice, &others);
    assert_eq!(world.clients[bob].media.len(), 2, "of a stream that nobody named");
}

#[test]
fn hundreds_of_streams_may_come_and_go_on_one_association() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let bob = world.join("bob");
    for round in 0..300_u32 {
        let ssrc = 1_000 + round;
        world.offer(alice, &[Line::microphone("a", 900)]);
        world.offer(alice, &[Line::camera("v", ssrc)]);
        for sequence in 1..4 {
            world.rtp(alice, &key_frame(ssrc, sequence));
        }
        assert_eq!(world.known_producers(bob).len(), 1);
    }
    // One packet in a hundred is lost where there was no room.
    assert!(world.stats().rtp_in >= 890, "{}", world.stats().rtp_in);
}
