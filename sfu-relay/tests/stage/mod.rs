//! Alice on a stage: she sends pictures and sound, and receivers each have a line of their own.
#![allow(clippy::unwrap_used, unreachable_pub)]

use std::time::Duration;

use emulator::{Capacity, Profile};
use relay_token::Source;
use sfu_relay::rtp::rtcp::{self, Rtcp};
use sfu_relay::signal::message::RelayMessage;

use crate::common::offers::{DD, MID, OPUS, RID, VP8};
use crate::common::{Line, Rtp, World, descriptor, key_descriptor};

const STEP: Duration = Duration::from_millis(5);
const RIDS: [&str; 3] = ["q", "h", "f"];
const RATES: [usize; 3] = [150_000, 500_000, 1_700_000];

/// Alice sends a camera in three layers and her voice, and makes a key frame of a layer when asked. Layers that nobody wants she does not send.
pub struct Stage {
    pub world: World,
    pub alice: usize,
    pub camera: String,
    pub microphone: String,
    pub step: u64,
    pub frame: u16,
    pub sequences: [u16; 3],
    pub key_frames: [bool; 3],
    pub sending: [bool; 3],
    pub voice: u16,
}

fn ssrc(layer: usize) -> u32 {
    700 + layer as u32
}

impl Stage {
    pub fn new() -> Self {
        let mut world = World::new();
        let alice = world.enter("alice", &[Line::simulcast("v"), Line::microphone("a", 900)]);
        Stage {
            camera: world.producer(alice, Source::Camera),
            microphone: world.producer(alice, Source::Microphone),
            world,
            alice,
            step: 0,
            frame: 0,
            sequences: [100, 200, 300],
            key_frames: [true; 3],
            sending: [true; 3],
            voice: 0,
        }
    }

    /// Somebody who sees and hears Alice over this line.
    pub fn receiver(&mut self, name: &str, capacity: Capacity) -> usize {
        let sound = Line::receive("1", true, &self.microphone);
        let profile = Profile {
            capacity,
            queue: 30_000,
            ..Profile::default()
        };
        self.receiver_with(name, profile, None, sound)
    }

    /// Of whose sound nothing is reported; with a line that has next to nothing from the 10th to the 40th second, and jitter in milliseconds.
    pub fn receiver_of_unreported_sound(&mut self, jitter: u64, seed: u64) -> usize {
        let sound = Line {
            codecs: Some((
                "111",
                "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack\r\n",
            )),
            ..Line::receive("1", true, &self.microphone)
        };
        let profile = Profile {
            capacity: steps(&[(0, 3_000), (10, 110), (40, 3_000)]),
            jitter: Duration::from_millis(jitter),
            queue: 30_000,
            ..Profile::default()
        };
        self.receiver_with("narrow", profile, Some(seed), sound)
    }

    pub fn receiver_with(&mut self, name: &str, profile: Profile, seed: Option<u64>, sound: Line) -> usize {
        let lines = [Line::receive("0", false, &self.camera), sound];
        let index = self.world.enter(name, &lines);
        let line = emulator::Line::new(profile, seed.unwrap_or(index as u64), self.world.now);
        self.world.lines.insert(index, line);
        index
    }

    pub fn run(&mut self, duration: Duration) {
        for _ in 0..duration.as_millis() / STEP.as_millis() {
            if self.step.is_multiple_of(4) {
                self.speak();
            }
            if self.step.is_multiple_of(7) {
                self.obey();
                for layer in (0..3).filter(|layer| self.sending[*layer]).collect::<Vec<_>>() {
                    self.picture(layer);
                }
                self.frame += 1;
            }
            if self.step.is_multiple_of(10) {
                self.world.report();
            }
            if self.step.is_multiple_of(200) {
                self.world.live(STEP);
            } else {
                self.world.pass(STEP);
            }
            self.step += 1;
            let control = std::mem::take(&mut self.world.clients[self.alice].control);
            for packet in control.iter().flat_map(|compound| rtcp::parse(compound)) {
                if let Rtcp::Pli { media_ssrc } = packet {
                    self.key_frames[(media_ssrc - 700) as usize] = true;
                }
            }
        }
    }

    /// Does what the relay last said of layers. One that begins again begins with a key frame.
    pub fn obey(&mut self) {
        let told = self.world.clients[self.alice]
            .messages
            .iter()
            .rev()
            .find_map(|message| match message {
                RelayMessage::WantedLayers { layers, .. } => Some(layers.clone()),
                _ => None,
            });
        let Some(told) = told else { return };
        for layer in 0..3 {
            let wanted = told.contains(&(layer as u8));
            self.key_frames[layer] |= wanted && !self.sending[layer];
            self.sending[layer] = wanted;
        }
    }

    pub fn speak(&mut self) {
        let packet = Rtp {
            ssrc: 900,
            sequence: self.voice,
            timestamp: 960 * u32::from(self.voice),
            payload_type: OPUS,
            payload: vec![1; 80],
            ..Rtp::default()
        };
        self.voice += 1;
        self.world.rtp(self.alice, &packet);
    }

    pub fn picture(&mut self, layer: usize) {
        let key = std::mem::take(&mut self.key_frames[layer]);
        let bytes = RATES[layer] * 35 / 8_000 * if key { 4 } else { 1 };
        let packets = bytes.div_ceil(1_000);
        for i in 0..packets {
            let mut dd = if key && i == 0 {
                key_descriptor(self.frame)
            } else {
                descriptor(self.frame)
            };
            dd[0] = u8::from(i == 0) << 7 | u8::from(i + 1 == packets) << 6;
            let packet = Rtp {
                ssrc: ssrc(layer),
                sequence: self.sequences[layer],
                timestamp: 3_150 * u32::from(self.frame),
                payload_type: VP8,
                marker: i + 1 == packets,
                extensions: vec![(MID, b"v".to_vec()), (RID, RIDS[layer].into()), (DD, dd)],
                payload: vec![layer as u8; bytes / packets],
                padding: 0,
            };
            self.sequences[layer] += 1;
            self.world.rtp(self.alice, &packet);
        }
    }

    /// What a receiver got since it was last asked: packets of each layer, and of the voice.
    pub fn got(&mut self, receiver: usize) -> ([usize; 3], usize) {
        let client = &mut self.world.clients[receiver];
        let (video, voice) = (client.announced("0").0, client.announced("1").0);
        let (mut layers, mut voices) = ([0; 3], 0);
        for packet in std::mem::take(&mut client.media) {
            if packet.ssrc == video {
                layers[usize::from(packet.payload[0])] += 1;
            } else if packet.ssrc == voice {
                voices += 1;
            }
        }
        (layers, voices)
    }

    /// The lists of producers that a receiver was told there is no room for.
    pub fn told(&self, receiver: usize) -> Vec<Vec<String>> {
        let messages = self.world.clients[receiver].messages.iter();
        messages
            .filter_map(|message| match message {
                RelayMessage::Paused { producers } => Some(producers.clone()),
                _ => None,
            })
            .collect()
    }
}

pub const S: Duration = Duration::from_secs(1);

pub fn steps(steps: &[(u32, u64)]) -> Capacity {
    Capacity::Steps(steps.iter().map(|(s, kbit)| (S * *s, kbit * 1_000)).collect())
}
