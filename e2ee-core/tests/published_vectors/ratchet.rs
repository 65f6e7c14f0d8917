//! RFC 9605 section 5.1: the base keys of a sender's steps, and a frame at each.

use e2ee_core::sframe::ratchet::{RatchetKey, RatchetReceiver, StepBits};
use e2ee_core::sframe::{CipherSuite, FrameKey};
use serde_json::{Value, json};

use crate::common::noise;
use crate::document::{Document, big, bytes, cases, hex, number, small, suite, text};

const METADATA: &[u8] = b"metadata";

pub(crate) fn document() -> Document {
    let mut senders = Vec::new();
    for suite in CipherSuite::ALL {
        for (generation, step_bits) in [(0, 4), (5, 2), (0x0102_0304, 8)] {
            senders.push(sender(suite, generation, step_bits));
        }
    }
    Document {
        name: "sframe-ratchet.json",
        groups: vec![("senders", senders)],
    }
}

fn sender(suite: CipherSuite, generation: u64, step_bits: u32) -> Value {
    let base_key = noise(generation + u64::from(suite.number()), suite.key_len());
    let bits = StepBits::new(step_bits).unwrap();
    let mut key = RatchetKey::new(suite, generation, bits, base_key).unwrap();
    let steps: Vec<Value> = (0..6u64)
        .map(|step| {
            let derived = key.base_key().derive(key.key_id());
            let plain = format!("step {step}");
            let mut frame = plain.clone().into_bytes();
            FrameKey::new(&derived).seal(step, METADATA, &mut frame, 0).unwrap();
            let case = json!({
                "step": step,
                "kid": big(key.key_id()),
                "base_key": hex(key.expose_base_key().expose()),
                "sframe_secret": hex(key.base_key().sframe_secret().expose()),
                "sframe_key": hex(derived.expose_key()),
                "sframe_salt": hex(derived.expose_salt()),
                "counter": big(step),
                "plaintext": plain,
                "frame": hex(&frame),
            });
            key = key.clone().next();
            case
        })
        .collect();
    json!({
        "suite": suite.number(),
        "generation": big(generation),
        "step_bits": step_bits,
        "metadata": hex(METADATA),
        "steps": steps,
    })
}

/// Reads the frames as a receiver would, which knows the first base key alone.
pub(crate) fn check(document: &Value) {
    for sender in cases(document, "senders") {
        let bits = StepBits::new(small(sender, "step_bits")).unwrap();
        let mut receiver = RatchetReceiver::new(suite(sender), bits, 1);
        let steps = cases(sender, "steps");
        receiver
            .install(number(sender, "generation"), bytes(&steps[0], "base_key"))
            .unwrap();
        for step in steps {
            let mut frame = bytes(step, "frame");
            let all = 0..frame.len();
            let opened = receiver.open(&bytes(sender, "metadata"), &mut frame, all).unwrap();
            assert_eq!(
                (opened.step, opened.counter),
                (number(step, "step"), number(step, "counter"))
            );
            assert_eq!(frame, text(step, "plaintext").as_bytes());
        }
    }
}
