//! Who comes and who goes: requests, the group's making, proposals.

use std::collections::{BTreeMap, BTreeSet};

use e2ee_core::group::batch::Batch;
use e2ee_core::group::delivery::Delivery;
use e2ee_core::group::{CheckedKeyPackage, PublicRoom};
use e2ee_core::log::entry::LogEntry;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{EndReason, ErrorCode, GroupEpoch, ServerMessage};
use e2ee_core::wire::{Bytes, Receipt};
use openmls::prelude::{
    ExternalProposal, GroupEpoch as MlsEpoch, GroupId, KeyPackage, LeafNodeIndex, SenderExtensionIndex,
};
use openmls_rust_crypto::OpenMlsRustCrypto;

use super::{Id, SALT, Service, Waiting};

impl Service {
    /// An Add by the service that the service itself does not check or keep.
    pub fn propose_unchecked(&self, key_package: &KeyPackage) -> Vec<u8> {
        let room = self.room.as_ref().unwrap();
        ExternalProposal::new_add::<OpenMlsRustCrypto>(
            key_package.clone(),
            GroupId::from_slice(room.group_id()),
            MlsEpoch::from(room.epoch()),
            &self.signer,
            SenderExtensionIndex::new(0),
        )
        .unwrap()
        .to_bytes()
        .unwrap()
    }

    /// A client that says hello without a group, or asks to be let in, has no use of the leaf it had.
    pub(super) fn leaf_is_dead(&mut self, id: Id, now: UnixMillis) {
        if let Some(leaf) = self.sessions.get_mut(&id).unwrap().leaf.take() {
            self.delivery.leaves(leaf, now);
        }
    }

    pub(super) fn end_group(&mut self, now: UnixMillis) {
        let group_id = self.at().group_id;
        let all: Vec<Id> = self.sessions.keys().copied().collect();
        for id in all {
            if self.sessions[&id].connected {
                self.send(
                    id,
                    ServerMessage::Ended {
                        group_id: group_id.clone(),
                        reason: EndReason::Abandoned,
                    },
                );
            }
            self.sessions.get_mut(&id).unwrap().leaf = None;
        }
        self.room = None;
        self.creator = None;
        self.delivered.clear();
        self.delivered_receipts.clear();
        self.stored();
        for waiting in &mut self.waiting {
            waiting.proposed = false;
        }
        self.admit_first(now);
    }

    pub(super) fn on_join(&mut self, id: Id, key_package: &Bytes, replaces: Option<GroupEpoch>, now: UnixMillis) {
        let root = self.ca.root();
        let (key_package, reference, der) =
            match CheckedKeyPackage::from_message(key_package.as_slice(), self.profile, &root, now) {
                Ok(checked) => (
                    checked.key_package().clone(),
                    checked.reference().to_vec(),
                    checked.certificate().der().to_vec(),
                ),
                Err(_) if !self.checks => unchecked(key_package.as_slice()),
                Err(refusal) => {
                    self.send(
                        id,
                        ServerMessage::Error {
                            code: ErrorCode::KeyPackageRefused,
                            message: refusal.to_string(),
                            fatal: false,
                        },
                    );
                    return;
                }
            };
        self.leaf_is_dead(id, now);
        // A request that is proposed already may still be committed; a newer one then takes its place.
        self.waiting.retain(|w| w.id != id || w.proposed);
        self.waiting.push(Waiting {
            id,
            key_package,
            reference,
            der,
            replaces,
            proposed: false,
        });
        if self.room.is_none() {
            if self.creator == Some(id) {
                self.creator = None;
            }
            self.admit_first(now);
        }
    }

    pub(super) fn admit_first(&mut self, now: UnixMillis) {
        if self.room.is_some() || self.creator.is_some() {
            return;
        }
        let sessions = &self.sessions;
        let Some(at) = self.waiting.iter().position(|w| sessions[&w.id].connected) else {
            return;
        };
        let first = self.waiting[at].id;
        self.waiting.retain(|w| w.id != first);
        self.creator = Some(first);
        self.asked_at = now;
        self.generation += 1;
        let group_id = format!("group-{}", self.generation).into_bytes();
        self.send(
            first,
            ServerMessage::Create {
                group_id: group_id.into(),
            },
        );
    }

    pub(super) fn on_created(&mut self, id: Id, group_id: &Bytes, group_info: &Bytes, now: UnixMillis) {
        let asked_for = format!("group-{}", self.generation).into_bytes();
        if self.creator != Some(id) || group_id.as_slice() != asked_for {
            return;
        }
        let root = self.ca.root();
        let room = PublicRoom::create(group_info.as_slice(), group_id.as_slice(), &root, now).unwrap();
        let index = self.log.append(&LogEntry::Epoch(room.epoch_record(&SALT)));
        self.room = Some(room);
        self.delivery = Delivery::new(self.timing, now);
        self.creator = None;
        self.sessions.get_mut(&id).unwrap().leaf = Some(0);
        self.note_roster();
        self.stored();
        let message = ServerMessage::CreateAccepted {
            at: self.at(),
            receipt: self.log.receipt(index),
            roster_salt: SALT.to_vec().into(),
        };
        self.send(id, message);
        self.presence();
    }

    pub(super) fn propose_if_due(&mut self, now: UnixMillis) {
        let Some(room) = &self.room else { return };
        let arrivals = self.arrivals(room);
        let replaced = self.replaced(room, &arrivals);
        let due = !arrivals.is_empty() || !self.delivery.removals(room, &replaced, now).is_empty();
        if self.delivery.proposes(due, now) {
            self.propose(now);
            self.delivery.proposed(now);
        }
    }

    /// Who waits and may be added in this epoch. One Add for each device and epoch (the members refuse two): the newest
    /// request counts, and one that comes while another is pending waits for the next epoch.
    fn arrivals(&self, room: &PublicRoom) -> Vec<usize> {
        let mut newest: BTreeMap<Id, usize> = BTreeMap::new();
        for (at, waiting) in self.waiting.iter().enumerate() {
            newest.insert(waiting.id, at);
        }
        let held = |id: Id| {
            let session = &self.sessions[&id];
            room.pending().adds(&session.person, &session.device)
                || self.waiting.iter().any(|w| w.id == id && w.proposed)
        };
        let mut batch = Batch::new(self.longest, room.pending(), self.log.size());
        newest
            .into_iter()
            .filter(|(id, _)| !held(*id))
            .map(|(_, at)| at)
            .filter(|at| batch.takes(&self.waiting[*at].key_package, &self.waiting[*at].der))
            .collect()
    }

    /// The same device is in already: its old leaf goes in the same commit.
    fn replaced(&self, room: &PublicRoom, arrivals: &[usize]) -> BTreeSet<u32> {
        let sessions = arrivals.iter().map(|at| &self.sessions[&self.waiting[*at].id]);
        sessions
            .filter_map(|session| room.roster().leaf_of(&session.person, &session.device))
            .collect()
    }

    /// Proposes what has gathered, all in one message.
    fn propose(&mut self, now: UnixMillis) {
        let Some(mut room) = self.room.take() else { return };
        let (group_id, epoch) = (GroupId::from_slice(room.group_id()), MlsEpoch::from(room.epoch()));
        let (mut proposals, mut receipts): (Vec<Bytes>, Vec<Receipt>) = (Vec::new(), Vec::new());
        let remove = |leaf: u32| {
            ExternalProposal::new_remove::<OpenMlsRustCrypto>(
                LeafNodeIndex::new(leaf),
                group_id.clone(),
                epoch,
                &self.signer,
                SenderExtensionIndex::new(0),
            )
            .unwrap()
            .to_bytes()
            .unwrap()
        };
        let arrivals = self.arrivals(&room);
        let replaced = self.replaced(&room, &arrivals);
        let removals = self.delivery.removals(&room, &replaced, now);
        for leaf in removals {
            let bytes = remove(leaf);
            room.apply(&bytes, now).unwrap();
            proposals.push(bytes.into());
        }
        for at in arrivals {
            let waiting = &mut self.waiting[at];
            let bytes = ExternalProposal::new_add::<OpenMlsRustCrypto>(
                waiting.key_package.clone(),
                group_id.clone(),
                epoch,
                &self.signer,
                SenderExtensionIndex::new(0),
            )
            .unwrap()
            .to_bytes()
            .unwrap();
            let applied = room.apply(&bytes, now);
            assert!(applied.is_ok() || !self.checks, "{applied:?}");
            waiting.proposed = true;
            proposals.push(bytes.into());
            receipts.push(match self.logged.get(&waiting.der) {
                Some(index) => self.log.receipt(*index),
                None => self.log.receipt(0),
            });
        }
        self.room = Some(room);
        if proposals.is_empty() {
            return;
        }
        self.delivered.extend(proposals.iter().cloned());
        self.delivered_receipts.extend(receipts.iter().cloned());
        self.stored();
        let at = self.at();
        self.broadcast(&ServerMessage::Proposals {
            at,
            proposals,
            receipts,
        });
    }
}

/// A lying service takes any key package.
fn unchecked(bytes: &[u8]) -> (KeyPackage, Vec<u8>, Vec<u8>) {
    use openmls::prelude::{MlsMessageBodyIn, MlsMessageIn, ProtocolVersion};
    use tls_codec::DeserializeBytes;
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes).unwrap();
    let MlsMessageBodyIn::KeyPackage(key_package) = message.extract() else {
        panic!("no key package")
    };
    let crypto = openmls_rust_crypto::RustCrypto::default();
    let key_package = key_package.validate(&crypto, ProtocolVersion::Mls10).unwrap();
    let reference = key_package.hash_ref(&crypto).unwrap().as_slice().to_vec();
    let chain = e2ee_core::identity::decode_chain(key_package.leaf_node().credential().serialized_content()).unwrap();
    (key_package, reference, chain[0].clone())
}
