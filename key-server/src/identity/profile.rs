//! X.509 v3 certificates by the profile, made with rcgen and signed in the token.

use std::sync::Arc;

use e2ee_core::time::UnixMillis;
use hsm_adapter::{KeyKind, KeyLabel, Keystore, PublicKey};
use rand::RngCore as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use x509_cert::der::{Decode as _, Encode as _};

use crate::error::Error;

/// CN and O.
pub(super) struct Names {
    pub(super) common: String,
    pub(super) org: String,
}

/// What a leaf certificate says.
pub(super) struct Leaf {
    pub(super) names: Names,
    pub(super) uris: Vec<String>,
    pub(super) key: PublicKey,
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
}

/// The root: CA:TRUE with path length 0, so that no certificate below it can issue.
pub(super) fn self_sign(
    keystore: &Arc<dyn Keystore>,
    label: &KeyLabel,
    key: &PublicKey,
    names: &Names,
    not_before: UnixMillis,
    not_after: UnixMillis,
) -> Result<Vec<u8>, Error> {
    let mut params = params(names, key, not_before, not_after)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let signer = TokenKey {
        keystore: keystore.clone(),
        label: label.clone(),
        public: Public(*key),
    };
    Ok(params.self_signed(&signer).map_err(refused)?.der().to_vec())
}

/// A leaf, signed by the root's key.
pub(super) fn issue(
    keystore: &Arc<dyn Keystore>,
    label: &KeyLabel,
    root_key: &PublicKey,
    root: &[u8],
    leaf: &Leaf,
) -> Result<Vec<u8>, Error> {
    let mut params = params(&leaf.names, &leaf.key, leaf.not_before, leaf.not_after)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    for uri in &leaf.uris {
        params
            .subject_alt_names
            .push(SanType::URI(uri.as_str().try_into().map_err(refused)?));
    }
    let signer = TokenKey {
        keystore: keystore.clone(),
        label: label.clone(),
        public: Public(*root_key),
    };
    let issuer_params = {
        let names = names_of(root).ok_or(Error::Bug("the root certificate cannot be read"))?;
        let mut params = self::params(&names, root_key, leaf.not_before, leaf.not_after)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    };
    let issuer = Issuer::from_params(&issuer_params, signer);
    Ok(params
        .signed_by(&Public(leaf.key), &issuer)
        .map_err(refused)?
        .der()
        .to_vec())
}

fn params(
    names: &Names,
    key: &PublicKey,
    not_before: UnixMillis,
    not_after: UnixMillis,
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.not_before = moment(not_before)?;
    params.not_after = moment(not_after)?;
    params.serial_number = Some(serial());
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, DnValue::Utf8String(names.org.clone()));
    params
        .distinguished_name
        .push(DnType::CommonName, DnValue::Utf8String(names.common.clone()));
    // RFC 7093 section 2, method 1: the leftmost 160 bits of the SHA-256 of the key's bits.
    params.key_identifier_method = KeyIdMethod::PreSpecified(Sha256::digest(key.as_bytes())[..20].to_vec());
    Ok(params)
}

/// 128 random bits; positive and not zero-padded, so that the DER is the same whoever writes it.
fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    // 127 bits are random, which is well above the 64 that RFC 5280 and its readers ask for.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from(bytes.to_vec())
}

fn moment(at: UnixMillis) -> Result<OffsetDateTime, Error> {
    let seconds = i64::try_from(at.as_secs()).map_err(|_| Error::Bug("a time beyond X.509"))?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Bug("a time beyond X.509"))
}

/// DER of the SubjectPublicKeyInfo in a certificate.
pub(super) fn public_key_of(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    certificate.tbs_certificate.subject_public_key_info.to_der().ok()
}

/// The organisation that a certificate names.
pub(super) fn organisation_of(der: &[u8]) -> Option<String> {
    names_of(der).map(|names| names.org)
}

fn names_of(der: &[u8]) -> Option<Names> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let text = |oid: &str| {
        let attributes = certificate
            .tbs_certificate
            .subject
            .0
            .iter()
            .flat_map(|rdn| rdn.0.iter());
        let value = &attributes.clone().find(|a| a.oid.to_string() == oid)?.value;
        String::from_utf8(value.value().to_vec()).ok()
    };
    Some(Names {
        common: text("2.5.4.3")?,
        org: text("2.5.4.10")?,
    })
}

/// rcgen's own errors: it is given only what was checked before.
fn refused(error: rcgen::Error) -> Error {
    tracing::error!(%error, "rcgen refused to make a certificate");
    Error::Bug("a certificate could not be encoded or signed")
}

struct Public(PublicKey);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0.kind() {
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
}

/// A key in the token, as rcgen wants one.
struct TokenKey {
    keystore: Arc<dyn Keystore>,
    label: KeyLabel,
    public: Public,
}

impl PublicKeyData for TokenKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl SigningKey for TokenKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.keystore
            .sign(&self.label, message)
            .map(|signature| signature.to_der())
            .map_err(|error| {
                tracing::error!(%error, "the token did not sign a certificate");
                rcgen::Error::RemoteKeyError
            })
    }
}
