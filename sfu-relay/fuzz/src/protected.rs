//! What is behind a tag: an altered message is refused, and the true one is still taken.

use std::sync::OnceLock;

use sfu_relay::engine::SessionId;
use sfu_relay::net::dtls::Identity;
use sfu_relay::net::srtp::{Profile, Srtp};
use sfu_relay::net::stun::{BindingRequest, integrity_key};

use crate::common::Client;
use crate::input::Input;

const PASSWORD: &str = "a-password-of-an-answer";

/// A connectivity check with alterations, the fingerprint (which is no secret) made right again for half of them.
pub fn stun(data: &[u8]) {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    let good = GOOD.get_or_init(|| Client::new(SessionId(1), 0).check_with("ours:theirs", PASSWORD, true));
    let mut input = Input::new(data);
    let seal = input.byte() & 1 == 1;
    let mut message = good.clone();
    while !input.is_empty() {
        input.alter(&mut message);
    }
    if seal && message.len() >= 28 {
        let at = message.len() - 8;
        let crc = crc32(&message[..at]) ^ 0x5354_554E;
        message[at..at + 4].copy_from_slice(&[0x80, 0x28, 0, 4]);
        message[at + 4..].copy_from_slice(&crc.to_be_bytes());
    }
    for bytes in [&message[..], data] {
        let _ = BindingRequest::looks_like(bytes);
        if let Ok(request) = BindingRequest::parse(bytes)
            && request.verify(&integrity_key(PASSWORD))
        {
            // What is authenticated is what was sent.
            assert_eq!(request.transaction, good[8..20]);
            assert_eq!((request.local_ufrag, request.remote_ufrag), ("ours", "theirs"));
            assert!(request.use_candidate);
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

/// Protected media and control, altered: refused, and nothing of it remembered.
pub fn srtp(data: &[u8]) {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    let identity = IDENTITY.get_or_init(|| Identity::generate().unwrap());
    let mut input = Input::new(data);
    let profile = if input.byte() & 1 == 0 {
        Profile::AeadAes128Gcm
    } else {
        Profile::Aes128CmHmacSha1_80
    };
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|n| n as u8).collect();
    let crypto = identity.provider().crypto();
    let mut relay = Srtp::server(profile, &material, crypto).unwrap();
    let mut client = Srtp::client(profile, &material, crypto).unwrap();
    let control = input.byte() & 1 == 1;
    let mut good = if control {
        vec![0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9]
    } else {
        let mut packet = vec![0x80, 96, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9];
        packet.extend_from_slice(input.take(40));
        packet
    };
    let clear = good.clone();
    if control {
        client.seal_rtcp(&mut good).unwrap();
    } else {
        client.seal_rtp(&mut good).unwrap();
    }
    let mut open = |mut bytes: Vec<u8>| {
        let opened = if control {
            relay.open_rtcp(&mut bytes)
        } else {
            relay.open_rtp(&mut bytes)
        };
        opened.ok().map(|len| bytes[..len].to_vec())
    };
    assert_eq!(open(data.to_vec()), None);
    let mut altered = good.clone();
    while !input.is_empty() {
        input.alter(&mut altered);
        if altered != good {
            assert_eq!(open(altered.clone()), None);
        }
    }
    assert_eq!(open(good.clone()), Some(clear));
    assert_eq!(open(good), None, "a replay");
}
