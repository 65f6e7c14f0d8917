//! One certificate, parsed strictly against the profile. Nothing here is trusted yet: see [`super::chain`].

use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode, Encode, Header, Reader, SliceReader, Tag, Tagged};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Time;

use super::key::PublicKey;
use super::name::{NameError, check_name};
use crate::time::UnixMillis;

/// The largest certificate looked at, in bytes.
const MAX_CERTIFICATE: usize = 8 * 1024;
/// The longest person or device id, in characters.
const MAX_ID: usize = 128;

const PERSON: &str = "urn:conclave:person:";
const DEVICE: &str = "urn:conclave:device:";
const ROLE: &str = "urn:conclave:role:";

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// What a certificate makes its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Guest,
    Member,
    Host,
    /// Signs the external proposals of a room.
    DeliveryService,
    /// Signs checkpoints of the transparency log.
    TransparencyLog,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Host => "host",
            Self::DeliveryService => "delivery-service",
            Self::TransparencyLog => "transparency-log",
        }
    }

    /// Whether somebody with this role may be in a call.
    pub fn is_person(self) -> bool {
        matches!(self, Self::Guest | Self::Member | Self::Host)
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::Guest,
            Self::Member,
            Self::Host,
            Self::DeliveryService,
            Self::TransparencyLog,
        ]
        .into_iter()
        .find(|role| role.as_str() == text)
    }
}

/// Why a certificate, or a chain of them, was refused. All of it is its issuer's or its sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    #[error("the certificate is malformed: {0}")]
    Malformed(&'static str),
    #[error("the certificate is larger than {MAX_CERTIFICATE} bytes")]
    TooLarge,
    #[error("no certificate was given")]
    ChainEmpty,
    #[error("the chain holds more certificates than allowed")]
    ChainTooLong,
    #[error("the trust root is not the one in the room's link")]
    RootNotPinned,
    #[error("the certificate was not issued by the pinned root")]
    IssuerUnknown,
    #[error("the issuer's signature on the certificate is wrong")]
    SignatureInvalid,
    #[error("the certificate is signed with another algorithm than ECDSA with SHA-256")]
    SignatureAlgorithm,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error("the certificate has expired")]
    Expired,
    #[error("the certificate is valid for longer than allowed")]
    LivesTooLong,
    #[error("the issuer is not allowed to issue certificates")]
    IssuerNotCa,
    #[error("the leaf certificate is one of an authority")]
    LeafIsCa,
    #[error("the certificate may not be used to sign")]
    KeyUsage,
    #[error("the certificate holds a critical extension that this software does not know ({0})")]
    UnknownCritical(String),
    #[error("the certificate holds an extension twice ({0})")]
    DuplicateExtension(String),
    #[error("the certificate does not name exactly one {0}")]
    NotExactlyOne(&'static str),
    #[error("the certificate names something that this profile does not allow: {0}")]
    Unexpected(&'static str),
    #[error("the certificate is for the role {0:?}, which is not the one needed here")]
    WrongRole(&'static str),
    #[error("the name in the certificate cannot be shown: {0}")]
    Name(#[from] NameError),
    #[error("the certificate's public key is of a kind or form that is not allowed")]
    PublicKey,
    #[error("the certificate is for another key than the one it came with")]
    OtherKey,
}

/// A certificate's fields, syntactically right and within the profile, of unknown origin.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) der: Vec<u8>,
    pub(super) tbs: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
    pub(super) key: PublicKey,
    pub(super) is_ca: bool,
    pub(super) path_len: Option<u8>,
    pub(super) may_sign_certificates: bool,
    pub(super) may_sign: bool,
    uris: Vec<String>,
    certificate: Certificate,
}

/// What a leaf says about its holder.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) name: String,
    pub(super) org: String,
    pub(super) person: Option<String>,
    pub(super) device: Option<String>,
    pub(super) role: Role,
}

impl Parsed {
    pub(super) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLarge);
        }
        let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Malformed("not DER of X.509"))?;
        // One encoding only: what was signed, hashed and logged is what was parsed.
        if certificate.to_der().ok().as_deref() != Some(der) {
            return Err(CertificateError::Malformed("not canonical DER"));
        }
        let tbs = &certificate.tbs_certificate;
        if tbs.version != Version::V3 {
            return Err(CertificateError::Malformed("not version 3"));
        }
        if tbs.signature != certificate.signature_algorithm
            || tbs.signature.oid != ECDSA_WITH_SHA256
            || tbs.signature.parameters.is_some()
        {
            return Err(CertificateError::SignatureAlgorithm);
        }
        let extensions = Extensions::parse(&certificate)?;
        let encode = |result: x509_cert::der::Result<Vec<u8>>| result.map_err(|_| CertificateError::Malformed("name"));
        Ok(Self {
            der: der.to_vec(),
            tbs: body(der).map_err(|_| CertificateError::Malformed("body"))?.to_vec(),
            signature: certificate
                .signature
                .as_bytes()
                .ok_or(CertificateError::Malformed("signature"))?
                .to_vec(),
            issuer: encode(tbs.issuer.to_der())?,
            subject: encode(tbs.subject.to_der())?,
            not_before: millis(&tbs.validity.not_before),
            not_after: millis(&tbs.validity.not_after),
            key: public_key(&tbs.subject_public_key_info)?,
            is_ca: extensions.is_ca,
            path_len: extensions.path_len,
            may_sign_certificates: extensions.usage.is_some_and(|usage| usage.key_cert_sign()),
            may_sign: extensions.usage.is_some_and(|usage| usage.digital_signature()),
            uris: extensions.uris,
            certificate,
        })
    }

    /// IDEN-5: one name, one organisation, one role; for people one person and one device, for services none.
    pub(super) fn holder(&self) -> Result<Holder, CertificateError> {
        let tbs = &self.certificate.tbs_certificate;
        let (mut names, mut orgs) = (Vec::new(), Vec::new());
        for attribute in tbs.subject.0.iter().flat_map(|rdn| rdn.0.iter()) {
            match attribute.oid {
                COMMON_NAME => names.push(text(&attribute.value)?),
                ORGANIZATION => orgs.push(text(&attribute.value)?),
                _ => return Err(CertificateError::Unexpected("a subject attribute other than CN and O")),
            }
        }
        let (name, org) = (one(names, "name")?, one(orgs, "organisation")?);
        check_name(&name)?;
        check_name(&org)?;

        let (mut persons, mut devices, mut roles) = (Vec::new(), Vec::new(), Vec::new());
        for uri in &self.uris {
            if let Some(id) = uri.strip_prefix(PERSON) {
                persons.push(check_id(id)?);
            } else if let Some(id) = uri.strip_prefix(DEVICE) {
                devices.push(check_id(id)?);
            } else if let Some(role) = uri.strip_prefix(ROLE) {
                roles.push(Role::parse(role).ok_or(CertificateError::Unexpected("an unknown role"))?);
            } else {
                return Err(CertificateError::Unexpected("an alternative name outside urn:conclave"));
            }
        }
        let role = one(roles, "role")?;
        let (person, device) = if role.is_person() {
            (Some(one(persons, "person")?), Some(one(devices, "device")?))
        } else if persons.is_empty() && devices.is_empty() {
            (None, None)
        } else {
            return Err(CertificateError::Unexpected("a person in a service's certificate"));
        };
        Ok(Holder {
            name,
            org,
            person,
            device,
            role,
        })
    }
}

#[derive(Default)]
struct Extensions {
    is_ca: bool,
    path_len: Option<u8>,
    usage: Option<KeyUsage>,
    uris: Vec<String>,
}

impl Extensions {
    fn parse(certificate: &Certificate) -> Result<Self, CertificateError> {
        let mut out = Self::default();
        let mut seen = Vec::new();
        for extension in certificate.tbs_certificate.extensions.iter().flatten() {
            let id = extension.extn_id;
            if seen.contains(&id) {
                return Err(CertificateError::DuplicateExtension(id.to_string()));
            }
            seen.push(id);
            let value = extension.extn_value.as_bytes();
            match id {
                BASIC_CONSTRAINTS => {
                    let constraints = BasicConstraints::from_der(value)
                        .map_err(|_| CertificateError::Malformed("basic constraints"))?;
                    out.is_ca = constraints.ca;
                    out.path_len = constraints.path_len_constraint;
                }
                KEY_USAGE => {
                    out.usage = Some(KeyUsage::from_der(value).map_err(|_| CertificateError::Malformed("key usage"))?);
                }
                SUBJECT_ALT_NAME => {
                    let names = SubjectAltName::from_der(value)
                        .map_err(|_| CertificateError::Malformed("subject alternative name"))?;
                    for name in names.0 {
                        let GeneralName::UniformResourceIdentifier(uri) = name else {
                            return Err(CertificateError::Unexpected("an alternative name that is no URI"));
                        };
                        out.uris.push(uri.as_str().to_owned());
                    }
                }
                // IDEN-4: what is critical and unknown is refused (RFC 5280 section 4.2).
                _ if extension.critical => return Err(CertificateError::UnknownCritical(id.to_string())),
                _ => {}
            }
        }
        // A usage of zero bits says nothing, and RFC 5280 section 4.2.1.3 forbids it.
        if out.usage.is_some_and(|usage| usage.0 == der_flagset_empty()) {
            return Err(CertificateError::Malformed("empty key usage"));
        }
        Ok(out)
    }
}

/// What is signed: the first element of the certificate, whose encoding is known to be the only one.
fn body(der: &[u8]) -> x509_cert::der::Result<&[u8]> {
    let mut reader = SliceReader::new(der)?;
    Header::decode(&mut reader)?;
    reader.tlv_bytes()
}

fn der_flagset_empty() -> x509_cert::der::flagset::FlagSet<KeyUsages> {
    x509_cert::der::flagset::FlagSet::default()
}

fn millis(time: &Time) -> UnixMillis {
    UnixMillis::from_secs(time.to_unix_duration().as_secs())
}

fn public_key(spki: &SubjectPublicKeyInfoOwned) -> Result<PublicKey, CertificateError> {
    let bits = spki.subject_public_key.as_bytes().ok_or(CertificateError::PublicKey)?;
    let key = match spki.algorithm.oid {
        ED25519 if spki.algorithm.parameters.is_none() => PublicKey::ed25519(bits),
        EC_PUBLIC_KEY if is_p256(spki.algorithm.parameters.as_ref()) => PublicKey::p256(bits),
        _ => None,
    };
    key.ok_or(CertificateError::PublicKey)
}

fn is_p256(parameters: Option<&Any>) -> bool {
    parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok()) == Some(PRIME256V1)
}

fn text(value: &Any) -> Result<String, CertificateError> {
    let text = match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().map(|s| s.as_str().to_owned()),
        Tag::PrintableString => value
            .decode_as::<PrintableStringRef<'_>>()
            .map(|s| s.as_str().to_owned()),
        _ => {
            return Err(CertificateError::Malformed(
                "a name that is neither UTF-8 nor printable text",
            ));
        }
    };
    text.map_err(|_| CertificateError::Malformed("a name"))
}

fn check_id(id: &str) -> Result<String, CertificateError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > MAX_ID || !id.chars().all(plain) {
        return Err(CertificateError::Malformed("an id"));
    }
    Ok(id.to_owned())
}

fn one<T>(mut found: Vec<T>, what: &'static str) -> Result<T, CertificateError> {
    match (found.pop(), found.is_empty()) {
        (Some(single), true) => Ok(single),
        _ => Err(CertificateError::NotExactlyOne(what)),
    }
}
