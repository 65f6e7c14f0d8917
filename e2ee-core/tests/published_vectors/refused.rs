//! What must be refused, each with the reason. The reasons are written here by hand and not taken from the code.

use e2ee_core::media::{Codec, FrameType, MediaKind, Outcome, StreamKind};
use e2ee_core::sframe::mls::KidFields;
use e2ee_core::sframe::ratchet::{RatchetError, RatchetKey, StepBits};
use e2ee_core::sframe::{BaseKey, CipherSuite, FrameKey, Header, HeaderError, KidLayout, OpenError};
use e2ee_core::shell::{Shell, ShellError};
use serde_json::{Value, json};

use crate::common::{NOW, noise};
use crate::document::{Document, big, bytes, cases, hex, number, small, suite, text};
use crate::shells::member;

pub(crate) fn document() -> Document {
    Document {
        name: "refused.json",
        groups: vec![
            ("headers", headers()),
            ("frames", frames()),
            ("key_ids", key_ids()),
            ("exporter_lengths", exporter_lengths()),
            ("shells", shells()),
            ("receiver", receiver()),
        ],
    }
}

pub(crate) fn check(document: &Value) {
    for case in cases(document, "headers") {
        let error = match Header::decode(&bytes(case, "bytes")).unwrap_err() {
            HeaderError::Truncated => "truncated",
            HeaderError::NotMinimal => "not-minimal",
            other => panic!("{other:?}"),
        };
        assert_eq!(error, text(case, "error"), "{case}");
    }
    for case in cases(document, "frames") {
        assert_eq!(refused_frame(case), text(case, "error"), "{case}");
    }
    for case in cases(document, "key_ids") {
        let refused = match case["section"].as_str().unwrap() {
            "5.1" => {
                let bits = StepBits::new(small(case, "step_bits")).unwrap();
                let suite = CipherSuite::Aes128GcmSha256_128;
                let refused = RatchetKey::new(suite, number(case, "generation"), bits, vec![0; 16]);
                matches!(refused, Err(RatchetError::Generation { .. }))
            }
            _ => {
                let fields = KidFields {
                    context: number(case, "context"),
                    leaf: small(case, "leaf"),
                    epoch: 0,
                };
                KidLayout::for_leaf_count(small(case, "leaf_count"))
                    .kid(fields)
                    .is_err()
            }
        };
        assert!(refused && text(case, "error") == "does-not-fit", "{case}");
    }
    for case in cases(document, "exporter_lengths") {
        let exported = vec![0; small(case, "length") as usize];
        let refused = BaseKey::from_mls_exporter(suite(case), &exported).is_err();
        assert!(refused && text(case, "error") == "wrong-length", "{case}");
    }
    for case in cases(document, "shells") {
        let error = match Shell::strip(&mut bytes(case, "frame")).unwrap_err() {
            ShellError::Unrecognised => "unrecognised",
            ShellError::Truncated => "truncated",
            ShellError::NotCanonical => "not-canonical",
            ShellError::TrailingBytes => "trailing-bytes",
            other => panic!("{other:?}"),
        };
        assert_eq!(error, text(case, "error"), "{case}");
    }
    // One receiver takes them all in their order: what is refused has changed nothing for the next.
    let mut bob = member(SUITE, &BASE_KEY, 0);
    for case in cases(document, "receiver") {
        let kind = if text(case, "track") == "audio" {
            MediaKind::Audio
        } else {
            MediaKind::Video
        };
        let outcome = match bob.open(kind, &mut bytes(case, "frame"), NOW) {
            Outcome::Opened(_) => "opened",
            Outcome::Early(_) => "early",
            Outcome::Dropped(reason) => reason.name(),
        };
        assert_eq!(outcome, text(case, "outcome"), "{case}");
    }
}

fn headers() -> Vec<Value> {
    let longer_than_needed = [
        "8000",
        "8007",
        "9000ff",
        "f000ffffffffffffff",
        "0800",
        "0807",
        "090008",
        "0f00ffffffffffffff",
        "880800",
        "880008",
    ];
    let truncated = [
        "",
        "80",
        "9001",
        "08",
        "0901",
        "8808",
        "ff",
        "ffffffffffffffffffffffffffffffff",
    ];
    let case = |bytes: &str, error| json!({ "bytes": bytes, "error": error });
    longer_than_needed
        .map(|bytes| case(bytes, "not-minimal"))
        .into_iter()
        .chain(truncated.map(|bytes| case(bytes, "truncated")))
        .collect()
}

/// One changed thing each, for every suite.
fn frames() -> Vec<Value> {
    let mut all = Vec::new();
    for suite in CipherSuite::ALL {
        let (base_key, kid, counter) = (noise(3, suite.key_len()), 0x123_u64, 0x456_u64);
        let mut frame = b"nine bytes".to_vec();
        let key = FrameKey::new(&BaseKey::new(suite, &base_key).derive(kid));
        key.seal(counter, b"metadata", &mut frame, 0).unwrap();
        let case = |what: &str, kid: u64, metadata: &[u8], frame: &[u8], error: &str| {
            json!({
                "what": what, "suite": suite.number(), "base_key": hex(&base_key), "key_of_kid": big(kid),
                "metadata": hex(metadata), "frame": hex(frame), "error": error,
            })
        };
        let changed = |place: usize| {
            let mut changed = frame.clone();
            changed[place] ^= 1;
            changed
        };
        let last = frame.len() - 1;
        all.extend([
            case("tag changed", kid, b"metadata", &changed(last), "not-authentic"),
            case("ciphertext changed", kid, b"metadata", &changed(6), "not-authentic"),
            case("counter changed", kid, b"metadata", &changed(4), "not-authentic"),
            case("other metadata", kid, b"Metadata", &frame, "not-authentic"),
            case("no metadata", kid, b"", &frame, "not-authentic"),
            case("tag cut by a byte", kid, b"metadata", &frame[..last], "not-authentic"),
            case(
                "shorter than a tag",
                kid,
                b"metadata",
                &frame[..4 + suite.tag_len()],
                "truncated",
            ),
            case("the header alone", kid, b"metadata", &frame[..5], "truncated"),
            case("the key of another KID", kid + 1, b"metadata", &frame, "wrong-key"),
        ]);
    }
    all
}

fn refused_frame(case: &Value) -> &'static str {
    let key = FrameKey::new(&BaseKey::new(suite(case), &bytes(case, "base_key")).derive(number(case, "key_of_kid")));
    let mut frame = bytes(case, "frame");
    let (header, _) = Header::decode(&frame).unwrap();
    let all = 0..frame.len();
    match key.open(&header, &bytes(case, "metadata"), &mut frame, all) {
        Err(OpenError::NotAuthentic) => "not-authentic",
        Err(OpenError::Truncated) => "truncated",
        Err(OpenError::WrongKey) => "wrong-key",
        other => panic!("{other:?}"),
    }
}

fn key_ids() -> Vec<Value> {
    let of_mls = [
        (1, 1, 0),
        (4, 4, 0),
        (4, 0, 1 << 58),
        (5, 8, 0),
        (1_000, 1_024, 0),
        (1, 0, 1 << 60),
    ];
    let of_ratchets = [(1, 1_u64 << 63), (8, 1 << 56), (63, 2)];
    let mls = of_mls.map(|(leaf_count, leaf, context): (u32, u32, u64)| {
        json!({
            "section": "5.2", "leaf_count": leaf_count, "leaf": leaf, "context": big(context), "error": "does-not-fit",
        })
    });
    let ratchets = of_ratchets.map(|(step_bits, generation)| {
        json!({ "section": "5.1", "step_bits": step_bits, "generation": big(generation), "error": "does-not-fit" })
    });
    mls.into_iter().chain(ratchets).collect()
}

fn exporter_lengths() -> Vec<Value> {
    let all = CipherSuite::ALL.into_iter().flat_map(|suite| {
        let nk = suite.key_len();
        [0, nk - 1, nk + 1].map(|length| json!({ "suite": suite.number(), "length": length, "error": "wrong-length" }))
    });
    all.collect()
}

fn shells() -> Vec<Value> {
    let cases: [(&str, &str, &str); 26] = [
        ("nothing", "", "truncated"),
        (
            "starts like no shell and no SFrame header of a video stream",
            "7fffff",
            "unrecognised",
        ),
        ("an RTP payload descriptor", "01ff", "unrecognised"),
        ("VP8 key: cut", "1000009d", "truncated"),
        ("VP8 key: another size", "1000009d012a4001b500ff", "not-canonical"),
        ("VP8 key: another start code", "1000009d012b4001b400ff", "not-canonical"),
        ("AV1 delta: no size", "32", "truncated"),
        ("AV1 delta: size cut", "3280", "truncated"),
        ("AV1 delta: size in a longer form", "328100ff", "not-canonical"),
        ("AV1 delta: size of zero in a longer form", "328000", "not-canonical"),
        ("AV1 delta: size of six bytes", "32818080808000ff", "not-canonical"),
        ("AV1 delta: fewer bytes than it says", "3203ffff", "truncated"),
        ("AV1 delta: more bytes than it says", "3201ffff", "trailing-bytes"),
        (
            "AV1 key: another sequence header",
            "0a0a000000043cfecc01800932 01ff",
            "not-canonical",
        ),
        (
            "AV1 key: an OBU of another type",
            "0a0a000000043cfecc01800822 01ff",
            "not-canonical",
        ),
        (
            "AV1 key: the sequence header alone",
            "0a0a000000043cfecc018008",
            "truncated",
        ),
        ("H.264 delta: cut", "0000000161", "truncated"),
        ("H.264 delta: no end", "0000000161e0ff", "not-canonical"),
        (
            "H.264 delta: nothing inside and no end",
            "0000000161e0",
            "not-canonical",
        ),
        (
            "H.264 delta: a start code inside",
            "0000000161e0ff00000180",
            "not-canonical",
        ),
        (
            "H.264 delta: an escape that is not needed",
            "0000000161e0ff0000030480",
            "not-canonical",
        ),
        (
            "H.264 delta: an escape before the end",
            "0000000161e0ff00000380",
            "not-canonical",
        ),
        (
            "H.264 delta: a zero behind the end",
            "0000000161e0ff8000",
            "not-canonical",
        ),
        ("H.264: a NAL unit of another type", "0000000141e0ff80", "not-canonical"),
        ("H.264: a start code of three bytes", "00000161e0ff80", "not-canonical"),
        (
            "H.265 delta: a start code inside",
            "000000010201d0ff00000080",
            "not-canonical",
        ),
    ];
    cases
        .map(|(what, frame, error)| json!({ "what": what, "frame": frame.replace(' ', ""), "error": error }))
        .to_vec()
}

const SUITE: CipherSuite = CipherSuite::Aes128GcmSha256_128;
const BASE_KEY: [u8; 16] = *b"sixteen byte key";

/// Leaves 0 (the receiver) and 2 of 4 are members, the epoch is 21, the default suite; no clock moves.
fn receiver() -> Vec<Value> {
    let mut alice = member(SUITE, &BASE_KEY, 2);
    let mut seal = |stream, codec, frame_type| {
        let mut frame = b"frame".to_vec();
        alice.seal(stream, codec, frame_type, &mut frame, NOW).unwrap();
        frame
    };
    let vp8 = |seal: &mut dyn FnMut(StreamKind, Codec, FrameType) -> Vec<u8>| {
        seal(StreamKind::Camera, Codec::Vp8, FrameType::Delta)
    };
    let oldest = vp8(&mut seal);
    let good = vp8(&mut seal);
    let next = vp8(&mut seal);
    for _ in 0..1_023 {
        vp8(&mut seal);
    }
    let far = vp8(&mut seal);
    let sound = seal(StreamKind::Microphone, Codec::Opus, FrameType::Key);
    let h264 = seal(StreamKind::Camera, Codec::H264, FrameType::Delta);

    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let key_shell = [&[0x10, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xb4, 0][..], &next[1..]].concat();
    let of = |context: u64, leaf: u64, epoch: u64| {
        let header = Header {
            key_id: (context << 2 | leaf) << 4 | epoch,
            counter: 0,
        };
        [&[0x11], header.encode().as_bytes(), &[0; 21]].concat()
    };
    let mut escapes = h264.clone();
    escapes.truncate(h264.len() - 1);
    escapes.extend([0; 2]);
    escapes.extend([3, 0, 0].repeat(60));
    escapes.extend([3, 0, 0x80]);
    let case = |what: &str, track: &str, frame: &[u8], outcome: &str| json!({ "what": what, "track": track, "frame": hex(frame), "outcome": outcome });
    vec![
        case("a forged frame comes first", "video", &forged, "not-authentic"),
        case("the frame itself", "video", &good, "opened"),
        case("the frame again", "video", &good, "replayed"),
        case("a frame from before it", "video", &oldest, "opened"),
        case(
            "a delta frame in a key frame's shell",
            "video",
            &key_shell,
            "not-authentic",
        ),
        case(
            "a byte behind a frame",
            "video",
            &[&next[..], &[0]].concat(),
            "not-authentic",
        ),
        case(
            "a frame on a track of the other kind",
            "audio",
            &next[1..],
            "wrong-kind",
        ),
        case("a frame of 1,024 counters later", "video", &far, "opened"),
        case("a frame that is now too far behind", "video", &next, "too-old"),
        case("sound", "audio", &sound, "opened"),
        case("no header", "audio", &[], "bad-header"),
        case(
            "a header that is longer than it needs to be",
            "audio",
            &[0x80, 0x05, 0, 0],
            "bad-header",
        ),
        case("a shell that is none", "video", &[0x7f, 0x99], "bad-shell"),
        case(
            "an AV1 frame whose size says less",
            "video",
            &[0x32, 1, 0x99, 0x99],
            "bad-shell",
        ),
        case("more zeros than any ciphertext has", "video", &escapes, "bad-shell"),
        case("of a leaf that is blank", "video", &of(1, 1, 5), "not-a-member"),
        case("of the receiver itself", "video", &of(1, 0, 5), "own-frame"),
        case("of a stream that is none", "video", &of(4, 2, 5), "unknown-stream"),
        case("of the epoch before", "video", &of(1, 2, 4), "epoch-over"),
        case("of the next epoch", "video", &of(1, 2, 6), "early"),
        case("H.264, after all that", "video", &h264, "opened"),
    ]
}
