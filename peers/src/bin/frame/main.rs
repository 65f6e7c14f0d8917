//! Sealing and opening frames: ours beside raw ring, the `sframe` crate and DAVE (`davey`), in one process and one run.
//!
//! Prints one JSON object a line. `--quick` takes few rounds, to see that everything works; any other word picks the samples
//! whose name contains it.

mod bad;
mod contender;
mod dave;
mod ours;
mod raw;
mod rounds;
mod sframe_crate;

use std::process::ExitCode;

use e2ee_core::media::{Codec, FrameType, StreamKind};
use serde_json::{Value, json};

use contender::Contender;
use rounds::Rounds;

/// What is sealed: a frame of a kind and a size.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) len: usize,
    pub(crate) stream: StreamKind,
    pub(crate) codec: Codec,
    pub(crate) frame_type: FrameType,
}

/// 20 ms of Opus, and video frames as large as a slide, a 720p frame and a key frame are.
pub(crate) const SAMPLES: [Sample; 4] = [
    sample("120 B, Opus", 120, Codec::Opus, FrameType::Key),
    sample("1.2 kB, VP8", 1_200, Codec::Vp8, FrameType::Delta),
    sample("10 kB, VP8", 10_000, Codec::Vp8, FrameType::Delta),
    sample("50 kB, VP8 key", 50_000, Codec::Vp8, FrameType::Key),
];

/// The other shells, at the size of a 720p frame. Two of them are searched for start codes, which is not free.
const SHELLS: [Sample; 3] = [
    sample("10 kB, VP9", 10_000, Codec::Vp9, FrameType::Delta),
    sample("10 kB, AV1", 10_000, Codec::Av1, FrameType::Delta),
    sample("10 kB, H.264", 10_000, Codec::H264, FrameType::Delta),
];

pub(crate) const fn sample(name: &'static str, len: usize, codec: Codec, frame_type: FrameType) -> Sample {
    let stream = match codec {
        Codec::Opus => StreamKind::Microphone,
        _ => StreamKind::Camera,
    };
    Sample {
        name,
        len,
        stream,
        codec,
        frame_type,
    }
}

/// Of raw ring's time.
const GOAL: f64 = 1.15;

fn main() -> ExitCode {
    let mut rounds = Rounds::FULL;
    let mut part = String::new();
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--quick" => rounds = Rounds::QUICK,
            word if word.starts_with('-') => {
                eprintln!("`{word}` is not known; there is `--quick`, and parts of samples' names");
                return ExitCode::FAILURE;
            }
            _ => part = word,
        }
    }
    let wanted = |sample: &Sample| sample.name.contains(&part);
    for sample in SAMPLES.into_iter().filter(wanted) {
        print(beside_peers(sample, rounds));
    }
    for sample in SHELLS.into_iter().filter(wanted) {
        print(shell_beside_ring(sample, rounds));
    }
    for sample in bad::SAMPLES.into_iter().filter(wanted) {
        print(bad::lines(sample, rounds));
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "the results are for programs to read")]
fn print(lines: Vec<Value>) {
    for line in lines {
        println!("{line}");
    }
}

fn beside_peers(sample: Sample, rounds: Rounds) -> Vec<Value> {
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(ours::Ours::new(sample)),
        Box::new(raw::Raw::new(sample)),
        Box::new(sframe_crate::SframeCrate::new(sample)),
        Box::new(dave::Dave::new(sample)),
    ];
    let (seal, open) = rounds::measure(&mut contenders, sample.len, rounds);
    [("seal", seal), ("open", open)]
        .map(|(what, ns)| {
            let [ours, raw, sframe, davey] = ns[..] else {
                unreachable!("a figure for each of the four")
            };
            json!({
                "case": format!("{what} {}", sample.name),
                "unit": "ns",
                "ours": ours,
                "peers": { "raw ring": raw, "sframe 2.1.0": sframe, "davey 0.2.0": davey },
                "goal": format!("at most {GOAL} x raw ring, and under sframe and davey"),
                "holds": ours <= raw * GOAL && ours < sframe && ours < davey,
            })
        })
        .to_vec()
}

fn shell_beside_ring(sample: Sample, rounds: Rounds) -> Vec<Value> {
    let mut contenders: Vec<Box<dyn Contender>> =
        vec![Box::new(ours::Ours::new(sample)), Box::new(raw::Raw::new(sample))];
    let (seal, open) = rounds::measure(&mut contenders, sample.len, rounds);
    [("seal", seal), ("open", open)]
        .map(|(what, ns)| {
            json!({
                "case": format!("{what} {}", sample.name),
                "unit": "ns",
                "ours": ns[0],
                "peers": { "raw ring": ns[1] },
                "goal": null,
                "holds": null,
            })
        })
        .to_vec()
}
