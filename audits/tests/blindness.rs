//! C1: the comparison of captures finds any 8 bytes of an encoder's output, and nothing else (PF-09, PF-10).
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use audits::report::{Claim, Report};
use audits::{Error, Verdict, blindness};
use e2ee_core::shell::{Codec, FrameType, Shell};

const OPUS: u8 = 0;
const VP8: u8 = 1;
const VP9: u8 = 2;
const AV1: u8 = 3;
const H264: u8 = 4;

/// Bytes without a pattern, always the same.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 32) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }
}

struct Call {
    folder: tempfile::TempDir,
    frames: Vec<u8>,
    /// Packets of the one stream: timestamp, payload.
    packets: Vec<(u32, Vec<u8>)>,
}

impl Call {
    /// Ten frames of one codec, sealed as they should be.
    fn of(codec: u8) -> Self {
        let mut call = Self {
            folder: tempfile::tempdir().unwrap(),
            frames: Vec::new(),
            packets: Vec::new(),
        };
        let mut noise = Noise(0x1234_5678_9abc_def1 + u64::from(codec));
        for number in 0..10_u32 {
            let key = number % 5 == 0 && codec != OPUS;
            let size = if codec == OPUS { 160 } else { 3000 };
            let timestamp = 90_000 + number * 3000;
            call.encoded(codec, key, timestamp, &noise.bytes(size));
            let mut sealed = noise.bytes(size + 20);
            sealed[0] |= 0x80;
            call.send(codec, key, timestamp, sealed);
        }
        call
    }

    fn encoded(&mut self, codec: u8, key: bool, timestamp: u32, frame: &[u8]) {
        self.frames.extend((frame.len() as u32).to_be_bytes());
        self.frames.extend([u8::from(codec != OPUS), codec, u8::from(key)]);
        self.frames.extend(timestamp.to_be_bytes());
        self.frames.extend(frame);
    }

    fn send(&mut self, codec: u8, key: bool, timestamp: u32, sealed: Vec<u8>) {
        let frame_type = if key { FrameType::Key } else { FrameType::Delta };
        let kind = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264][usize::from(codec)];
        let shell = Shell::of(kind, frame_type);
        let room = shell.head_len(sealed.len());
        let mut frame = [vec![0; room], sealed].concat();
        shell.wrap(&mut frame, room);
        for payload in packetize(codec, &frame) {
            self.packets.push((timestamp, payload));
        }
    }

    fn write(&self) -> (Vec<PathBuf>, PathBuf) {
        let (frames, relay) = (self.folder.path().join("frames"), self.folder.path().join("relay"));
        fs::write(&frames, &self.frames).unwrap();
        fs::create_dir_all(&relay).unwrap();
        let mut capture = Vec::new();
        for (timestamp, payload) in &self.packets {
            capture.extend((payload.len() as u32).to_be_bytes());
            capture.extend(timestamp.to_be_bytes());
            capture.push(0);
            capture.extend(payload);
        }
        fs::write(relay.join("camera.tap"), capture).unwrap();
        (vec![frames], relay)
    }

    fn audit(&self) -> Report {
        let (frames, relay) = self.write();
        blindness::audit(&frames, &relay).unwrap()
    }

    /// The output of the encoder at `number`.
    fn output(&self, number: usize) -> Vec<u8> {
        let mut rest = self.frames.as_slice();
        for _ in 0..number {
            rest = &rest[11 + u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize..];
        }
        rest[11..][..u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize].to_vec()
    }
}

/// What libwebrtc's packetizers make of a frame.
fn packetize(codec: u8, frame: &[u8]) -> Vec<Vec<u8>> {
    match codec {
        VP8 => chunks(frame, |first| vec![if first { 0x90 } else { 0x80 }, 0x80, 0x81, 0x23]),
        VP9 => chunks(frame, |first| vec![if first { 0x88 } else { 0x80 }]),
        AV1 => av1(frame),
        H264 => h264(frame),
        _ => vec![frame.to_vec()],
    }
}

fn chunks(frame: &[u8], descriptor: impl Fn(bool) -> Vec<u8>) -> Vec<Vec<u8>> {
    let numbered = frame.chunks(1100).enumerate();
    numbered
        .map(|(at, chunk)| [descriptor(at == 0), chunk.to_vec()].concat())
        .collect()
}

/// OBUs without their size fields; all in one packet but for what does not fit.
fn av1(frame: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = frame;
    let mut obus = Vec::new();
    while !rest.is_empty() {
        let mut len = 0;
        let mut at = 1;
        loop {
            len |= usize::from(rest[at] & 0x7f) << (7 * (at - 1));
            at += 1;
            if rest[at - 1] & 0x80 == 0 {
                break;
            }
        }
        obus.push([&[rest[0] & !2], &rest[at..at + len]].concat());
        rest = &rest[at + len..];
    }
    let (last, others) = obus.split_last().unwrap();
    let (begin, more) = last.split_at(last.len().min(1000));
    let mut first = vec![(obus.len() as u8) << 4 | u8::from(!others.is_empty()) << 3];
    for obu in others {
        first.push(obu.len() as u8);
        first.extend(obu);
    }
    first.extend(begin);
    let mut packets = vec![first];
    packets.extend(more.chunks(1000).map(|chunk| [&[0x80 | 0x10], chunk].concat()));
    packets
}

/// Parameter sets in one STAP-A, slices in FU-As.
fn h264(frame: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = (0..frame.len().min(64))
        .filter(|at| frame[*at..].starts_with(&[0, 0, 0, 1]))
        .collect();
    let units: Vec<&[u8]> = starts
        .iter()
        .zip(starts.iter().skip(1).copied().chain([frame.len()]))
        .map(|(start, end)| &frame[start + 4..end])
        .collect();
    let (slice, sets) = units.split_last().unwrap();
    let mut packets = Vec::new();
    if !sets.is_empty() {
        let mut stap = vec![0x78];
        for set in sets {
            stap.extend((set.len() as u16).to_be_bytes());
            stap.extend(*set);
        }
        packets.push(stap);
    }
    let (header, body) = (slice[0], &slice[1..]);
    let pieces: Vec<&[u8]> = body.chunks(1000).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let flags = u8::from(at == 0) << 7 | u8::from(at + 1 == pieces.len()) << 6;
        packets.push([&[header & 0xe0 | 28, header & 0x1f | flags], *piece].concat());
    }
    packets
}

fn findings(report: &Report, claim: Claim) -> Vec<String> {
    let of_claim = report.findings.iter().filter(|finding| finding.claim == claim);
    of_claim.map(ToString::to_string).collect()
}

#[test]
fn c1_sealed_frames_of_every_codec_are_found_blind_and_in_constant_shells() {
    for codec in [OPUS, VP8, VP9, AV1, H264] {
        let report = Call::of(codec).audit();
        assert_eq!(report.verdict(), Verdict::Holds, "codec {codec}: {}", report.to_text());
        let shells = report.claims.get(&Claim::Shells).map_or(0, |tally| tally.held);
        // A key frame of H.264 is two starts: its parameter sets and its slice.
        let expected = [0, 10, 0, 10, 12][usize::from(codec)];
        assert_eq!(shells, expected, "codec {codec}: {}", report.to_text());
    }
}

#[test]
fn c1_pf_09_a_frame_in_clear_is_found_whatever_the_codec() {
    for codec in [OPUS, VP8, VP9, AV1, H264] {
        let mut call = Call::of(codec);
        let plain = call.output(3);
        call.send(codec, false, 999_999, plain);
        let report = call.audit();
        let leaks = findings(&report, Claim::CodecBytes);
        assert!(!leaks.is_empty(), "codec {codec}");
        assert!(leaks[0].contains("frame 4 of the"), "{}", leaks[0]);
    }
}

#[test]
fn c1_eight_bytes_anywhere_are_found_and_seven_are_none() {
    for (len, found) in [(8, true), (7, false)] {
        for at in [0, 1, 777, 2992] {
            let mut call = Call::of(VP9);
            let plain = call.output(6)[at..at + len].to_vec();
            let payload = &mut call.packets.last_mut().unwrap().1;
            payload[501..501 + len].copy_from_slice(&plain);
            let report = call.audit();
            let leaks = findings(&report, Claim::CodecBytes);
            assert_eq!(leaks.len(), usize::from(found), "{len} bytes from {at}: {leaks:?}");
            if found {
                let expected = format!(
                    "from byte 501 on it holds {}, which is byte {at} ff. of VP9 frame 7 of the camera (1 such places in this packet)",
                    hex::encode(plain)
                );
                assert!(leaks[0].ends_with(&expected), "{}", leaks[0]);
            }
        }
    }
}

#[test]
fn c1_an_encoder_s_own_header_that_equals_the_shell_is_no_leak_and_one_byte_more_is() {
    // A real VP8 key frame of 320 x 180 shares the shell's last eight bytes.
    let shell = [0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
    let mut call = Call::of(VP8);
    call.encoded(VP8, true, 90_000, &[&shell[..], &[0x44; 30]].concat());
    let report = call.audit();
    assert_eq!(report.verdict(), Verdict::Holds, "{}", report.to_text());

    // The same bytes anywhere else are a leak.
    let payload = &mut call.packets[1].1;
    payload[100..110].copy_from_slice(&shell);
    assert_eq!(findings(&call.audit(), Claim::CodecBytes).len(), 1);
}

#[test]
fn c1_pf_10_a_shell_that_changed_by_a_bit_is_noticed() {
    for (codec, at) in [
        (VP8, 4),
        (VP8, 5),
        (VP8, 12),
        (AV1, 3),
        (AV1, 13),
        (H264, 5),
        (H264, 20),
    ] {
        let mut call = Call::of(codec);
        call.packets[0].1[at] ^= 1;
        let report = call.audit();
        let lines = findings(&report, Claim::Shells);
        assert_eq!(lines.len(), 1, "codec {codec}, byte {at}: {}", report.to_text());
        assert!(lines[0].starts_with("FAILED packet 1 of camera.tap: "), "{}", lines[0]);
    }
}

#[test]
fn captures_of_two_different_calls_prove_nothing() {
    let mut call = Call::of(VP8);
    for (timestamp, _) in &mut call.packets {
        *timestamp += 1;
    }
    let report = call.audit();
    assert_eq!(report.verdict(), Verdict::Wrong);
    assert_eq!(
        findings(&report, Claim::SameCall),
        ["FAILED VP8 frames of the camera: no packet at the relay has the RTP timestamp of any of them"]
    );
}

#[test]
fn c1_streams_of_others_are_compared_too_and_their_shells_are_known_as_shells() {
    let mut call = Call::of(VP8);
    // An encoder's own header that equals the shell, and another sender's stream at other times.
    let shell = [0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
    call.encoded(VP8, true, 90_000, &[&shell[..], &[0x44; 30]].concat());
    let (frames, relay) = call.write();
    let mut other = Call::of(VP8);
    for (timestamp, _) in &mut other.packets {
        *timestamp += 1;
    }
    let (_, others) = other.write();
    fs::copy(others.join("camera.tap"), relay.join("other.tap")).unwrap();
    let report = blindness::audit(&frames, &relay).unwrap();
    assert_eq!(report.verdict(), Verdict::Holds, "{}", report.to_text());
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.starts_with("other.tap is none of the streams dumped"))
    );

    other.packets[3].1[200..208].copy_from_slice(&call.output(2)[..8]);
    let (_, others) = other.write();
    fs::copy(others.join("camera.tap"), relay.join("other.tap")).unwrap();
    let report = blindness::audit(&frames, &relay).unwrap();
    assert_eq!(findings(&report, Claim::CodecBytes).len(), 1);
}

#[test]
fn an_empty_capture_or_dump_must_not_pass() {
    let mut call = Call::of(VP8);
    let packets = std::mem::take(&mut call.packets);
    let (frames, relay) = call.write();
    assert!(matches!(
        blindness::audit(&frames, &relay),
        Err(Error::NothingToCompare(_))
    ));
    call.packets = packets;
    call.frames.clear();
    let (frames, relay) = call.write();
    assert!(matches!(
        blindness::audit(&frames, &relay),
        Err(Error::NothingToCompare(_))
    ));
    call.encoded(VP8, false, 1, &[1; 7]);
    let (frames, relay) = call.write();
    assert!(matches!(
        blindness::audit(&frames, &relay),
        Err(Error::NothingToCompare(_))
    ));
}

#[test]
fn a_dump_that_is_not_whole_is_refused_and_a_capture_cut_by_the_relay_s_end_is_not() {
    let call = Call::of(OPUS);
    let (frames, relay) = call.write();
    let cut = |path: &Path, by: usize| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - by]).unwrap();
    };
    cut(&relay.join("camera.tap"), 5);
    let report = blindness::audit(&frames, &relay).unwrap();
    assert_eq!(report.verdict(), Verdict::Holds);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.starts_with("camera.tap ends within a record"))
    );

    cut(&frames[0], 5);
    assert!(matches!(
        blindness::audit(&frames, &relay),
        Err(Error::Capture { record: 10, .. })
    ));
    for (at, value) in [(4, 9), (5, 9), (6, 2), (0, 0xff)] {
        let mut bytes = call.frames.clone();
        bytes[at] = value;
        fs::write(&frames[0], bytes).unwrap();
        assert!(matches!(
            blindness::audit(&frames, &relay),
            Err(Error::Capture { record: 1, .. })
        ));
    }
}

#[test]
fn payloads_of_any_form_are_looked_at_without_a_panic() {
    let mut noise = Noise(77);
    for codec in [VP8, AV1, H264] {
        let mut call = Call::of(codec);
        for len in (0..40).chain([200, 1500]) {
            for first in [0x00, 0x10, 0x18, 0x1c, 0x7c, 0x80, 0x90, 0xff] {
                let mut payload = noise.bytes(len);
                if let Some(byte) = payload.first_mut() {
                    *byte = first;
                }
                call.packets.push((90_000, payload));
            }
        }
        call.audit();
    }
}
