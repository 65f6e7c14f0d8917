//! Certificates, good and forged, against one pinned root.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use e2ee_core::identity::{CertificateError, MAX_MEMBER_LIFETIME, PublicKey, Role, TrustRoot, Use};
use e2ee_core::time::UnixMillis;
use rcgen::{BasicConstraints, CustomExtension, IsCa, KeyUsagePurpose};
use simulator::ca::{Ca, Request};
use simulator::start_of_time;

fn key() -> PublicKey {
    let signing = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    PublicKey::Ed25519(signing.verifying_key().to_bytes())
}

fn p256_key() -> PublicKey {
    let signing = p256::ecdsa::SigningKey::from_slice(&[5; 32]).unwrap();
    PublicKey::P256(
        signing
            .verifying_key()
            .to_encoded_point(false)
            .as_bytes()
            .try_into()
            .unwrap(),
    )
}

/// What the root says to a person's certificate made of this request.
fn verdict(change: impl FnOnce(&mut Request)) -> Result<(), CertificateError> {
    let now = start_of_time();
    let ca = Ca::new(now);
    let mut request = Request::person("Ada", "p1", "d1", now);
    change(&mut request);
    let der = ca.issue(&request, &key());
    ca.root().check(&[der], Use::Person, now).map(|_| ())
}

#[test]
fn iden_2_a_certificate_of_the_profile_is_read_for_both_kinds_of_key() {
    let now = start_of_time();
    let ca = Ca::new(now);
    for key in [key(), p256_key()] {
        let der = ca.issue(&Request::person("Ada Lovelace", "p1", "d1", now), &key);
        let checked = ca.root().check(&[&der], Use::Person, now).unwrap();
        assert_eq!((checked.name(), checked.org()), ("Ada Lovelace", "Clinic"));
        assert_eq!((checked.person(), checked.device()), (Some("p1"), Some("d1")));
        assert_eq!((checked.role(), checked.key()), (Role::Guest, &key));
        assert_eq!(checked.der(), der);
        assert_eq!(checked.check_key(key.as_mls_bytes()), Ok(()));
        assert_eq!(checked.check_key(&[0; 32]), Err(CertificateError::OtherKey));
    }
}

#[test]
fn iden_1_another_root_than_the_one_in_the_link_is_refused() {
    let now = start_of_time();
    let (ours, theirs) = (Ca::new(now), Ca::new(now));
    assert_eq!(
        TrustRoot::pin(theirs.der(), &ours.hash()).unwrap_err(),
        CertificateError::RootNotPinned
    );
    // A leaf is no root, even if its hash is in the link.
    let leaf = ours.issue(&Request::person("Ada", "p1", "d1", now), &key());
    let hash = <sha2::Sha256 as sha2::Digest>::digest(&leaf).into();
    assert_eq!(TrustRoot::pin(&leaf, &hash).unwrap_err(), CertificateError::IssuerNotCa);
}

#[test]
fn iden_2_another_issuer_is_refused_even_under_the_same_name() {
    let now = start_of_time();
    let ours = Ca::new(now);
    let request = Request::person("Ada", "p1", "d1", now);
    let check = |ca: &Ca| {
        ours.root()
            .check(&[ca.issue(&request, &key())], Use::Person, now)
            .map(|_| ())
    };
    assert_eq!(check(&ours), Ok(()));
    assert_eq!(check(&Ca::new(now)), Err(CertificateError::SignatureInvalid));
    assert_eq!(
        check(&Ca::named("Other root", now)),
        Err(CertificateError::IssuerUnknown)
    );
}

#[test]
fn iden_2_no_byte_of_a_certificate_can_be_changed_cut_or_added() {
    let now = start_of_time();
    let ca = Ca::new(now);
    let root = ca.root();
    let der = ca.issue(&Request::person("Ada", "p1", "d1", now), &key());
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(root.check(&[changed], Use::Person, now).is_err(), "byte {at}");
        assert!(root.check(&[&der[..at]], Use::Person, now).is_err(), "cut at {at}");
    }
    let mut longer = der;
    longer.push(0);
    assert!(root.check(&[longer], Use::Person, now).is_err());
}

/// A root that has seen many certificates checks the next ones by another way than the first (docs/decisions/0016).
#[test]
fn iden_2_after_many_good_certificates_a_forged_one_is_refused_as_before() {
    let now = start_of_time();
    let ca = Ca::new(now);
    let below = ca.intermediate("Below", BasicConstraints::Constrained(0), now);
    let (root, stranger) = (ca.root(), Ca::new(now));
    let false_below = stranger.intermediate("Below", BasicConstraints::Constrained(0), now);
    let verdict = |chain: &[&[u8]]| root.check(chain, Use::Person, now).map(|_| ());
    for round in 0..20 {
        let request = Request::person("Ada", &format!("p{round}"), "d1", now);
        let (direct, deeper) = (ca.issue(&request, &key()), below.issue(&request, &key()));
        assert_eq!(verdict(&[&direct]), Ok(()), "round {round}");
        assert_eq!(verdict(&[&deeper, below.der()]), Ok(()), "round {round}");

        let forged = stranger.issue(&request, &key());
        assert_eq!(verdict(&[&forged]), Err(CertificateError::SignatureInvalid));
        let forged = false_below.issue(&request, &key());
        assert_eq!(
            verdict(&[&forged, below.der()]),
            Err(CertificateError::SignatureInvalid)
        );
        assert_eq!(
            verdict(&[&forged, false_below.der()]),
            Err(CertificateError::SignatureInvalid)
        );
        // Good signatures, of another certificate.
        let mut changed = direct.clone();
        let name = changed.windows(3).position(|bytes| bytes == b"Ada").unwrap();
        changed[name] = b'I';
        assert_eq!(verdict(&[&changed]), Err(CertificateError::SignatureInvalid));
    }
}

#[test]
fn iden_3_expired_not_yet_valid_and_over_long_certificates_are_refused() {
    let hour = Duration::from_secs(3600);
    let now = start_of_time();
    let window = |before: UnixMillis, after: UnixMillis| {
        verdict(|r| {
            r.not_before = before;
            r.not_after = after;
        })
    };
    assert_eq!(window(now - hour, now + hour), Ok(()));
    assert_eq!(window(now - hour * 2, now - hour), Err(CertificateError::Expired));
    assert_eq!(window(now + hour, now + hour * 2), Err(CertificateError::NotYetValid));
    assert_eq!(window(now - hour, now - hour + MAX_MEMBER_LIFETIME), Ok(()));
    assert_eq!(
        window(now - hour, now + MAX_MEMBER_LIFETIME),
        Err(CertificateError::LivesTooLong)
    );
}

#[test]
fn iden_4_unknown_critical_extensions_and_doubled_ones_are_refused() {
    let unknown = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(critical);
        extension
    };
    assert_eq!(verdict(|r| r.extensions = vec![unknown(false)]), Ok(()));
    assert_eq!(
        verdict(|r| r.extensions = vec![unknown(true)]),
        Err(CertificateError::UnknownCritical("1.2.3.4".into()))
    );
    assert_eq!(
        verdict(|r| r.extensions = vec![unknown(false), unknown(false)]),
        Err(CertificateError::DuplicateExtension("1.2.3.4".into()))
    );
}

#[test]
fn iden_4_an_authority_or_a_key_for_other_uses_is_no_leaf() {
    assert_eq!(
        verdict(|r| r.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        Err(CertificateError::LeafIsCa)
    );
    assert_eq!(
        verdict(|r| r.usages = vec![KeyUsagePurpose::KeyEncipherment]),
        Err(CertificateError::KeyUsage)
    );
    assert_eq!(verdict(|r| r.usages = vec![]), Err(CertificateError::KeyUsage));
    assert_eq!(
        verdict(|r| r.usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign]),
        Err(CertificateError::KeyUsage)
    );
}

#[test]
fn iden_5_exactly_one_name_organisation_person_device_and_role() {
    let uri = |what: &str| format!("urn:conclave:{what}");
    assert_eq!(
        verdict(|r| r.names.clear()),
        Err(CertificateError::NotExactlyOne("name"))
    );
    assert_eq!(
        verdict(|r| r.org = None),
        Err(CertificateError::NotExactlyOne("organisation"))
    );
    for (at, what) in [(0, "person"), (1, "device"), (2, "role")] {
        let gone = verdict(|r| {
            r.uris.remove(at);
        });
        assert_eq!(gone, Err(CertificateError::NotExactlyOne(what)));
        let twice = verdict(|r| r.uris.push(r.uris[at].clone()));
        assert_eq!(twice, Err(CertificateError::NotExactlyOne(what)));
    }
    for bad in ["role:admin", "person:", "person:a b", "device:a.b", "team:1"] {
        assert!(verdict(|r| r.uris.push(uri(bad))).is_err(), "{bad}");
    }
    assert!(verdict(|r| r.uris.push("https://elsewhere.example/".into())).is_err());
}

#[test]
fn iden_6_a_service_is_no_person_and_a_person_no_service() {
    let now = start_of_time();
    let ca = Ca::new(now);
    let root = ca.root();
    let person = ca.issue(&Request::person("Ada", "p1", "d1", now), &key());
    let service = ca.issue(&Request::service("delivery-service", now), &key());
    let log = ca.issue(&Request::service("transparency-log", now), &key());
    let ok = |der: &Vec<u8>, purpose| root.check(&[der], purpose, now).is_ok();
    assert!(ok(&person, Use::Person) && ok(&service, Use::DeliveryService) && ok(&log, Use::TransparencyLog));
    assert!(!ok(&service, Use::Person) && !ok(&log, Use::Person) && !ok(&person, Use::DeliveryService));
    assert!(!ok(&log, Use::DeliveryService) && !ok(&service, Use::TransparencyLog));
}

#[test]
fn pf_37_a_name_that_cannot_be_shown_makes_the_certificate_unusable() {
    for name in ["", "Ada\u{202E}", "A\u{200B}da", " Ada"] {
        let verdict = verdict(|r| r.names = vec![name.into()]);
        assert!(
            matches!(verdict, Err(CertificateError::Name(_))),
            "{name:?}: {verdict:?}"
        );
    }
}

#[test]
fn iden_9_two_authorities_may_stand_between_and_no_more_and_no_leaf_may_issue() {
    let now = start_of_time();
    let ca = Ca::new(now);
    let root = ca.root();
    let first = ca.intermediate("First", BasicConstraints::Constrained(1), now);
    let second = first.intermediate("Second", BasicConstraints::Constrained(0), now);
    let third = second.intermediate("Third", BasicConstraints::Unconstrained, now);
    let request = Request::person("Ada", "p1", "d1", now);
    let check = |chain: &[&[u8]]| root.check(chain, Use::Person, now).map(|_| ());

    let leaf = second.issue(&request, &key());
    assert_eq!(check(&[&leaf, second.der(), first.der()]), Ok(()));
    assert_eq!(check(&[&leaf, second.der()]), Err(CertificateError::IssuerUnknown));
    assert_eq!(
        check(&[&leaf, first.der(), second.der()]),
        Err(CertificateError::IssuerUnknown)
    );
    let deep = third.issue(&request, &key());
    assert_eq!(
        check(&[&deep, third.der(), second.der(), first.der()]),
        Err(CertificateError::ChainTooLong)
    );
    // `second` may not have authorities below it.
    assert_eq!(
        check(&[&deep, third.der(), second.der()]),
        Err(CertificateError::IssuerNotCa)
    );
    // A person's certificate issues nothing.
    let other = ca.issue(&request, &p256_key());
    assert_eq!(check(&[&leaf, &other]), Err(CertificateError::IssuerNotCa));
    assert_eq!(check(&[]), Err(CertificateError::ChainEmpty));
}
