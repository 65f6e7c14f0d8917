//! The whole engine: datagrams from anywhere and commands of anybody, in every state; whatever came, the next good call works.

use std::net::SocketAddr;
use std::time::Duration;

use relay_token::Source;
use sfu_relay::engine::Command;
use sfu_relay::sdp::Offer;
use sfu_relay::signal::message::{Publish, Subscribe, Wish};

use crate::common::offers::{DD, MID, RID, RRID, TWCC};
use crate::common::{Line, Rtp, World, key_descriptor};
use crate::input::Input;

const CAMERA: u32 = 500;

/// A handshake of which any datagram may be altered, lost, doubled or late.
pub fn handshake(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    let mallory = world.join("mallory");
    world.offer(mallory, &[Line::camera("v", CAMERA)]);
    let check = world.clients[mallory].check(true);
    let mut waiting = vec![check];
    for _ in 0..40 {
        if input.is_empty() {
            break;
        }
        waiting.extend(world.clients[mallory].outgoing.drain(..));
        if waiting.is_empty() {
            step(&mut world, 100);
            continue;
        }
        let at = input.below(waiting.len());
        let mut datagram = match input.byte() % 4 {
            0 => waiting[at].clone(),
            _ => waiting.swap_remove(at),
        };
        for _ in 0..[0, 0, 0, 1, 2, 5][usize::from(input.byte()) % 6] {
            input.alter(&mut datagram);
        }
        let from = world.clients[mallory].address;
        world.engine.handle_datagram(world.now, from, &mut datagram);
        answer(&mut world);
        step(&mut world, u64::from(input.byte() % 50));
    }
    works(&mut world);
}

/// Datagrams from known and unknown addresses, true ones altered before and behind their protection, and commands, in a running call with
/// somebody in each state of arriving.
pub fn datagram(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA), Line::microphone("a", 900)]);
    let camera = world.producer(alice, Source::Camera);
    let bob = world.enter("bob", &[Line::simulcast("v"), Line::receive("0", false, &camera)]);
    let carol = world.join("carol");
    world.offer(carol, &[Line::receive("0", false, &camera)]);
    let ids = [camera, world.producer(bob, Source::Camera), "nobodys".to_owned()];
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        let who = [alice, bob, carol][usize::from(input.byte()) % 3];
        match input.byte() % 8 {
            0 => from_anywhere(&mut world, &mut input, who),
            1 => altered(&mut world, &mut input, who),
            2 | 3 => media(&mut world, &mut input, who),
            4 => control(&mut world, &mut input, who),
            5 | 6 => command(&mut world, &mut input, who, &ids),
            _ => world.pass(Duration::from_millis(5 * u64::from(input.byte()))),
        }
    }
    works(&mut world);
}

/// Two strangers meet, in the same room of the same relay: one sends, the other gets it.
fn works(world: &mut World) {
    let eve = world.enter("eve", &[Line::camera("e", 7_000)]);
    let camera = world.producer(eve, Source::Camera);
    let frank = world.enter("frank", &[Line::receive("0", false, &camera)]);
    let packet = Rtp {
        ssrc: 7_000,
        sequence: 1,
        timestamp: 9,
        payload_type: 96,
        marker: true,
        extensions: vec![(DD, key_descriptor(1))],
        payload: b"sealed".to_vec(),
        padding: 0,
    };
    world.rtp(eve, &packet);
    let ssrc = world.clients[frank].announced("0").0;
    assert_eq!(world.clients[frank].of(ssrc).len(), 1);
}

fn step(world: &mut World, ms: u64) {
    world.now += Duration::from_millis(ms);
    world.engine.handle_timeout(world.now);
    for client in &mut world.clients {
        client.handle_timeout(world.now);
    }
    answer(world);
}

/// What the relay sends reaches the clients; what they answer stays with them.
fn answer(world: &mut World) {
    while let Some(transmit) = world.engine.poll_transmit() {
        if let Some(client) = world.clients.iter_mut().find(|client| client.address == transmit.to) {
            for datagram in transmit.datagrams() {
                client.handle(world.now, datagram);
            }
        }
        world.engine.recycle(transmit);
    }
    while world.engine.poll_event().is_some() {}
}

fn from_anywhere(world: &mut World, input: &mut Input<'_>, who: usize) {
    let from = if input.byte() & 1 == 0 {
        world.clients[who].address
    } else {
        SocketAddr::from(([203, 0, 113, input.byte()], 1))
    };
    let len = input.number() % 1_500;
    let mut bytes = input.take(len).to_vec();
    world.engine.handle_datagram(world.now, from, &mut bytes);
    world.pump();
}

fn altered(world: &mut World, input: &mut Input<'_>, who: usize) {
    let client = &mut world.clients[who];
    let mut bytes = match input.byte() % 3 {
        0 => client.check(input.byte() & 1 == 1),
        1 if client.is_connected() => {
            let packet = Rtp {
                ssrc: CAMERA,
                sequence: input.number() as u16,
                ..Rtp::default()
            };
            let Some(sealed) = client.try_seal(&packet) else { return };
            sealed
        }
        _ => vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 1, 0, 0, 0],
    };
    input.alter(&mut bytes);
    world.send_datagram(who, bytes);
    world.pump();
}

fn media(world: &mut World, input: &mut Input<'_>, who: usize) {
    if !world.clients[who].is_connected() {
        return;
    }
    let extensions = (0..input.byte() % 4).map(|_| {
        let id = [MID, RID, RRID, TWCC, DD, 14][usize::from(input.byte()) % 6];
        let len = 1 + usize::from(input.byte() % 20);
        let value = match input.byte() % 4 {
            0 => b"v".to_vec(),
            1 => b"f".to_vec(),
            2 => key_descriptor(u16::from(input.byte())),
            _ => input.take(len).to_vec(),
        };
        (id, value)
    });
    let extensions: Vec<(u8, Vec<u8>)> = extensions.filter(|(_, value)| !value.is_empty()).collect();
    let len = input.number() % 200;
    let packet = Rtp {
        extensions,
        ssrc: [CAMERA, CAMERA + 1, 900, 1_113, input.number() as u32][usize::from(input.byte()) % 5],
        sequence: input.number() as u16,
        timestamp: (input.number() as u32) << 12,
        payload_type: [96, 97, 111, 63, input.byte() % 128][usize::from(input.byte()) % 5],
        marker: input.byte() & 1 == 1,
        payload: input.take(len).to_vec(),
        padding: input.byte() % 3 * 40,
    };
    // The payload types 64 to 95 are control's by their second byte.
    if !(64..96).contains(&packet.payload_type)
        && let Some(sealed) = world.clients[who].try_seal(&packet)
    {
        world.send_datagram(who, sealed);
        world.pump();
    }
}

fn control(world: &mut World, input: &mut Input<'_>, who: usize) {
    if !world.clients[who].is_connected() {
        return;
    }
    let kind = [200, 201, 202, 203, 205, 206, input.byte()][usize::from(input.byte()) % 7];
    let len = input.number() % 120;
    let body = input.take(len);
    let mut packet = vec![
        0x80 | input.byte() & 0x3F,
        kind,
        0,
        (body.len() / 4 + 1) as u8,
        0,
        0,
        0,
        1,
    ];
    packet.extend_from_slice(body);
    let ours = world.clients[who]
        .answer
        .lines()
        .find_map(|line| line.strip_prefix("a=ssrc:"));
    if let (Some(ssrc), Some(place)) = (
        ours.and_then(|line| line.split(' ').next()?.parse::<u32>().ok()),
        packet.get_mut(8..12),
    ) {
        place.copy_from_slice(&ssrc.to_be_bytes());
    }
    world.rtcp(who, packet);
}

fn command(world: &mut World, input: &mut Input<'_>, who: usize, ids: &[String; 3]) {
    let session = world.clients[who].session;
    let producer = ids[usize::from(input.byte()) % 3].clone();
    let layer = [None, Some(0), Some(1), Some(input.byte())][usize::from(input.byte()) % 4];
    let command = match input.byte() % 8 {
        0 => Command::Wishes {
            session,
            wishes: (0..input.number() % 600)
                .map(|n| Wish {
                    producer: ids[n % 3].clone(),
                    max_layer: layer,
                    paused: n % 2 == 0,
                    pinned: n % 3 == 0,
                })
                .collect(),
        },
        1 | 2 => Command::Pause {
            session,
            producer,
            paused: input.byte() & 1 == 1,
        },
        3 => Command::KeyFrameSent {
            session,
            producer,
            ssrc: CAMERA,
            rtp_timestamp: (input.number() as u32) << 12,
        },
        4 => Command::RequestKeyFrame { session, producer },
        5 => Command::CloseProducer { session, producer },
        6 => Command::Closed {
            session,
            leaving: input.byte() & 1 == 1,
        },
        _ => {
            let client = &world.clients[who];
            let mut text = client.offer_sdp().into_bytes();
            for _ in 0..input.byte() % 3 {
                input.alter(&mut text);
            }
            let Ok(offer) = Offer::parse(&String::from_utf8_lossy(&text)) else {
                return;
            };
            let mids = ["v", "a", "0"].map(str::to_owned);
            let [v, a, zero] = mids;
            Command::Offer {
                session,
                id: 9,
                offer: Box::new(offer),
                publish: [(v, Source::Camera), (a, Source::Microphone)]
                    .into_iter()
                    .take(usize::from(input.byte() % 3))
                    .map(|(mid, source)| Publish { mid, source })
                    .collect(),
                subscribe: vec![Subscribe { mid: zero, producer }],
            }
        }
    };
    world.command(command);
}
