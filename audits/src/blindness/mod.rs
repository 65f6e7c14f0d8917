//! The blindness audit (C1): does anything that an encoder made occur in what the relay received?
//!
//! Two captures by test builds are compared: the frames as the sender's worker got them from the encoder, before sealing
//! ([`frames`]), and every RTP payload that reached the relay ([`capture`]). The comparison is strict: every 8
//! consecutive bytes of every frame are looked for at every offset of every payload ([`grams`]). Left out are only the
//! bytes of the shells, which are published constants, and only at their very place ([`wire_shell`]).

mod capture;
mod frames;
mod grams;
mod wire_shell;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

pub use frames::{FrameCodec, Stream};

use self::capture::Capture;
use self::frames::Frame;
use self::wire_shell::Start;
use crate::Error;
use crate::report::{Claim, Place, Report};

/// Compares the dumps of encoder outputs with a folder of captures.
pub fn audit(frames: &[PathBuf], relay: &Path) -> Result<Report, Error> {
    let mut dump = Vec::new();
    for path in frames {
        frames::read(path, &mut dump)?;
    }
    let captures = capture::read_folder(relay)?;
    if !dump.iter().any(|frame| frame.bytes.len() >= grams::GRAM) {
        return Err(Error::NothingToCompare("no frame of 8 bytes or more was dumped"));
    }
    if captures.iter().all(|capture| capture.packets.is_empty()) {
        return Err(Error::NothingToCompare("the relay's captures hold no packet"));
    }

    let mut report = Report::new("blindness of the relay");
    facts(&mut report, &dump, &captures);
    let codecs = same_call(&mut report, &dump, &captures);
    // What is compared of each packet: all of it, less the shell's constants.
    let mut shells = ShellTally::of(&dump);
    let mut pieces = Vec::new();
    for (capture, codec) in captures.iter().zip(&codecs) {
        for (number, packet) in capture.packets.iter().enumerate() {
            let cut = match codec {
                Some(codec) => shells.check(&mut report, *codec, capture, number),
                None => Vec::new(),
            };
            pieces.extend(
                grams::without(&packet.payload, &cut).map(|(offset, bytes)| grams::Piece {
                    capture,
                    packet: number,
                    offset,
                    bytes,
                }),
            );
        }
    }
    shells.report(&mut report, &dump);
    grams::compare(&mut report, &dump, &pieces);
    Ok(report)
}

fn facts(report: &mut Report, dump: &[Frame], captures: &[Capture]) {
    let mut by_codec = BTreeMap::<&str, (usize, usize)>::new();
    for frame in dump {
        let (count, bytes) = by_codec.entry(frame.codec.name()).or_default();
        *count += 1;
        *bytes += frame.bytes.len();
    }
    let all: Vec<String> = by_codec
        .iter()
        .map(|(codec, (count, bytes))| format!("{count} {codec} ({bytes} bytes)"))
        .collect();
    report.fact("frames", all.join(", "));
    let packets: usize = captures.iter().map(|capture| capture.packets.len()).sum();
    let bytes: usize = captures
        .iter()
        .flat_map(|capture| &capture.packets)
        .map(|p| p.payload.len())
        .sum();
    report.fact(
        "relay saw",
        format!("{packets} packets ({bytes} bytes) in {} captures", captures.len()),
    );
    for capture in captures.iter().filter(|capture| capture.cut_short) {
        report.note(format!(
            "{} ends within a record, as when the relay was stopped while it wrote.",
            capture.name
        ));
    }
}

/// AUDT-22: frames and packets are of the same call, or finding nothing would mean nothing. Tells each capture's codec.
fn same_call(report: &mut Report, dump: &[Frame], captures: &[Capture]) -> Vec<Option<FrameCodec>> {
    let mut codec_at = HashMap::new();
    for frame in dump.iter().filter(|frame| frame.timestamp != 0) {
        codec_at
            .entry(frame.timestamp)
            .or_insert_with(Vec::new)
            .push((frame.stream, frame.codec));
    }
    let mut seen = BTreeMap::<(Stream, FrameCodec), usize>::new();
    for frame in dump {
        seen.entry((frame.stream, frame.codec)).or_default();
    }
    let mut codecs = Vec::new();
    for capture in captures {
        // A timestamp of 32 bits may be another stream's by chance; the codec with most of them is the capture's.
        let mut votes = BTreeMap::<(Stream, FrameCodec), usize>::new();
        for packet in &capture.packets {
            for kind in codec_at.get(&packet.timestamp).into_iter().flatten() {
                *votes.entry(*kind).or_default() += 1;
            }
        }
        let winner = votes.into_iter().max_by_key(|(_, count)| *count);
        if let Some((kind, count)) = winner {
            *seen.entry(kind).or_default() += count;
        }
        let known = winner.map(|((_, codec), _)| codec);
        codecs.push(known.or_else(|| by_shells(report, capture)));
    }
    for ((stream, codec), packets) in seen {
        if packets > 0 {
            report.holds(Claim::SameCall);
        } else {
            let what = format!("{} frames of the {}", codec.name(), stream.name());
            report.fails(
                Claim::SameCall,
                Place::WHOLE,
                what,
                "no packet at the relay has the RTP timestamp of any of them",
            );
        }
    }
    codecs
}

/// A stream of somebody whose frames were not dumped: what it is shows if every frame of it starts with one codec's shell.
/// Key shells must be among them: those of other frames are too short to tell.
fn by_shells(report: &mut Report, capture: &Capture) -> Option<FrameCodec> {
    let fits = |codec: &FrameCodec| {
        let mut keys = 0;
        let all = capture
            .packets
            .iter()
            .all(|packet| match wire_shell::find(*codec, &packet.payload) {
                Start::Shell { key, .. } => {
                    keys += u32::from(key);
                    true
                }
                Start::Within => true,
                Start::NoShell | Start::Foreign(_) => false,
            });
        all && keys > 0
    };
    let codec = FrameCodec::ALL.into_iter().find(fits)?;
    report.note(format!(
        "{} is none of the streams dumped; by its shells it is {}.",
        capture.name,
        codec.name()
    ));
    Some(codec)
}

/// AUDT-21: each frame starts with the shell of its kind, byte for byte.
#[derive(Default)]
struct ShellTally {
    /// Kinds of the frames dumped at a timestamp: layers of simulcast may differ.
    dumped: HashMap<(FrameCodec, u32), Vec<bool>>,
    key: BTreeMap<FrameCodec, u64>,
    delta: BTreeMap<FrameCodec, u64>,
}

impl ShellTally {
    fn of(dump: &[Frame]) -> Self {
        let mut tally = Self::default();
        for frame in dump {
            let kinds = tally.dumped.entry((frame.codec, frame.timestamp)).or_default();
            kinds.push(frame.key);
        }
        tally
    }

    /// The constants in this packet.
    fn check(
        &mut self,
        report: &mut Report,
        codec: FrameCodec,
        capture: &Capture,
        number: usize,
    ) -> Vec<std::ops::Range<usize>> {
        let packet = &capture.packets[number];
        let (why, constants) = match wire_shell::find(codec, &packet.payload) {
            Start::NoShell | Start::Within => return Vec::new(),
            Start::Foreign(why) => (Some(why), Vec::new()),
            Start::Shell { key, constants } => {
                let tally = if key { &mut self.key } else { &mut self.delta };
                *tally.entry(codec).or_default() += 1;
                let kinds = self.dumped.get(&(codec, packet.timestamp));
                let other_kind = kinds.is_some_and(|kinds| !kinds.contains(&key));
                (
                    other_kind.then_some("the shell is not that of the frame's kind"),
                    constants,
                )
            }
        };
        match why {
            None => report.holds(Claim::Shells),
            Some(why) => {
                let what = format!("packet {} of {}", number + 1, capture.name);
                report.fails(Claim::Shells, Place::WHOLE, what, format!("{why} ({})", codec.name()));
            }
        }
        constants
    }

    fn report(&self, report: &mut Report, dump: &[Frame]) {
        for codec in FrameCodec::ALL.into_iter().filter(|codec| codec.has_shell()) {
            if !dump.iter().any(|frame| frame.codec == codec) {
                continue;
            }
            let count = |tally: &BTreeMap<FrameCodec, u64>| tally.get(&codec).copied().unwrap_or(0);
            let (key, delta) = (count(&self.key), count(&self.delta));
            report.note(format!(
                "{}: {key} key and {delta} delta shells, all the same.",
                codec.name()
            ));
            if key + delta == 0 {
                report.fails(
                    Claim::Shells,
                    Place::WHOLE,
                    format!("{} shells", codec.name()),
                    "not one was seen",
                );
            }
        }
    }
}
