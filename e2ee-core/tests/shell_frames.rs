//! The shells: every codec, key and delta frames, any size.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{CODECS, FRAME_TYPES, NOW, long, member, noise, open, pair, seal};
use e2ee_core::media::{Codec, FrameType, HEADROOM};
use e2ee_core::sframe::Header;
use e2ee_core::sframe::header::MAX_HEADER_LEN;
use e2ee_core::shell::{Shell, ShellError};
use proptest::prelude::*;

const VIDEO: [Codec; 5] = [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::H265];

/// Wraps what stands for SFrame bytes.
fn wrapped(shell: Shell, sealed: &[u8]) -> Vec<u8> {
    let room = shell.head_len(sealed.len());
    let mut frame = [&vec![0; room], sealed].concat();
    shell.wrap(&mut frame, room);
    frame
}

fn stripped(frame: &[u8]) -> Result<(Shell, Vec<u8>), ShellError> {
    let mut frame = frame.to_vec();
    let (shell, at) = Shell::strip(&mut frame)?;
    Ok((shell, frame[at].to_vec()))
}

/// As video SFrame bytes begin: with a KID of 16 or more.
fn like_sframe(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[0] |= 0x80;
    bytes
}

#[test]
fn pf_24_every_codec_and_type_carries_every_size_from_nothing_up() {
    let (mut alice, mut bob) = pair();
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            for len in (0..300).chain([1_100, 1_200, 9_999, 16_383 - 18, 70_000, 300_000]) {
                let plain = noise(len as u64, len);
                let frame = seal(&mut alice, stream, codec, frame_type, &plain);
                let (opened, text) = open(&mut bob, stream.media_kind(), &frame, NOW).unwrap();
                assert_eq!((opened.leaf, opened.stream, opened.epoch), (1, stream, 9));
                assert_eq!(text, plain, "{codec:?} {frame_type:?} {len}");
            }
        }
    }
    assert_eq!(bob.stats().dropped_in_all(), 0);
}

#[test]
fn shel_5_a_frame_sealed_behind_headroom_is_the_same_frame() {
    let (mut alice, mut in_place) = (member(9, 1), member(9, 1));
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            for (len, headroom) in [0, 1, 130, 20_000]
                .into_iter()
                .flat_map(|len| [0, 1, 10, 60, 128, 300].map(|room| (len, room)))
            {
                let plain = noise(len as u64, len);
                let sealed = seal(&mut alice, stream, codec, frame_type, &plain);
                let mut frame = [&noise(7, headroom), &plain[..]].concat();
                let (info, start) = in_place
                    .seal_with_headroom(stream, codec, frame_type, &mut frame, headroom, NOW)
                    .unwrap();
                assert_eq!(
                    frame[start..],
                    sealed,
                    "{codec:?} {frame_type:?} {len} behind {headroom}"
                );
                if headroom >= HEADROOM {
                    // Nothing was moved: head and header end where the plaintext began.
                    let inside = plain.len()
                        + 16
                        + Header {
                            key_id: info.key_id,
                            counter: info.counter,
                        }
                        .encoded_len();
                    let head = Shell::of(codec, frame_type).head_len(inside);
                    assert_eq!(start + head + inside - 16 - plain.len(), headroom);
                    assert_eq!(frame[..start], noise(7, headroom)[..start]);
                }
            }
        }
    }
}

#[test]
fn shel_5_the_headroom_is_enough_for_every_shell_and_the_longest_header() {
    let longest = VIDEO
        .iter()
        .map(|codec| Shell::of(*codec, FrameType::Key).head_len(u32::MAX as usize))
        .max();
    assert!(longest.unwrap() + MAX_HEADER_LEN <= HEADROOM);
}

#[test]
fn shel_2_emulation_prevention_takes_the_worst_there_is() {
    for codec in [Codec::H264, Codec::H265] {
        for frame_type in FRAME_TYPES {
            let shell = Shell::of(codec, frame_type);
            for pattern in [&[0][..], &[0, 0, 1], &[0, 0, 3], &[3], &[0, 3], &[0, 0, 0, 1]] {
                for len in (1..70).chain([1_000, 65_536, 300_001]) {
                    let content: Vec<u8> = pattern.iter().copied().cycle().take(len).collect();
                    let content = like_sframe(content);
                    let frame = wrapped(shell, &content);
                    let inside = &frame[shell.head_len(len)..];
                    assert!(
                        !inside.windows(3).any(|bytes| bytes[..2] == [0, 0] && bytes[2] < 3),
                        "{shell:?} {pattern:?} x {len}"
                    );
                    assert_ne!(inside.last(), Some(&0));
                    assert_eq!(stripped(&frame), Ok((shell, content)), "{shell:?} {pattern:?} x {len}");
                }
            }
        }
    }
}

#[test]
fn c1_the_bytes_outside_the_ciphertext_are_the_same_in_every_frame_of_a_kind() {
    // The starts of the shells, as published: whatever the content, nothing else may stand there.
    let starts = [
        (Codec::Vp8, FrameType::Key, "1000009d012a4001b400"),
        (Codec::Vp8, FrameType::Delta, "11"),
        (Codec::Av1, FrameType::Key, "0a0a000000043cfecc01800832"),
        (Codec::Av1, FrameType::Delta, "32"),
        (
            Codec::H264,
            FrameType::Key,
            "000000016742e01fda05067e7806d04423500000000168ce38800000000165b8",
        ),
        (Codec::H264, FrameType::Delta, "0000000161e0"),
        (Codec::Vp9, FrameType::Key, ""),
        (Codec::Vp9, FrameType::Delta, ""),
    ];
    let mut alice = member(9, 1);
    for (codec, frame_type, start) in starts {
        let start = hex::decode(start).unwrap();
        let stream = CODECS.iter().find(|(other, _)| *other == codec).unwrap().1;
        let mut following = BTreeSet::new();
        for seed in 0..20 {
            let frame = seal(&mut alice, stream, codec, frame_type, &noise(seed, 90));
            assert_eq!(frame[..start.len()], start, "{codec:?} {frame_type:?}");
            following.insert(frame[start.len()..].to_vec());
        }
        assert_eq!(following.len(), 20);
    }
}

#[test]
fn c1_no_eight_bytes_of_the_encoders_are_in_what_is_sent() {
    let mut alice = member(9, 1);
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            // What an encoder might make: all zeros, and the very shell of another frame.
            let shell = seal(&mut alice, stream, codec, frame_type, &[]);
            for plain in [vec![0; 200], noise(1, 200), shell] {
                let frame = seal(&mut alice, stream, codec, frame_type, &plain);
                let head = Shell::of(codec, frame_type).head_len(plain.len() + 20);
                for window in plain.windows(8) {
                    assert!(
                        !frame[head..].windows(8).any(|sent| sent == window),
                        "{codec:?} {frame_type:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn shel_1_the_opener_tells_the_shells_apart_without_knowing_the_codec() {
    for codec in VIDEO {
        for frame_type in FRAME_TYPES {
            let shell = Shell::of(codec, frame_type);
            for len in [1, 2, 3, 4, 127, 128, 129, 5_000] {
                let sealed = like_sframe(noise(len as u64, len));
                assert_eq!(stripped(&wrapped(shell, &sealed)), Ok((shell, sealed)));
            }
        }
    }
}

#[test]
fn shel_4_every_shell_has_a_number_of_its_own() {
    let shells: BTreeSet<u8> = VIDEO
        .iter()
        .flat_map(|codec| FRAME_TYPES.map(|frame_type| Shell::of(*codec, frame_type).id()))
        .collect();
    assert_eq!(
        shells.into_iter().collect::<Vec<_>>(),
        [0x00, 0x10, 0x11, 0x20, 0x21, 0x30, 0x31, 0x40, 0x41]
    );
}

#[test]
fn pf_10_a_changed_constant_of_any_shell_is_refused() {
    for codec in VIDEO {
        for frame_type in FRAME_TYPES {
            let shell = Shell::of(codec, frame_type);
            let sealed = like_sframe(noise(2, 60));
            let frame = wrapped(shell, &sealed);
            let head = shell.head_len(sealed.len());
            let tail = frame.len() - head - sealed.len();
            for at in (0..head).chain(frame.len() - tail..frame.len()) {
                for bit in 0..8 {
                    let mut changed = frame.clone();
                    changed[at] ^= 1 << bit;
                    // Another shell's start may result, but never the same frame in another writing.
                    if let Ok((found, inner)) = stripped(&changed) {
                        assert_ne!((found, &inner), (shell, &sealed), "{shell:?}, byte {at}, bit {bit}");
                        assert_eq!(wrapped(found, &inner), changed, "{shell:?}, byte {at}, bit {bit}");
                    }
                }
            }
        }
    }
}

#[test]
fn pf_33_a_padded_frame_is_refused_and_opens_when_the_padding_is_stripped() {
    let (mut alice, mut bob) = pair();
    for (codec, stream) in CODECS {
        let frame = seal(&mut alice, stream, codec, FrameType::Delta, &noise(5, 30));
        for padding in [&[1][..], &[0, 2], &[0, 0, 0, 4], &[0x80], &[0; 255]] {
            let padded = [&frame, padding].concat();
            assert!(
                open(&mut bob, stream.media_kind(), &padded, NOW).is_err(),
                "{codec:?} {padding:?}"
            );
        }
        assert!(open(&mut bob, stream.media_kind(), &frame, NOW).is_ok());
    }
}

#[test]
fn what_no_shell_starts_with_is_refused_at_its_first_byte() {
    for first in 0x01..0x80 {
        if [0x10, 0x11, 0x0a, 0x32].contains(&first) {
            continue;
        }
        assert_eq!(stripped(&[first, 0, 0, 0, 0]), Err(ShellError::Unrecognised));
    }
    assert_eq!(stripped(&[]), Err(ShellError::Truncated));
}

#[test]
fn a_shell_cut_anywhere_is_refused() {
    for codec in VIDEO.into_iter().filter(|codec| *codec != Codec::Vp9) {
        for frame_type in FRAME_TYPES {
            let shell = Shell::of(codec, frame_type);
            let frame = wrapped(shell, &like_sframe(noise(2, 200)));
            for len in 0..shell.head_len(200) {
                assert!(stripped(&frame[..len]).is_err(), "{shell:?}, {len}");
            }
        }
    }
}

#[test]
fn audio_and_video_codecs_have_their_mime_types() {
    assert_eq!(Codec::from_mime_type("video/VP8"), Some(Codec::Vp8));
    assert_eq!(Codec::from_mime_type("video/AV1"), Some(Codec::Av1));
    assert_eq!(Codec::from_mime_type("audio/opus"), Some(Codec::Opus));
    assert_eq!(Codec::from_mime_type("audio/red"), None, "redundancy must be off");
}

/// Bytes with many zeros and small numbers, which is what emulation prevention is about.
fn sparse() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![4 => Just(0u8), 3 => 0u8..5, 1 => any::<u8>()], 1..400)
}

proptest! {
    #[test]
    fn shel_2_what_is_wrapped_comes_back_and_what_comes_back_is_written_so(
        codec in prop::sample::select(&VIDEO[..]),
        frame_type in prop::sample::select(&FRAME_TYPES[..]),
        sealed in sparse(),
    ) {
        let (shell, sealed) = (Shell::of(codec, frame_type), like_sframe(sealed));
        let frame = wrapped(shell, &sealed);
        prop_assert_eq!(stripped(&frame), Ok((shell, sealed)));
    }

    /// PF-13: of arbitrary bytes behind a good start, only the one form is accepted.
    #[test]
    fn shel_2_arbitrary_bytes_are_refused_or_canonical(
        codec in prop::sample::select(&VIDEO[..]),
        frame_type in prop::sample::select(&FRAME_TYPES[..]),
        rest in sparse(),
    ) {
        let shell = Shell::of(codec, frame_type);
        let start = &wrapped(shell, &[0xff])[..shell.head_len(1).saturating_sub(1)];
        let frame = [start, &rest].concat();
        if let Ok((found, inner)) = stripped(&frame) {
            prop_assert_eq!(wrapped(found, &inner), frame);
        }
    }
}

#[test]
fn a_million_frames_come_back_or_ten_thousand_where_time_is_short() {
    let frames = if long() { 1_000_000 } else { 10_000 };
    let (mut alice, mut bob) = pair();
    for n in 0..frames {
        let (codec, stream) = CODECS[n % CODECS.len()];
        let frame_type = FRAME_TYPES[n / 7 % 2];
        let mut plain = noise(n as u64, n * 131 % 1_400);
        if n % 3 == 0 {
            plain.iter_mut().for_each(|byte| *byte &= 3);
        }
        let frame = seal(&mut alice, stream, codec, frame_type, &plain);
        let (opened, text) = open(&mut bob, stream.media_kind(), &frame, NOW).unwrap();
        assert_eq!(opened.leaf, 1);
        assert_eq!(text, plain);
    }
}

/// Content that needs escapes more often than any ciphertext, of a length that its number says.
fn crowded(n: u64) -> Vec<u8> {
    let mut content = noise(n, 1 + (n * 37 % 300) as usize);
    let mask = [0xff, 0x03, 0x01, 0x81][(n % 4) as usize];
    content.iter_mut().for_each(|byte| *byte &= mask);
    like_sframe(content)
}

/// Changes, inserts, takes out or repeats a few bytes.
fn respelled(frame: &[u8], n: u64) -> Vec<u8> {
    let (mut other, picks) = (frame.to_vec(), noise(!n, 12));
    for pick in picks.chunks(4).take(1 + (n % 3) as usize) {
        let at = usize::from(pick[0]) << 8 | usize::from(pick[1]);
        let at = if pick[0] % 3 == 0 {
            at % other.len().min(40)
        } else {
            at % other.len()
        };
        match pick[2] % 4 {
            0 => other[at] = pick[3] & 3,
            1 => other.insert(at, [0, 3, 0x80, pick[3]][usize::from(pick[3] % 4)]),
            2 if other.len() > 1 => drop(other.remove(at)),
            _ => other[at] ^= 1 << (pick[3] % 8),
        }
    }
    other
}

#[test]
fn shel_2_a_million_frames_come_back_and_no_other_spelling_does_or_some_thousands_where_time_is_short() {
    let frames = if long() { 1_000_000 } else { 8_000 };
    let (mut refused, mut others) = (0, 0);
    for n in 0..frames {
        let shell = Shell::of(VIDEO[n as usize % VIDEO.len()], FRAME_TYPES[n as usize / 5 % 2]);
        let content = crowded(n);
        let frame = wrapped(shell, &content);
        assert_eq!(stripped(&frame), Ok((shell, content.clone())), "{n}");
        let other = respelled(&frame, n);
        match stripped(&other) {
            _ if other == frame => {}
            Ok((found, inner)) => {
                assert!((found, &inner) != (shell, &content), "{n}: {shell:?} in two spellings");
                assert_eq!(wrapped(found, &inner), other, "{n}: {found:?}");
                others += 1;
            }
            Err(_) => refused += 1,
        }
    }
    // Both happen, so both were tried.
    assert!(
        refused > frames / 10 && others > frames / 10,
        "{refused} refused, {others} other frames"
    );
}
