//! From a chain of certificates to somebody who is known: the only way to make a [`CheckedCertificate`].

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::authorities::Authorities;
use super::certificate::{CertificateError, Holder, Parsed, Role};
use super::key::PublicKey;
use super::roster::Fingerprint;
use crate::time::UnixMillis;

/// The longest life of a person's certificate (IDEN-3).
pub const MAX_MEMBER_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How many certificates may stand between leaf and root.
pub const MAX_INTERMEDIATES: usize = 2;
/// How far the clocks of issuer and reader may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The organisation's root, pinned: its DER has the SHA-256 that was in the room's link.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    der: Vec<u8>,
    hash: [u8; 32],
    subject: Vec<u8>,
    key: PublicKey,
    path_len: Option<u8>,
    not_before: UnixMillis,
    not_after: UnixMillis,
    /// Shared by all copies: what it holds is of use to whoever checks under this root.
    authorities: Arc<Authorities>,
}

/// What a leaf certificate is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A member of a call: guest, member or host.
    Person,
    /// The service that proposes and orders.
    DeliveryService,
    /// The log that signs checkpoints.
    TransparencyLog,
}

/// A leaf certificate whose chain to the pinned root, validity, profile and key were checked. There is no other
/// constructor than [`TrustRoot::check`].
#[derive(Clone, Debug)]
pub struct CheckedCertificate {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    holder: Holder,
    key: PublicKey,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl TrustRoot {
    /// IDEN-1: accepts the root only if its SHA-256 is the expected one, and only if it is a self-signed authority.
    pub fn pin(der: &[u8], expected: &[u8; 32]) -> Result<Self, CertificateError> {
        let hash: [u8; 32] = Sha256::digest(der).into();
        if &hash != expected {
            return Err(CertificateError::RootNotPinned);
        }
        let parsed = Parsed::from_der(der)?;
        if !parsed.is_ca || !parsed.may_sign_certificates {
            return Err(CertificateError::IssuerNotCa);
        }
        if !matches!(parsed.key, PublicKey::P256(_)) {
            return Err(CertificateError::PublicKey);
        }
        if parsed.issuer != parsed.subject || !parsed.key.verify(&parsed.tbs, &parsed.signature) {
            return Err(CertificateError::SignatureInvalid);
        }
        Ok(Self {
            der: parsed.der,
            hash,
            subject: parsed.subject,
            key: parsed.key,
            path_len: parsed.path_len,
            not_before: parsed.not_before,
            not_after: parsed.not_after,
            authorities: Arc::default(),
        })
    }

    /// SHA-256 of the root's DER, as in the link and in the room's policy.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Checks a chain, leaf first, root not in it, for one use at one time (IDEN-2 to IDEN-8).
    pub fn check<C: AsRef<[u8]>>(
        &self,
        chain: &[C],
        purpose: Use,
        now: UnixMillis,
    ) -> Result<CheckedCertificate, CertificateError> {
        self.check_at(chain, purpose, |_| now)
    }

    /// The same for somebody who was let in earlier and whose certificate may have run out since: it is checked as of
    /// the last moment at which it was good. For state that this process stored itself, never for what is new.
    pub(crate) fn check_admitted<C: AsRef<[u8]>>(
        &self,
        chain: &[C],
        purpose: Use,
        now: UnixMillis,
    ) -> Result<CheckedCertificate, CertificateError> {
        self.check_at(chain, purpose, |not_after| now.min(not_after))
    }

    fn check_at<C: AsRef<[u8]>>(
        &self,
        chain: &[C],
        purpose: Use,
        time: impl Fn(UnixMillis) -> UnixMillis,
    ) -> Result<CheckedCertificate, CertificateError> {
        let (leaf, intermediates) = chain.split_first().ok_or(CertificateError::ChainEmpty)?;
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(CertificateError::ChainTooLong);
        }
        let leaf = Parsed::from_der(leaf.as_ref())?;
        let now = time(leaf.not_after);
        if leaf.is_ca {
            return Err(CertificateError::LeafIsCa);
        }
        if !leaf.may_sign || leaf.may_sign_certificates {
            return Err(CertificateError::KeyUsage);
        }
        check_window(leaf.not_before, leaf.not_after, now)?;

        // Walk up. `below` counts the authorities already passed, for path lengths (RFC 5280 section 4.2.1.9).
        let authorities = intermediates
            .iter()
            .map(|der| Parsed::from_der(der.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut child = &leaf;
        for (below, issuer) in authorities.iter().enumerate() {
            if !issuer.is_ca || !issuer.may_sign_certificates || !allows(issuer.path_len, below) {
                return Err(CertificateError::IssuerNotCa);
            }
            check_window(issuer.not_before, issuer.not_after, now)?;
            self.check_issued_by(child, &issuer.subject, &issuer.key)?;
            child = issuer;
        }
        self.check_issued_by(child, &self.subject, &self.key)?;
        if !allows(self.path_len, intermediates.len()) {
            return Err(CertificateError::IssuerNotCa);
        }
        check_window(self.not_before, self.not_after, now)?;
        for issuer in authorities.iter().map(|issuer| &issuer.key).chain([&self.key]) {
            self.authorities.vouched(issuer);
        }

        let holder = leaf.holder()?;
        let fits = match purpose {
            Use::Person => holder.role.is_person(),
            Use::DeliveryService => holder.role == Role::DeliveryService,
            Use::TransparencyLog => holder.role == Role::TransparencyLog,
        };
        if !fits {
            return Err(CertificateError::WrongRole(holder.role.as_str()));
        }
        if purpose == Use::Person && leaf.not_after.since(leaf.not_before) > MAX_MEMBER_LIFETIME + CLOCK_SKEW {
            return Err(CertificateError::LivesTooLong);
        }
        Ok(CheckedCertificate {
            fingerprint: Fingerprint(Sha256::digest(&leaf.der).into()),
            der: leaf.der,
            holder,
            key: leaf.key,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
        })
    }

    fn check_issued_by(&self, child: &Parsed, subject: &[u8], key: &PublicKey) -> Result<(), CertificateError> {
        if child.issuer != subject {
            return Err(CertificateError::IssuerUnknown);
        }
        // IDEN-2: certificates are signed by P-256 keys only; `Parsed` refused any other algorithm.
        let signed = matches!(key, PublicKey::P256(_)) && self.authorities.verify(key, &child.tbs, &child.signature);
        if signed {
            Ok(())
        } else {
            Err(CertificateError::SignatureInvalid)
        }
    }
}

impl CheckedCertificate {
    /// The leaf's DER, as it stands on the log.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub fn name(&self) -> &str {
        &self.holder.name
    }

    pub fn org(&self) -> &str {
        &self.holder.org
    }

    /// Opaque id of the person; none for a service.
    pub fn person(&self) -> Option<&str> {
        self.holder.person.as_deref()
    }

    /// Opaque id of the device; none for a service.
    pub fn device(&self) -> Option<&str> {
        self.holder.device.as_deref()
    }

    pub fn role(&self) -> Role {
        self.holder.role
    }

    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    pub fn not_before(&self) -> UnixMillis {
        self.not_before
    }

    pub fn not_after(&self) -> UnixMillis {
        self.not_after
    }

    /// IDEN-6: the certificate is for this very key, in the form MLS carries it.
    pub fn check_key(&self, mls_key: &[u8]) -> Result<(), CertificateError> {
        if self.key.as_mls_bytes() == mls_key {
            Ok(())
        } else {
            Err(CertificateError::OtherKey)
        }
    }
}

fn allows(path_len: Option<u8>, below: usize) -> bool {
    path_len.is_none_or(|max| below <= usize::from(max))
}

fn check_window(not_before: UnixMillis, not_after: UnixMillis, now: UnixMillis) -> Result<(), CertificateError> {
    if now + CLOCK_SKEW < not_before {
        Err(CertificateError::NotYetValid)
    } else if now > not_after {
        Err(CertificateError::Expired)
    } else {
        Ok(())
    }
}
