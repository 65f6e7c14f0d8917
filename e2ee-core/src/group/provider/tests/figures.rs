//! RFC 9180 appendix A.1.1 and A.3.1, and the basic operations of RFC 9420 for both suites (`vectors/README.md`).

use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{HashType, HpkeCiphertext, HpkeKemType, SignatureScheme};
use serde_json::Value;
use tls_codec::{Serialize, VLBytes};
use zeroize::Zeroizing;

use super::{config, provider};
use crate::group::provider::Crypto;
use crate::group::provider::dh_kem::DhKem;
use crate::group::provider::hpke::Context;
use crate::group::provider::kem::Kem;

fn figures(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../../vectors/mls-figures.json")).unwrap();
    let figures = all[name].as_array().unwrap().clone();
    assert_eq!(figures.len(), 2);
    figures
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

fn secret(value: &Value) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(bytes(value).try_into().unwrap())
}

fn kem(id: usize) -> DhKem {
    [DhKem::X25519, DhKem::P256]
        .into_iter()
        .find(|kem| usize::from(kem.id()) == id)
        .unwrap()
}

#[test]
fn mlsp_2_rfc_9180_keys_are_derived_as_in_the_appendix() {
    for case in figures("hpke") {
        let kem = kem(number(&case["kem"]));
        for (ikm, private, public) in [("ikm_e", "sk_e", "pk_e"), ("ikm_r", "sk_r", "pk_r")] {
            let pair = kem.derive_key_pair(&bytes(&case[ikm])).unwrap();
            assert_eq!(pair.private.to_vec(), bytes(&case[private]), "{kem:?}");
            assert_eq!(pair.public, bytes(&case[public]), "{kem:?}");
        }
    }
}

#[test]
fn mlsp_2_rfc_9180_both_sides_come_to_the_appendixs_secrets_and_message() {
    for case in figures("hpke") {
        let kem = kem(number(&case["kem"]));
        let ephemeral = kem.derive_key_pair(&bytes(&case["ikm_e"])).unwrap();
        assert_eq!(ephemeral.public, bytes(&case["enc"]));
        let shared = kem.encap(&bytes(&case["pk_r"]), &ephemeral).unwrap();
        assert_eq!(shared.to_vec(), bytes(&case["shared_secret"]));
        let decapped = kem.decap(&bytes(&case["enc"]), &secret(&case["sk_r"])).unwrap();
        assert_eq!(decapped, shared);

        let info = bytes(&case["info"]);
        let sender = Context::new(Kem::Dh(kem), &shared, &info).unwrap();
        let receiver = Context::new(Kem::Dh(kem), &decapped, &info).unwrap();
        for context in [&sender, &receiver] {
            let (key, nonce, exporter) = context.parts();
            assert_eq!(key, bytes(&case["key"]));
            assert_eq!(nonce, bytes(&case["base_nonce"]));
            assert_eq!(exporter, bytes(&case["exporter_secret"]));
            for export in case["exports"].as_array().unwrap() {
                let value = context
                    .export(&bytes(&export["context"]), number(&export["length"]))
                    .unwrap();
                assert_eq!(value, bytes(&export["value"]));
            }
        }
        let (aad, plain, sealed) = (bytes(&case["aad"]), bytes(&case["plaintext"]), bytes(&case["sealed"]));
        assert_eq!(sender.seal(&aad, &plain).unwrap(), sealed);
        assert_eq!(receiver.open(&aad, &sealed).unwrap(), plain);
    }
}

/// `struct { opaque label<V>; opaque context<V>; }` of RFC 9420 sections 5.1.2 and 5.1.3, and what is like it.
fn labelled(label: &Value, context: &[u8]) -> Vec<u8> {
    let label = format!("MLS 1.0 {}", label.as_str().unwrap());
    [label.as_bytes(), context]
        .map(|part| VLBytes::new(part.to_vec()).tls_serialize_detached().unwrap())
        .concat()
}

/// RFC 9420 section 8.
fn expand_with_label(crypto: &Crypto, secret: &[u8], label: &Value, context: &[u8], length: u16) -> Vec<u8> {
    let info = [length.to_be_bytes().to_vec(), labelled(label, context)].concat();
    let out = crypto
        .hkdf_expand(HashType::Sha2_256, secret, &info, length.into())
        .unwrap();
    out.as_slice().to_vec()
}

#[test]
fn rfc_9420_secrets_and_references_are_the_working_groups() {
    let provider = provider(1);
    let crypto = provider.crypto();
    for case in figures("mls") {
        let expand = &case["expand_with_label"];
        let length = u16::try_from(number(&expand["length"])).unwrap();
        assert_eq!(
            expand_with_label(
                crypto,
                &bytes(&expand["secret"]),
                &expand["label"],
                &bytes(&expand["context"]),
                length
            ),
            bytes(&expand["out"])
        );
        let derive = &case["derive_secret"];
        assert_eq!(
            expand_with_label(crypto, &bytes(&derive["secret"]), &derive["label"], &[], 32),
            bytes(&derive["out"])
        );
        // RFC 9420 section 9: the generation as a uint32.
        let tree = &case["derive_tree_secret"];
        let generation = u32::try_from(number(&tree["generation"])).unwrap().to_be_bytes();
        let length = u16::try_from(number(&tree["length"])).unwrap();
        assert_eq!(
            expand_with_label(crypto, &bytes(&tree["secret"]), &tree["label"], &generation, length),
            bytes(&tree["out"])
        );
        // RFC 9420 section 5.2: the label as it is.
        let reference = &case["ref_hash"];
        let input = [
            reference["label"].as_str().unwrap().as_bytes(),
            &bytes(&reference["value"]),
        ]
        .map(|part| VLBytes::new(part.to_vec()).tls_serialize_detached().unwrap())
        .concat();
        assert_eq!(
            crypto.hash(HashType::Sha2_256, &input).unwrap(),
            bytes(&reference["out"])
        );
    }
}

#[test]
fn rfc_9420_signatures_of_others_verify_and_ours_do() {
    let provider = provider(2);
    let crypto = provider.crypto();
    for case in figures("mls") {
        let scheme = match number(&case["cipher_suite"]) {
            1 => SignatureScheme::ED25519,
            _ => SignatureScheme::ECDSA_SECP256R1_SHA256,
        };
        let sign = &case["sign_with_label"];
        let content = labelled(&sign["label"], &bytes(&sign["content"]));
        let (public, theirs) = (bytes(&sign["pub"]), bytes(&sign["signature"]));
        crypto.verify_signature(scheme, &content, &public, &theirs).unwrap();
        let ours = crypto.sign(scheme, &content, &bytes(&sign["priv"])).unwrap();
        crypto.verify_signature(scheme, &content, &public, &ours).unwrap();
        let other = labelled(&sign["label"], b"another content");
        assert!(crypto.verify_signature(scheme, &other, &public, &theirs).is_err());
    }
}

#[test]
fn rfc_9420_what_the_working_group_sealed_opens_and_ours_does() {
    let provider = provider(3);
    let crypto = provider.crypto();
    for case in figures("mls") {
        let kem = match number(&case["cipher_suite"]) {
            1 => HpkeKemType::DhKem25519,
            _ => HpkeKemType::DhKemP256,
        };
        let sealed = &case["encrypt_with_label"];
        let info = labelled(&sealed["label"], &bytes(&sealed["context"]));
        let (private, public) = (bytes(&sealed["priv"]), bytes(&sealed["pub"]));
        let theirs = HpkeCiphertext {
            kem_output: bytes(&sealed["kem_output"]).into(),
            ciphertext: bytes(&sealed["ciphertext"]).into(),
        };
        let plain = bytes(&sealed["plaintext"]);
        assert_eq!(
            crypto.hpke_open(config(kem), &theirs, &private, &info, &[]).unwrap(),
            plain
        );
        let ours = crypto.hpke_seal(config(kem), &public, &info, &[], &plain).unwrap();
        assert_ne!(ours, theirs);
        assert_eq!(
            crypto.hpke_open(config(kem), &ours, &private, &info, &[]).unwrap(),
            plain
        );
    }
}
