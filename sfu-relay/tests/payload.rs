//! No decision depends on a payload byte: for every codec, with the Dependency Descriptor and without, each byte of the payloads is changed in turn,
//! and what the relay does stays the same.
//!
//! Requirements held here: RELY-12.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::offers::{DD, MID, RID, TWCC};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use relay_token::Source;
use sfu_relay::engine::Command;
use sfu_relay::rtp::rtcp::{self, Rtcp, Writer};
use sfu_relay::signal::message::RelayMessage;

const MS: Duration = Duration::from_millis(1);
/// One round: a second, so that everything periodic falls on the same moments of each.
const FRAMES: u16 = 25;
const FRAME: Duration = Duration::from_millis(40);

struct Codec {
    name: &'static str,
    lines: (&'static str, &'static str),
    payload_type: u8,
    rtx: Option<u8>,
    audio: bool,
    /// How payloads begin: descriptor and shell of a delta frame, as browsers write them.
    start: &'static [u8],
}

const CODECS: [Codec; 5] = [
    Codec {
        name: "Opus",
        lines: (
            "111",
            "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack\r\n",
        ),
        payload_type: 111,
        rtx: None,
        audio: true,
        start: &[],
    },
    Codec {
        name: "VP8",
        lines: (
            "96 97",
            "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n",
        ),
        payload_type: 96,
        rtx: Some(97),
        audio: false,
        start: &[0x90, 0x80, 0x81, 0x23, 0x11],
    },
    Codec {
        name: "VP9",
        lines: (
            "98 99",
            "a=rtpmap:98 VP9/90000\r\na=fmtp:98 profile-id=0\r\na=rtcp-fb:98 nack\r\na=rtcp-fb:98 nack pli\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n",
        ),
        payload_type: 98,
        rtx: Some(99),
        audio: false,
        start: &[0x8C, 0x81, 0x23, 0x00],
    },
    Codec {
        name: "AV1",
        lines: (
            "45 46",
            "a=rtpmap:45 AV1/90000\r\na=rtcp-fb:45 nack\r\na=rtcp-fb:45 nack pli\r\na=rtpmap:46 rtx/90000\r\na=fmtp:46 apt=45\r\n",
        ),
        payload_type: 45,
        rtx: Some(46),
        audio: false,
        start: &[0x10, 0x30],
    },
    Codec {
        name: "H.264",
        lines: (
            "106 107",
            "a=rtpmap:106 H264/90000\r\na=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
             a=rtcp-fb:106 nack\r\na=rtcp-fb:106 nack pli\r\na=rtpmap:107 rtx/90000\r\na=fmtp:107 apt=106\r\n",
        ),
        payload_type: 106,
        rtx: Some(107),
        audio: false,
        start: &[0x61, 0xE0],
    },
];
const LEN: usize = 28;

/// What a client got and was told in one round, but for the bytes of payloads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decisions {
    packets: Vec<(u32, u16, u32, u8, bool, usize, usize)>,
    control: BTreeMap<String, usize>,
    told: Vec<String>,
}

struct Meeting {
    world: World,
    codec: &'static Codec,
    descriptor: bool,
    alice: usize,
    bob: usize,
    producer: String,
    round: u16,
    timestamp: u32,
}

impl Meeting {
    fn new(codec: &'static Codec, with_descriptor: bool) -> Self {
        let mut world = World::new();
        let with = |mut line: Line| {
            line.codecs = Some(codec.lines);
            line.descriptor = with_descriptor;
            line
        };
        let own = if codec.audio {
            Line::microphone("v", 900)
        } else {
            Line::simulcast("v")
        };
        let alice = world.enter("alice", &[with(own)]);
        let source = if codec.audio {
            Source::Microphone
        } else {
            Source::Camera
        };
        let producer = world.producer(alice, source);
        let bob = world.enter("bob", &[with(Line::receive("0", codec.audio, &producer))]);
        Meeting {
            world,
            codec,
            descriptor: with_descriptor,
            alice,
            bob,
            producer,
            round: 0,
            timestamp: 0,
        }
    }

    fn payload(&self, n: u16, changed: Option<(usize, u8)>) -> Vec<u8> {
        let mut payload = self.codec.start.to_vec();
        payload.extend((payload.len()..LEN).map(|at| (at as u8).wrapping_mul(37).wrapping_add(n as u8)));
        if let Some((at, mask)) = changed {
            payload[at] ^= mask;
        }
        payload
    }

    /// A second of two layers with a key frame, a lost packet that comes by retransmission, a padded one, a wish for the other layer and back, and a
    /// receiver that misses something.
    fn round(&mut self, changed: Option<(usize, u8)>) -> [Decisions; 2] {
        for client in &mut self.world.clients {
            client.media.clear();
            client.control.clear();
            client.messages.clear();
        }
        for n in 0..FRAMES {
            self.timestamp += 3_600;
            let key = n == 2 || n == 12;
            if n == 1 || n == 11 {
                self.world.wish(self.bob, &self.producer, Some(u8::from(n == 1)), false);
            }
            let layers: &[(&str, u32)] = if self.codec.audio {
                &[("", 900)]
            } else {
                &[("q", 1_113), ("f", 1_102)]
            };
            for (rid, ssrc) in layers {
                self.packet(n, rid, *ssrc, key, changed);
                if key && !self.descriptor && !self.codec.audio {
                    let command = Command::KeyFrameSent {
                        session: self.world.clients[self.alice].session,
                        producer: self.producer.clone(),
                        ssrc: *ssrc,
                        rtp_timestamp: self.timestamp,
                    };
                    self.world.command(command);
                }
            }
            if n == 20 {
                let ssrc = self.world.clients[self.bob].announced("0").0;
                if let Some(missed) = self.world.clients[self.bob]
                    .of(ssrc)
                    .get(8)
                    .map(|packet| packet.sequence)
                {
                    let mut nack = Vec::new();
                    Writer::new(&mut nack).nack(1, ssrc, [missed]);
                    self.world.rtcp(self.bob, nack);
                }
            }
            self.world.live(FRAME);
        }
        self.round += 1;
        [self.decisions(self.alice), self.decisions(self.bob)]
    }

    fn packet(&mut self, n: u16, rid: &str, ssrc: u32, key: bool, changed: Option<(usize, u8)>) {
        let number = self.round * FRAMES + n;
        let mut extensions = vec![(MID, b"v".to_vec()), (TWCC, number.to_be_bytes().to_vec())];
        if !rid.is_empty() {
            extensions.push((RID, rid.as_bytes().to_vec()));
        }
        if self.descriptor && !self.codec.audio {
            let dd = if key {
                key_descriptor(number)
            } else {
                descriptor(number)
            };
            extensions.push((DD, dd));
        }
        let packet = Rtp {
            ssrc,
            sequence: number,
            timestamp: self.timestamp,
            payload_type: self.codec.payload_type,
            marker: true,
            extensions,
            payload: self.payload(n, changed),
            padding: if n == 5 { 9 } else { 0 },
        };
        if n != 7 {
            self.world.rtp(self.alice, &packet);
        } else if let Some(rtx) = self.codec.rtx {
            // It was lost, and comes with the next.
            let mut payload = packet.sequence.to_be_bytes().to_vec();
            payload.extend(packet.payload);
            let repeated = Rtp {
                ssrc: ssrc + 5_000,
                sequence: self.round,
                payload_type: rtx,
                extensions: vec![(MID, b"v".to_vec()), (common::offers::RRID, rid.as_bytes().to_vec())],
                payload,
                padding: 0,
                ..packet
            };
            self.world.pass(15 * MS);
            self.world.rtp(self.alice, &repeated);
        }
    }

    fn decisions(&self, client: usize) -> Decisions {
        let client = &self.world.clients[client];
        let mut decisions = Decisions::default();
        let mut first: BTreeMap<u32, (u16, u32)> = BTreeMap::new();
        for packet in &client.media {
            let (sequence, timestamp) = *first.entry(packet.ssrc).or_insert((packet.sequence, packet.timestamp));
            decisions.packets.push((
                packet.ssrc,
                packet.sequence.wrapping_sub(sequence),
                packet.timestamp.wrapping_sub(timestamp),
                packet.payload_type,
                packet.marker,
                packet.extensions.len(),
                packet.payload.len(),
            ));
        }
        for packet in client.control.iter().flat_map(|compound| rtcp::parse(compound)) {
            let name = match packet {
                // They come by the clock, not quite once a second; and numbers and times of arrivals go on from round to round.
                Rtcp::SenderReport(_) | Rtcp::Report(_) | Rtcp::Arrivals { .. } => continue,
                Rtcp::Nack { media_ssrc, entries } => {
                    format!("nack of {media_ssrc}, {}", rtcp::nacked(entries).count())
                }
                other => format!("{other:?}"),
            };
            *decisions.control.entry(name).or_default() += 1;
        }
        let told = client.messages.iter();
        decisions.told = told
            .filter(|message| !matches!(message, RelayMessage::Pong {}))
            .map(|message| format!("{message:?}"))
            .collect();
        decisions
    }
}

fn no_byte_of(name: &str) {
    let codec = CODECS.iter().find(|codec| codec.name == name).unwrap();
    for with_descriptor in [true, false] {
        if codec.audio && with_descriptor {
            continue;
        }
        let mut meeting = Meeting::new(codec, with_descriptor);
        // Estimates and states of the first seconds settle.
        for _ in 0..6 {
            meeting.round(None);
        }
        let as_it_was = meeting.round(None);
        assert!(as_it_was[1].packets.len() > 20, "{name}: something is forwarded");
        assert_eq!(as_it_was, meeting.round(None), "{name}: a round is like the other");
        for at in 0..LEN {
            for mask in [0xFF, 0x01, 0x80] {
                let now = meeting.round(Some((at, mask)));
                assert_eq!(
                    as_it_was, now,
                    "{name}, descriptor: {with_descriptor}, byte {at} changed by {mask:02x}"
                );
            }
        }
    }
}

#[test]
fn rely_12_no_byte_of_an_opus_payload_changes_a_decision() {
    no_byte_of("Opus");
}

#[test]
fn rely_12_no_byte_of_a_vp8_payload_changes_a_decision() {
    no_byte_of("VP8");
}

#[test]
fn rely_12_no_byte_of_a_vp9_payload_changes_a_decision() {
    no_byte_of("VP9");
}

#[test]
fn rely_12_no_byte_of_an_av1_payload_changes_a_decision() {
    no_byte_of("AV1");
}

#[test]
fn rely_12_no_byte_of_an_h264_payload_changes_a_decision() {
    no_byte_of("H.264");
}
