//! RFC 9605 by its figures, and sections 5.1 and 5.2 by known answers from a second implementation.
#![allow(clippy::unwrap_used)]

use e2ee_core::sframe::mls::{EPOCH_BITS, EXPORTER_LABEL, KidFields, epoch_bits};
use e2ee_core::sframe::ratchet::{RatchetKey, StepBits};
use e2ee_core::sframe::{BaseKey, CipherSuite, FrameKey, Header, KidLayout, WrongKeyLength};
use serde_json::Value;

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn rfc_figures() -> Value {
    vectors(include_str!("../vectors/rfc9605-figures.json"))
}

fn conclave() -> Value {
    vectors(include_str!("../vectors/conclave.json"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn suite(value: &Value) -> CipherSuite {
    CipherSuite::from_number(u16::try_from(number(value)).unwrap()).unwrap()
}

fn check_header(key_id: u64, counter: u64, encoded: &[u8]) {
    let header = Header { key_id, counter };
    assert_eq!(header.encode().as_bytes(), encoded);
    assert_eq!(header.encoded_len(), encoded.len());
    assert_eq!(Header::decode(encoded), Ok((header, encoded.len())));
    // What follows a header is not its business.
    assert_eq!(
        Header::decode(&[encoded, &[0xff; 20]].concat()),
        Ok((header, encoded.len()))
    );
}

struct Frame {
    suite: CipherSuite,
    key_id: u64,
    counter: u64,
    base_key: Vec<u8>,
    secret: Vec<u8>,
    key: Vec<u8>,
    salt: Vec<u8>,
    metadata: Vec<u8>,
    plaintext: Vec<u8>,
    sealed: Vec<u8>,
}

fn check_frame(figures: &Frame) {
    let base = BaseKey::new(figures.suite, &figures.base_key);
    assert_eq!(base.sframe_secret().expose(), figures.secret);
    let derived = base.derive(figures.key_id);
    assert_eq!(derived.expose_key(), figures.key);
    assert_eq!(derived.expose_salt(), figures.salt);
    let key = FrameKey::new(&derived);

    let mut frame = figures.plaintext.clone();
    key.seal(figures.counter, &figures.metadata, &mut frame, 0).unwrap();
    assert_eq!(frame, figures.sealed);
    assert_eq!(
        figures.plaintext.len() + key.overhead(figures.counter),
        figures.sealed.len()
    );

    let (header, _) = Header::decode(&frame).unwrap();
    let all = 0..frame.len();
    key.open(&header, &figures.metadata, &mut frame, all).unwrap();
    assert_eq!(frame, figures.plaintext);
}

#[test]
fn sfrm_2_the_rfcs_headers_are_written_and_read() {
    let figures = rfc_figures();
    let headers = figures["headers"].as_array().unwrap();
    assert_eq!(headers.len(), 289);
    for header in headers {
        check_header(number(&header[0]), number(&header[1]), &bytes(&header[2]));
    }
}

#[test]
fn sfrm_4_to_7_the_rfcs_frames_are_sealed_and_opened_in_every_suite_it_has() {
    let figures = rfc_figures();
    let frames = figures["frames"].as_array().unwrap();
    assert_eq!(frames.len(), 5);
    for frame in frames {
        check_frame(&Frame {
            suite: suite(&frame["suite"]),
            key_id: number(&frame["kid"]),
            counter: number(&frame["counter"]),
            base_key: bytes(&frame["base_key"]),
            secret: bytes(&frame["secret"]),
            key: bytes(&frame["key"]),
            salt: bytes(&frame["salt"]),
            metadata: bytes(&frame["metadata"]),
            plaintext: bytes(&frame["plaintext"]),
            sealed: bytes(&frame["sealed"]),
        });
    }
}

/// The published file, where it lies beside the repository.
#[test]
fn the_published_vectors_pass_where_they_are_at_hand() {
    let Ok(text) = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/vectors/sframe-test-vectors.json"
    )) else {
        return;
    };
    let published = vectors(&text);
    for header in published["header"].as_array().unwrap() {
        check_header(
            number(&header["kid"]),
            number(&header["ctr"]),
            &bytes(&header["encoded"]),
        );
    }
    for frame in published["sframe"].as_array().unwrap() {
        check_frame(&Frame {
            suite: suite(&frame["cipher_suite"]),
            key_id: number(&frame["kid"]),
            counter: number(&frame["ctr"]),
            base_key: bytes(&frame["base_key"]),
            secret: bytes(&frame["sframe_secret"]),
            key: bytes(&frame["sframe_key"]),
            salt: bytes(&frame["sframe_salt"]),
            metadata: bytes(&frame["metadata"]),
            plaintext: bytes(&frame["pt"]),
            sealed: bytes(&frame["ct"]),
        });
    }
    // Our copy of the figures is complete.
    let ours = rfc_figures();
    assert_eq!(
        published["header"].as_array().unwrap().len(),
        ours["headers"].as_array().unwrap().len()
    );
    assert_eq!(
        published["sframe"].as_array().unwrap().len(),
        ours["frames"].as_array().unwrap().len()
    );
}

#[test]
fn pf_39_section_5_1_the_ratchet_gives_the_known_answers() {
    let ratchets = conclave();
    let ratchets = ratchets["ratchet"].as_array().unwrap();
    assert_eq!(ratchets.len(), CipherSuite::ALL.len());
    for vector in ratchets {
        let steps = vector["steps"].as_array().unwrap();
        let bits = u32::try_from(number(&vector["step_bits"])).unwrap();
        let first = bytes(&steps[0]["base_key"]);
        let bits = StepBits::new(bits).unwrap();
        let mut key = RatchetKey::new(suite(&vector["suite"]), number(&vector["generation"]), bits, first).unwrap();
        for step in steps {
            assert_eq!(key.key_id(), number(&step["kid"]));
            assert_eq!(key.expose_base_key().expose(), bytes(&step["base_key"]));
            key = key.next();
        }
    }
}

#[test]
fn pf_39_section_5_2_gives_the_known_answers() {
    assert_eq!((EXPORTER_LABEL, EPOCH_BITS), ("SFrame 1.0 Base Key", 4));
    for vector in conclave()["mls"].as_array().unwrap() {
        let fields = KidFields {
            context: number(&vector["context"]),
            leaf: u32::try_from(number(&vector["leaf"])).unwrap(),
            epoch: epoch_bits(number(&vector["epoch"])),
        };
        let layout = KidLayout::for_leaf_count(u32::try_from(number(&vector["leaf_count"])).unwrap());
        let kid = layout.kid(fields).unwrap();
        assert_eq!(kid, number(&vector["kid"]));
        assert_eq!(layout.fields(kid), fields);
        let base = BaseKey::from_mls_exporter(suite(&vector["suite"]), &bytes(&vector["base_key"])).unwrap();
        let derived = base.derive(kid);
        assert_eq!(derived.expose_key(), bytes(&vector["key"]));
        assert_eq!(derived.expose_salt(), bytes(&vector["salt"]));
    }
}

#[test]
fn pf_39_an_exported_secret_of_another_length_than_nk_is_refused() {
    for suite in CipherSuite::ALL {
        for found in [0, 15, 17, 24, 33, 64, 95, 97]
            .into_iter()
            .filter(|len| *len != suite.key_len())
        {
            let refused = BaseKey::from_mls_exporter(suite, &vec![1; found]).unwrap_err();
            assert_eq!(
                refused,
                WrongKeyLength {
                    suite,
                    expected: suite.key_len(),
                    found
                }
            );
        }
    }
}

#[test]
fn pf_39_a_leaf_or_context_that_does_not_fit_is_refused_and_never_cut() {
    let layout = KidLayout::for_leaf_count(4);
    let fields = |context, leaf| KidFields {
        context,
        leaf,
        epoch: 3,
    };
    assert!(layout.kid(fields(0, 3)).is_ok());
    assert!(layout.kid(fields(0, 4)).is_err());
    assert!(layout.kid(fields((1 << 58) - 1, 3)).is_ok());
    assert!(layout.kid(fields(1 << 58, 3)).is_err());
    assert!(KidLayout::for_leaf_count(1).kid(fields(0, 1)).is_err());
    assert!(KidLayout::for_leaf_count(u32::MAX).kid(fields(3, u32::MAX)).is_ok());
}

#[test]
fn the_sizes_of_every_suite_are_the_registrys() {
    let sizes: Vec<_> = CipherSuite::ALL
        .iter()
        .map(|s| (s.number(), s.hash_len(), s.key_len(), s.tag_len()))
        .collect();
    assert_eq!(
        sizes,
        [
            (1, 32, 48, 10),
            (2, 32, 48, 8),
            (3, 32, 48, 4),
            (4, 32, 16, 16),
            (5, 64, 32, 16),
            (6, 64, 96, 10),
            (7, 64, 96, 8),
            (8, 64, 96, 4),
        ]
    );
    assert_eq!(CipherSuite::from_number(0), None);
    assert_eq!(CipherSuite::from_number(9), None);
}

#[test]
fn pf_17_no_key_byte_is_in_a_debug_text() {
    let base = BaseKey::new(CipherSuite::Aes128GcmSha256_128, &[0xab; 16]);
    let derived = base.derive(1);
    let secrets = [
        base.sframe_secret().expose(),
        derived.expose_key(),
        derived.expose_salt(),
    ]
    .concat();
    let bits = StepBits::new(4).unwrap();
    let ratchet = RatchetKey::new(CipherSuite::Aes128GcmSha256_128, 0, bits, vec![0xab; 16]).unwrap();
    for text in [
        format!("{base:?}"),
        format!("{derived:?}"),
        format!("{:?}", FrameKey::new(&derived)),
        format!("{:?}", base.sframe_secret()),
        format!("{ratchet:?}"),
    ] {
        for pair in secrets.windows(2).chain([&[0xab, 0xab][..]]) {
            assert!(
                !text.contains(&hex::encode(pair)) && !text.contains(&format!("{}, {}", pair[0], pair[1])),
                "{text}"
            );
        }
    }
}
