//! X-Wing against the figures of its draft, and what it refuses (`vectors/README.md`).

use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{AeadType, HpkeKemType};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{config, provider};
use crate::group::provider::kem::{Kem, KemError};
use crate::group::provider::x_wing;

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn figures() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../../vectors/x-wing-figures.json")).unwrap();
    let figures = all["x_wing"].as_array().unwrap().clone();
    assert_eq!(figures.len(), 3);
    figures
}

#[test]
fn mlsp_2_x_wing_gives_the_drafts_keys_ciphertexts_and_secrets() {
    for case in figures() {
        let private = Zeroizing::new(bytes(&case["sk"]).try_into().unwrap());
        let public = bytes(&case["pk"]);
        assert_eq!(x_wing::public_of(&private), public);
        let randomness = Zeroizing::new(bytes(&case["eseed"]).try_into().unwrap());
        let sealed = x_wing::encap(&public, &randomness).unwrap();
        assert_eq!(sealed.enc, bytes(&case["ct"]));
        assert_eq!(sealed.secret.to_vec(), bytes(&case["ss"]));
        assert_eq!(x_wing::decap(&sealed.enc, &private).unwrap(), sealed.secret);
    }
}

#[test]
fn mlsp_2_x_wing_refuses_what_is_no_key_and_every_change_of_a_ciphertext_changes_the_secret() {
    let case = &figures()[0];
    let private = Zeroizing::new(bytes(&case["sk"]).try_into().unwrap());
    let (public, enc) = (bytes(&case["pk"]), bytes(&case["ct"]));
    let fill = |out: &mut [u8]| {
        out.fill(7);
        Ok(())
    };
    let mut not_reduced = public.clone();
    not_reduced[..3].fill(0xFF);
    for bad in [&public[1..], &[&public[..], &[0]].concat(), &not_reduced, &[]] {
        assert_eq!(Kem::XWing.encap(bad, fill).err(), Some(KemError::PublicKey));
    }
    for bad in [&enc[1..], &[&enc[..], &[0]].concat(), &[]] {
        assert_eq!(Kem::XWing.decap(bad, &private).err(), Some(KemError::PublicKey));
    }
    let right = Kem::XWing.decap(&enc, &private).unwrap();
    for at in (0..enc.len()).step_by(31).chain([enc.len() - 1]) {
        let mut changed = enc.clone();
        changed[at] ^= 1;
        assert_ne!(Kem::XWing.decap(&changed, &private).unwrap(), right, "byte {at}");
    }
    let silent = |_: &mut [u8]| Err(KemError::Randomness);
    assert_eq!(Kem::XWing.encap(&public, silent).err(), Some(KemError::Randomness));
}

#[test]
fn mlsp_2_chacha20_poly1305_gives_the_figure_of_rfc_8439_and_refuses_every_changed_bit() {
    // Section 2.8.2.
    let provider = provider(1);
    let crypto = provider.crypto();
    let key: Vec<u8> = (0x80..=0x9f).collect();
    let nonce = hex::decode("070000004041424344454647").unwrap();
    let aad = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
    let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let alg = AeadType::ChaCha20Poly1305;
    let sealed = crypto.aead_encrypt(alg, &key, plain, &nonce, &aad).unwrap();
    assert_eq!(hex::encode(&sealed[..16]), "d31a8d34648e60db7b86afbc53ef7ec2");
    assert_eq!(hex::encode(&sealed[plain.len()..]), "1ae10b594f09e26a7e902ecbd0600691");
    assert_eq!(crypto.aead_decrypt(alg, &key, &sealed, &nonce, &aad).unwrap(), plain);
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(crypto.aead_decrypt(alg, &key, &changed, &nonce, &aad).is_err());
    }
    assert!(crypto.aead_encrypt(alg, &key[1..], plain, &nonce, &aad).is_err());
    assert!(crypto.aead_encrypt(alg, &key, plain, &nonce[1..], &aad).is_err());
}

/// The first 32 bytes of SHAKE256 of the key material are the seed.
#[test]
fn mlsp_2_x_wing_keys_follow_from_their_material() {
    let provider = provider(2);
    let derive = |ikm: &[u8]| {
        provider
            .crypto()
            .derive_hpke_keypair(config(HpkeKemType::XWingKemDraft6), ikm)
            .unwrap()
    };
    let pair = derive(b"");
    assert_eq!(
        hex::encode(pair.private.as_ref()),
        "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
    );
    assert_eq!(pair.public.len(), 1216);
    assert_ne!(pair.public, derive(b"other").public);
}

/// That of OpenMLS' own provider, on another implementation of HPKE.
#[test]
fn mlsp_2_hpke_with_x_wing_is_that_of_another_implementation() {
    let (ours, theirs) = (provider(3), OpenMlsRustCrypto::default());
    let (ours, theirs) = (ours.crypto(), theirs.crypto());
    let config = || config(HpkeKemType::XWingKemDraft6);
    let pair = ours.derive_hpke_keypair(config(), &[7; 32]).unwrap();
    let same = theirs.derive_hpke_keypair(config(), &[7; 32]).unwrap();
    assert_eq!(
        (&pair.public, pair.private.as_ref()),
        (&same.public, same.private.as_ref())
    );
    let sealed = ours
        .hpke_seal(config(), &pair.public, b"info", b"aad", b"ours")
        .unwrap();
    assert_eq!(
        theirs
            .hpke_open(config(), &sealed, &pair.private, b"info", b"aad")
            .unwrap(),
        b"ours"
    );
    let sealed = theirs
        .hpke_seal(config(), &pair.public, b"info", b"aad", b"theirs")
        .unwrap();
    assert_eq!(
        ours.hpke_open(config(), &sealed, &pair.private, b"info", b"aad")
            .unwrap(),
        b"theirs"
    );
}
