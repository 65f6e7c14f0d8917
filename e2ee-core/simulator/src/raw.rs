//! Members and outsiders that follow no rule but OpenMLS' own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::policy::{RoomPolicy, capabilities, context_extensions};
use e2ee_core::group::provider::Provider;
use e2ee_core::identity::{PublicKey, Use, encode_chain};
use e2ee_core::time::UnixMillis;
use openmls::prelude::{
    Capabilities, Credential, CredentialType, CredentialWithKey, Extensions, GroupContext, GroupId, KeyPackage,
    KeyPackageBundle, Lifetime, MlsGroup, MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
};
use openmls_traits::OpenMlsProvider;

use crate::ca::{Ca, Request};
use crate::service::ServiceKey;

/// Somebody with a certificate and a key.
pub struct Outsider {
    pub provider: Provider,
    pub key: ServiceKey,
    pub der: Vec<u8>,
    pub profile: Profile,
    pub now: UnixMillis,
}

impl Outsider {
    pub fn new(profile: Profile, ca: &Ca, name: &str, now: UnixMillis) -> Self {
        Self::with(
            profile,
            ca,
            &Request::person(name, &name.to_lowercase(), "d1", now),
            now,
        )
    }

    pub fn with(profile: Profile, ca: &Ca, request: &Request, now: UnixMillis) -> Self {
        let seed = request.uris[0]
            .bytes()
            .fold(40_u8, |a, b| a.wrapping_mul(31).wrapping_add(b))
            | 1;
        let key = ServiceKey::new(profile, seed);
        let der = ca.issue(request, &key.public());
        Self {
            provider: Provider::from_seed(&fresh_seed()),
            key,
            der,
            profile,
            now,
        }
    }

    pub fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: Credential::new(CredentialType::X509, encode_chain(&[&self.der]).unwrap()),
            signature_key: self.key.public().as_mls_bytes().into(),
        }
    }

    pub fn lifetime(&self) -> Lifetime {
        let from = (self.now - Duration::from_secs(3600)).as_secs();
        Lifetime::init(from, from + 80 * 24 * 3600)
    }

    pub fn key_package(&self) -> KeyPackage {
        self.bundle(self.lifetime(), capabilities(self.profile))
            .key_package()
            .clone()
    }

    pub fn bundle(&self, lifetime: Lifetime, capabilities: Capabilities) -> KeyPackageBundle {
        KeyPackage::builder()
            .key_package_lifetime(lifetime)
            .leaf_node_capabilities(capabilities)
            .build(self.profile.ciphersuite(), &self.provider, &self.key, self.credential())
            .unwrap()
    }

    /// A group with this context, made by this outsider, and its `GroupInfo`.
    pub fn group(&self, extensions: Extensions<GroupContext>) -> (MlsGroup, Vec<u8>) {
        let group = MlsGroup::builder()
            .with_group_id(GroupId::from_slice(b"raw"))
            .ciphersuite(self.profile.ciphersuite())
            .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .lifetime(self.lifetime())
            .with_capabilities(capabilities(self.profile))
            .with_group_context_extensions(extensions)
            .build(&self.provider, &self.key, self.credential())
            .unwrap();
        let info = group
            .export_group_info(self.provider.crypto(), &self.key, true)
            .unwrap()
            .to_bytes()
            .unwrap();
        (group, info)
    }
}

/// Another one for each outsider of a test.
fn fresh_seed() -> [u8; 32] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut seed = [0x5A; 32];
    seed[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    seed
}

/// The context that a room of this authority has.
pub fn extensions(profile: Profile, ca: &Ca, service: &ServiceKey, now: UnixMillis) -> Extensions<GroupContext> {
    extensions_of(&RoomPolicy::new(profile, ca.hash()), ca, service, now)
}

/// The context of a room with this policy.
pub fn extensions_of(policy: &RoomPolicy, ca: &Ca, service: &ServiceKey, now: UnixMillis) -> Extensions<GroupContext> {
    let chain = [ca.issue(&Request::service("delivery-service", now), &service.public())];
    let certificate = ca.root().check(&chain, Use::DeliveryService, now).unwrap();
    context_extensions(policy, &certificate, &chain).unwrap()
}

pub fn message(out: MlsMessageOut) -> Vec<u8> {
    out.to_bytes().unwrap()
}

pub fn key_of(profile: Profile, seed: u8) -> PublicKey {
    ServiceKey::new(profile, seed).public()
}
