//! Key packages: the request to be let in.

use openmls::prelude::{
    Ciphersuite, Credential, CredentialType, KeyPackage, MlsMessageBodyIn, MlsMessageIn, ProtocolVersion,
};
use tls_codec::{DeserializeBytes, Serialize};

use super::Refusal;
use super::policy::Profile;
use super::provider::Crypto;
use crate::identity::{CheckedCertificate, TrustRoot, Use, decode_chain};
use crate::time::UnixMillis;

/// The longest lifetime a key package may state (RFC 9420 section 7.2 asks every application to set one): 84 days and
/// the hour into the past that OpenMLS adds.
///
/// It is not what keeps a key package short-lived: that is its certificate, at most 24 hours, checked with it at every
/// Add. It is long because OpenMLS compares this lifetime with the machine's own clock, also when an auditor replays a
/// transcript weeks later.
pub const MAX_KEY_PACKAGE_LIFETIME_SECS: u64 = 84 * 24 * 3600 + 3600;

/// The largest request to be let in that is looked at, in bytes: three certificates (8 kB each at most) and the keys of any
/// profile. A larger one would crowd out everybody else's.
pub const MAX_KEY_PACKAGE: usize = 32 * 1024;

/// A key package whose signatures, lifetime, suite and certificate were checked.
#[derive(Clone, Debug)]
pub struct CheckedKeyPackage {
    key_package: KeyPackage,
    reference: Vec<u8>,
    certificate: CheckedCertificate,
}

impl CheckedKeyPackage {
    /// PF-03, ADMT-5: from an `MLSMessage`, as `join` carries it.
    pub fn from_message(bytes: &[u8], profile: Profile, root: &TrustRoot, now: UnixMillis) -> Result<Self, Refusal> {
        if bytes.len() > MAX_KEY_PACKAGE {
            return Err(Refusal::KeyPackageTooLarge);
        }
        let message =
            MlsMessageIn::tls_deserialize_exact_bytes(bytes).map_err(|_| Refusal::NotThatMessage("key package"))?;
        let MlsMessageBodyIn::KeyPackage(key_package) = message.extract() else {
            return Err(Refusal::NotThatMessage("key package"));
        };
        let key_package = key_package
            .validate(&Crypto::verifying(), ProtocolVersion::Mls10)
            .map_err(|e| Refusal::mls("key package")(&e))?;
        Self::check(&key_package, profile.ciphersuite(), root, now)
    }

    /// The same for a key package that OpenMLS has already verified.
    pub(crate) fn check(
        key_package: &KeyPackage,
        suite: Ciphersuite,
        root: &TrustRoot,
        now: UnixMillis,
    ) -> Result<Self, Refusal> {
        if key_package.ciphersuite() != suite {
            return Err(Refusal::KeyPackageSuite);
        }
        check_lifetime(key_package, now)?;
        let leaf = key_package.leaf_node();
        let certificate = check_credential(leaf.credential(), leaf.signature_key().as_slice(), root, now)?;
        let reference = key_package
            .hash_ref(&Crypto::verifying())
            .map_err(|e| Refusal::mls("key package")(&e))?;
        Ok(Self {
            key_package: key_package.clone(),
            reference: reference.as_slice().to_vec(),
            certificate,
        })
    }

    pub fn certificate(&self) -> &CheckedCertificate {
        &self.certificate
    }

    /// RFC 9420 section 5.2: what a Welcome names its receivers by.
    pub fn reference(&self) -> &[u8] {
        &self.reference
    }

    /// For the service's Add proposal.
    pub fn key_package(&self) -> &KeyPackage {
        &self.key_package
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        self.key_package
            .tls_serialize_detached()
            .map_err(|_| Refusal::NotThatMessage("key package"))
    }
}

/// ADMT-5: not before, not after, and not for longer than the cap, by the caller's clock.
fn check_lifetime(key_package: &KeyPackage, now: UnixMillis) -> Result<(), Refusal> {
    let lifetime = key_package.life_time();
    let now = now.as_secs();
    if lifetime.not_after().saturating_sub(lifetime.not_before()) > MAX_KEY_PACKAGE_LIFETIME_SECS {
        Err(Refusal::KeyPackageLivesTooLong)
    } else if now < lifetime.not_before() {
        Err(Refusal::KeyPackageNotYetValid)
    } else if now >= lifetime.not_after() {
        Err(Refusal::KeyPackageExpired)
    } else {
        Ok(())
    }
}

/// IDEN-6, ADMT-6: an X.509 chain to the pinned root, for a person, for this very signature key.
pub(crate) fn check_credential(
    credential: &Credential,
    signature_key: &[u8],
    root: &TrustRoot,
    now: UnixMillis,
) -> Result<CheckedCertificate, Refusal> {
    let certificate = root.check(&chain_of(credential)?, Use::Person, now)?;
    certificate.check_key(signature_key)?;
    Ok(certificate)
}

/// The same for somebody who is in already (see [`TrustRoot::check_admitted`]).
pub(crate) fn check_admitted_credential(
    credential: &Credential,
    signature_key: &[u8],
    root: &TrustRoot,
    now: UnixMillis,
) -> Result<CheckedCertificate, Refusal> {
    let certificate = root.check_admitted(&chain_of(credential)?, Use::Person, now)?;
    certificate.check_key(signature_key)?;
    Ok(certificate)
}

fn chain_of(credential: &Credential) -> Result<Vec<Vec<u8>>, Refusal> {
    if credential.credential_type() != CredentialType::X509 {
        return Err(Refusal::CredentialType);
    }
    Ok(decode_chain(credential.serialized_content())?)
}
