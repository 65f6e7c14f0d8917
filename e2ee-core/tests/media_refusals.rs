//! What a receiver refuses, and that refusing changes nothing.
#![allow(clippy::unwrap_used)]

mod common;

use common::{CODECS, FRAME_TYPES, NOW, SUITE, at, camera, epoch, long, member, noise, open, pair, seal, state};
use e2ee_core::media::{
    Codec, DropReason, FrameType, MediaEpoch, MediaKeys, MediaKind, Opened, Outcome, SealError, ShortTag, StreamKind,
};
use e2ee_core::sframe::{CipherSuite, Header, Secret};
use serde_json::Value;

fn refusal(keys: &mut MediaKeys, kind: MediaKind, frame: &[u8]) -> DropReason {
    open(keys, kind, frame, NOW).unwrap_err()
}

#[test]
fn pf_10_every_flipped_bit_is_refused_for_every_codec_shell_included() {
    let (mut alice, mut bob) = pair();
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            for len in [0, 1, 12] {
                let plain = noise(8, len);
                let frame = seal(&mut alice, stream, codec, frame_type, &plain);
                for bit in 0..frame.len() * 8 {
                    let mut changed = frame.clone();
                    changed[bit / 8] ^= 1 << (bit % 8);
                    let before = bob.stats().opened;
                    // A flip in the epoch's bits may make it a frame of an epoch to come. That is no opening either.
                    let outcome = bob.open(stream.media_kind(), &mut changed, NOW);
                    assert!(
                        matches!(outcome, Outcome::Dropped(_) | Outcome::Early(_)),
                        "{codec:?} {frame_type:?}, {len} bytes, bit {bit}: {outcome:?}"
                    );
                    assert!(changed.is_empty());
                    assert_eq!(bob.stats().opened, before);
                }
                let (_, text) = open(&mut bob, stream.media_kind(), &frame, NOW).unwrap();
                assert_eq!(text, plain);
            }
        }
    }
}

#[test]
fn a_frame_cut_anywhere_is_refused_for_every_codec() {
    let (mut alice, mut bob) = pair();
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            let frame = seal(&mut alice, stream, codec, frame_type, &noise(8, 40));
            for len in 0..frame.len() {
                let mut cut = frame[..len].to_vec();
                assert!(
                    matches!(bob.open(stream.media_kind(), &mut cut, NOW), Outcome::Dropped(_)),
                    "{codec:?} {len}"
                );
            }
            assert!(open(&mut bob, stream.media_kind(), &frame, NOW).is_ok());
        }
    }
}

#[test]
fn pf_12_a_frame_opens_once() {
    let (mut alice, mut bob) = pair();
    for (codec, stream) in CODECS {
        let frame = seal(&mut alice, stream, codec, FrameType::Key, b"once");
        assert!(open(&mut bob, stream.media_kind(), &frame, NOW).is_ok());
        for _ in 0..3 {
            assert_eq!(refusal(&mut bob, stream.media_kind(), &frame), DropReason::Replayed);
        }
    }
}

#[test]
fn pf_12_reordered_frames_open_inside_the_window_and_not_outside_it() {
    let (mut alice, mut bob) = pair();
    let frames: Vec<_> = (0u32..1_100).map(|n| camera(&mut alice, &n.to_be_bytes())).collect();
    assert!(open(&mut bob, MediaKind::Video, &frames[1_099], NOW).is_ok());
    // 1,024 counters are told apart: 76 to 1,099.
    for (n, frame) in frames.iter().enumerate().rev().skip(1) {
        let outcome = open(&mut bob, MediaKind::Video, frame, NOW);
        if n >= 76 {
            assert_eq!(outcome.unwrap().1, (n as u32).to_be_bytes());
        } else {
            assert_eq!(outcome.unwrap_err(), DropReason::TooOld);
        }
    }
    for frame in &frames {
        assert!(open(&mut bob, MediaKind::Video, frame, NOW).is_err());
    }
}

#[test]
fn pf_12_a_frame_that_did_not_verify_does_not_use_its_counter_up() {
    let (mut alice, mut bob) = pair();
    let frame = camera(&mut alice, b"real");
    let mut forged = frame.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&mut bob, MediaKind::Video, &forged), DropReason::NotAuthentic);
    assert!(open(&mut bob, MediaKind::Video, &frame, NOW).is_ok());
}

#[test]
fn pf_12_streams_have_windows_of_their_own() {
    let (mut alice, mut bob) = pair();
    for (stream, codec) in [
        (StreamKind::Camera, Codec::Vp8),
        (StreamKind::ScreenVideo, Codec::Vp8),
        (StreamKind::Microphone, Codec::Opus),
    ] {
        let frame = seal(&mut alice, stream, codec, FrameType::Key, b"counter 0 of its stream");
        let (opened, _) = open(&mut bob, stream.media_kind(), &frame, NOW).unwrap();
        assert_eq!(
            opened,
            Opened {
                leaf: 1,
                stream,
                epoch: 9,
                counter: 0
            }
        );
    }
}

#[test]
fn pf_24_a_track_plays_its_own_kind_only() {
    let (mut alice, mut bob) = pair();
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            let frame = seal(&mut alice, stream, codec, frame_type, b"frame");
            let other = match stream.media_kind() {
                MediaKind::Audio => MediaKind::Video,
                MediaKind::Video => MediaKind::Audio,
            };
            // A shell read as an audio header may name an epoch to come: then it waits, which is no opening.
            let outcome = bob.open(other, &mut frame.clone(), NOW);
            assert!(!matches!(outcome, Outcome::Opened(_)), "{codec:?}: {outcome:?}");
            assert!(open(&mut bob, stream.media_kind(), &frame, NOW).is_ok());
        }
    }
    // Without a shell in the way, the kind itself is what refuses.
    let video = seal(&mut alice, StreamKind::Camera, Codec::Vp9, FrameType::Key, b"video");
    assert_eq!(refusal(&mut bob, MediaKind::Audio, &video), DropReason::WrongKind);
    let audio = seal(
        &mut alice,
        StreamKind::ScreenAudio,
        Codec::Opus,
        FrameType::Key,
        b"audio",
    );
    assert_eq!(refusal(&mut bob, MediaKind::Video, &audio), DropReason::WrongKind);
}

#[test]
fn epoc_3_a_leaf_that_is_no_member_is_refused_before_any_cryptography() {
    // Somebody who was removed but kept the epoch's key, or a member who makes another's KID up.
    let mut ghost = MediaKeys::new(SUITE).unwrap();
    ghost
        .install_epoch(
            MediaEpoch {
                members: [3].into_iter().collect(),
                ..epoch(9, 3)
            },
            NOW,
        )
        .unwrap();
    ghost.switch_sender(9).unwrap();
    let mut bob = member(9, 0);
    let before = state(&bob);
    assert_eq!(
        refusal(&mut bob, MediaKind::Video, &camera(&mut ghost, b"boo")),
        DropReason::NotAMember
    );
    assert_eq!(state(&bob), before);
}

#[test]
fn a_frame_of_ones_own_is_refused_when_it_comes_back() {
    let mut bob = member(9, 0);
    let frame = camera(&mut bob, b"mirror");
    assert_eq!(refusal(&mut bob, MediaKind::Video, &frame), DropReason::OwnFrame);
}

#[test]
fn pf_11_a_frame_does_not_open_under_another_members_kid() {
    // Leaf 2 seals under its own key and puts leaf 1's KID on the frame. (A member who derives leaf 1's key could go
    // further: the epoch's base key is the group's, see RFC 9605 section 7.2. Who is not in the group cannot.)
    let (mut mallory, mut bob) = (member(9, 2), member(9, 0));
    let sealed = seal(
        &mut mallory,
        StreamKind::Camera,
        Codec::Vp9,
        FrameType::Key,
        b"i am leaf 1",
    );
    let (header, len) = Header::decode(&sealed).unwrap();
    let forged_kid = Header {
        key_id: header.key_id - (1 << 4),
        ..header
    };
    let forged = [forged_kid.encode().as_bytes(), &sealed[len..]].concat();
    assert_eq!(refusal(&mut bob, MediaKind::Video, &forged), DropReason::NotAuthentic);
    assert_eq!(bob.keys_held(), 0);
}

#[test]
fn shel_4_a_ciphertext_moved_into_another_shell_is_refused() {
    let (mut alice, mut bob) = pair();
    let bare = seal(&mut alice, StreamKind::Camera, Codec::Vp9, FrameType::Key, b"vp9");
    let moved = [&[0x11], &bare[..]].concat();
    assert_eq!(refusal(&mut bob, MediaKind::Video, &moved), DropReason::NotAuthentic);
    let delta = camera(&mut alice, b"delta");
    let as_key = [&hex::decode("1000009d012a4001b400").unwrap(), &delta[1..]].concat();
    assert_eq!(refusal(&mut bob, MediaKind::Video, &as_key), DropReason::NotAuthentic);
    assert!(open(&mut bob, MediaKind::Video, &delta, NOW).is_ok());
}

#[test]
fn pf_31_keys_that_do_not_match_play_nothing() {
    let (mut alice, _) = pair();
    let mut stranger = MediaKeys::new(SUITE).unwrap();
    let other = MediaEpoch {
        base_key: Secret::new(vec![0xee; 16]),
        ..epoch(9, 0)
    };
    stranger.install_epoch(other, NOW).unwrap();
    let frame = seal(
        &mut alice,
        StreamKind::Microphone,
        Codec::Opus,
        FrameType::Key,
        &[0xfc; 60],
    );
    assert_eq!(
        refusal(&mut stranger, MediaKind::Audio, &frame),
        DropReason::NotAuthentic
    );
    assert_eq!(stranger.stats().dropped(DropReason::NotAuthentic), 1);
}

/// Forged in every way that gets past the cheap checks: the right epoch, a member's leaf, a good shell.
fn forgery(n: u64) -> (MediaKind, Vec<u8>) {
    let context = n % 4;
    let leaf = 1 + n / 4 % 2;
    let header = Header {
        key_id: context << 6 | leaf << 4 | 9,
        counter: n * 7 % 5_000,
    };
    let inner = [header.encode().as_bytes(), &noise(n, 16 + (n % 50) as usize)].concat();
    match context {
        0 | 3 => (MediaKind::Audio, inner),
        _ if n.is_multiple_of(3) => (MediaKind::Video, inner),
        _ => (MediaKind::Video, [&[0x11], &inner[..]].concat()),
    }
}

#[test]
fn pf_26_forged_frames_change_nothing_and_delay_nobody() {
    let forged = if long() { 1_000_000 } else { 100_000 };
    let (mut alice, mut bob) = pair();
    // One stream known, the others not: both ways of looking a key up are attacked.
    assert!(open(&mut bob, MediaKind::Video, &camera(&mut alice, b"before"), NOW).is_ok());
    let pending = camera(&mut alice, b"sent before the attack");
    let before = state(&bob);
    for n in 0..forged {
        let (kind, mut frame) = forgery(n);
        assert_eq!(
            bob.open(kind, &mut frame, NOW),
            Outcome::Dropped(DropReason::NotAuthentic),
            "{n}"
        );
    }
    assert_eq!(state(&bob), before);
    assert_eq!(bob.stats().dropped(DropReason::NotAuthentic), forged);
    assert_eq!(bob.stats().dropped_in_all(), forged);
    // A million forgeries derived no more keys than the two members have streams.
    assert_eq!(bob.keys_derived(), 8);
    // Neither the known stream nor a new one has suffered.
    assert_eq!(
        open(&mut bob, MediaKind::Video, &pending, NOW).unwrap().1,
        b"sent before the attack"
    );
    let sound = seal(
        &mut alice,
        StreamKind::Microphone,
        Codec::Opus,
        FrameType::Key,
        b"hello",
    );
    assert_eq!(open(&mut bob, MediaKind::Audio, &sound, NOW).unwrap().1, b"hello");
}

#[test]
fn pf_27_forged_frames_of_an_epoch_to_come_fill_a_bounded_buffer_and_no_more() {
    let (_, mut bob) = pair();
    for n in 0..20_000u64 {
        let header = Header {
            key_id: 1 << 6 | 1 << 4 | 10,
            counter: n,
        };
        let mut frame = [header.encode().as_bytes(), &noise(n, 1_000)].concat();
        assert!(!matches!(
            bob.open(MediaKind::Video, &mut frame, NOW),
            Outcome::Opened(_)
        ));
    }
    let (frames, bytes) = bob.waiting();
    assert!(frames <= 1_024 && bytes <= 4 << 20, "{frames} frames, {bytes} bytes");
    assert_eq!(bob.keys_held(), 0);
    bob.tick(at(2_001));
    assert_eq!(bob.waiting(), (0, 0));
    assert_eq!(bob.take_released().len(), frames);
}

#[test]
fn pf_26_keys_are_held_only_for_streams_that_were_heard() {
    let (mut alice, mut bob) = pair();
    assert_eq!(bob.keys_held(), 0);
    for (n, (codec, stream)) in [
        (Codec::Opus, StreamKind::Microphone),
        (Codec::Vp8, StreamKind::Camera),
        (Codec::Vp8, StreamKind::ScreenVideo),
        (Codec::Opus, StreamKind::ScreenAudio),
    ]
    .into_iter()
    .enumerate()
    {
        for _ in 0..5 {
            let frame = seal(&mut alice, stream, codec, FrameType::Key, b"x");
            assert!(open(&mut bob, stream.media_kind(), &frame, NOW).is_ok());
        }
        assert_eq!(bob.keys_held(), n + 1);
    }
}

#[test]
fn pf_27_forged_frames_derive_each_key_once_and_only_those_of_members() {
    let members: Vec<u32> = (0..100).filter(|leaf| leaf % 3 != 1).collect();
    let mut bob = MediaKeys::new(SUITE).unwrap();
    bob.install_epoch(common::epoch_of(9, 0, 128, &members), NOW).unwrap();
    let others = members.len() - 1;
    for round in 0..3 {
        for leaf in 0..128 {
            for context in 0..8 {
                let header = Header {
                    key_id: (context << 7 | leaf) << 4 | 9,
                    counter: round,
                };
                let mut frame = [header.encode().as_bytes(), &noise(leaf, 40)].concat();
                let kind = if context == 0 || context == 3 {
                    MediaKind::Audio
                } else {
                    MediaKind::Video
                };
                assert!(matches!(bob.open(kind, &mut frame, NOW), Outcome::Dropped(_)));
            }
        }
        assert_eq!((bob.keys_derived(), bob.keys_held()), (others * 4, 0), "round {round}");
    }
    // The keys go with their epoch.
    bob.install_epoch(common::epoch_of(10, 0, 128, &members), NOW).unwrap();
    bob.tick(at(10_000));
    assert_eq!(bob.keys_derived(), 0);
}

#[test]
fn shel_6_a_frame_full_of_zeros_is_refused_by_its_shell_and_its_stream_goes_on() {
    let (mut alice, mut bob) = pair();
    for codec in [Codec::H264, Codec::H265] {
        let good = seal(
            &mut alice,
            StreamKind::Camera,
            codec,
            FrameType::Delta,
            &noise(3, 1_000),
        );
        for (pattern, times) in [([0, 0, 3], 60), ([0, 0, 3], 9_000), ([0, 0, 4], 60), ([0, 0, 4], 9_000)] {
            let mut forged = good[..good.len() - 1].to_vec();
            forged.extend(pattern.repeat(times));
            forged.extend([0, 0x80]);
            assert_eq!(refusal(&mut bob, MediaKind::Video, &forged), DropReason::BadShell);
        }
        // As many as a ciphertext might have are the tag's business.
        let mut forged = good[..good.len() - 1].to_vec();
        forged.extend([0, 0, 3].repeat(20));
        forged.extend([0, 0x80]);
        assert_eq!(refusal(&mut bob, MediaKind::Video, &forged), DropReason::NotAuthentic);
        assert!(open(&mut bob, MediaKind::Video, &good, NOW).is_ok());
    }
}

#[test]
fn pf_20_there_is_no_frame_that_passes_in_clear() {
    let (_, mut bob) = pair();
    let clear: [(MediaKind, &[u8]); 6] = [
        (MediaKind::Audio, &[0xfc, 0xff, 0xfe]), // the silence frame that others let pass
        (MediaKind::Audio, &[0xf8]),
        (
            MediaKind::Video,
            &[0x50, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 0x01],
        ),
        (MediaKind::Video, &[0x12, 0x00, 0x0a, 0x0a, 0x00, 0x00]),
        (MediaKind::Video, &[0x00, 0x00, 0x00, 0x01, 0x67, 0x42, 0xc0, 0x1f]),
        (MediaKind::Video, &[]),
    ];
    for (kind, frame) in clear {
        let mut frame = frame.to_vec();
        assert!(!matches!(bob.open(kind, &mut frame, NOW), Outcome::Opened(_)));
        assert!(frame.is_empty());
    }
}

#[test]
fn epoc_4_without_an_epoch_nothing_is_sealed_and_nothing_left_to_send() {
    let mut keys = MediaKeys::new(SUITE).unwrap();
    let mut frame = b"in clear".to_vec();
    let refused = keys.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut frame, NOW);
    assert_eq!((refused, &frame[..]), (Err(SealError::NoEpoch), &[][..]));
    // Installed is not switched to: the roster may not be on the screen yet.
    keys.install_epoch(epoch(9, 1), NOW).unwrap();
    let mut frame = b"in clear".to_vec();
    let refused = keys.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut frame, NOW);
    assert_eq!((refused, &frame[..]), (Err(SealError::NoEpoch), &[][..]));
    assert_eq!(keys.stats().refused_to_seal, 2);
}

#[test]
fn a_codec_on_a_stream_of_the_other_kind_is_not_sealed() {
    let mut alice = member(9, 1);
    for (codec, stream) in [(Codec::Opus, StreamKind::Camera), (Codec::Vp8, StreamKind::ScreenAudio)] {
        let mut frame = b"in clear".to_vec();
        let refused = alice.seal(stream, codec, FrameType::Key, &mut frame, NOW);
        assert_eq!(
            (refused, &frame[..]),
            (Err(SealError::WrongCodec { stream, codec }), &[][..])
        );
    }
}

#[test]
fn sfrm_9_a_room_takes_no_suite_with_a_tag_under_80_bits() {
    for suite in CipherSuite::ALL {
        match MediaKeys::new(suite) {
            Ok(keys) => assert!(keys.suite().tag_len() >= 10),
            Err(ShortTag(refused)) => assert!(refused.tag_len() < 10 && refused == suite),
        }
    }
}

#[test]
fn sfrm_1_layers_and_types_of_a_stream_share_one_counter_that_never_repeats() {
    let mut alice = member(9, 1);
    for expected in 0..50 {
        let mut frame = noise(expected, 20);
        let frame_type = FRAME_TYPES[expected as usize % 2];
        let info = alice
            .seal(StreamKind::Camera, Codec::Vp8, frame_type, &mut frame, NOW)
            .unwrap();
        assert_eq!((info.epoch, info.counter), (9, expected));
        // A refused frame in between uses nothing up twice.
        let _ = alice.seal(StreamKind::Camera, Codec::Opus, FrameType::Key, &mut vec![1], NOW);
    }
}

#[test]
fn pf_17_the_keys_print_no_key_byte() {
    let (mut alice, mut bob) = pair();
    let frame = camera(&mut alice, b"frame");
    assert!(open(&mut bob, MediaKind::Video, &frame, NOW).is_ok());
    let secrets = epoch(9, 0).base_key.expose().to_vec();
    for text in [format!("{alice:?}"), format!("{bob:?}"), format!("{:?}", epoch(9, 0))] {
        for pair in secrets.windows(2) {
            assert!(!text.contains(&format!("{}, {}", pair[0], pair[1])) && !text.contains(&hex::encode(pair)));
        }
    }
}

// --- the published vectors -----------------------------------------------------------------------------------------

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/conclave.json")).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| text(value, name).parse().unwrap())
}

fn vector_member(vector: &Value, own_leaf: u32, members: &[u32]) -> MediaKeys {
    let suite = CipherSuite::from_number(u16::try_from(number(vector, "suite")).unwrap()).unwrap();
    let mut keys = MediaKeys::new(suite).unwrap();
    let epoch = MediaEpoch {
        epoch: number(vector, "epoch"),
        base_key: Secret::new(hex::decode(text(vector, "base_key")).unwrap()),
        leaf_count: u32::try_from(number(vector, "leaf_count")).unwrap(),
        own_leaf,
        members: members.iter().copied().collect(),
    };
    let number = epoch.epoch;
    keys.install_epoch(epoch, NOW).unwrap();
    keys.switch_sender(number).unwrap();
    keys
}

#[test]
fn the_published_frames_are_sealed_and_opened_byte_by_byte() {
    for vector in vectors()["frames"].as_array().unwrap() {
        let leaf = u32::try_from(number(vector, "leaf")).unwrap();
        let stream = match text(vector, "stream") {
            "microphone" => StreamKind::Microphone,
            "camera" => StreamKind::Camera,
            "screen-video" => StreamKind::ScreenVideo,
            _ => StreamKind::ScreenAudio,
        };
        let kind = if stream.media_kind() == MediaKind::Audio {
            "audio"
        } else {
            "video"
        };
        let codec = Codec::from_mime_type(&format!("{kind}/{}", text(vector, "codec"))).unwrap();
        let frame_type = if text(vector, "frame_type") == "key" {
            FrameType::Key
        } else {
            FrameType::Delta
        };
        let plain = hex::decode(text(vector, "plaintext")).unwrap();
        let sealed = hex::decode(text(vector, "frame")).unwrap();

        let (opened, found) = open(
            &mut vector_member(vector, 0, &[0, leaf]),
            stream.media_kind(),
            &sealed,
            NOW,
        )
        .unwrap();
        assert_eq!(
            (opened.leaf, opened.stream, opened.counter),
            (leaf, stream, number(vector, "counter"))
        );
        assert_eq!(found, plain);

        // Sealing counts from 0, so the larger counters are reached by sealing on.
        let mut sender = vector_member(vector, leaf, &[0, leaf]);
        let counter = number(vector, "counter");
        if counter > 1_000 {
            continue;
        }
        let mut made = Vec::new();
        for _ in 0..=counter {
            made = seal(&mut sender, stream, codec, frame_type, &plain);
        }
        assert_eq!(hex::encode(made), hex::encode(sealed));
    }
}

#[test]
fn pf_13_the_published_bad_frames_are_refused_for_their_reason() {
    let vectors = vectors();
    let frames = vectors["frames"].as_array().unwrap();
    let epoch = frames
        .iter()
        .find(|frame| number(frame, "suite") == 4 && number(frame, "epoch") == 9)
        .unwrap();
    let mut bob = vector_member(epoch, 0, &[0, 2]);
    let refused = vectors["refused"].as_array().unwrap();
    assert!(refused.len() > 25);
    let before = state(&bob);
    for vector in refused {
        let kind = if text(vector, "kind") == "audio" {
            MediaKind::Audio
        } else {
            MediaKind::Video
        };
        let reason = refusal(&mut bob, kind, &hex::decode(text(vector, "frame")).unwrap());
        assert_eq!(reason.name(), text(vector, "reason"), "{}", text(vector, "why"));
    }
    assert_eq!(state(&bob), before);
}
