//! One suite for both backends: what any keystore must do, against a real SoftHSM2 token and against files.
//! SoftHSM2 must be installed; `cargo xtask test` installs it.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hsm_adapter::{
    Backend, Error, InputError, KeyKind, KeyLabel, Keystore, Pkcs11Config, Pkcs11Keystore, PublicKey, SoftwareKeystore,
    StorageError, UseError, softhsm,
};

mod common;
use common::{provision, software_folder};

const KEY: KeyLabel = KeyLabel::from_static("key");

/// A keystore that can be closed and opened again.
struct Bench {
    open: Box<dyn Fn() -> Arc<dyn Keystore>>,
    _folder: Option<tempfile::TempDir>,
}

fn pkcs11(token: &str) -> Bench {
    let config: Pkcs11Config = provision(token);
    Bench {
        open: Box::new(move || Arc::new(Pkcs11Keystore::open(&config).unwrap())),
        _folder: None,
    }
}

fn software() -> Bench {
    let folder = software_folder();
    let path = folder.path().join("keys");
    Bench {
        open: Box::new(move || Arc::new(SoftwareKeystore::open(&path).unwrap())),
        _folder: Some(folder),
    }
}

/// Runs each property over both backends, as two tests that name it.
macro_rules! both {
    ($($name:ident => $property:expr;)*) => {$(
        mod $name {
            use super::*;
            #[test]
            fn softhsm() { let property: fn(Bench) = $property; property(pkcs11(stringify!($name))) }
            #[test]
            fn software() { let property: fn(Bench) = $property; property(super::software()) }
        }
    )*};
}

/// Verified by p256 and ed25519-dalek directly, not by our own wrapper alone.
fn verify_independently(public: &PublicKey, message: &[u8], signature: &hsm_adapter::Signature) -> bool {
    match public.kind() {
        KeyKind::P256 => {
            use p256::ecdsa::signature::Verifier as _;
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public.as_bytes()).unwrap();
            let raw = p256::ecdsa::Signature::from_slice(signature.raw()).unwrap();
            let der = p256::ecdsa::Signature::from_der(&signature.to_der()).unwrap();
            assert_eq!(raw, der);
            key.verify(message, &raw).is_ok()
        }
        KeyKind::Ed25519 => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(public.as_bytes().try_into().unwrap()).unwrap();
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature.raw()))
                .is_ok()
        }
    }
}

both! {
    signatures_verify_and_only_for_what_was_signed => |bench| {
        let keystore = (bench.open)();
        for (kind, label) in [(KeyKind::P256, "p"), (KeyKind::Ed25519, "e")] {
            let label = KeyLabel::new(label).unwrap();
            let public = keystore.ensure_key(&label, kind).unwrap();
            assert_eq!(public.kind(), kind);
            for message in [&b""[..], b"x", &[0xa5; 5000]] {
                let signature = keystore.sign(&label, message).unwrap();
                assert!(verify_independently(&public, message, &signature));
                public.verify(message, &signature).unwrap();
                let other = [message, b"!"].concat();
                assert!(!verify_independently(&public, &other, &signature));
                assert!(matches!(public.verify(&other, &signature), Err(Error::Input(InputError::SignatureInvalid))));
            }
        }
    };

    a_key_is_made_once_and_persists_across_reopening => |bench| {
        let first = (bench.open)().ensure_key(&KEY, KeyKind::P256).unwrap();
        let again = (bench.open)();
        assert_eq!(again.public_key(&KEY).unwrap(), first);
        assert_eq!(again.ensure_key(&KEY, KeyKind::P256).unwrap(), first);
        first.verify(b"m", &again.sign(&KEY, b"m").unwrap()).unwrap();
    };

    a_missing_key_is_the_callers_error => |bench| {
        let keystore = (bench.open)();
        assert!(matches!(keystore.public_key(&KEY), Err(Error::Use(UseError::NoSuchKey(l))) if l == KEY));
        assert!(matches!(keystore.sign(&KEY, b"m"), Err(Error::Use(UseError::NoSuchKey(_)))));
        assert!(matches!(keystore.wrap(&KEY, b"", b"k"), Err(Error::Use(UseError::NoSuchKey(_)))));
        // And an error leaves the keystore usable.
        keystore.ensure_key(&KEY, KeyKind::Ed25519).unwrap();
        keystore.sign(&KEY, b"m").unwrap();
    };

    a_label_keeps_its_kind => |bench| {
        let keystore = (bench.open)();
        keystore.ensure_key(&KEY, KeyKind::P256).unwrap();
        assert!(matches!(keystore.ensure_key(&KEY, KeyKind::Ed25519), Err(Error::Use(UseError::WrongKind { .. }))));
    };

    eight_threads_sign_in_parallel => |bench| {
        let keystore = (bench.open)();
        let public = keystore.ensure_key(&KEY, KeyKind::P256).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let keystore = &keystore;
                scope.spawn(move || {
                    for i in 0..25u8 {
                        let message = [thread, i];
                        public.verify(&message, &keystore.sign(&KEY, &message).unwrap()).unwrap();
                    }
                });
            }
        });
    };

    threads_that_ensure_the_same_key_get_the_same_key => |bench| {
        let keystore = (bench.open)();
        let keys: Vec<PublicKey> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| keystore.ensure_key(&KEY, KeyKind::Ed25519).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|k| *k == keys[0]));
        keys[0].verify(b"m", &keystore.sign(&KEY, b"m").unwrap()).unwrap();
    };

    a_wrapped_key_opens_across_reopening => |bench| {
        let keystore = (bench.open)();
        keystore.ensure_wrapping_key(&KEY).unwrap();
        keystore.ensure_wrapping_key(&KEY).unwrap();
        for size in [1, 16, 32, 33, 1024] {
            let data_key = vec![0x5a; size];
            let wrapped = keystore.wrap(&KEY, b"room 7", &data_key).unwrap();
            assert!(size < 16 || !wrapped.windows(16).any(|w| w == &data_key[..16]));
            assert_ne!(wrapped, keystore.wrap(&KEY, b"room 7", &data_key).unwrap(), "nonces differ");
            assert_eq!(*(bench.open)().unwrap(&KEY, b"room 7", &wrapped).unwrap(), data_key);
        }
        for size in [0, 1025] {
            assert!(matches!(keystore.wrap(&KEY, b"", &vec![0; size]), Err(Error::Use(UseError::WrapSize(n))) if n == size));
        }
    };

    a_tampered_truncated_or_moved_wrap_is_refused => |bench| {
        let keystore = (bench.open)();
        let other = KeyLabel::from_static("other");
        keystore.ensure_wrapping_key(&KEY).unwrap();
        keystore.ensure_wrapping_key(&other).unwrap();
        let wrapped = keystore.wrap(&KEY, b"context", &[7; 32]).unwrap();
        let refused = |label: &KeyLabel, context: &[u8], wrapped: &[u8]| {
            matches!(keystore.unwrap(label, context, wrapped), Err(Error::Input(InputError::WrapNotAuthentic)))
        };
        for i in 0..wrapped.len() {
            let mut bad = wrapped.clone();
            bad[i] ^= 1;
            assert!(refused(&KEY, b"context", &bad), "byte {i}");
        }
        for length in 0..wrapped.len() {
            assert!(refused(&KEY, b"context", &wrapped[..length]), "length {length}");
        }
        assert!(refused(&KEY, b"contex", &wrapped));
        assert!(refused(&other, b"context", &wrapped));
        assert_eq!(*keystore.unwrap(&KEY, b"context", &wrapped).unwrap(), [7; 32]);
    };
}

#[test]
fn each_backend_says_what_it_is() {
    let token = (pkcs11("describe").open)().describe();
    assert_eq!(token.backend, Backend::Pkcs11);
    assert_eq!(token.token_label, "describe");
    assert!(token.keys_non_extractable && !token.is_hardware_boundary && !token.serial.is_empty());
    assert!(token.warning().unwrap().contains("not in hardware"));

    let files = (software().open)().describe();
    assert_eq!(files.backend, Backend::Software);
    assert!(!files.keys_non_extractable && !files.is_hardware_boundary);
    assert!(files.warning().unwrap().contains("unencrypted"));
}

#[test]
fn a_key_file_that_others_may_read_or_that_is_damaged_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = software_folder();
    let keystore = SoftwareKeystore::open(folder.path()).unwrap();
    keystore.ensure_key(&KEY, KeyKind::Ed25519).unwrap();
    let file = folder.path().join("key.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        keystore.sign(&KEY, b"m"),
        Err(Error::Storage(StorageError::TooOpen(_)))
    ));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    for damaged in [
        "",
        "{}",
        "{\"version\":1,\"kind\":\"ed25519\",\"secret\":\"AAAA\"}",
        "\u{fffd}",
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert!(
            matches!(keystore.sign(&KEY, b"m"), Err(Error::Storage(StorageError::Corrupt(_)))),
            "{damaged}"
        );
        assert!(
            matches!(
                keystore.ensure_key(&KEY, KeyKind::Ed25519),
                Err(Error::Storage(StorageError::Corrupt(_)))
            ),
            "never overwritten"
        );
    }
}

#[test]
fn softhsm_is_found_where_the_suite_runs() {
    assert!(
        softhsm::find_module().is_some(),
        "install softhsm2: the PKCS#11 half of this suite is not optional"
    );
}
