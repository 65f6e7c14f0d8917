//! The service's MLS signature key, in the token, and the proposals that it signs (RFC 9420 section 12.1.8).

use std::sync::Arc;

use e2ee_core::group::provider::Provider;
use hsm_adapter::{KeyKind, Keystore};
use openmls::prelude::{
    ExternalProposal, GroupEpoch, GroupId, KeyPackage, LeafNodeIndex, MlsMessageOut, SenderExtensionIndex,
};
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

use crate::error::Error;
use crate::identity::Service;

/// What to propose.
pub(super) enum Wish {
    Add(Box<KeyPackage>),
    Remove(u32),
}

struct ServiceKey {
    keystore: Arc<dyn Keystore>,
    service: Service,
}

impl Signer for ServiceKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.keystore
            .sign(&self.service.label, payload)
            .map(|signature| signature.to_der())
            .map_err(|error| {
                tracing::error!(%error, "the token did not sign a proposal");
                SignerError::SigningError
            })
    }

    fn signature_scheme(&self) -> SignatureScheme {
        match self.service.key.kind() {
            KeyKind::P256 => SignatureScheme::ECDSA_SECP256R1_SHA256,
            KeyKind::Ed25519 => SignatureScheme::ED25519,
        }
    }
}

/// Signs proposals for one epoch of a group, each an `MLSMessage` holding a `PublicMessage`. Does not block the caller's thread.
pub(super) async fn sign(
    keystore: Arc<dyn Keystore>,
    service: Service,
    group_id: &[u8],
    epoch: u64,
    wishes: Vec<Wish>,
) -> Result<Vec<Vec<u8>>, Error> {
    let group_id = GroupId::from_slice(group_id);
    let key = ServiceKey { keystore, service };
    let work = move || {
        wishes
            .into_iter()
            .map(|wish| one(&key, &group_id, epoch.into(), wish))
            .collect()
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Bug("a blocking task panicked"))?
}

fn one(key: &ServiceKey, group_id: &GroupId, epoch: GroupEpoch, wish: Wish) -> Result<Vec<u8>, Error> {
    // ADMT-2: the service is the one external sender of its rooms.
    let sender = SenderExtensionIndex::new(0);
    let failed = Error::Bug("a proposal could not be signed");
    let message: MlsMessageOut = match wish {
        Wish::Add(package) => {
            ExternalProposal::new_add::<Provider>(*package, group_id.clone(), epoch, key, sender).ok()
        }
        Wish::Remove(leaf) => {
            ExternalProposal::new_remove::<Provider>(LeafNodeIndex::new(leaf), group_id.clone(), epoch, key, sender)
                .ok()
        }
    }
    .ok_or(failed)?;
    message
        .to_bytes()
        .map_err(|_| Error::Bug("a proposal could not be encoded"))
}
