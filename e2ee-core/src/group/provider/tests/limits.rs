//! What the provider refuses, and what it does not keep.

use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, HashType, HpkeAeadType, HpkeCiphertext, HpkeConfig, HpkeKdfType, HpkeKemType,
    SignatureScheme,
};

use super::{KEMS, config, provider};
use crate::group::provider::Crypto;
use crate::group::provider::dh_kem::DhKem;
use crate::group::provider::kem::KemError;

#[test]
fn mlsp_2_every_flipped_bit_of_a_sealed_secret_is_refused() {
    let provider = provider(1);
    let crypto = provider.crypto();
    for kem in KEMS.iter().copied() {
        let pair = crypto.derive_hpke_keypair(config(kem), &[7; 32]).unwrap();
        let sealed = crypto
            .hpke_seal(config(kem), &pair.public, b"info", b"aad", b"a path secret")
            .unwrap();
        let open = |sealed: &HpkeCiphertext, info: &[u8], aad: &[u8]| {
            crypto.hpke_open(config(kem), sealed, &pair.private, info, aad)
        };
        assert_eq!(open(&sealed, b"info", b"aad").unwrap(), b"a path secret");
        assert_eq!(open(&sealed, b"infp", b"aad"), Err(CryptoError::HpkeDecryptionError));
        assert_eq!(open(&sealed, b"info", b"aae"), Err(CryptoError::HpkeDecryptionError));
        for bit in 0..sealed.ciphertext.as_slice().len() * 8 {
            let mut ciphertext = sealed.ciphertext.as_slice().to_vec();
            ciphertext[bit / 8] ^= 1 << (bit % 8);
            let changed = HpkeCiphertext {
                kem_output: sealed.kem_output.clone(),
                ciphertext: ciphertext.into(),
            };
            assert_eq!(
                open(&changed, b"info", b"aad"),
                Err(CryptoError::HpkeDecryptionError),
                "bit {bit}"
            );
        }
        for length in 0..sealed.ciphertext.as_slice().len() {
            let cut = HpkeCiphertext {
                kem_output: sealed.kem_output.clone(),
                ciphertext: sealed.ciphertext.as_slice()[..length].into(),
            };
            assert_eq!(
                open(&cut, b"info", b"aad"),
                Err(CryptoError::HpkeDecryptionError),
                "{length} bytes"
            );
        }
    }
}

#[test]
fn mlsp_2_a_public_key_that_is_none_is_refused_and_so_is_one_of_small_order() {
    let x25519 = DhKem::X25519.derive_key_pair(&[1; 32]).unwrap();
    let p256 = DhKem::P256.derive_key_pair(&[1; 32]).unwrap();
    // RFC 7748 section 6.1: zero and one are of small order, the shared secret would be zero.
    let one: Vec<u8> = std::iter::once(1).chain([0; 31]).collect();
    for bad in [vec![0; 32], one, vec![9; 31], vec![9; 33], Vec::new()] {
        assert_eq!(DhKem::X25519.encap(&bad, &x25519).unwrap_err(), KemError::PublicKey);
        assert_eq!(
            DhKem::X25519.decap(&bad, &x25519.private).unwrap_err(),
            KemError::PublicKey
        );
    }
    let mut off_curve = p256.public.clone();
    off_curve[64] ^= 1;
    // The same point in SEC 1's compressed form, which RFC 9180 does not have.
    let compressed = [[2 + (p256.public[64] & 1)].as_slice(), &p256.public[1..33]].concat();
    for bad in [off_curve, compressed, vec![0], vec![4; 65], Vec::new()] {
        assert_eq!(DhKem::P256.encap(&bad, &p256).unwrap_err(), KemError::PublicKey);
        assert_eq!(DhKem::P256.decap(&bad, &p256.private).unwrap_err(), KemError::PublicKey);
    }
    let zero = zeroize::Zeroizing::new([0; 32]);
    assert_eq!(
        DhKem::P256.decap(&p256.public, &zero).unwrap_err(),
        KemError::PrivateKey
    );
}

#[test]
fn mlsp_1_algorithms_of_no_profile_are_refused() {
    let provider = provider(2);
    let crypto = provider.crypto();
    assert_eq!(
        crypto.supports(Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519),
        Err(CryptoError::UnsupportedCiphersuite)
    );
    for suite in crypto.supported_ciphersuites() {
        assert_eq!(crypto.supports(suite), Ok(()));
    }
    assert_eq!(
        crypto.hash(HashType::Sha2_384, b""),
        Err(CryptoError::UnsupportedHashAlgorithm)
    );
    assert_eq!(
        crypto.aead_encrypt(AeadType::Aes256Gcm, &[0; 32], b"", &[0; 12], b""),
        Err(CryptoError::UnsupportedAeadAlgorithm)
    );
    assert_eq!(
        crypto.sign(SignatureScheme::ED448, b"", &[0; 57]),
        Err(CryptoError::UnsupportedSignatureScheme)
    );
    for other in [
        HpkeConfig(HpkeKemType::DhKemP384, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128),
        HpkeConfig(
            HpkeKemType::DhKem25519,
            HpkeKdfType::HkdfSha512,
            HpkeAeadType::AesGcm128,
        ),
        HpkeConfig(
            HpkeKemType::DhKem25519,
            HpkeKdfType::HkdfSha256,
            HpkeAeadType::AesGcm256,
        ),
        // Each of some suite, but not of one.
        HpkeConfig(
            HpkeKemType::DhKem25519,
            HpkeKdfType::HkdfSha256,
            HpkeAeadType::ChaCha20Poly1305,
        ),
    ] {
        assert!(crypto.derive_hpke_keypair(other, &[0; 32]).is_err());
    }
}

#[test]
fn lengths_of_another_algorithm_are_refused() {
    let provider = provider(3);
    let crypto = provider.crypto();
    let aes = AeadType::Aes128Gcm;
    assert!(crypto.aead_encrypt(aes, &[0; 32], b"", &[0; 12], b"").is_err());
    assert!(crypto.aead_encrypt(aes, &[0; 16], b"", &[0; 11], b"").is_err());
    assert!(crypto.aead_decrypt(aes, &[0; 16], &[0; 15], &[0; 12], b"").is_err());
    assert!(
        crypto
            .hkdf_expand(HashType::Sha2_256, &[0; 32], b"", 255 * 32 + 1)
            .is_err()
    );
    assert!(crypto.hkdf_expand(HashType::Sha2_256, &[0; 31], b"", 32).is_err());
    for scheme in [SignatureScheme::ED25519, SignatureScheme::ECDSA_SECP256R1_SHA256] {
        let (private, public) = crypto.signature_key_gen(scheme).unwrap();
        let signature = crypto.sign(scheme, b"content", &private).unwrap();
        assert_eq!(crypto.verify_signature(scheme, b"content", &public, &signature), Ok(()));
        assert!(crypto.verify_signature(scheme, b"other", &public, &signature).is_err());
        assert!(
            crypto
                .verify_signature(scheme, b"content", &public[1..], &signature)
                .is_err()
        );
        assert!(
            crypto
                .verify_signature(scheme, b"content", &public, &signature[1..])
                .is_err()
        );
        assert!(crypto.sign(scheme, b"content", &private[1..]).is_err());
    }
}

#[test]
fn who_only_verifies_makes_no_keys() {
    let crypto = Crypto::verifying();
    for kem in KEMS.iter().copied() {
        let public = crypto.derive_hpke_keypair(config(kem), &[5; 32]).unwrap().public;
        assert_eq!(
            crypto.hpke_seal(config(kem), &public, b"", b"", b"secret"),
            Err(CryptoError::InsufficientRandomness)
        );
    }
    assert!(crypto.signature_key_gen(SignatureScheme::ED25519).is_err());
}

#[test]
fn mlsp_3_the_same_seed_seals_the_same_and_never_twice() {
    let public = Crypto::verifying()
        .derive_hpke_keypair(config(KEMS[0]), &[5; 32])
        .unwrap()
        .public;
    let seal = |provider: &super::Provider| {
        provider
            .crypto()
            .hpke_seal(config(KEMS[0]), &public, b"", b"", b"secret")
            .unwrap()
    };
    let (one, same, other) = (provider(4), provider(4), provider(5));
    let first = seal(&one);
    assert_eq!(first, seal(&same));
    assert_ne!(first, seal(&one));
    assert_ne!(first, seal(&other));
}
