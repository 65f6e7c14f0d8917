//! The organisation's root and what it certifies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use sha2::{Digest, Sha256};

/// Unix seconds. OpenMLS compares key packages with the machine's clock, so meetings take place now.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub struct Ca {
    key: KeyPair,
    params: CertificateParams,
    pub der: Vec<u8>,
}

/// An Ed25519 key for MLS and for certificates.
pub struct Key(pub SigningKey);

impl Key {
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

impl Signer for Key {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

struct Public([u8; 32]);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = params(name, 3600, 10 * 365 * 86_400);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { key, params, der }
    }

    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// A person's leaf, valid since `age` seconds for `lifetime` seconds.
    pub fn person(&self, name: &str, role: &str, key: &Key, age: u64, lifetime: u64) -> Vec<u8> {
        let id = name.to_lowercase();
        let uris = [
            format!("urn:conclave:person:p-{id}"),
            format!("urn:conclave:device:d-{id}"),
            format!("urn:conclave:role:{role}"),
        ];
        self.leaf(name, &uris, key, age, lifetime)
    }

    pub fn service(&self, role: &str, key: &Key) -> Vec<u8> {
        self.leaf(role, &[format!("urn:conclave:role:{role}")], key, 1800, 365 * 86_400)
    }

    fn leaf(&self, name: &str, uris: &[String], key: &Key, age: u64, lifetime: u64) -> Vec<u8> {
        let mut params = params(name, age, lifetime);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI(uri.as_str().try_into().unwrap()));
        }
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&Public(key.public()), &issuer).unwrap().der().to_vec()
    }
}

fn params(name: &str, age: u64, lifetime: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let begin = SystemTime::now() - Duration::from_secs(age);
    params.not_before = begin.into();
    params.not_after = (begin + Duration::from_secs(lifetime)).into();
    params.serial_number = Some(SerialNumber::from(vec![0x42, name.len() as u8]));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Clinic");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
