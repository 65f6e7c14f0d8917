//! Frames: headers, shells, and opening with the right key.

use e2ee_core::media::{Codec, DropReason, FrameType, MediaEpoch, MediaKeys, MediaKind, Opened, Outcome, StreamKind};
use e2ee_core::sframe::{BaseKey, CipherSuite, FrameKey, Header, Secret};
use e2ee_core::shell::Shell;
use e2ee_core::time::UnixMillis;

use crate::Input;

const NOW: UnixMillis = UnixMillis(1_000);
const SUITE: CipherSuite = CipherSuite::Aes128GcmSha256_128;
const CODECS: [Codec; 6] = [
    Codec::Opus,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Av1,
    Codec::H264,
    Codec::H265,
];

/// SFRM-2: what is read as a header is its one form.
pub fn header(data: &[u8]) {
    if let Ok((header, len)) = Header::decode(data) {
        assert_eq!(header.encode().as_bytes(), &data[..len], "a header has one form");
        assert_eq!(header.encoded_len(), len);
    }
}

/// SHEL-2: what is taken for a shell is its one form, and what is wrapped comes back.
pub fn shell(data: &[u8]) {
    let mut stripped = data.to_vec();
    if let Ok((found, range)) = Shell::strip(&mut stripped) {
        let sealed = &stripped[range];
        assert_eq!(wrapped(found, sealed), data, "{found:?} has one form");
    }
    let mut input = Input::new(data);
    let codec = CODECS[input.below(CODECS.len())];
    let frame_type = [FrameType::Key, FrameType::Delta][input.below(2)];
    // A video frame begins with the header of a video KID (SHEL-1).
    let mut sealed = vec![0x80 | input.byte()];
    sealed.extend_from_slice(input.rest());
    let shell = Shell::of(codec, frame_type);
    let mut frame = wrapped(shell, &sealed);
    let (found, range) = Shell::strip(&mut frame).unwrap();
    assert_eq!((found, &frame[range]), (shell, &sealed[..]));
}

fn wrapped(shell: Shell, sealed: &[u8]) -> Vec<u8> {
    let room = shell.head_len(sealed.len());
    let mut frame = vec![0; room];
    frame.extend_from_slice(sealed);
    shell.wrap(&mut frame, room);
    frame
}

/// A frame altered on the way, or made by somebody who has the key: opened if and only if it is what was sealed, and
/// the next good frame opens whatever came before (PF-23, PF-26). Only who has the sender's own key can make it old, by
/// a counter far ahead.
pub fn open(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut alice, mut bob) = (member(0), member(1));
    let codec = CODECS[1 + input.below(CODECS.len() - 1)];
    let frame_type = [FrameType::Key, FrameType::Delta][input.below(2)];
    let plain = input.take(64).to_vec();
    let seal = |alice: &mut MediaKeys| {
        let mut frame = plain.clone();
        alice
            .seal(StreamKind::Camera, codec, frame_type, &mut frame, NOW)
            .unwrap();
        frame
    };

    let sealed = seal(&mut alice);
    let mut altered = sealed.clone();
    for _ in 0..=input.below(4) {
        input.alter(&mut altered);
    }
    let unchanged = altered == sealed;
    let outcome = bob.open(MediaKind::Video, &mut altered, NOW);
    assert_eq!(matches!(outcome, Outcome::Opened(_)), unchanged, "{outcome:?}");

    let made = made_with_the_key(&mut input, &mut bob);
    let as_alice = made.is_some_and(|made| (made.leaf, made.stream) == (0, StreamKind::Camera));

    let mut good = seal(&mut alice);
    match bob.open(MediaKind::Video, &mut good, NOW) {
        Outcome::Opened(opened) => assert_eq!((opened.leaf, good), (0, plain)),
        outcome => assert!(
            as_alice && matches!(outcome, Outcome::Dropped(DropReason::TooOld)),
            "{outcome:?}"
        ),
    }
    assert!(bob.waiting().0 <= 2 && bob.keys_held() <= 8);
}

/// Any KID, counter, metadata and shell, under the key that the KID names: past the tag, where it verifies.
fn made_with_the_key(input: &mut Input<'_>, bob: &mut MediaKeys) -> Option<Opened> {
    let key_id = u64::from(input.byte());
    let counter = 1_000 + input.number() as u64;
    let key = FrameKey::new(&BaseKey::new(SUITE, &[7; 16]).derive(key_id));
    let shell = Shell::of(CODECS[input.below(CODECS.len())], FrameType::Delta);
    let metadata = [input.byte() % 3, [shell.id(), input.byte()][input.below(2)]];
    let mut frame = input.take(32).to_vec();
    let room = shell.head_len(key.overhead(counter) + frame.len());
    key.seal(counter, &metadata, &mut frame, room).unwrap();
    shell.wrap(&mut frame, room);
    let kind = [MediaKind::Audio, MediaKind::Video][input.below(2)];
    let Outcome::Opened(opened) = bob.open(kind, &mut frame, NOW) else {
        return None;
    };
    assert_eq!(metadata, [1, shell.id()], "the shell is authenticated");
    assert_eq!(opened.stream.media_kind(), kind);
    assert_ne!(opened.leaf, 1, "not one's own");
    assert_eq!(opened.counter, counter);
    Some(opened)
}

fn member(own_leaf: u32) -> MediaKeys {
    let mut keys = MediaKeys::new(SUITE).unwrap();
    let epoch = MediaEpoch {
        epoch: 5,
        base_key: Secret::new(vec![7; 16]),
        leaf_count: 4,
        own_leaf,
        members: [0, 1, 3].into_iter().collect(),
    };
    keys.install_epoch(epoch, NOW).unwrap();
    keys.switch_sender(5).unwrap();
    keys
}
