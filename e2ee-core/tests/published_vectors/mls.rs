//! RFC 9605 section 5.2: KIDs, and the keys that an exported base key yields for them.

use e2ee_core::sframe::mls::{EPOCH_BITS, EXPORTER_LABEL, KidFields, epoch_bits};
use e2ee_core::sframe::{BaseKey, CipherSuite, Header, KidLayout};
use serde_json::{Value, json};

use crate::common::noise;
use crate::document::{Document, big, bytes, cases, hex, number, small, suite, text};

/// Leaf count, leaf, context, epoch: one leaf and no bits for it, the ends of every field, and epochs that wrap.
const PLACES: [(u32, u32, u64, u64); 10] = [
    (1, 0, 0, 0),
    (1, 0, 3, 1),
    (2, 1, 0, 15),
    (2, 1, 1, 16),
    (4, 3, 2, 0x0123_4567_89ab_cdef),
    (5, 4, 3, 9),
    (8, 0, 1, u64::MAX),
    (1_000, 999, 3, 1_000),
    (65_537, 65_536, (1 << 43) - 1, 7),
    (u32::MAX, u32::MAX - 1, (1 << 28) - 1, 31),
];

pub(crate) fn document() -> Document {
    let mut keys = Vec::new();
    for suite in CipherSuite::ALL {
        for (leaf_count, leaf, context, epoch) in PLACES {
            keys.push(key(suite, leaf_count, leaf, context, epoch));
        }
    }
    Document {
        name: "sframe-mls.json",
        groups: vec![("keys", keys)],
    }
}

fn key(suite: CipherSuite, leaf_count: u32, leaf: u32, context: u64, epoch: u64) -> Value {
    let exported = noise(epoch ^ u64::from(suite.number()), suite.key_len());
    let fields = KidFields {
        context,
        leaf,
        epoch: epoch_bits(epoch),
    };
    let kid = KidLayout::for_leaf_count(leaf_count).kid(fields).unwrap();
    let derived = BaseKey::from_mls_exporter(suite, &exported).unwrap().derive(kid);
    let header = Header {
        key_id: kid,
        counter: 0,
    };
    json!({
        "suite": suite.number(),
        "exporter_label": EXPORTER_LABEL,
        "exporter_length": exported.len(),
        "base_key": hex(&exported),
        "leaf_count": leaf_count,
        "leaf": leaf,
        "context": big(context),
        "epoch": big(epoch),
        "epoch_bits": EPOCH_BITS,
        "kid": big(kid),
        "header_of_counter_0": hex(header.encode().as_bytes()),
        "sframe_key": hex(derived.expose_key()),
        "sframe_salt": hex(derived.expose_salt()),
    })
}

pub(crate) fn check(document: &Value) {
    for case in cases(document, "keys") {
        let fields = KidFields {
            context: number(case, "context"),
            leaf: small(case, "leaf"),
            epoch: epoch_bits(number(case, "epoch")),
        };
        let layout = KidLayout::for_leaf_count(small(case, "leaf_count"));
        // From the wire back to the fields.
        let (header, _) = Header::decode(&bytes(case, "header_of_counter_0")).unwrap();
        assert_eq!((header.key_id, header.counter), (number(case, "kid"), 0));
        assert_eq!(layout.fields(header.key_id), fields, "{case}");
        let base_key = bytes(case, "base_key");
        assert_eq!(base_key.len() as u64, number(case, "exporter_length"));
        let derived = BaseKey::from_mls_exporter(suite(case), &base_key)
            .unwrap()
            .derive(header.key_id);
        assert_eq!(hex::encode(derived.expose_key()), text(case, "sframe_key"));
        assert_eq!(hex::encode(derived.expose_salt()), text(case, "sframe_salt"));
    }
}
