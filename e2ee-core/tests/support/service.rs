//! A delivery service in memory: rooms, order, proposals, the log. Honest by itself; a test can make it lie.

use std::collections::BTreeMap;
use std::time::Duration;

use e2ee_core::group::{CheckedKeyPackage, Profile, PublicRoom, Refusal};
use e2ee_core::identity::PublicKey;
use e2ee_core::log::entry::LogEntry;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{
    ClientMessage, CommitRefusal, EndReason, ErrorCode, GroupEpoch, PROTOCOL, Ready, ServerMessage,
    certificate_request_tbs,
};
use e2ee_core::wire::{Bytes, Receipt};
use openmls::prelude::{
    ExternalProposal, GroupEpoch as MlsEpoch, GroupId, KeyPackage, LeafNodeIndex, SenderExtensionIndex,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

use super::ca::{Ca, Request};
use super::log::{ORIGIN, TestLog};

pub const BATCH: Duration = Duration::from_millis(200);
pub const GONE: Duration = Duration::from_secs(6);

/// A client by its number in the test.
pub type Id = usize;

pub struct Service {
    pub ca: Ca,
    pub log: TestLog,
    pub profile: Profile,
    pub room: Option<PublicRoom>,
    pub sessions: BTreeMap<Id, Session>,
    /// To be delivered, in order.
    pub out: Vec<(Id, ServerMessage)>,
    /// What a lying service does to each message before it goes out.
    pub tamper: Option<Box<dyn FnMut(Id, &mut ServerMessage)>>,
    /// Commits accepted, by the epoch that they ended.
    pub history: Vec<(GroupEpoch, ServerMessage)>,
    /// The proposals that each of them committed.
    committed: Vec<ServerMessage>,
    /// Every commit that arrived: who, for which epoch, and the verdict.
    pub commits: Vec<(Id, u64, Result<(), CommitRefusal>)>,
    pub refused: Vec<(Id, String)>,
    /// Clients whose commits are lost on the way.
    pub deaf_to: Vec<Id>,
    /// What the service puts into its certificates instead of the right thing.
    pub issue: Option<Box<dyn FnMut(Request, &PublicKey, &Ca) -> Vec<u8>>>,
    /// Whether it applies the shared checks to what it proposes. A lying service does not.
    pub checks: bool,
    /// One client that is shown another log.
    fork: Option<(Id, TestLog)>,
    signer: ServiceKey,
    service_chain: Vec<Vec<u8>>,
    log_chain: Vec<Vec<u8>>,
    generation: u64,
    creator: Option<Id>,
    asked_at: UnixMillis,
    waiting: Vec<Waiting>,
    leaving: Vec<u32>,
    batch_due: Option<UnixMillis>,
    delivered: Vec<Bytes>,
    delivered_receipts: Vec<Receipt>,
    logged: BTreeMap<Vec<u8>, u64>,
}

#[derive(Clone)]
pub struct Session {
    pub name: String,
    pub person: String,
    pub device: String,
    pub role: &'static str,
    pub connected: bool,
    pub heard: UnixMillis,
    pub leaf: Option<u32>,
    pub sign_in: String,
}

struct Waiting {
    id: Id,
    key_package: KeyPackage,
    reference: Vec<u8>,
    der: Vec<u8>,
    replaces: Option<GroupEpoch>,
    proposed: bool,
}

pub enum ServiceKey {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl ServiceKey {
    pub fn new(profile: Profile, seed: u8) -> Self {
        match profile {
            Profile::Standard => Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])),
            Profile::Fips => Self::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap()),
        }
    }

    pub fn public(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key().to_bytes()),
            Self::P256(key) => PublicKey::P256(
                key.verifying_key()
                    .to_encoded_point(false)
                    .as_bytes()
                    .try_into()
                    .unwrap(),
            ),
        }
    }
}

impl Signer for ServiceKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        use p256::ecdsa::signature::Signer as _;
        Ok(match self {
            Self::Ed25519(key) => key.sign(payload).to_bytes().to_vec(),
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(payload);
                signature.to_der().as_bytes().to_vec()
            }
        })
    }

    fn signature_scheme(&self) -> SignatureScheme {
        match self {
            Self::Ed25519(_) => SignatureScheme::ED25519,
            Self::P256(_) => SignatureScheme::ECDSA_SECP256R1_SHA256,
        }
    }
}

impl Service {
    pub fn new(profile: Profile, now: UnixMillis) -> Self {
        let ca = Ca::new(now);
        let signer = ServiceKey::new(profile, 21);
        let log = TestLog::new(22);
        let service_chain = vec![ca.issue(&Request::service("delivery-service", now), &signer.public())];
        let log_chain = vec![ca.issue(
            &Request::service("transparency-log", now),
            &PublicKey::Ed25519(log.public()),
        )];
        Self {
            ca,
            log,
            profile,
            room: None,
            sessions: BTreeMap::new(),
            out: Vec::new(),
            tamper: None,
            history: Vec::new(),
            committed: Vec::new(),
            commits: Vec::new(),
            refused: Vec::new(),
            deaf_to: Vec::new(),
            issue: None,
            checks: true,
            fork: None,
            signer,
            service_chain,
            log_chain,
            generation: 0,
            creator: None,
            asked_at: now,
            waiting: Vec::new(),
            leaving: Vec::new(),
            batch_due: None,
            delivered: Vec::new(),
            delivered_receipts: Vec::new(),
            logged: BTreeMap::new(),
        }
    }

    pub fn at(&self) -> GroupEpoch {
        let room = self.room.as_ref().unwrap();
        GroupEpoch {
            group_id: room.group_id().into(),
            epoch: room.epoch(),
        }
    }

    pub fn send(&mut self, id: Id, mut message: ServerMessage) {
        if let Some(tamper) = &mut self.tamper {
            tamper(id, &mut message);
        }
        self.out.push((id, message));
    }

    fn members(&self) -> Vec<Id> {
        self.sessions
            .iter()
            .filter(|(_, session)| session.connected && session.leaf.is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    fn broadcast(&mut self, message: &ServerMessage) {
        for id in self.members() {
            self.send(id, message.clone());
        }
    }

    pub fn presence(&mut self) {
        if self.room.is_none() {
            return;
        }
        let mut live: Vec<u32> = self
            .sessions
            .values()
            .filter(|s| s.connected)
            .filter_map(|s| s.leaf)
            .collect();
        live.sort_unstable();
        let message = ServerMessage::Presence { at: self.at(), live };
        self.broadcast(&message);
    }

    pub fn disconnected(&mut self, id: Id, now: UnixMillis) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.connected = false;
            session.heard = now;
        }
        self.presence();
    }

    pub fn next_event(&self) -> Option<UnixMillis> {
        let creator = self.creator.map(|_| self.asked_at + GONE);
        let gone = self
            .sessions
            .values()
            .filter(|s| s.leaf.is_some() && !s.connected)
            .map(|s| s.heard + GONE);
        gone.chain(self.batch_due).chain(creator).min()
    }

    pub fn tick(&mut self, now: UnixMillis) {
        let gone: Vec<u32> = self
            .sessions
            .values()
            .filter(|s| !s.connected && now >= s.heard + GONE)
            .filter_map(|s| s.leaf)
            .filter(|leaf| !self.leaving.contains(leaf))
            .collect();
        for session in self.sessions.values_mut() {
            if session.leaf.is_some() && !session.connected && now >= session.heard + GONE {
                // Asked once.
                session.heard = UnixMillis(u64::MAX / 2);
            }
        }
        self.leaving.extend(gone);
        // Whoever was asked to make the group and does not is passed over.
        if let Some(creator) = self.creator
            && (!self.sessions[&creator].connected || now >= self.asked_at + GONE)
        {
            self.creator = None;
            self.admit_first(now);
        }
        self.end_if_abandoned(now);
        if !self.leaving.is_empty() && self.batch_due.is_none() {
            self.batch_due = Some(now);
        }
        if self.batch_due.is_some_and(|due| now >= due) {
            self.batch_due = None;
            self.propose(now);
        }
    }

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
    fn leaf_is_dead(&mut self, id: Id, now: UnixMillis) {
        if let Some(leaf) = self.sessions.get_mut(&id).unwrap().leaf.take() {
            self.leaving.push(leaf);
            self.batch_due = self.batch_due.or(Some(now));
            self.end_if_abandoned(now);
        }
    }

    fn end_if_abandoned(&mut self, now: UnixMillis) {
        if self.room.is_none() {
            return;
        }
        let alive = self
            .sessions
            .values()
            .any(|s| s.leaf.is_some_and(|leaf| !self.leaving.contains(&leaf)) && s.heard < UnixMillis(u64::MAX / 2));
        if alive {
            return;
        }
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
        self.leaving.clear();
        self.delivered.clear();
        self.delivered_receipts.clear();
        for waiting in &mut self.waiting {
            waiting.proposed = false;
        }
        self.admit_first(now);
    }

    pub fn receive(&mut self, id: Id, message: ClientMessage, now: UnixMillis) {
        if !matches!(message, ClientMessage::Hello { .. }) {
            self.sessions.get_mut(&id).unwrap().heard = now;
        }
        match message {
            ClientMessage::Hello { resume, .. } => self.on_hello(id, resume.as_ref(), now),
            ClientMessage::CertificateRequest { public_key, proof } => {
                self.on_certificate_request(id, &public_key, &proof, now);
            }
            ClientMessage::Join { key_package, replaces } => self.on_join(id, &key_package, replaces, now),
            ClientMessage::Created { group_id, group_info } => self.on_created(id, &group_id, &group_info, now),
            ClientMessage::Commit { at, commit, welcome } => {
                if !self.deaf_to.contains(&id) {
                    self.on_commit(id, &at, &commit, welcome.as_ref(), now);
                }
            }
            ClientMessage::Ack { at } => {
                if let Some(leaf) = self.sessions[&id].leaf {
                    self.broadcast(&ServerMessage::Ack { at, leaf });
                }
            }
            ClientMessage::Application { at, message } => {
                self.broadcast(&ServerMessage::Application { at, message });
            }
            ClientMessage::Refused { reason, .. } => self.refused.push((id, reason)),
            ClientMessage::Leave {} => {
                let session = self.sessions.get_mut(&id).unwrap();
                session.connected = false;
                session.heard = UnixMillis(u64::MAX / 2);
                if let Some(leaf) = session.leaf {
                    self.leaving.push(leaf);
                }
                self.waiting.retain(|w| w.id != id || w.proposed);
                self.end_if_abandoned(now);
                self.batch_due = Some(now);
                self.presence();
            }
            ClientMessage::Ping {} => self.send(id, ServerMessage::Pong {}),
        }
    }

    fn on_hello(&mut self, id: Id, resume: Option<&GroupEpoch>, now: UnixMillis) {
        let session = self.sessions.get_mut(&id).unwrap();
        session.connected = true;
        session.heard = now;
        let ready = Ready {
            protocol: PROTOCOL,
            room: "room".into(),
            participant: session.person.clone(),
            device: session.device.clone(),
            trust_root: self.ca.der().into(),
            service_chain: self.service_chain.iter().cloned().map(Bytes).collect(),
            log_chain: self.log_chain.iter().cloned().map(Bytes).collect(),
            log_origin: ORIGIN.into(),
            relay_url: "/relay".into(),
            relay_token: "token".into(),
        };
        self.send(id, ServerMessage::Ready(ready));
        if resume.is_none() {
            self.leaf_is_dead(id, now);
        }
        if let Some(resume) = resume {
            let missed: Vec<ServerMessage> = self
                .history
                .iter()
                .zip(&self.committed)
                .filter(|((at, _), _)| at.group_id == resume.group_id && at.epoch >= resume.epoch)
                .flat_map(|((_, commit), proposals)| [proposals.clone(), commit.clone()])
                .collect();
            let known = self
                .room
                .as_ref()
                .is_some_and(|r| r.group_id() == resume.group_id.as_slice());
            for message in missed {
                self.send(id, message);
            }
            if !known {
                self.send(
                    id,
                    ServerMessage::Ended {
                        group_id: resume.group_id.clone(),
                        reason: EndReason::Abandoned,
                    },
                );
            } else if self.sessions[&id].leaf.is_some() && !self.delivered.is_empty() {
                let (at, proposals, receipts) = (self.at(), self.delivered.clone(), self.delivered_receipts.clone());
                self.send(
                    id,
                    ServerMessage::Proposals {
                        at,
                        proposals,
                        receipts,
                    },
                );
            }
        }
        self.presence();
    }

    fn on_certificate_request(&mut self, id: Id, public_key: &Bytes, proof: &Bytes, now: UnixMillis) {
        let session = self.sessions[&id].clone();
        let key = match self.profile {
            Profile::Standard => PublicKey::Ed25519(public_key.as_slice().try_into().unwrap()),
            Profile::Fips => PublicKey::P256(public_key.as_slice().try_into().unwrap()),
        };
        let tbs = certificate_request_tbs(&session.sign_in, public_key.as_slice());
        assert!(key.verify(&tbs, proof.as_slice()), "the request is signed by its key");
        let request = Request::with_role(
            &session.name,
            Some((&session.person, &session.device)),
            session.role,
            now,
        );
        let der = match &mut self.issue {
            Some(issue) => issue(request, &key, &self.ca),
            None => self.ca.issue(&request, &key),
        };
        let index = self.log_certificate(&der);
        let receipt = self.log.receipt(index);
        self.send(
            id,
            ServerMessage::Certificate {
                chain: vec![der.into()],
                receipt,
            },
        );
    }

    /// From now on this client is shown the epochs in another log.
    pub fn fork_for(&mut self, id: Id, log: TestLog) {
        self.fork = Some((id, log));
    }

    pub fn log_certificate(&mut self, der: &[u8]) -> u64 {
        let entry = LogEntry::Certificate { der: der.to_vec() };
        let index = self.log.append(&entry);
        if let Some((_, fork)) = &mut self.fork {
            fork.append(&entry);
        }
        self.logged.insert(der.to_vec(), index);
        index
    }

    fn receipt_for(&self, der: &[u8]) -> Receipt {
        self.log.receipt(self.logged[der])
    }

    fn on_join(&mut self, id: Id, key_package: &Bytes, replaces: Option<GroupEpoch>, now: UnixMillis) {
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
        } else if self.batch_due.is_none() {
            self.batch_due = Some(now + BATCH);
        }
    }

    fn admit_first(&mut self, now: UnixMillis) {
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

    fn on_created(&mut self, id: Id, group_id: &Bytes, group_info: &Bytes, now: UnixMillis) {
        if self.creator != Some(id) {
            return;
        }
        let root = self.ca.root();
        let room = PublicRoom::create(group_info.as_slice(), group_id.as_slice(), &root, now).unwrap();
        let salt = [9; 32];
        let index = self.log.append(&LogEntry::Epoch(room.epoch_record(&salt)));
        self.room = Some(room);
        self.creator = None;
        self.sessions.get_mut(&id).unwrap().leaf = Some(0);
        let message = ServerMessage::CreateAccepted {
            at: self.at(),
            receipt: self.log.receipt(index),
            roster_salt: salt.to_vec().into(),
        };
        self.send(id, message);
        self.presence();
        if !self.waiting.is_empty() {
            self.batch_due = Some(now + BATCH);
        }
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
        let mut removals: Vec<u32> = std::mem::take(&mut self.leaving);
        // One Add for each device and epoch (the members refuse two): the second waits for the next.
        let mut newest: BTreeMap<Id, Vec<u8>> = BTreeMap::new();
        for waiting in self.waiting.iter().filter(|w| !w.proposed) {
            newest.insert(waiting.id, waiting.reference.clone());
        }
        self.waiting.retain(|w| w.proposed || newest[&w.id] == w.reference);
        let pending: Vec<Id> = self.waiting.iter().filter(|w| w.proposed).map(|w| w.id).collect();
        let held = |w: &Waiting| w.proposed || pending.contains(&w.id);
        for waiting in self.waiting.iter().filter(|w| !held(w)) {
            let session = &self.sessions[&waiting.id];
            // The same device is in already: its old leaf goes in the same commit.
            removals.extend(room.roster().leaf_of(&session.person, &session.device));
        }
        removals.sort_unstable();
        removals.dedup();
        removals.retain(|leaf| room.roster().contains(*leaf) && !room.pending().removes(*leaf));
        for leaf in removals {
            let bytes = remove(leaf);
            room.apply(&bytes, now).unwrap();
            proposals.push(bytes.into());
        }
        for waiting in self.waiting.iter_mut().filter(|w| !held(w)) {
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
        let at = self.at();
        self.broadcast(&ServerMessage::Proposals {
            at,
            proposals,
            receipts,
        });
    }

    fn on_commit(&mut self, id: Id, at: &GroupEpoch, commit: &Bytes, welcome: Option<&Bytes>, now: UnixMillis) {
        if self.room.is_none() {
            return;
        }
        let verdict = self.try_commit(at, commit, welcome, now);
        let ended = at.epoch;
        match verdict {
            Ok(()) => self.commits.push((id, ended, Ok(()))),
            Err((reason, detail)) => {
                // A retry of what was accepted is answered by the acceptance.
                let again = self.history.iter().find(|(of, message)| {
                    of == at && matches!(message, ServerMessage::Commit { commit: known, .. } if known == commit)
                });
                if let Some((_, message)) = again {
                    let message = message.clone();
                    self.send(id, message);
                    return;
                }
                self.commits.push((id, ended, Err(reason)));
                self.send(
                    id,
                    ServerMessage::CommitRefused {
                        at: at.clone(),
                        reason,
                        detail,
                    },
                );
            }
        }
    }

    fn try_commit(
        &mut self,
        at: &GroupEpoch,
        commit: &Bytes,
        welcome: Option<&Bytes>,
        now: UnixMillis,
    ) -> Result<(), (CommitRefusal, String)> {
        let mut room = self.room.take().unwrap();
        let current = GroupEpoch {
            group_id: room.group_id().into(),
            epoch: room.epoch(),
        };
        let checked = if at != &current {
            Err(Refusal::WrongEpoch {
                at: room.epoch(),
                got: at.epoch,
            })
        } else {
            room.validate_commit(commit.as_slice(), welcome.map(Bytes::as_slice), now)
        };
        let checked = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                self.room = Some(room);
                let reason = match &refusal {
                    Refusal::WrongEpoch { at, got } if got < at => CommitRefusal::EpochTaken,
                    Refusal::WrongEpoch { .. } => CommitRefusal::WrongEpoch,
                    Refusal::WelcomeMissing | Refusal::WelcomeSurplus => CommitRefusal::WelcomeMissing,
                    Refusal::ProposalLeftOut => CommitRefusal::ProposalsMissing,
                    _ => CommitRefusal::Invalid,
                };
                return Err((reason, refusal.to_string()));
            }
        };
        let salt = [9; 32];
        let index = self.log.append(&LogEntry::Epoch(checked.epoch_record(&salt)));
        let change = room.merge(checked).unwrap();
        let tree = room.ratchet_tree().unwrap();
        let ders: Vec<Vec<u8>> = room.roster().iter().map(|m| m.certificate().der().to_vec()).collect();
        self.room = Some(room);
        let message = ServerMessage::Commit {
            at: at.clone(),
            commit: commit.clone(),
            receipt: self.log.receipt(index),
            roster_salt: salt.to_vec().into(),
        };
        self.history.push((at.clone(), message.clone()));
        self.committed.push(ServerMessage::Proposals {
            at: at.clone(),
            proposals: self.delivered.clone(),
            receipts: self.delivered_receipts.clone(),
        });
        let mut forked = message.clone();
        if let (Some((_, fork)), ServerMessage::Commit { receipt, .. }) = (&mut self.fork, &mut forked) {
            let entry = LogEntry::from_bytes(receipt.entry.as_slice()).unwrap();
            let index = fork.append(&entry);
            *receipt = fork.receipt(index);
        }
        for id in self.members() {
            let shown = self.fork.as_ref().is_some_and(|(to, _)| *to == id);
            self.send(id, if shown { forked.clone() } else { message.clone() });
        }
        for removed in &change.removed {
            for session in self.sessions.values_mut() {
                if session.leaf == Some(removed.leaf()) {
                    session.leaf = None;
                }
            }
        }
        self.delivered.clear();
        self.delivered_receipts.clear();
        for (member, reference) in change.added.iter().zip(&change.added_refs) {
            let waiting = self.waiting.iter().position(|w| &w.reference == reference).unwrap();
            let waiting = self.waiting.remove(waiting);
            self.sessions.get_mut(&waiting.id).unwrap().leaf = Some(member.leaf());
            let joined = ServerMessage::Joined {
                at: self.at(),
                welcome: welcome.unwrap().clone(),
                ratchet_tree: tree.clone().into(),
                receipts: ders.iter().map(|der| self.receipt_for(der)).collect(),
            };
            self.send(waiting.id, joined);
        }
        self.presence();
        for waiting in &mut self.waiting {
            waiting.proposed = false;
        }
        if !self.waiting.is_empty() || !self.leaving.is_empty() {
            self.batch_due = Some(now + BATCH);
        }
        Ok(())
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
