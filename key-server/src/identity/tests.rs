#![allow(clippy::unwrap_used)]

use e2ee_core::identity::{CertificateError, Role};
use e2ee_core::wire::delivery::certificate_request_tbs;
use hsm_adapter::SoftwareKeystore;

use super::request::RequestError;
use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const HOURS_8: Duration = Duration::from_secs(8 * 3600);

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    keystore: Arc<dyn Keystore>,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).await.unwrap();
        let keystore: Arc<dyn Keystore> = Arc::new(SoftwareKeystore::open(&folder.path().join("keys")).unwrap());
        Self {
            folder,
            store,
            keystore,
        }
    }

    async fn open(&self, now: UnixMillis) -> (Identity, Arc<Log>) {
        let root = Root::ensure(&self.store, &self.keystore, "Example Clinic", now)
            .await
            .unwrap();
        let log = Log::open(
            self.store.clone(),
            self.keystore.clone(),
            "log.example",
            &self.folder.path().join("log"),
        )
        .await
        .unwrap();
        let log = Arc::new(log);
        let identity = Identity::open(
            self.store.clone(),
            self.keystore.clone(),
            log.clone(),
            root,
            HOURS_8,
            now,
        )
        .await
        .unwrap();
        (identity, log)
    }

    async fn session(&self, expires_in: Duration) -> Session {
        let session = Session {
            token_hash: [7; 32],
            room: "room".to_owned(),
            participant: "p-1".to_owned(),
            device: "d-1".to_owned(),
            name: "Zoë 李".to_owned(),
            role: "guest".to_owned(),
            expires_at: (NOW + expires_in).0,
        };
        let mut db = self.store.write().await.unwrap();
        crate::store::sessions::insert_room(&mut db, "room", Profile::Standard, NOW.0)
            .await
            .unwrap();
        crate::store::sessions::insert(&mut db, &session).await.unwrap();
        db.commit().await.unwrap();
        session
    }
}

const DEVICE: KeyLabel = KeyLabel::from_static("a-device");

#[tokio::test]
async fn iden_11_an_issued_leaf_passes_the_members_checks_and_stands_on_the_log() {
    let bench = Bench::new().await;
    let (identity, log) = bench.open(NOW).await;
    for kind in [KeyKind::Ed25519, KeyKind::P256] {
        let key = bench
            .keystore
            .ensure_key(&KeyLabel::new(&format!("device-{}", kind as u8)).unwrap(), kind)
            .unwrap();
        let session = if kind == KeyKind::Ed25519 {
            bench.session(HOURS_8 * 2).await
        } else {
            Session { ..bench_session() }
        };
        let (chain, receipt) = identity.issue(&session, key, NOW).await.unwrap();
        let checked = identity.trust().check(&chain, Use::Person, NOW).unwrap();
        assert_eq!(
            (checked.name(), checked.org(), checked.role()),
            ("Zoë 李", "Example Clinic", Role::Guest)
        );
        assert_eq!((checked.person(), checked.device()), (Some("p-1"), Some("d-1")));
        checked.check_key(key.as_bytes()).unwrap();
        assert_eq!(checked.not_after(), NOW + HOURS_8);
        assert_eq!(
            receipt.entry.as_slice(),
            LogEntry::Certificate { der: chain[0].clone() }.to_bytes().unwrap()
        );
        assert_eq!(log.receipt(receipt.index).await.unwrap().entry, receipt.entry);
        // Not for a service, and not later.
        assert!(identity.trust().check(&chain, Use::DeliveryService, NOW).is_err());
        let later = NOW + HOURS_8 + Duration::from_secs(1);
        assert_eq!(
            identity.trust().check(&chain, Use::Person, later).unwrap_err(),
            CertificateError::Expired
        );
    }
}

/// The session that `Bench::session` stored.
fn bench_session() -> Session {
    Session {
        token_hash: [7; 32],
        room: "room".to_owned(),
        participant: "p-1".to_owned(),
        device: "d-1".to_owned(),
        name: "Zoë 李".to_owned(),
        role: "guest".to_owned(),
        expires_at: (NOW + HOURS_8 * 2).0,
    }
}

#[tokio::test]
async fn iden_13_a_certificate_does_not_outlive_its_session() {
    let bench = Bench::new().await;
    let (identity, _) = bench.open(NOW).await;
    let session = bench.session(Duration::from_secs(600)).await;
    let key = bench.keystore.ensure_key(&DEVICE, KeyKind::Ed25519).unwrap();
    let (chain, _) = identity.issue(&session, key, NOW).await.unwrap();
    let checked = identity.trust().check(&chain, Use::Person, NOW).unwrap();
    assert_eq!(checked.not_after(), NOW + Duration::from_secs(600));
}

#[tokio::test]
async fn iden_10_root_and_service_certificates_survive_a_restart_and_another_token_is_refused() {
    let bench = Bench::new().await;
    let (first, log) = bench.open(NOW).await;
    assert_eq!(log.publish().await.unwrap(), 4, "root, a service for each profile, log");
    let (again, log) = bench.open(NOW + Duration::from_secs(3600)).await;
    assert_eq!(again.root().hash, first.root().hash);
    for profile in Profile::ALL {
        assert_eq!(again.service(profile).chain, first.service(profile).chain);
    }
    assert_eq!(again.log_chain, first.log_chain);
    assert_eq!(log.publish().await.unwrap(), 4);

    let other: Arc<dyn Keystore> = Arc::new(SoftwareKeystore::open(&bench.folder.path().join("other")).unwrap());
    let refused = Root::ensure(&bench.store, &other, "Example Clinic", NOW).await;
    assert!(matches!(refused, Err(Error::Setup(SetupError::OtherRootKey))));
}

#[tokio::test]
async fn service_certificates_are_for_their_keys_and_roles_and_renewed_in_time() {
    let bench = Bench::new().await;
    let (identity, log) = bench.open(NOW).await;
    for profile in Profile::ALL {
        let service = identity.service(profile);
        let checked = identity
            .trust()
            .check(&service.chain, Use::DeliveryService, NOW)
            .unwrap();
        let in_the_token = bench.keystore.public_key(&service.label).unwrap();
        checked.check_key(in_the_token.as_bytes()).unwrap();
        assert!(profile.signs_with(checked.key()));
    }
    let of_log = identity
        .trust()
        .check(&identity.log_chain, Use::TransparencyLog, NOW)
        .unwrap();
    of_log.check_key(log.public_key().as_bytes()).unwrap();

    let much_later = NOW + YEAR * 3 / 4;
    let (renewed, _) = bench.open(much_later).await;
    for profile in Profile::ALL {
        let service = renewed.service(profile);
        assert_ne!(service.chain, identity.service(profile).chain);
        renewed
            .trust()
            .check(&service.chain, Use::DeliveryService, much_later + YEAR / 2)
            .unwrap();
    }
}

#[tokio::test]
async fn an_organisation_whose_name_would_deceive_is_the_operators_mistake() {
    let bench = Bench::new().await;
    for bad in ["", " padded", "right\u{202e}left", &"x".repeat(65)] {
        let made = Root::ensure(&bench.store, &bench.keystore, bad, NOW).await;
        assert!(matches!(made, Err(Error::Setup(SetupError::OrgName(_)))), "{bad:?}");
    }
    Root::ensure(&bench.store, &bench.keystore, &"x".repeat(64), NOW)
        .await
        .unwrap();
}

#[test]
fn pf_16_a_certificate_request_counts_only_for_its_key_and_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let keystore = SoftwareKeystore::open(folder.path()).unwrap();
    for (label, kind) in [("e", KeyKind::Ed25519), ("p", KeyKind::P256)] {
        let label = KeyLabel::new(label).unwrap();
        let key = keystore.ensure_key(&label, kind).unwrap();
        let other = keystore
            .ensure_key(&KeyLabel::new(&format!("other-{label}")).unwrap(), kind)
            .unwrap();
        let proof = keystore
            .sign(&label, &certificate_request_tbs("session", key.as_bytes()))
            .unwrap()
            .to_der();
        assert_eq!(check_request("session", key.as_bytes(), &proof), Ok(key));
        assert_eq!(
            check_request("another", key.as_bytes(), &proof),
            Err(RequestError::Proof)
        );
        assert_eq!(
            check_request("session", other.as_bytes(), &proof),
            Err(RequestError::Proof)
        );
        assert_eq!(
            check_request("session", key.as_bytes(), &proof[1..]),
            Err(RequestError::Proof)
        );
        assert_eq!(check_request("session", key.as_bytes(), &[]), Err(RequestError::Proof));
        let bare = keystore.sign(&label, b"session").unwrap().to_der();
        assert_eq!(
            check_request("session", key.as_bytes(), &bare),
            Err(RequestError::Proof)
        );
        for bad in [&[][..], &key.as_bytes()[1..], &[4; 65]] {
            assert_eq!(
                check_request("session", bad, &proof),
                Err(RequestError::Key),
                "{} bytes",
                bad.len()
            );
        }
    }
}

#[tokio::test]
async fn serial_numbers_are_long_random_and_positive() {
    use x509_cert::der::Decode as _;
    let bench = Bench::new().await;
    let (identity, _) = bench.open(NOW).await;
    let mut serials = std::collections::BTreeSet::new();
    for chain in [
        &identity.service(Profile::Standard).chain,
        &identity.service(Profile::Fips).chain,
        &identity.log_chain,
    ] {
        let certificate = x509_cert::Certificate::from_der(&chain[0]).unwrap();
        let serial = certificate.tbs_certificate.serial_number.as_bytes().to_vec();
        assert_eq!(serial.len(), 16);
        assert!(serial[0] & 0x80 == 0 && serials.insert(serial));
    }
}
