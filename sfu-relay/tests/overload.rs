//! More than can be done: who comes is told so, who is here goes on, and sound outlives video.
//!
//! Requirements held here: RELY-65, RELY-66, RELY-68.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use common::offers::{DD, MID, OPUS, RID, VP8};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_token::{Claims, Rights, Source};
use sfu_relay::engine::{Command, Engine, EngineConfig, Event, SessionId};
use sfu_relay::net::dtls::Identity;
use sfu_relay::signal::message::{ErrorCode, RelayMessage};
use sfu_relay::{Counters, Limits};

const MS: Duration = Duration::from_millis(1);

fn all() -> Rights {
    Rights {
        publish: vec![Source::Microphone, Source::Camera],
        subscribe: true,
    }
}

#[test]
fn rely_65_a_busy_relay_lets_nobody_in_says_why_and_keeps_who_is_here() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", 500)]);
    world.counters.note_busy(900);
    let bob = world.join("bob");
    assert_eq!(world.clients[bob].closed, Some(ErrorCode::RelayFull));
    assert_eq!(world.stats().peers, 1);
    // Whoever is here may connect anew, and take what comes.
    let session = world.next_session();
    world.clients[alice].session = session;
    world.hello(alice, "alice", all(), 1_001);
    assert_eq!(world.clients[alice].closed, None);
    assert!(matches!(
        world.clients[alice].messages.last(),
        Some(RelayMessage::Producers { .. })
    ));
    world.counters.note_busy(500);
    let carol = world.join("carol");
    assert_eq!(world.clients[carol].closed, None);
    assert_eq!(world.stats().peers, 2);
}

/// One of several engines of a process in which there is room for two.
fn engine_for_two(population: &Arc<AtomicUsize>) -> Engine {
    let engine = Engine::new(EngineConfig {
        identity: Identity::generate().unwrap(),
        candidates: vec!["127.0.0.1:5000".parse().unwrap()],
        limits: Limits {
            peers: 2,
            ..Limits::default()
        },
        rng: StdRng::seed_from_u64(1),
        counters: Arc::new(Counters::default()),
    });
    engine.with_population(population.clone())
}

/// Whether somebody is let in, to the room of their name.
fn lets_in(engine: &mut Engine, session: u64, who: &str) -> bool {
    let claims = Claims {
        room: format!("room of {who}"),
        participant: who.into(),
        rights: all(),
        nbf: 1_000,
        exp: 1_060,
        jti: "j".into(),
    };
    let session = SessionId(session);
    let now = Instant::now();
    let ends = now + Duration::from_secs(60);
    engine.handle_command(now, Command::Join { session, claims, ends });
    let mut let_in = true;
    while let Some(event) = engine.poll_event() {
        let_in &= event
            != Event::Close {
                session,
                code: ErrorCode::TooMany,
            };
    }
    let_in
}

#[test]
fn rely_68_the_limit_of_participants_is_the_processs_and_a_place_that_is_left_is_free() {
    let population = Arc::default();
    let (mut one, mut other) = (engine_for_two(&population), engine_for_two(&population));
    assert!(lets_in(&mut one, 1, "alice") && lets_in(&mut other, 2, "bob"));
    assert!(!lets_in(&mut one, 3, "carol") && !lets_in(&mut other, 4, "carol"));
    assert!(lets_in(&mut one, 5, "alice"), "who is here may come back");
    let closed = Command::Closed {
        session: SessionId(2),
        leaving: true,
    };
    other.handle_command(Instant::now(), closed);
    assert!(lets_in(&mut one, 6, "carol"));
    assert!(!lets_in(&mut other, 7, "bob"));
}

#[test]
fn rely_65_a_refused_newcomer_leaves_no_room_behind() {
    let mut world = World::new();
    world.counters.note_busy(1_000);
    world.join("bob");
    assert_eq!((world.stats().rooms, world.stats().peers), (0, 0));
}

/// A camera of two layers with a key frame each second, and a microphone. Returns what came: layers of video, and packets of sound.
struct Call {
    world: World,
    alice: usize,
    bob: usize,
    n: u16,
}

impl Call {
    fn run(&mut self, time: Duration) -> (Vec<u8>, usize) {
        self.world.clients[self.bob].media.clear();
        let end = self.world.now + time;
        while self.world.now < end {
            self.n += 1;
            let key = self.n.is_multiple_of(25);
            for (layer, rid) in ["q", "f"].into_iter().enumerate() {
                let packet = Rtp {
                    ssrc: 1_000 + layer as u32,
                    sequence: self.n,
                    timestamp: 3_600 * u32::from(self.n),
                    payload_type: VP8,
                    marker: true,
                    extensions: vec![
                        (MID, b"v".to_vec()),
                        (RID, rid.as_bytes().to_vec()),
                        (
                            DD,
                            if key {
                                key_descriptor(self.n)
                            } else {
                                descriptor(self.n)
                            },
                        ),
                    ],
                    payload: vec![layer as u8; 9],
                    padding: 0,
                };
                self.world.rtp(self.alice, &packet);
            }
            let sound = Rtp {
                ssrc: 900,
                sequence: self.n,
                timestamp: 1_920 * u32::from(self.n),
                payload_type: OPUS,
                payload: vec![7; 40],
                ..Rtp::default()
            };
            self.world.rtp(self.alice, &sound);
            self.world.live(40 * MS);
        }
        let got = &self.world.clients[self.bob].media;
        let video = got.iter().filter(|p| p.payload_type == VP8).map(|p| p.payload[0]);
        (video.collect(), got.iter().filter(|p| p.payload_type == OPUS).count())
    }
}

#[test]
fn rely_66_where_there_is_no_time_for_all_high_layers_go_first_then_video_and_sound_stays() {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::simulcast("v"), Line::microphone("a", 900)]);
    let (camera, microphone) = (
        world.producer(alice, Source::Camera),
        world.producer(alice, Source::Microphone),
    );
    let lines = [
        Line::receive("0", false, &camera),
        Line::receive("1", true, &microphone),
    ];
    let bob = world.enter("bob", &lines);
    let mut call = Call {
        world,
        alice,
        bob,
        n: 0,
    };
    call.run(2_000 * MS);
    let (video, sound) = call.run(1_000 * MS);
    assert!(video.len() == 25 && video.iter().all(|layer| *layer == 1), "{video:?}");
    assert_eq!(sound, 25);
    call.world.counters.note_busy(980);
    call.run(3_200 * MS);
    let (video, sound) = call.run(400 * MS);
    assert!(video.len() == 10 && video.iter().all(|layer| *layer == 0), "{video:?}");
    assert_eq!(sound, 10);
    call.run(2_000 * MS);
    let (video, sound) = call.run(1_000 * MS);
    assert_eq!((video.len(), sound), (0, 25));
    assert_eq!(call.world.stats().spared, 2);
    call.world.counters.note_busy(100);
    call.run(12_000 * MS);
    let (video, sound) = call.run(1_000 * MS);
    assert!(video.len() == 25 && video.iter().all(|layer| *layer == 1), "{video:?}");
    assert_eq!((sound, call.world.stats().spared), (25, 0));
}
