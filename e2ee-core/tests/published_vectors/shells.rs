//! Whole frames of a room in the shell of every codec, and emulation prevention by itself.

use e2ee_core::media::{Codec, FrameType, MediaEpoch, MediaKeys, StreamKind};
use e2ee_core::sframe::{BaseKey, CipherSuite, FrameKey, Secret};
use e2ee_core::shell::Shell;
use serde_json::{Value, json};

use crate::common::{CODECS, FRAME_TYPES, NOW, noise, open};
use crate::document::{Document, big, bytes, cases, hex, number, small, suite, text, with};

const LEAF_COUNT: u32 = 4;
const LEAF: u32 = 2;
const EPOCH: u64 = 21;

/// Nothing, a byte, and enough for a size of two bytes in AV1.
const SIZES: [usize; 3] = [0, 1, 150];

pub(crate) fn document() -> Document {
    let mut frames = Vec::new();
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            for len in SIZES {
                frames.push(frame(CipherSuite::Aes128GcmSha256_128, stream, codec, frame_type, len));
            }
        }
    }
    for suite in CipherSuite::ALL.into_iter().filter(|suite| suite.allowed_in_a_room()) {
        frames.push(frame(suite, StreamKind::Camera, Codec::Vp8, FrameType::Delta, 20));
        frames.push(frame(suite, StreamKind::ScreenAudio, Codec::Opus, FrameType::Key, 20));
    }
    Document {
        name: "shells.json",
        groups: vec![("frames", frames), ("emulation_prevention", escapes())],
    }
}

fn frame(suite: CipherSuite, stream: StreamKind, codec: Codec, frame_type: FrameType, len: usize) -> Value {
    let base_key = noise(u64::from(suite.number()), suite.key_len());
    let plain = noise(len as u64, len);
    let mut sender = member(suite, &base_key, LEAF);
    // A counter of two bytes is reached by sealing on.
    let counter = if len == 20 { 300 } else { len as u64 };
    for _ in 0..counter {
        sender.seal(stream, codec, frame_type, &mut vec![0], NOW).unwrap();
    }
    let mut sealed = plain.clone();
    let info = sender.seal(stream, codec, frame_type, &mut sealed, NOW).unwrap();
    assert_eq!(info.counter, counter);
    let shell = Shell::of(codec, frame_type);
    let metadata = [1, shell.id()];
    let mut sframe = plain.clone();
    let key = FrameKey::new(&BaseKey::new(suite, &base_key).derive(info.key_id));
    key.seal(counter, &metadata, &mut sframe, 0).unwrap();
    json!({
        "suite": suite.number(),
        "base_key": hex(&base_key),
        "leaf_count": LEAF_COUNT,
        "leaf": LEAF,
        "epoch": big(EPOCH),
        "stream": stream_name(stream),
        "codec": codec_name(codec),
        "frame_type": if frame_type == FrameType::Key { "key" } else { "delta" },
        "kid": big(info.key_id),
        "counter": big(counter),
        "metadata": hex(&metadata),
        "plaintext": hex(&plain),
        "sframe": hex(&sframe),
        "frame": hex(&sealed),
    })
}

/// What stands where SFrame bytes would: chosen to need escapes, which ciphertext nearly never does.
fn escapes() -> Vec<Value> {
    let contents: [&[u8]; 12] = [
        &[0x80],
        &[0x80, 0],
        &[0x80, 0, 0],
        &[0x80, 0, 0, 0],
        &[0x80, 0, 0, 3],
        &[0x80, 0, 0, 4],
        &[0x80, 0, 0, 1, 0, 0, 2, 0, 0, 3],
        &[0x80, 0, 0, 3, 0, 0, 3, 0, 0, 3],
        &[0x80, 0, 1, 0, 0, 0, 1],
        &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x80, 0, 0, 3, 3, 3],
        &[0x80, 0xff, 0, 0, 0x80],
    ];
    let shells = [Codec::H264, Codec::H265].map(|codec| (codec, Shell::of(codec, FrameType::Delta)));
    let pairs = shells
        .into_iter()
        .flat_map(|pair| contents.map(|content| (pair, content)));
    pairs
        .map(|((codec, shell), content)| {
            let room = shell.head_len(content.len());
            let mut frame = [&vec![0; room], content].concat();
            shell.wrap(&mut frame, room);
            let shell = json!({ "codec": codec_name(codec), "frame_type": "delta" });
            with(shell, json!({ "inside": hex(content), "frame": hex(&frame) }))
        })
        .collect()
}

pub(crate) fn check(document: &Value) {
    for case in cases(document, "frames") {
        let stream = *StreamKind::ALL
            .iter()
            .find(|stream| stream_name(**stream) == text(case, "stream"))
            .unwrap();
        let sealed = bytes(case, "frame");
        let mut receiver = member(suite(case), &bytes(case, "base_key"), 0);
        let (opened, plain) = open(&mut receiver, stream.media_kind(), &sealed, NOW).unwrap();
        assert_eq!((opened.leaf, opened.stream), (small(case, "leaf"), stream));
        assert_eq!((opened.epoch, opened.counter), (EPOCH, number(case, "counter")));
        assert_eq!(plain, bytes(case, "plaintext"));
        if text(case, "codec") != "opus" {
            let mut inside = sealed.clone();
            let (_, at) = Shell::strip(&mut inside).unwrap();
            assert_eq!(inside[at], bytes(case, "sframe"));
        }
    }
    for case in cases(document, "emulation_prevention") {
        let mut frame = bytes(case, "frame");
        let (shell, at) = Shell::strip(&mut frame).unwrap();
        assert!(matches!(
            shell,
            Shell::H264(FrameType::Delta) | Shell::H265(FrameType::Delta)
        ));
        assert_eq!(frame[at], bytes(case, "inside"));
    }
}

pub(crate) fn member(suite: CipherSuite, base_key: &[u8], own_leaf: u32) -> MediaKeys {
    let mut keys = MediaKeys::new(suite).unwrap();
    let epoch = MediaEpoch {
        epoch: EPOCH,
        base_key: Secret::new(base_key.to_vec()),
        leaf_count: LEAF_COUNT,
        own_leaf,
        members: [0, LEAF].into_iter().collect(),
    };
    keys.install_epoch(epoch, NOW).unwrap();
    keys.switch_sender(EPOCH).unwrap();
    keys
}

fn stream_name(stream: StreamKind) -> &'static str {
    match stream {
        StreamKind::Microphone => "microphone",
        StreamKind::Camera => "camera",
        StreamKind::ScreenVideo => "screen-video",
        StreamKind::ScreenAudio => "screen-audio",
    }
}

fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus",
        Codec::Vp8 => "vp8",
        Codec::Vp9 => "vp9",
        Codec::Av1 => "av1",
        Codec::H264 => "h264",
        Codec::H265 => "h265",
    }
}
