//! PF-27: what it costs to refuse a frame, beside what it costs to open a good one of the same kind and size.

use std::hint::black_box;

use e2ee_core::media::{Codec, FrameType, MediaKeys, Outcome, StreamKind};
use e2ee_core::sframe::{BaseKey, FrameKey, Header};
use e2ee_core::shell::Shell;
use serde_json::{Value, json};

use crate::Sample;
use crate::contender::plaintext;
use crate::ours::{BASE_KEY, NOW, SUITE, member};
use crate::rounds::{Rounds, interleave, timed};

/// What the error of measuring may add: the two do the same work up to the tag.
const TOLERANCE: f64 = 1.1;

pub(crate) const SAMPLES: [Sample; 3] = [
    crate::SAMPLES[0],
    crate::SAMPLES[2],
    crate::sample("50 kB, H.264", 50_000, Codec::H264, FrameType::Delta),
];

/// Leaves in the group, so that there are streams enough that were never heard.
const LEAVES: u32 = 1_024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    WrongTag,
    Replayed,
    /// Always the same stream, of which nothing was ever opened.
    NeverHeard,
    /// A constant of the shell is another.
    OtherShell,
    /// The shell is good, and there is an escape at every third byte.
    Escapes,
    /// The shell is good, and every third byte looks as if it might need an escape.
    Zeros,
    /// Good, and each of a stream that was never heard before.
    FirstGood,
    /// Forged, and each of a stream that was never heard before.
    FirstForged,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Good => "a good frame",
            Kind::WrongTag => "a wrong tag",
            Kind::Replayed => "a replayed frame",
            Kind::NeverHeard => "a forged frame of a stream never heard",
            Kind::OtherShell => "another shell",
            Kind::Escapes => "nothing but escapes",
            Kind::Zeros => "nothing but zeros",
            Kind::FirstGood => "a good first frame of a stream",
            Kind::FirstForged => "a forged first frame of a stream",
        }
    }
}

pub(crate) fn lines(sample: Sample, rounds: Rounds) -> Vec<Value> {
    let mut kinds = vec![Kind::Good, Kind::WrongTag, Kind::Replayed, Kind::NeverHeard];
    if sample.codec != Codec::Opus {
        kinds.push(Kind::OtherShell);
    }
    if sample.codec == Codec::H264 {
        kinds.extend([Kind::Escapes, Kind::Zeros]);
    }
    let mut lines = against_the_first(&kinds, sample, rounds, 32);
    if sample.codec == Codec::Opus {
        let first = [Kind::FirstGood, Kind::FirstForged];
        lines.extend(against_the_first(&first, sample, rounds, 256));
    }
    lines
}

fn against_the_first(kinds: &[Kind], sample: Sample, rounds: Rounds, frames: usize) -> Vec<Value> {
    let mut victims: Vec<Victim> = kinds.iter().map(|kind| Victim::new(*kind, sample)).collect();
    let ns = interleave(&mut victims, rounds, frames, |victim| {
        victim.prepare(frames);
        timed(|| victim.open())
    });
    let [good, bad @ ..] = &ns[..] else {
        unreachable!("there is a good one first")
    };
    bad.iter()
        .zip(&kinds[1..])
        .map(|(bad, kind)| {
            json!({
                "case": format!("refuse {}, {}", kind.name(), sample.name),
                "unit": "ns",
                "ours": bad,
                "peers": { kinds[0].name(): good },
                "goal": format!("at most {TOLERANCE} x {}", kinds[0].name()),
                "holds": *bad <= good * TOLERANCE,
            })
        })
        .collect()
}

/// A receiver and what comes in.
struct Victim {
    kind: Kind,
    sample: Sample,
    sender: MediaKeys,
    receiver: MediaKeys,
    plain: Vec<u8>,
    frames: Vec<Vec<u8>>,
}

impl Victim {
    fn new(kind: Kind, sample: Sample) -> Self {
        Victim {
            kind,
            sample,
            sender: member(LEAVES, 1),
            receiver: member(LEAVES, 0),
            plain: plaintext(sample.len),
            frames: Vec::new(),
        }
    }

    fn prepare(&mut self, count: usize) {
        if matches!(self.kind, Kind::FirstGood | Kind::FirstForged) {
            self.receiver = member(LEAVES, 0);
        }
        self.frames.resize_with(count, Vec::new);
        let mut frames = std::mem::take(&mut self.frames);
        for (n, frame) in frames.iter_mut().enumerate() {
            frame.clear();
            frame.extend_from_slice(&self.plain);
            self.make(n, frame);
        }
        self.frames = frames;
    }

    fn make(&mut self, n: usize, frame: &mut Vec<u8>) {
        let Sample {
            stream,
            codec,
            frame_type,
            ..
        } = self.sample;
        match self.kind {
            Kind::FirstGood | Kind::FirstForged => {
                let leaf = 1 + n as u64 % u64::from(LEAVES - 1);
                first_frame(stream, leaf, frame);
            }
            Kind::NeverHeard | Kind::Escapes | Kind::Zeros => {
                let content: &[u8] = match self.kind {
                    Kind::Escapes => &[0, 0, 3],
                    Kind::Zeros => &[0, 0, 4],
                    _ => &self.plain,
                };
                forge(stream, Shell::of(codec, frame_type), content, frame);
            }
            Kind::Good | Kind::WrongTag | Kind::Replayed | Kind::OtherShell => {
                let sealed = self.sender.seal(stream, codec, frame_type, frame, NOW);
                assert!(sealed.is_ok());
            }
        }
        match self.kind {
            Kind::Replayed => {
                let outcome = self.receiver.open(stream.media_kind(), &mut frame.clone(), NOW);
                assert!(matches!(outcome, Outcome::Opened(_)));
            }
            Kind::WrongTag | Kind::FirstForged => {
                // Before the byte that ends a NAL unit.
                let place = frame.len() - 3;
                frame[place] ^= 0x80;
            }
            Kind::OtherShell => frame[0] = 0x7f,
            _ => {}
        }
    }

    fn open(&mut self) {
        let good = matches!(self.kind, Kind::Good | Kind::FirstGood);
        for frame in &mut self.frames {
            let outcome = self.receiver.open(self.sample.stream.media_kind(), frame, NOW);
            assert_eq!(
                matches!(outcome, Outcome::Opened(_)),
                good,
                "{}: {outcome:?}",
                self.kind.name()
            );
            black_box(frame);
        }
    }
}

fn key_id(stream: StreamKind, leaf: u64) -> u64 {
    (stream.context() << LEAVES.ilog2() | leaf) << 4 | 9
}

/// The first frame of the stream of `leaf`, in no shell.
fn first_frame(stream: StreamKind, leaf: u64, frame: &mut Vec<u8>) {
    let key = FrameKey::new(&BaseKey::new(SUITE, &BASE_KEY).derive(key_id(stream, leaf)));
    let sealed = key.seal(0, &[1, Shell::None.id()], frame, 0);
    assert!(sealed.is_ok());
}

/// A good header and a good shell around `content`, repeated to the length of a good frame, and no tag.
fn forge(stream: StreamKind, shell: Shell, content: &[u8], frame: &mut Vec<u8>) {
    let header = Header {
        key_id: key_id(stream, 2),
        counter: 600,
    }
    .encode();
    let content = content.iter().copied().cycle().take(frame.len());
    let inner: Vec<u8> = header
        .as_bytes()
        .iter()
        .copied()
        .chain(content)
        .chain([0xaa; 16])
        .collect();
    let room = shell.head_len(inner.len());
    frame.clear();
    frame.resize(room, 0);
    frame.extend_from_slice(&inner);
    shell.wrap(frame, room);
}
