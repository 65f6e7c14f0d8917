//! What OpenMLS stores of a member: the private keys that wait for a message, and nothing else.
//!
//! OpenMLS keeps a group in memory (`MlsGroup`) and writes all of it down at each step, so that `MlsGroup::load` can
//! bring it back after a restart. A meeting's member does not come back: it joins anew, with a new key. So the tree, the
//! schedule and the proposals are not kept here. That is less to load and to compute, and it is forward secrecy: no
//! second copy of an epoch's secrets outlives the epoch (RFC 9420 section 16.6).
//!
//! MLSP-4: what is read back, and therefore kept, in a compact form that is wiped when it goes:
//! * a key package with its private keys, until the Welcome for it comes;
//! * the key of an own leaf that was proposed, until it is committed;
//! * the private keys of the path, of the newest epoch only.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use openmls_traits::storage::{CURRENT_VERSION as V, Entity, Key, StorageProvider, traits};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use zeroize::Zeroizing;

/// Ours, all of them: nothing that a peer sends is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    #[error("the storage is unusable after a panic")]
    Poisoned,
    #[error("a value cannot be written")]
    Encode,
    #[error("a value that was written cannot be read")]
    Decode,
    #[error("{0} are not kept here: no room uses them")]
    NotKept(&'static str),
}

/// In memory, for one group at a time.
#[derive(Default)]
pub struct Storage(Mutex<Values>);

type Bytes = Zeroizing<Vec<u8>>;

#[derive(Default)]
struct Values {
    key_packages: HashMap<Vec<u8>, Bytes>,
    leaf_keys: HashMap<Vec<u8>, Bytes>,
    /// Group, epoch and leaf, with the keys. A provider is in one group, and OpenMLS asks for the current epoch's only.
    epoch_keys: Option<(Vec<u8>, Bytes)>,
}

impl Storage {
    fn values(&self) -> Result<MutexGuard<'_, Values>, StorageError> {
        self.0.lock().map_err(|_| StorageError::Poisoned)
    }

    /// How many key packages, leaf keys and epochs are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> [usize; 3] {
        let values = self.values().unwrap();
        [
            values.key_packages.len(),
            values.leaf_keys.len(),
            usize::from(values.epoch_keys.is_some()),
        ]
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Storage")
    }
}

/// Bytes that are never moved without the old place being wiped, as a growing `Vec` would.
struct Wiping(Bytes);

impl Flavor for Wiping {
    type Output = Bytes;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        let needed = self.0.len() + data.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(256)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Bytes> {
        Ok(self.0)
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, StorageError> {
    postcard::serialize_with_flavor(value, Wiping(Bytes::default())).map_err(|_| StorageError::Encode)
}

fn decode<T: Entity<V>>(bytes: &Bytes) -> Result<T, StorageError> {
    postcard::from_bytes(bytes).map_err(|_| StorageError::Decode)
}

fn key(key: &impl Key<V>) -> Result<Vec<u8>, StorageError> {
    postcard::to_allocvec(key).map_err(|_| StorageError::Encode)
}

fn epoch_key(group: &impl Key<V>, epoch: &impl Key<V>, leaf: u32) -> Result<Vec<u8>, StorageError> {
    postcard::to_allocvec(&(group, epoch, leaf)).map_err(|_| StorageError::Encode)
}

/// State of the group itself: taken, dropped, and never there when it is asked for.
macro_rules! held_by_the_group {
    ($($entity:ident: $write:ident, $read:ident, $delete:ident;)*) => {$(
        fn $write<GroupId: traits::GroupId<V>, $entity: traits::$entity<V>>(
            &self,
            _: &GroupId,
            _: &$entity,
        ) -> Result<(), StorageError> {
            Ok(())
        }

        fn $read<GroupId: traits::GroupId<V>, $entity: traits::$entity<V>>(
            &self,
            _: &GroupId,
        ) -> Result<Option<$entity>, StorageError> {
            Ok(None)
        }

        fn $delete<GroupId: traits::GroupId<V>>(&self, _: &GroupId) -> Result<(), StorageError> {
            Ok(())
        }
    )*};
}

impl StorageProvider<V> for Storage {
    type Error = StorageError;

    fn write_key_package<Reference: traits::HashReference<V>, KeyPackage: traits::KeyPackage<V>>(
        &self,
        reference: &Reference,
        key_package: &KeyPackage,
    ) -> Result<(), StorageError> {
        let (reference, key_package) = (key(reference)?, encode(key_package)?);
        self.values()?.key_packages.insert(reference, key_package);
        Ok(())
    }

    fn key_package<Reference: traits::HashReference<V>, KeyPackage: traits::KeyPackage<V>>(
        &self,
        reference: &Reference,
    ) -> Result<Option<KeyPackage>, StorageError> {
        let reference = key(reference)?;
        self.values()?.key_packages.get(&reference).map(decode).transpose()
    }

    fn delete_key_package<Reference: traits::HashReference<V>>(
        &self,
        reference: &Reference,
    ) -> Result<(), StorageError> {
        let reference = key(reference)?;
        self.values()?.key_packages.remove(&reference);
        Ok(())
    }

    fn write_encryption_key_pair<EncryptionKey: traits::EncryptionKey<V>, HpkeKeyPair: traits::HpkeKeyPair<V>>(
        &self,
        public_key: &EncryptionKey,
        key_pair: &HpkeKeyPair,
    ) -> Result<(), StorageError> {
        let (public_key, key_pair) = (key(public_key)?, encode(key_pair)?);
        self.values()?.leaf_keys.insert(public_key, key_pair);
        Ok(())
    }

    fn encryption_key_pair<HpkeKeyPair: traits::HpkeKeyPair<V>, EncryptionKey: traits::EncryptionKey<V>>(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<Option<HpkeKeyPair>, StorageError> {
        let public_key = key(public_key)?;
        self.values()?.leaf_keys.get(&public_key).map(decode).transpose()
    }

    fn delete_encryption_key_pair<EncryptionKey: traits::EncryptionKey<V>>(
        &self,
        public_key: &EncryptionKey,
    ) -> Result<(), StorageError> {
        let public_key = key(public_key)?;
        self.values()?.leaf_keys.remove(&public_key);
        Ok(())
    }

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<V>,
        EpochKey: traits::EpochKey<V>,
        HpkeKeyPair: traits::HpkeKeyPair<V>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
        key_pairs: &[HpkeKeyPair],
    ) -> Result<(), StorageError> {
        let entry = (epoch_key(group_id, epoch, leaf_index)?, encode(key_pairs)?);
        self.values()?.epoch_keys = Some(entry);
        Ok(())
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<V>,
        EpochKey: traits::EpochKey<V>,
        HpkeKeyPair: traits::HpkeKeyPair<V>,
    >(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<Vec<HpkeKeyPair>, StorageError> {
        let wanted = epoch_key(group_id, epoch, leaf_index)?;
        match &self.values()?.epoch_keys {
            Some((held, keys)) if *held == wanted => postcard::from_bytes(keys).map_err(|_| StorageError::Decode),
            _ => Ok(Vec::new()),
        }
    }

    fn delete_encryption_epoch_key_pairs<GroupId: traits::GroupId<V>, EpochKey: traits::EpochKey<V>>(
        &self,
        group_id: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<(), StorageError> {
        let gone = epoch_key(group_id, epoch, leaf_index)?;
        self.values()?.epoch_keys.take_if(|(held, _)| *held == gone);
        Ok(())
    }

    held_by_the_group! {
        TreeSync: write_tree, tree, delete_tree;
        GroupContext: write_context, group_context, delete_context;
        InterimTranscriptHash: write_interim_transcript_hash, interim_transcript_hash, delete_interim_transcript_hash;
        ConfirmationTag: write_confirmation_tag, confirmation_tag, delete_confirmation_tag;
        MessageSecrets: write_message_secrets, message_secrets, delete_message_secrets;
        ResumptionPskStore: write_resumption_psk_store, resumption_psk_store, delete_all_resumption_psk_secrets;
        LeafNodeIndex: write_own_leaf_index, own_leaf_index, delete_own_leaf_index;
        GroupEpochSecrets: write_group_epoch_secrets, group_epoch_secrets, delete_group_epoch_secrets;
        MlsGroupJoinConfig: write_mls_join_config, mls_group_join_config, delete_group_config;
    }

    fn write_group_state<GroupState: traits::GroupState<V>, GroupId: traits::GroupId<V>>(
        &self,
        _: &GroupId,
        _: &GroupState,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn group_state<GroupState: traits::GroupState<V>, GroupId: traits::GroupId<V>>(
        &self,
        _: &GroupId,
    ) -> Result<Option<GroupState>, StorageError> {
        Ok(None)
    }

    fn delete_group_state<GroupId: traits::GroupId<V>>(&self, _: &GroupId) -> Result<(), StorageError> {
        Ok(())
    }

    fn append_own_leaf_node<GroupId: traits::GroupId<V>, LeafNode: traits::LeafNode<V>>(
        &self,
        _: &GroupId,
        _: &LeafNode,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn own_leaf_nodes<GroupId: traits::GroupId<V>, LeafNode: traits::LeafNode<V>>(
        &self,
        _: &GroupId,
    ) -> Result<Vec<LeafNode>, StorageError> {
        Ok(Vec::new())
    }

    fn delete_own_leaf_nodes<GroupId: traits::GroupId<V>>(&self, _: &GroupId) -> Result<(), StorageError> {
        Ok(())
    }

    fn queue_proposal<
        GroupId: traits::GroupId<V>,
        ProposalRef: traits::ProposalRef<V>,
        QueuedProposal: traits::QueuedProposal<V>,
    >(
        &self,
        _: &GroupId,
        _: &ProposalRef,
        _: &QueuedProposal,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn queued_proposal_refs<GroupId: traits::GroupId<V>, ProposalRef: traits::ProposalRef<V>>(
        &self,
        _: &GroupId,
    ) -> Result<Vec<ProposalRef>, StorageError> {
        Ok(Vec::new())
    }

    fn queued_proposals<
        GroupId: traits::GroupId<V>,
        ProposalRef: traits::ProposalRef<V>,
        QueuedProposal: traits::QueuedProposal<V>,
    >(
        &self,
        _: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, StorageError> {
        Ok(Vec::new())
    }

    fn remove_proposal<GroupId: traits::GroupId<V>, ProposalRef: traits::ProposalRef<V>>(
        &self,
        _: &GroupId,
        _: &ProposalRef,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn clear_proposal_queue<GroupId: traits::GroupId<V>, ProposalRef: traits::ProposalRef<V>>(
        &self,
        _: &GroupId,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    // The engine signs with a key of its own, and no room has pre-shared keys: whoever tries is told.

    fn write_signature_key_pair<PublicKey: traits::SignaturePublicKey<V>, KeyPair: traits::SignatureKeyPair<V>>(
        &self,
        _: &PublicKey,
        _: &KeyPair,
    ) -> Result<(), StorageError> {
        Err(StorageError::NotKept("signature keys"))
    }

    fn signature_key_pair<PublicKey: traits::SignaturePublicKey<V>, KeyPair: traits::SignatureKeyPair<V>>(
        &self,
        _: &PublicKey,
    ) -> Result<Option<KeyPair>, StorageError> {
        Ok(None)
    }

    fn delete_signature_key_pair<PublicKey: traits::SignaturePublicKey<V>>(
        &self,
        _: &PublicKey,
    ) -> Result<(), StorageError> {
        Ok(())
    }

    fn write_psk<PskId: traits::PskId<V>, PskBundle: traits::PskBundle<V>>(
        &self,
        _: &PskId,
        _: &PskBundle,
    ) -> Result<(), StorageError> {
        Err(StorageError::NotKept("pre-shared keys"))
    }

    fn psk<PskBundle: traits::PskBundle<V>, PskId: traits::PskId<V>>(
        &self,
        _: &PskId,
    ) -> Result<Option<PskBundle>, StorageError> {
        Ok(None)
    }

    fn delete_psk<PskId: traits::PskId<V>>(&self, _: &PskId) -> Result<(), StorageError> {
        Ok(())
    }
}
