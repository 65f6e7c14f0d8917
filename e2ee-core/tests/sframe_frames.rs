//! The header's one form, and frames of every suite under changes.
#![allow(clippy::unwrap_used)]

mod common;

use common::noise;
use e2ee_core::sframe::{BaseKey, CipherSuite, FrameKey, Header, HeaderError, OpenError};
use proptest::prelude::*;

fn key(suite: CipherSuite, key_id: u64) -> FrameKey {
    FrameKey::new(&BaseKey::new(suite, &noise(1, suite.key_len())).derive(key_id))
}

fn sealed(key: &FrameKey, counter: u64, metadata: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut frame = plain.to_vec();
    key.seal(counter, metadata, &mut frame, 0).unwrap();
    frame
}

fn opened(key: &FrameKey, metadata: &[u8], frame: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut frame = frame.to_vec();
    let (header, _) = Header::decode(&frame).unwrap();
    let all = 0..frame.len();
    let outcome = key.open(&header, metadata, &mut frame, all);
    if outcome.is_err() {
        assert!(frame.is_empty(), "what is not authentic is emptied");
    }
    outcome.map(|()| frame)
}

#[test]
fn pf_13_of_all_short_headers_only_the_canonical_are_read() {
    // Every config byte with every first two bytes behind it: what is read is what would be written.
    let (mut read, mut refused) = (0, 0);
    for number in 0..1u32 << 24 {
        let bytes = &number.to_be_bytes()[1..];
        match Header::decode(bytes) {
            Ok((header, len)) => {
                assert_eq!(header.encode().as_bytes(), &bytes[..len]);
                read += 1;
            }
            Err(HeaderError::NotMinimal) => refused += 1,
            Err(_) => {}
        }
    }
    assert!(read > 0 && refused > 0);
}

#[test]
fn pf_13_numbers_in_a_longer_form_are_refused() {
    for header in [
        "80 00",
        "80 07",
        "90 00ff",
        "f0 00ffffffffffffff",
        "08 00",
        "08 07",
        "09 00ff",
        "0f 00ffffffffffffff",
    ] {
        let bytes = hex::decode(header.replace(' ', "")).unwrap();
        assert_eq!(Header::decode(&bytes), Err(HeaderError::NotMinimal), "{header}");
    }
    for (header, key_id, counter) in [("80 08", 8, 0), ("90 0100", 256, 0), ("08 08", 0, 8), ("77", 7, 7)] {
        let bytes = hex::decode(header.replace(' ', "")).unwrap();
        assert_eq!(
            Header::decode(&bytes),
            Ok((Header { key_id, counter }, bytes.len())),
            "{header}"
        );
    }
}

#[test]
fn pf_13_a_header_cut_anywhere_is_refused() {
    let full = Header {
        key_id: u64::MAX,
        counter: u64::MAX,
    }
    .encode();
    for len in 0..full.as_bytes().len() {
        assert_eq!(Header::decode(&full.as_bytes()[..len]), Err(HeaderError::Truncated));
    }
}

#[test]
fn pf_10_every_bit_of_a_frame_is_authenticated_in_every_suite() {
    for suite in CipherSuite::ALL {
        let key = key(suite, 0x0123);
        let frame = sealed(&key, 0x4567, b"metadata", b"nine bytes");
        assert_eq!(opened(&key, b"metadata", &frame).unwrap(), b"nine bytes");
        for bit in 0..frame.len() * 8 {
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if Header::decode(&changed).is_ok() {
                assert!(opened(&key, b"metadata", &changed).is_err(), "{suite:?}, bit {bit}");
            }
        }
        assert!(opened(&key, b"metadatb", &frame).is_err());
        assert!(opened(&key, b"", &frame).is_err());
        for len in 5..frame.len() {
            assert!(
                opened(&key, b"metadata", &frame[..len]).is_err(),
                "{suite:?}, {len} bytes"
            );
        }
    }
}

#[test]
fn pf_11_a_frame_opens_under_the_key_that_it_names_only() {
    let suite = CipherSuite::Aes128GcmSha256_128;
    let frame = sealed(&key(suite, 1), 0, b"", b"frame");
    assert_eq!(opened(&key(suite, 2), b"", &frame), Err(OpenError::WrongKey));
    let other_base = FrameKey::new(&BaseKey::new(suite, &[9; 16]).derive(1));
    assert_eq!(opened(&other_base, b"", &frame), Err(OpenError::NotAuthentic));
}

#[test]
fn the_room_in_front_is_left_alone() {
    let key = key(CipherSuite::Aes128GcmSha256_128, 20);
    let plain = noise(4, 100);
    let mut frame = plain.clone();
    key.seal(5, b"m", &mut frame, 7).unwrap();
    assert_eq!(&frame[7..], sealed(&key, 5, b"m", &plain));
}

proptest! {
    #[test]
    fn any_frame_comes_back(
        suite in prop::sample::select(&CipherSuite::ALL[..]),
        key_id: u64,
        counter: u64,
        plain in prop::collection::vec(any::<u8>(), 0..300),
        metadata in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let key = key(suite, key_id);
        let frame = sealed(&key, counter, &metadata, &plain);
        prop_assert_eq!(frame.len(), plain.len() + key.overhead(counter));
        prop_assert_eq!(opened(&key, &metadata, &frame), Ok(plain));
    }

    #[test]
    fn any_header_comes_back(key_id: u64, counter: u64, shift_a in 0u32..64, shift_b in 0u32..64) {
        let header = Header { key_id: key_id >> shift_a, counter: counter >> shift_b };
        let encoded = header.encode();
        prop_assert_eq!(Header::decode(encoded.as_bytes()), Ok((header, encoded.as_bytes().len())));
    }
}
