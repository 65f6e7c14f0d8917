//! The organisation's identities: one root key in the token, and what it certifies.
//!
//! The profile of every certificate is that of `e2ee_core::identity`, which members check; what is issued here is checked
//! against it before it is stored (IDEN-14). Every certificate is an entry of the log, appended in the transaction that
//! stores it (IDEN-11).

mod profile;
mod request;

use std::sync::Arc;
use std::time::Duration;

use e2ee_core::group::{Profile, Scheme};
use e2ee_core::identity::{NameError, TrustRoot, Use, check_name};
use e2ee_core::log::entry::LogEntry;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::Receipt;
use hsm_adapter::{KeyKind, KeyLabel, Keystore, PublicKey};
use sha2::{Digest as _, Sha256};

use self::profile::{Leaf, Names, issue, self_sign};
pub(crate) use self::request::check_request;
use crate::error::{Error, SetupError, StorageError};
use crate::log::{self, LOG_KEY, Log};
use crate::store::sessions::Session;
use crate::store::{Store, certificates, facts};

/// Issues certificates. Its private half never leaves the token.
const ROOT_KEY: KeyLabel = KeyLabel::from_static("root-ca");
/// Signs external proposals in rooms of profile `standard`.
const SERVICE_KEY: KeyLabel = KeyLabel::from_static("delivery-service");
/// The same in rooms of profile `fips`, whose MLS suite signs with ECDSA.
const SERVICE_FIPS_KEY: KeyLabel = KeyLabel::from_static("delivery-service-fips");

const YEAR: Duration = Duration::from_secs(365 * 86_400);
const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Clocks differ: certificates begin a little in the past.
const BACKDATE: Duration = Duration::from_secs(30);

/// The root certificate and its SHA-256, which goes into links.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) der: Vec<u8>,
    pub(crate) hash: [u8; 32],
    key: PublicKey,
}

impl Root {
    /// The root of this installation, made and put on the log at the first start.
    pub(crate) async fn ensure(
        store: &Store,
        keystore: &Arc<dyn Keystore>,
        org: &str,
        now: UnixMillis,
    ) -> Result<Self, Error> {
        let key = ensure_key(keystore, ROOT_KEY, KeyKind::P256).await?;
        let mut db = store.write().await?;
        if let Some(der) = facts::fact(&mut db, facts::TRUST_ROOT).await? {
            // IDEN-10: a new token under an old database would certify for a root that nobody's link names.
            return match profile::public_key_of(&der) {
                Some(spki) if spki == key.to_spki_der() => Ok(Self {
                    hash: Sha256::digest(&der).into(),
                    der,
                    key,
                }),
                Some(_) => Err(SetupError::OtherRootKey.into()),
                None => Err(StorageError::Corrupt("the root certificate").into()),
            };
        }
        check_name(org).map_err(SetupError::OrgName)?;
        let names = Names {
            common: format!("{} root", shorten(org)),
            org: org.to_owned(),
        };
        let der = blocking(keystore, move |keystore| {
            self_sign(&keystore, &ROOT_KEY, &key, &names, now - BACKDATE, now + ROOT_LIFETIME)
        })
        .await?;
        let hash = Sha256::digest(&der).into();
        TrustRoot::pin(&der, &hash).map_err(|_| Error::Bug("the root just made is not one that members accept"))?;
        let entry = LogEntry::Certificate { der: der.clone() };
        let log_index = log::append(&mut db, &entry).await?;
        let not_after = (now + ROOT_LIFETIME).0;
        certificates::insert(
            &mut db,
            &certificates::NewCertificate {
                fingerprint: &hash,
                der: &der,
                log_index,
                session: None,
                not_after,
            },
        )
        .await?;
        facts::set_fact(&mut db, facts::TRUST_ROOT, &der).await?;
        db.commit().await?;
        tracing::info!(root = %hex::encode(hash), "made the organisation's root certificate");
        Ok(Self { der, hash, key })
    }
}

/// The name of a room's organisation root must fit beside " root".
fn shorten(org: &str) -> String {
    org.chars()
        .take(e2ee_core::identity::MAX_NAME - 5)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

/// Issues to people, and holds the service's own certificates.
pub(crate) struct Identity {
    store: Store,
    log: Arc<Log>,
    keystore: Arc<dyn Keystore>,
    root: Root,
    trust: TrustRoot,
    org: String,
    member_lifetime: Duration,
    standard: Service,
    fips: Service,
    pub(crate) log_chain: Vec<Vec<u8>>,
}

/// The delivery service as the rooms of one profile know it: their one external sender (ADMT-2).
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) label: KeyLabel,
    pub(crate) key: PublicKey,
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Service {
    async fn ensure(keystore: &Arc<dyn Keystore>, label: KeyLabel, kind: KeyKind) -> Result<Self, Error> {
        let key = ensure_key(keystore, label.clone(), kind).await?;
        Ok(Self {
            label,
            key,
            chain: Vec::new(),
        })
    }
}

impl Identity {
    /// Opens with the root of [`Root::ensure`]; renews the certificates of the service's keys and the log's when they have less
    /// than a third of their year left.
    pub(crate) async fn open(
        store: Store,
        keystore: Arc<dyn Keystore>,
        log: Arc<Log>,
        root: Root,
        member_lifetime: Duration,
        now: UnixMillis,
    ) -> Result<Self, Error> {
        let trust = TrustRoot::pin(&root.der, &root.hash).map_err(|_| StorageError::Corrupt("the root certificate"))?;
        let org = profile::organisation_of(&root.der).ok_or(StorageError::Corrupt("the root certificate"))?;
        let standard = Service::ensure(&keystore, SERVICE_KEY, KeyKind::Ed25519).await?;
        let fips = Service::ensure(&keystore, SERVICE_FIPS_KEY, KeyKind::P256).await?;
        let log_key = ensure_key(&keystore, LOG_KEY, KeyKind::Ed25519).await?;
        let mut identity = Self {
            store,
            log,
            keystore,
            root,
            trust,
            org,
            member_lifetime,
            standard,
            fips,
            log_chain: Vec::new(),
        };
        identity.standard.chain = identity
            .service_chain(facts::SERVICE_CERTIFICATE, identity.standard.key, now)
            .await?;
        identity.fips.chain = identity
            .service_chain(facts::SERVICE_FIPS_CERTIFICATE, identity.fips.key, now)
            .await?;
        let log = identity
            .ensure_service(
                facts::LOG_CERTIFICATE,
                log_key,
                Use::TransparencyLog,
                "Transparency log",
                "transparency-log",
                now,
            )
            .await?;
        identity.log_chain = vec![log];
        Ok(identity)
    }

    /// The organisation's root.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The delivery service as rooms of this profile know it.
    pub(crate) fn service(&self, profile: Profile) -> &Service {
        match profile.scheme() {
            Scheme::Ed25519 => &self.standard,
            Scheme::P256 => &self.fips,
        }
    }

    /// What members check chains against.
    pub(crate) fn trust(&self) -> &TrustRoot {
        &self.trust
    }

    /// A leaf for the session's person and device on the key whose proof [`check_request`] verified: chain and receipt.
    pub(crate) async fn issue(
        &self,
        session: &Session,
        key: PublicKey,
        now: UnixMillis,
    ) -> Result<(Vec<Vec<u8>>, Receipt), Error> {
        // IDEN-13: no longer than the session that it belongs to.
        let not_after = UnixMillis((now + self.member_lifetime).0.min(session.expires_at));
        let leaf = Leaf {
            names: Names {
                common: session.name.clone(),
                org: self.org.clone(),
            },
            uris: vec![
                format!("urn:conclave:person:{}", session.participant),
                format!("urn:conclave:device:{}", session.device),
                format!("urn:conclave:role:{}", session.role),
            ],
            key,
            not_before: now - BACKDATE,
            not_after,
        };
        let (der, index) = self
            .issue_leaf(leaf, Use::Person, Some(&session.token_hash), None, now)
            .await?;
        Ok((vec![der], self.log.receipt(index).await?))
    }

    async fn service_chain(&self, fact: &'static str, key: PublicKey, now: UnixMillis) -> Result<Vec<Vec<u8>>, Error> {
        let der = self
            .ensure_service(
                fact,
                key,
                Use::DeliveryService,
                "Delivery service",
                "delivery-service",
                now,
            )
            .await?;
        Ok(vec![der])
    }

    async fn ensure_service(
        &self,
        fact: &'static str,
        key: PublicKey,
        purpose: Use,
        name: &str,
        role: &str,
        now: UnixMillis,
    ) -> Result<Vec<u8>, Error> {
        let stored = facts::fact(&mut *self.store.read().await?, fact).await?;
        if let Some(der) = stored
            && let Ok(checked) = self.trust.check(&[&der], purpose, now + YEAR / 3)
            && checked.check_key(key.as_bytes()).is_ok()
        {
            return Ok(der);
        }
        let leaf = Leaf {
            names: Names {
                common: name.to_owned(),
                org: self.org.clone(),
            },
            uris: vec![format!("urn:conclave:role:{role}")],
            key,
            not_before: now - BACKDATE,
            not_after: now + YEAR,
        };
        let (der, _) = self.issue_leaf(leaf, purpose, None, Some(fact), now).await?;
        Ok(der)
    }

    async fn issue_leaf(
        &self,
        leaf: Leaf,
        purpose: Use,
        session: Option<&[u8; 32]>,
        fact: Option<&'static str>,
        now: UnixMillis,
    ) -> Result<(Vec<u8>, u64), Error> {
        let (root, issuer, not_after) = (self.root.der.clone(), self.root.key, leaf.not_after);
        let der = blocking(&self.keystore, move |keystore| {
            issue(&keystore, &ROOT_KEY, &issuer, &root, &leaf)
        })
        .await?;
        // IDEN-14: what members would refuse is not issued.
        self.trust
            .check(&[&der], purpose, now)
            .map_err(|_| Error::Bug("the certificate just made is not one that members accept"))?;
        let fingerprint: [u8; 32] = Sha256::digest(&der).into();
        let mut db = self.store.write().await?;
        let entry = LogEntry::Certificate { der: der.clone() };
        let log_index = log::append(&mut db, &entry).await?;
        let new = certificates::NewCertificate {
            fingerprint: &fingerprint,
            der: &der,
            log_index,
            session,
            not_after: not_after.0,
        };
        certificates::insert(&mut db, &new).await?;
        if let Some(fact) = fact {
            facts::set_fact(&mut db, fact, &der).await?;
        }
        db.commit().await?;
        tracing::debug!(log_index, "issued a certificate");
        Ok((der, log_index))
    }
}

/// Whether a name may stand in a guest's certificate.
pub(crate) fn check_guest_name(name: &str) -> Result<(), NameError> {
    check_name(name)
}

async fn ensure_key(keystore: &Arc<dyn Keystore>, label: KeyLabel, kind: KeyKind) -> Result<PublicKey, Error> {
    blocking(keystore, move |keystore| Ok(keystore.ensure_key(&label, kind)?)).await
}

async fn blocking<T: Send + 'static>(
    keystore: &Arc<dyn Keystore>,
    work: impl FnOnce(Arc<dyn Keystore>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let keystore = keystore.clone();
    tokio::task::spawn_blocking(move || work(keystore))
        .await
        .map_err(|_| Error::Bug("a blocking task panicked"))?
}

#[cfg(test)]
mod tests;
