//! What only a PKCS#11 token promises: a PIN, keys that stay inside, sessions that run out.

#![allow(clippy::unwrap_used)]

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Ck, RvError};
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, ObjectClass};
use cryptoki::session::UserType;
use hsm_adapter::{
    Error, KeyKind, KeyLabel, Keystore, Pin, PinSource, Pkcs11Config, Pkcs11Keystore, SetupError, softhsm,
};

mod common;
use common::provision;

const KEY: KeyLabel = KeyLabel::from_static("key");

fn with_pin(config: &Pkcs11Config, pin: PinSource) -> Pkcs11Config {
    let mut config = config.clone();
    config.pin = pin;
    config
}

#[test]
fn a_wrong_pin_is_refused_whether_or_not_somebody_is_logged_in() {
    let config = provision("wrong-pin");
    let wrong = with_pin(&config, PinSource::Given(Pin::new("000000")));
    let refused = |result: Result<Pkcs11Keystore, Error>| matches!(result, Err(Error::Setup(SetupError::WrongPin(t))) if t == "wrong-pin");
    assert!(refused(Pkcs11Keystore::open(&wrong)));
    {
        let right = Pkcs11Keystore::open(&config).unwrap();
        // PKCS#11 itself would let this one in: the application is logged in already.
        assert!(refused(Pkcs11Keystore::open(&wrong)));
        let second = Pkcs11Keystore::open(&config).unwrap();
        drop(right);
        second.ensure_key(&KEY, KeyKind::P256).unwrap();
    }
    assert!(
        refused(Pkcs11Keystore::open(&wrong)),
        "logged out when the last keystore went"
    );
    Pkcs11Keystore::open(&config).unwrap();
}

#[test]
fn setup_mistakes_are_named() {
    let config = provision("setup");
    let open = |c: &Pkcs11Config| match Pkcs11Keystore::open(c) {
        Err(Error::Setup(e)) => e,
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("opened"),
    };
    let mut elsewhere = config.clone();
    elsewhere.token_label = "nobody".to_owned();
    assert!(matches!(open(&elsewhere), SetupError::TokenNotFound { .. }));
    let mut no_library = config.clone();
    no_library.module = "/nonexistent/libpkcs11.so".into();
    assert!(matches!(open(&no_library), SetupError::ModuleUnusable { .. }));
    let mut not_a_library = config.clone();
    not_a_library.module = file!().rsplit('/').next().map(|f| format!("tests/{f}")).unwrap().into();
    assert!(matches!(open(&not_a_library), SetupError::ModuleUnusable { .. }));
    assert!(matches!(
        open(&with_pin(&config, PinSource::Env("CONCLAVE_TEST_NO_SUCH".to_owned()))),
        SetupError::NoPin(_)
    ));
    assert!(matches!(
        open(&with_pin(&config, PinSource::Given(Pin::new(" \n")))),
        SetupError::NoPin(_)
    ));
    let missing = with_pin(&config, PinSource::File("/nonexistent/pin".into()));
    assert!(matches!(Pkcs11Keystore::open(&missing), Err(Error::Storage(_))));
}

#[test]
fn pins_do_not_appear_in_debug_output() {
    let config = with_pin(&provision("debug"), PinSource::Given(Pin::new("s3cret-pin")));
    assert!(!format!("{config:?}").contains("s3cret"));
}

/// Asks the token itself, past our own code, as somebody with the PIN would.
#[test]
fn private_and_wrapping_keys_cannot_be_taken_out_of_the_token() {
    let config = provision("extract");
    let keystore = Pkcs11Keystore::open(&config).unwrap();
    keystore.ensure_key(&KEY, KeyKind::P256).unwrap();
    keystore
        .ensure_key(&KeyLabel::from_static("edwards"), KeyKind::Ed25519)
        .unwrap();
    keystore
        .ensure_wrapping_key(&KeyLabel::from_static("wrapping"))
        .unwrap();

    let module = Pkcs11::new(&config.module).unwrap();
    // The keystore initialised the library for the whole process.
    assert!(matches!(
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)),
        Err(Ck::Pkcs11(RvError::CryptokiAlreadyInitialized, _))
    ));
    let slot = module
        .get_slots_with_initialized_token()
        .unwrap()
        .into_iter()
        .find(|&slot| module.get_token_info(slot).unwrap().label() == "extract")
        .unwrap();
    let session = module.open_rw_session(slot).unwrap();
    // Already logged in, as every session of the process is.
    assert!(matches!(
        session.login(UserType::User, None),
        Err(Ck::Pkcs11(RvError::UserAlreadyLoggedIn | RvError::ArgumentsBad, _))
    ));

    let mut secrets = session
        .find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])
        .unwrap();
    secrets.extend(
        session
            .find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)])
            .unwrap(),
    );
    assert_eq!(secrets.len(), 3);
    for &key in &secrets {
        assert!(matches!(
            session.get_attribute_info(key, &[AttributeType::Value]).unwrap()[..],
            [AttributeInfo::Sensitive]
        ));
        assert!(session.get_attributes(key, &[AttributeType::Value]).unwrap().is_empty());
        let facts = session
            .get_attributes(
                key,
                &[
                    AttributeType::Sensitive,
                    AttributeType::Extractable,
                    AttributeType::NeverExtractable,
                    AttributeType::AlwaysSensitive,
                ],
            )
            .unwrap();
        assert!(facts.contains(&Attribute::Sensitive(true)) && facts.contains(&Attribute::Extractable(false)));
        assert!(
            facts.contains(&Attribute::NeverExtractable(true)) && facts.contains(&Attribute::AlwaysSensitive(true))
        );
        // Nor loosened afterwards.
        assert!(session.update_attributes(key, &[Attribute::Extractable(true)]).is_err());
        assert!(session.update_attributes(key, &[Attribute::Sensitive(false)]).is_err());
    }
}

#[test]
fn more_threads_than_sessions_wait_their_turn() {
    let mut config = provision("few-sessions");
    config.max_sessions = 1;
    let keystore = Pkcs11Keystore::open(&config).unwrap();
    let public = keystore.ensure_key(&KEY, KeyKind::Ed25519).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let keystore = &keystore;
            scope.spawn(move || {
                for i in 0..10 {
                    public
                        .verify(&[thread, i], &keystore.sign(&KEY, &[thread, i]).unwrap())
                        .unwrap();
                    // Errors give their session back too.
                    keystore.sign(&KeyLabel::from_static("none"), b"").unwrap_err();
                }
            });
        }
    });
}

#[test]
fn a_session_that_went_stale_is_replaced() {
    let config = provision("stale");
    let keystore = Pkcs11Keystore::open(&config).unwrap();
    let public = keystore.ensure_key(&KEY, KeyKind::P256).unwrap();
    let module = Pkcs11::new(&config.module).unwrap();
    let slot = module
        .get_slots_with_initialized_token()
        .unwrap()
        .into_iter()
        .find(|&slot| module.get_token_info(slot).unwrap().label() == "stale")
        .unwrap();
    // What a reset of the device looks like from here: everybody is logged out.
    module.open_rw_session(slot).unwrap().logout().unwrap();
    public.verify(b"m", &keystore.sign(&KEY, b"m").unwrap()).unwrap();
}

#[test]
fn another_key_under_the_same_label_after_a_reset_is_refused() {
    let config = provision("replaced");
    let keystore = Pkcs11Keystore::open(&config).unwrap();
    keystore.ensure_key(&KEY, KeyKind::P256).unwrap();
    let module = Pkcs11::new(&config.module).unwrap();
    let slot = module
        .get_slots_with_initialized_token()
        .unwrap()
        .into_iter()
        .find(|&slot| module.get_token_info(slot).unwrap().label() == "replaced")
        .unwrap();
    // As if the reset device were another, which was set up alike.
    let session = module.open_rw_session(slot).unwrap();
    let label = Attribute::Label(KEY.as_str().into());
    for key in session.find_objects(&[label]).unwrap() {
        session.destroy_object(key).unwrap();
    }
    let refused = |result: Result<(), Error>| {
        let words = result.unwrap_err().to_string();
        assert!(words.contains("not the one that this process began with"), "{words}");
    };
    session.logout().unwrap();
    refused(keystore.sign(&KEY, b"m").map(drop));
    refused(keystore.ensure_key(&KEY, KeyKind::P256).map(drop));
    // Another process makes one; this one goes on to refuse it.
    Pkcs11Keystore::open(&config)
        .unwrap()
        .ensure_key(&KEY, KeyKind::P256)
        .unwrap();
    refused(keystore.sign(&KEY, b"m").map(drop));
    refused(keystore.public_key(&KEY).map(drop));
    // What was not used before may be made and used.
    let other = KeyLabel::from_static("other");
    keystore.ensure_key(&other, KeyKind::P256).unwrap();
    keystore.sign(&other, b"m").unwrap();
}

#[test]
fn provisioning_again_keeps_token_pin_and_keys() {
    use std::os::unix::fs::PermissionsExt as _;
    let first = provision("again");
    let public = Pkcs11Keystore::open(&first)
        .unwrap()
        .ensure_key(&KEY, KeyKind::P256)
        .unwrap();
    let second = provision("again");
    assert_eq!(Pkcs11Keystore::open(&second).unwrap().public_key(&KEY).unwrap(), public);
    let PinSource::File(pin) = &second.pin else {
        panic!("a file")
    };
    assert_eq!(std::fs::metadata(pin).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(pin).unwrap().len(), 32);
}

#[test]
fn a_second_folder_in_the_same_process_is_refused_rather_than_ignored() {
    provision("one-folder");
    let other = common::software_folder();
    assert!(matches!(
        softhsm::provision(other.path(), "x"),
        Err(Error::Setup(SetupError::SoftHsmFolderFixed { .. }))
    ));
}
