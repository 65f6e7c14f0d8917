//! The beginning of a certificate's validity, read before anything about it is known to be true.
//!
//! A check needs a time, and for some evidence there is none but the certificate's own: then this is it, and what
//! remains is everything but the clock.

use e2ee_core::group::provider::Crypto;
use e2ee_core::time::UnixMillis;
use openmls::prelude::{MlsMessageBodyIn, MlsMessageIn, ProposalStore, PublicGroup};
use openmls_memory_storage::MemoryStorage;
use tls_codec::DeserializeBytes as _;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// notBefore, if this is a certificate at all.
pub(crate) fn issued_at(der: &[u8]) -> Option<UnixMillis> {
    let certificate = Certificate::from_der(der).ok()?;
    let not_before = certificate.tbs_certificate.validity.not_before;
    Some(UnixMillis::from_secs(not_before.to_unix_duration().as_secs()))
}

/// notBefore of the certificate of a group's creator.
pub(crate) fn creator_issued_at(group_info: &[u8]) -> Option<UnixMillis> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(group_info).ok()?;
    let MlsMessageBodyIn::GroupInfo(info) = message.extract() else {
        return None;
    };
    let tree = info.extensions().ratchet_tree()?.ratchet_tree().clone();
    let storage = MemoryStorage::default();
    let (group, _) =
        PublicGroup::from_external(&Crypto::verifying(), &storage, tree, info, ProposalStore::new()).ok()?;
    let creator = group.members().next()?;
    let chain = e2ee_core::identity::decode_chain(creator.credential.serialized_content()).ok()?;
    issued_at(chain.first()?)
}
