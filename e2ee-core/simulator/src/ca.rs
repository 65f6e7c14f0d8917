//! An organisation's root and what it issues, good and bad.

use std::sync::Arc;
use std::time::Duration;

use e2ee_core::identity::{PublicKey, TrustRoot};
use e2ee_core::time::UnixMillis;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

#[derive(Clone)]
pub struct Ca {
    params: CertificateParams,
    key: Arc<KeyPair>,
    der: Vec<u8>,
}

/// What to put into a certificate. Every field can be wrong.
#[derive(Clone)]
pub struct Request {
    pub names: Vec<String>,
    pub org: Option<String>,
    pub uris: Vec<String>,
    pub not_before: UnixMillis,
    pub not_after: UnixMillis,
    pub is_ca: IsCa,
    pub usages: Vec<KeyUsagePurpose>,
    pub extensions: Vec<CustomExtension>,
}

impl Request {
    pub fn person(name: &str, person: &str, device: &str, now: UnixMillis) -> Self {
        Self::with_role(name, Some((person, device)), "guest", now)
    }

    pub fn service(role: &str, now: UnixMillis) -> Self {
        Self::with_role("Conclave", None, role, now)
    }

    pub fn with_role(name: &str, who: Option<(&str, &str)>, role: &str, now: UnixMillis) -> Self {
        let mut uris = Vec::new();
        if let Some((person, device)) = who {
            uris.push(format!("urn:conclave:person:{person}"));
            uris.push(format!("urn:conclave:device:{device}"));
        }
        uris.push(format!("urn:conclave:role:{role}"));
        Self {
            names: vec![name.to_owned()],
            org: Some("Clinic".to_owned()),
            uris,
            not_before: now - Duration::from_secs(60),
            not_after: now + Duration::from_secs(12 * 3600),
            is_ca: IsCa::ExplicitNoCa,
            usages: vec![KeyUsagePurpose::DigitalSignature],
            extensions: Vec::new(),
        }
    }
}

impl Ca {
    pub fn new(now: UnixMillis) -> Self {
        Self::named("Test root", now)
    }

    pub fn named(name: &str, now: UnixMillis) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = base(
            now - Duration::from_secs(3600),
            now + Duration::from_secs(365 * 24 * 3600),
        );
        params.distinguished_name = dn(&[name.to_owned()], None);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(2));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            params,
            key: Arc::new(key),
            der,
        }
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    pub fn root(&self) -> TrustRoot {
        TrustRoot::pin(&self.der, &self.hash()).unwrap()
    }

    pub fn issue(&self, request: &Request, key: &PublicKey) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &*self.key);
        params_of(request)
            .signed_by(&Subject(key.clone()), &issuer)
            .unwrap()
            .der()
            .to_vec()
    }

    /// An authority under this one, with its own certificate.
    pub fn intermediate(&self, name: &str, constraints: BasicConstraints, now: UnixMillis) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = base(
            now - Duration::from_secs(3600),
            now + Duration::from_secs(30 * 24 * 3600),
        );
        params.distinguished_name = dn(&[name.to_owned()], None);
        params.is_ca = IsCa::Ca(constraints);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = Issuer::from_params(&self.params, &*self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        Self {
            params,
            key: Arc::new(key),
            der,
        }
    }
}

pub struct Subject(pub PublicKey);

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_mls_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0 {
            PublicKey::Ed25519(_) => &rcgen::PKCS_ED25519,
            PublicKey::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

fn params_of(request: &Request) -> CertificateParams {
    let mut params = base(request.not_before, request.not_after);
    params.distinguished_name = dn(&request.names, request.org.as_deref());
    params.subject_alt_names = request
        .uris
        .iter()
        .map(|uri| SanType::URI(uri.as_str().try_into().unwrap()))
        .collect();
    params.is_ca = request.is_ca;
    params.key_usages = request.usages.clone();
    params.custom_extensions = request.extensions.clone();
    params
}

fn base(not_before: UnixMillis, not_after: UnixMillis) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.not_before = date(not_before);
    params.not_after = date(not_after);
    params
}

fn dn(names: &[String], org: Option<&str>) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    for name in names {
        dn.push(DnType::CommonName, name.as_str());
    }
    if let Some(org) = org {
        dn.push(DnType::OrganizationName, org);
    }
    dn
}

fn date(at: UnixMillis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(at.as_secs()).unwrap()).unwrap()
}
