//! What the relay accepts as a token, and the many things it does not.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use relay_token::{Claims, EncodeError, HEADER, MAX_LIFETIME, MAX_SKEW, Rights, Source, TokenError, Verifier, encode};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair};

const NOW: u64 = 1_800_000_000;

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(pair: &Ed25519KeyPair) -> [u8; 32] {
    pair.public_key().as_ref().try_into().unwrap()
}

fn claims() -> Claims {
    Claims {
        room: "room-a".into(),
        participant: "participant-1".into(),
        rights: Rights {
            publish: vec![Source::Microphone, Source::ScreenAudio],
            subscribe: true,
        },
        nbf: NOW,
        exp: NOW + 60,
        jti: "t1".into(),
    }
}

fn token(claims: &Claims) -> String {
    encode(claims, |bytes| {
        Ok::<_, Infallible>(pair(1).sign(bytes).as_ref().to_vec())
    })
    .unwrap()
}

fn verifier() -> Verifier {
    Verifier::new(public(&pair(1)))
}

/// A genuine signature over any header and payload.
fn signed(header: &str, payload: &str) -> String {
    let body = format!("{}.{}", B64.encode(header), B64.encode(payload));
    let signature = pair(1).sign(body.as_bytes());
    format!("{body}.{}", B64.encode(signature.as_ref()))
}

#[test]
fn a_genuine_token_gives_its_claims_back() {
    assert_eq!(verifier().verify(&token(&claims()), NOW + 1), Ok(claims()));
}

#[test]
fn sources_are_written_in_kebab_case() {
    let text = serde_json::to_string(&claims()).unwrap();
    assert!(text.contains(r#""publish":["microphone","screen-audio"]"#), "{text}");
}

#[test]
fn an_expired_token_is_refused_from_its_last_second_on() {
    let token = token(&claims());
    assert!(verifier().verify(&token, NOW + 59).is_ok());
    assert_eq!(verifier().verify(&token, NOW + 60), Err(TokenError::Expired));
}

#[test]
fn a_token_that_is_not_valid_yet_is_refused_beyond_the_allowed_skew() {
    let token = token(&claims());
    assert!(verifier().verify(&token, NOW - MAX_SKEW).is_ok());
    assert_eq!(
        verifier().verify(&token, NOW - MAX_SKEW - 1),
        Err(TokenError::NotYetValid)
    );
}

#[test]
fn another_key_is_refused() {
    let other = Verifier::new(public(&pair(2)));
    assert_eq!(other.verify(&token(&claims()), NOW), Err(TokenError::Signature));
}

#[test]
fn alg_none_is_refused_with_and_without_a_signature() {
    let payload = serde_json::to_string(&claims()).unwrap();
    let none = r#"{"alg":"none","typ":"conclave-relay+jwt"}"#;
    let unsigned = format!("{}.{}.", B64.encode(none), B64.encode(&payload));
    assert_eq!(verifier().verify(&unsigned, NOW), Err(TokenError::Header));
    assert_eq!(verifier().verify(&signed(none, &payload), NOW), Err(TokenError::Header));
    let header_kept = format!("{}.{}.", B64.encode(HEADER), B64.encode(&payload));
    assert_eq!(verifier().verify(&header_kept, NOW), Err(TokenError::Signature));
}

#[test]
fn hs256_keyed_with_the_public_key_is_refused() {
    let payload = serde_json::to_string(&claims()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &public(&pair(1)));
    for (header, error) in [
        (r#"{"alg":"HS256","typ":"JWT"}"#, TokenError::Header),
        (HEADER, TokenError::Signature),
    ] {
        let body = format!("{}.{}", B64.encode(header), B64.encode(&payload));
        let forged = format!("{body}.{}", B64.encode(hmac::sign(&key, body.as_bytes())));
        assert_eq!(verifier().verify(&forged, NOW), Err(error));
    }
}

#[test]
fn another_kind_of_jwt_by_the_same_key_is_refused() {
    let payload = serde_json::to_string(&claims()).unwrap();
    for header in [
        r#"{"alg":"EdDSA","typ":"JWT"}"#,
        r#"{"typ":"conclave-relay+jwt","alg":"EdDSA"}"#,
        r#"{"alg": "EdDSA","typ":"conclave-relay+jwt"}"#,
    ] {
        assert_eq!(
            verifier().verify(&signed(header, &payload), NOW),
            Err(TokenError::Header)
        );
    }
}

#[test]
fn a_change_of_any_single_character_is_refused() {
    let token = token(&claims());
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verifier().verify(&changed, NOW).is_err(), "changed at {at}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let token = token(&claims());
    for end in 0..token.len() {
        assert!(verifier().verify(&token[..end], NOW).is_err(), "cut at {end}");
    }
}

#[test]
fn an_oversized_token_is_refused_unread() {
    let long = format!("{}{}", token(&claims()), "A".repeat(2048));
    assert_eq!(verifier().verify(&long, NOW), Err(TokenError::Oversized));
}

#[test]
fn padding_and_foreign_characters_are_refused() {
    for text in ["", ".", "..", "...", "=.=.=", "a.b.c", "\u{1F512}.\u{1F512}.\u{1F512}"] {
        assert!(verifier().verify(text, NOW).is_err(), "{text:?}");
    }
    assert!(verifier().verify(&format!("{}=", token(&claims())), NOW).is_err());
    assert!(verifier().verify(&format!("{}.AAAA", token(&claims())), NOW).is_err());
}

#[test]
fn signed_nonsense_is_refused_as_claims() {
    let good = serde_json::to_value(claims()).unwrap();
    let mut unknown = good.clone();
    unknown["admin"] = true.into();
    let mut unknown_source = good.clone();
    unknown_source["rights"]["publish"] = serde_json::json!(["microphone", "keyboard"]);
    let mut no_room = good.clone();
    no_room["room"] = "".into();
    let mut long_id = good.clone();
    long_id["participant"] = "x".repeat(129).into();
    let mut negative = good.clone();
    negative["exp"] = (-1).into();
    let mut backwards = good.clone();
    backwards["exp"] = (NOW - 1).into();
    for payload in [
        unknown,
        unknown_source,
        no_room,
        long_id,
        negative,
        backwards,
        serde_json::json!([]),
        serde_json::json!(null),
    ] {
        let token = signed(HEADER, &payload.to_string());
        assert_eq!(verifier().verify(&token, NOW), Err(TokenError::Claims), "{payload}");
    }
}

#[test]
fn an_over_long_lifetime_is_refused_on_both_sides() {
    let mut long = claims();
    long.exp = long.nbf + MAX_LIFETIME + 1;
    let refused = encode(&long, |_| Ok::<_, Infallible>(vec![0; 64]));
    assert!(matches!(refused, Err(EncodeError::Claims(TokenError::Lifetime))));
    let token = signed(HEADER, &serde_json::to_string(&long).unwrap());
    assert_eq!(verifier().verify(&token, NOW), Err(TokenError::Lifetime));
}

#[test]
fn a_signer_that_fails_or_returns_another_length_makes_no_token() {
    let failed = encode(&claims(), |_| Err::<Vec<u8>, _>("the token is locked"));
    assert!(matches!(failed, Err(EncodeError::Sign("the token is locked"))));
    let short = encode(&claims(), |_| Ok::<_, Infallible>(vec![0; 63]));
    assert!(matches!(short, Err(EncodeError::SignatureLength(63))));
}
