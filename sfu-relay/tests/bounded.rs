//! What one participant can make the relay keep: little, and no more the longer it goes on. Over TCP see `net/tcp/outbox.rs`.
//!
//! Bytes are those that the engine holds: clients' own are not counted.
//!
//! Requirements held here: RELY-67.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::offers::{DD, MID, TWCC, VP8, VP8_RTX};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use relay_token::Source;
use sfu_relay::engine::Command;
use sfu_relay::rtp::rtcp::{ReportBlock, Writer};

const CAMERA: u32 = 500;
const STEP: Duration = Duration::from_millis(5);
/// A key frame and all that follows it, over and over.
const GROUP: u16 = 200;

fn picture(n: u16) -> Rtp {
    Rtp {
        ssrc: CAMERA,
        sequence: n,
        timestamp: 450 * u32::from(n),
        payload_type: VP8,
        marker: true,
        extensions: vec![
            (MID, b"v".to_vec()),
            (
                DD,
                if n.is_multiple_of(GROUP) {
                    key_descriptor(n)
                } else {
                    descriptor(n)
                },
            ),
        ],
        payload: vec![n as u8; 1_000],
        padding: 0,
    }
}

/// Counts what the engine keeps of what it is given.
struct Scale {
    held: i64,
}

impl Scale {
    fn weigh<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let mut result = None;
        let spent = allocation_counter::measure(|| result = Some(what()));
        self.held += spent.bytes_current;
        result.unwrap()
    }
}

/// What leaves for whoever is not heard of any more: thrown away.
fn drain(world: &mut World, scale: &mut Scale) {
    let engine = &mut world.engine;
    scale.weigh(|| {
        while let Some(transmit) = engine.poll_transmit() {
            engine.recycle(transmit);
        }
        while engine.poll_event().is_some() {}
    });
}

fn take(world: &mut World, scale: &mut Scale, from: SocketAddr, mut datagram: Vec<u8>) {
    let (engine, now) = (&mut world.engine, world.now);
    scale.weigh(|| engine.handle_datagram(now, from, &mut datagram));
}

fn pass(world: &mut World, scale: &mut Scale) {
    world.now += STEP;
    let (engine, now) = (&mut world.engine, world.now);
    scale.weigh(|| engine.handle_timeout(now));
    drain(world, scale);
}

/// Alice's camera for so long, two packets each 5 ms, with her checks and, as long as they are `alive`, those of the others: nothing else comes
/// from them, not one report.
fn show(world: &mut World, scale: &mut Scale, n: &mut u16, alive: bool, steps: u32) {
    for step in 0..steps {
        for _ in 0..2 {
            *n = n.wrapping_add(1);
            let sealed = world.clients[0].seal(&picture(*n));
            let from = world.clients[0].address;
            take(world, scale, from, sealed);
        }
        if step % 200 == 0 {
            for index in 0..if alive { world.clients.len() } else { 1 } {
                let (from, check) = (world.clients[index].address, world.clients[index].check(true));
                take(world, scale, from, check);
            }
        }
        pass(world, scale);
    }
}

#[test]
fn rely_67_a_receiver_that_says_nothing_costs_no_more_the_longer_it_is_sent_to_and_nothing_once_it_is_gone() {
    let mut world = World::new();
    world.enter("alice", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(0, Source::Camera);
    let (mut scale, mut n) = (Scale { held: 0 }, 0);
    show(&mut world, &mut scale, &mut n, true, 2_000);
    let before = scale.held;
    let receivers = 10;
    for i in 0..receivers {
        // What the clients themselves keep is in this: an upper bound.
        scale.weigh(|| world.enter(&format!("r{i}"), &[Line::receive("0", false, &camera)]));
    }
    show(&mut world, &mut scale, &mut n, true, 2_000);
    assert!(world.stats().rtp_forwarded > 10_000, "they are sent to");
    let after_ten_seconds = scale.held;
    show(&mut world, &mut scale, &mut n, true, 6_000);
    let grown = scale.held - after_ten_seconds;
    // Buffers that are used in turn come to be as long as the longest run.
    assert!(grown < 64 << 10, "{grown} bytes in thirty seconds");
    let each = (scale.held - before) / receivers;
    assert!(each < 256 << 10, "{each} bytes for each");
    // Not even their checks come any more: after ten seconds of that they are gone, and what they cost with them.
    show(&mut world, &mut scale, &mut n, false, 2_400);
    for i in 0..receivers as usize {
        let session = world.clients[1 + i].session;
        scale.weigh(|| world.command(Command::Closed { session, leaving: true }));
    }
    assert_eq!(world.stats().peers, 1);
    assert!(
        scale.held < after_ten_seconds,
        "{} bytes before, {} now",
        after_ten_seconds,
        scale.held
    );
}

/// Whatever a participant who is let in can send, at random.
fn anything(world: &mut World, random: &mut StdRng, n: &mut u16) -> (SocketAddr, Vec<u8>) {
    let client = &mut world.clients[0];
    let home = client.address;
    *n = n.wrapping_add(1);
    let mut packet = picture(*n);
    let control = |random: &mut StdRng| {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes);
        let ssrc = if random.random_bool(0.5) {
            CAMERA
        } else {
            random.next_u32()
        };
        match random.random_range(0..4) {
            0 => writer.pli(1, ssrc),
            1 => writer.nack(1, ssrc, (0..400).map(|i| (random.next_u32() >> (i % 16)) as u16)),
            2 => writer.receiver_report(
                1,
                &[ReportBlock {
                    ssrc,
                    fraction_lost: random.random(),
                    ..ReportBlock::default()
                }],
            ),
            _ => {
                // A report on what was never sent.
                bytes = vec![0x80 | 15, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2];
                bytes.extend((0..12).map(|_| random.random::<u8>()));
            }
        }
        bytes
    };
    // Checks are few enough to be answered: more would only end her own call.
    let kind = if random.random_bool(0.005) {
        8
    } else {
        random.random_range(0..8)
    };
    match kind {
        // A stream that nobody announced, by SSRC and by name.
        0 => {
            packet.ssrc = random.next_u32();
            if random.random_bool(0.5) {
                packet.extensions.clear();
            }
        }
        // Numbers that jump, near and far.
        1 => {
            *n = if random.random_bool(0.5) {
                random.random()
            } else {
                n.wrapping_add(random.random_range(1..300))
            };
            packet.sequence = *n;
        }
        2 => packet.extensions.push((TWCC, random.random::<[u8; 2]>().to_vec())),
        3 => {
            packet.ssrc = CAMERA + 1;
            packet.payload_type = VP8_RTX;
        }
        4 => {
            let bytes = control(random);
            return (home, client.seal_control(bytes));
        }
        // Authentic checks from ever new addresses.
        8 => {
            let from = SocketAddr::from(([10, random.random(), random.random(), random.random()], random.random()));
            return (from, client.check(random.random_bool(0.1)));
        }
        // A handshake that comes to nothing, from strangers and from home.
        6 => {
            let from = if random.random_bool(0.5) {
                home
            } else {
                SocketAddr::from(([10, 1, random.random(), random.random()], 9))
            };
            let mut bytes = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200];
            bytes.extend((0..200).map(|_| random.random::<u8>()));
            return (from, bytes);
        }
        _ => {}
    }
    match client.try_seal(&packet) {
        Some(sealed) => (home, sealed),
        None => (home, vec![0x80; 40]),
    }
}

#[test]
fn rely_67_a_participant_that_floods_costs_no_more_the_longer_it_does() {
    let mut world = World::new();
    world.enter("mallory", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(0, Source::Camera);
    world.enter("bob", &[Line::receive("0", false, &camera)]);
    let (mut scale, mut n, mut random) = (Scale { held: 0 }, 0, StdRng::seed_from_u64(3));
    let mut flood = |world: &mut World, scale: &mut Scale| {
        for round in 0..2_000 {
            for _ in 0..20 {
                let (from, datagram) = anything(world, &mut random, &mut n);
                take(world, scale, from, datagram);
            }
            if round % 20 == 0 {
                for index in 0..2 {
                    let (from, check) = (world.clients[index].address, world.clients[index].check(true));
                    take(world, scale, from, check);
                }
            }
            pass(world, scale);
        }
    };
    flood(&mut world, &mut scale);
    // A history of 512 packets, and buffers for what leaves, which come to be as long as the longest run.
    let first = scale.held;
    assert!(first < 2 << 20, "{first} bytes after ten seconds");
    for _ in 0..4 {
        flood(&mut world, &mut scale);
    }
    let later = scale.held;
    for _ in 0..8 {
        flood(&mut world, &mut scale);
    }
    let grown = scale.held - later;
    assert!(grown < 128 << 10, "{grown} bytes in the last eighty seconds");
    let stats = world.stats();
    assert_eq!(stats.peers, 2);
    for count in [
        stats.unknown_stream,
        stats.stun_refused + stats.stun_unauthenticated + stats.unknown,
        stats.reports_refused,
    ] {
        assert!(count > 50, "{stats:?}");
    }
}
