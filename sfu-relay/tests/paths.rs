//! Where a peer's packets go: a client that changes its network keeps its call, and nobody else can turn its media.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Line, Rtp, World};
use relay_token::Source;

fn frame(sequence: u16) -> Rtp {
    Rtp::key_frame(sequence, 100)
}

/// Alice sends to Bob.
fn call() -> (World, usize, usize) {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::receive("0", false, &camera)]);
    world.rtp(alice, &frame(1));
    assert_eq!(world.clients[bob].media.len(), 1);
    (world, alice, bob)
}

/// What leaves for `address` when a datagram arrives from there.
fn answer_to(world: &mut World, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
    world.engine.handle_datagram(world.now, from, &mut datagram.to_vec());
    let mut answer = None;
    while let Some(transmit) = world.engine.poll_transmit() {
        assert!(from == transmit.to, "nothing leaves for anybody else");
        answer = Some(transmit.data);
    }
    answer
}

/// A receiver's report that says nothing but where it comes from.
fn empty_report() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 9]
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn rely_40_an_ice_restart_keeps_keys_and_media_and_moves_the_path_when_the_new_one_is_nominated() {
    for new in ["127.0.0.1:7777", "198.51.100.9:40000", "[2001:db8::7]:4321"] {
        let (mut world, alice, bob) = call();
        let before = world.stats();
        let answer = world.clients[bob].answer.clone();
        let lines = world.clients[bob].lines.clone();
        let old = world.clients[bob].address;

        world.clients[bob].ufrag.push_str("again");
        world.offer(bob, &lines);
        world.rtp(alice, &frame(2));
        assert_eq!(world.clients[bob].media.len(), 2, "media goes on along the old path");

        // The new address checks, and only then is nominated.
        world.clients[bob].address = address(new);
        let check = world.clients[bob].check(false);
        world.send_datagram(bob, check);
        world.clients[bob].address = old;
        world.pump();
        world.rtp(alice, &frame(3));
        assert_eq!(world.clients[bob].media.len(), 3, "a check alone moves nothing");

        world.clients[bob].address = address(new);
        let check = world.clients[bob].check(true);
        world.send_datagram(bob, check);
        world.rtcp(bob, empty_report());
        world.rtp(alice, &frame(4));
        let media = &world.clients[bob].media;
        assert_eq!(media.len(), 4);
        assert!(
            media
                .windows(2)
                .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
        );
        assert_eq!(
            world.stats().connected,
            before.connected,
            "no new handshake, so the same SRTP keys"
        );
        let lines_of = |answer: &str, prefix: &str| -> Vec<String> {
            answer
                .lines()
                .filter(|l| l.starts_with(prefix))
                .map(str::to_owned)
                .collect()
        };
        let again = &world.clients[bob].answer;
        assert_eq!(lines_of(&answer, "a=ssrc:"), lines_of(again, "a=ssrc:"));
        assert_eq!(lines_of(&answer, "a=fingerprint:"), lines_of(again, "a=fingerprint:"));
        assert_ne!(lines_of(&answer, "a=ice-pwd:"), lines_of(again, "a=ice-pwd:"));
    }
}

#[test]
fn rely_40_a_sender_whose_address_changed_is_heard_from_the_new_one_after_its_check() {
    let (mut world, alice, bob) = call();
    world.clients[alice].address = address("[2001:db8::7]:4321");
    world.rtp(alice, &frame(2));
    assert_eq!(
        world.clients[bob].media.len(),
        1,
        "an address that proved nothing is nobody's"
    );
    let check = world.clients[alice].check(true);
    world.send_datagram(alice, check);
    world.pump();
    world.rtp(alice, &frame(3));
    assert_eq!(world.clients[bob].media.len(), 2);
}

#[test]
fn rely_41_a_recorded_check_sent_from_elsewhere_is_not_answered_and_turns_no_media() {
    let (mut world, alice, bob) = call();
    let check = world.clients[bob].check(true);
    world.send_datagram(bob, check.clone());
    world.pump();
    let thief = address("203.0.113.66:666");
    assert_eq!(answer_to(&mut world, thief, &check), None);
    let mut media = world.clients[alice].seal(&frame(2));
    let from = world.clients[alice].address;
    world.engine.handle_datagram(world.now, from, &mut media);
    world.pump();
    assert_eq!(world.clients[bob].media.len(), 2, "media goes where it went");
}

#[test]
fn rely_40_a_recorded_nomination_that_was_forgotten_turns_no_media() {
    let (mut world, alice, bob) = call();
    let recorded = world.clients[bob].check(true);
    world.send_datagram(bob, recorded.clone());
    // More checks than are remembered.
    for _ in 0..100 {
        let check = world.clients[bob].check(true);
        world.send_datagram(bob, check);
        world.pass(Duration::from_millis(20));
    }
    let thief = address("203.0.113.66:666");
    let home = std::mem::replace(&mut world.clients[bob].address, thief);
    assert!(
        answer_to(&mut world, thief, &recorded).is_some(),
        "it counts as a new one"
    );
    world.clients[bob].media.clear();
    let mut media = world.clients[alice].seal(&frame(2));
    let from = world.clients[alice].address;
    world.engine.handle_datagram(world.now, from, &mut media);
    while let Some(transmit) = world.engine.poll_transmit() {
        assert!(home == transmit.to, "media goes where it went");
    }
    // What Bob sent before and sends again from there opens nothing, and moves nothing.
    let report = world.clients[bob].seal_control(empty_report());
    world.engine.handle_datagram(world.now, home, &mut report.clone());
    world.engine.handle_datagram(world.now, thief, &mut report.clone());
    world.clients[bob].address = home;
    world.rtp(alice, &frame(3));
    assert_eq!(world.clients[bob].media.len(), 1);
}

#[test]
fn rely_40_recorded_checks_from_many_places_do_not_drive_a_peer_from_its_own() {
    let (mut world, alice, bob) = call();
    let mut checks = Vec::new();
    for _ in 0..140 {
        let check = world.clients[alice].check(true);
        checks.push(check.clone());
        world.send_datagram(alice, check);
        world.pass(Duration::from_millis(20));
    }
    for (port, check) in (1_000..1_040).zip(&checks) {
        let elsewhere = SocketAddr::from(([203, 0, 113, 66], port));
        assert!(answer_to(&mut world, elsewhere, check).is_some());
    }
    let before = world.clients[bob].media.len();
    world.rtp(alice, &frame(2));
    assert_eq!(world.clients[bob].media.len(), before + 1, "Alice is heard");
}

#[test]
fn rely_40_a_nomination_is_believed_by_itself_where_the_old_path_is_silent() {
    let (mut world, alice, bob) = call();
    world.clients[bob].address = address("198.51.100.9:40000");
    let check = world.clients[bob].check(true);
    world.send_datagram(bob, check);
    world.rtp(alice, &frame(2));
    assert_eq!(world.clients[bob].media.len(), 1, "a nomination alone moves nothing");
    world.pass(Duration::from_secs(6));
    let check = world.clients[bob].check(true);
    world.send_datagram(bob, check);
    world.rtp(alice, &frame(3));
    assert_eq!(world.clients[bob].media.len(), 2);
}

#[test]
fn rely_71_nobody_takes_the_address_of_somebody_who_is_there() {
    let (mut world, alice, bob) = call();
    let mallory = world.enter("mallory", &[Line::camera("v", 900)]);
    let hers = world.clients[mallory].address;
    // As if it came from Alice.
    let victim = world.clients[alice].address;
    for _ in 0..20 {
        let check = world.clients[mallory].check(true);
        assert_eq!(answer_to(&mut world, victim, &check), None);
        let count = world.clients[bob].media.len();
        world.rtp(alice, &frame(count as u16 + 1));
        assert_eq!(world.clients[bob].media.len(), count + 1, "Alice is heard");
        world.live(Duration::from_millis(500));
    }
    // Where Mallory herself is she is heard, and so is whoever gets an address that nobody uses any more.
    let check = world.clients[mallory].check(true);
    assert!(answer_to(&mut world, hers, &check).is_some());
    world.pass(Duration::from_secs(6));
    let check = world.clients[mallory].check(true);
    assert!(answer_to(&mut world, victim, &check).is_some());
}

#[test]
fn rely_41_a_check_of_an_earlier_address_does_not_turn_media_back() {
    let (mut world, alice, bob) = call();
    let (old, new) = (world.clients[bob].address, address("198.51.100.9:40000"));
    let recorded = world.clients[bob].check(true);
    world.send_datagram(bob, recorded.clone());
    world.clients[bob].address = new;
    let check = world.clients[bob].check(true);
    world.send_datagram(bob, check);
    world.rtcp(bob, empty_report());
    // From the old address, where it was sent from before, it is what a client repeats: answered, and that is all.
    assert!(answer_to(&mut world, old, &recorded).is_some());
    world.rtp(alice, &frame(2));
    assert_eq!(world.clients[bob].media.len(), 2);
}

#[test]
fn rely_48_an_answer_is_never_larger_than_its_request() {
    let (mut world, _, bob) = call();
    for from in ["127.0.0.1:6001", "[2001:db8::7]:4321"] {
        for nominate in [true, false] {
            let check = world.clients[bob].check(nominate);
            let answer = answer_to(&mut world, address(from), &check).unwrap();
            assert!(
                answer.len() <= check.len(),
                "{} bytes for {}",
                answer.len(),
                check.len()
            );
        }
    }
}

#[test]
fn rely_48_nothing_unauthenticated_is_answered_whatever_it_looks_like() {
    let (mut world, alice, _) = call();
    let stranger = address("203.0.113.5:999");
    let good = world.clients[alice].check(true);
    // Cut and changed in every place: of all these only the whole one is answered, and that one counts once.
    for len in 0..good.len() {
        assert_eq!(answer_to(&mut world, stranger, &good[..len]), None, "cut at {len}");
    }
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_eq!(answer_to(&mut world, stranger, &changed), None, "changed at {at}");
    }
    for first in 0..=255u8 {
        for len in [1, 13, 20, 60, 1_200] {
            assert_eq!(answer_to(&mut world, stranger, &vec![first; len]), None);
        }
    }
    let stats = world.stats();
    assert!(stats.stun_refused + stats.stun_unauthenticated > 0);
}

#[test]
fn rely_48_checks_are_answered_at_a_bounded_rate_and_again_later() {
    let (mut world, alice, bob) = call();
    world.pass(Duration::from_secs(3));
    let mut answered = 0;
    for _ in 0..2_000 {
        let check = world.clients[bob].check(false);
        let from = world.clients[bob].address;
        answered += usize::from(answer_to(&mut world, from, &check).is_some());
    }
    assert!((50..=100).contains(&answered), "{answered} of 2,000 at one moment");
    world.pass(Duration::from_secs(1));
    let before = world.clients[bob].stun_answers;
    let check = world.clients[bob].check(true);
    world.send_datagram(bob, check);
    world.pump();
    assert_eq!(world.clients[bob].stun_answers, before + 1);
    // And one peer's flood is not another's.
    let before = world.clients[alice].stun_answers;
    let check = world.clients[alice].check(true);
    world.send_datagram(alice, check);
    world.pump();
    assert_eq!(world.clients[alice].stun_answers, before + 1);
}

#[test]
fn rely_48_repeating_a_recorded_check_leaves_its_client_its_answers() {
    let (mut world, _, bob) = call();
    let recorded = world.clients[bob].check(true);
    let from = world.clients[bob].address;
    let answered = (0..1_000)
        .filter(|_| answer_to(&mut world, from, &recorded).is_some())
        .count();
    assert!(answered < 60, "{answered}");
    let check = world.clients[bob].check(true);
    assert!(answer_to(&mut world, from, &check).is_some());
}
