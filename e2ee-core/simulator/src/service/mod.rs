//! A delivery service in memory: rooms, order, proposals, the log. Honest by itself; a test can make it lie.

mod admission;
mod commits;
mod disk;
mod key;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use e2ee_core::group::delivery::{Delivery, Timing};
use e2ee_core::group::{Profile, PublicRoom, Scheme};
use e2ee_core::identity::PublicKey;
use e2ee_core::log::entry::LogEntry;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{
    ClientMessage, CommitRefusal, EndReason, ErrorCode, GroupEpoch, MAX_MESSAGE, PROTOCOL, Ready, ServerMessage,
    certificate_request_tbs,
};
use e2ee_core::wire::{Bytes, Receipt};
use openmls::prelude::KeyPackage;

use crate::ca::{Ca, Request};
use crate::log::{ORIGIN, TestLog};

pub use disk::{Death, Dies};
pub use key::ServiceKey;

/// Whoever was asked to make the group has this long.
const CREATE: Duration = Duration::from_secs(6);
/// Of every roster commitment.
const SALT: [u8; 32] = [9; 32];

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
    /// Its waiting times; a generation begins with them.
    pub timing: Timing,
    /// The longest message it may send, in bytes of text.
    pub longest: usize,
    /// What it decides: the product's own code.
    delivery: Delivery,
    delivered: Vec<Bytes>,
    delivered_receipts: Vec<Receipt>,
    logged: BTreeMap<Vec<u8>, u64>,
    /// Who was in each epoch of each group: person and device by leaf.
    pub rosters: BTreeMap<(Vec<u8>, u64), Seats>,
    /// When each device was last removed, by the commit that did it.
    pub removed: Vec<Removal>,
    disk: Option<disk::Disk>,
}

/// Who holds which leaf: person and device.
pub type Seats = BTreeMap<u32, (String, String)>;

/// A commit took somebody out.
#[derive(Clone, Debug)]
pub struct Removal {
    pub at: UnixMillis,
    pub group_id: Vec<u8>,
    /// The first epoch without.
    pub epoch: u64,
    pub leaf: u32,
    pub person: String,
    pub device: String,
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

/// Somebody who asked to be let in.
struct Waiting {
    id: Id,
    key_package: KeyPackage,
    reference: Vec<u8>,
    der: Vec<u8>,
    replaces: Option<GroupEpoch>,
    proposed: bool,
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
            timing: Timing::default(),
            longest: MAX_MESSAGE,
            delivery: Delivery::new(Timing::default(), now),
            delivered: Vec::new(),
            delivered_receipts: Vec::new(),
            logged: BTreeMap::new(),
            rosters: BTreeMap::new(),
            removed: Vec::new(),
            disk: None,
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
        let live = self.live().into_iter().collect();
        let message = ServerMessage::Presence { at: self.at(), live };
        self.broadcast(&message);
    }

    pub fn disconnected(&mut self, id: Id, now: UnixMillis) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.connected = false;
            session.heard = now;
            if let Some(leaf) = session.leaf {
                self.delivery.lost(leaf, now);
            }
        }
        self.presence();
        self.step(now);
    }

    pub fn next_event(&self, now: UnixMillis) -> Option<UnixMillis> {
        let creator = self.creator.map(|_| self.asked_at + CREATE);
        let delivery = self.room.as_ref().and_then(|_| self.delivery.next(now));
        creator.into_iter().chain(delivery).min()
    }

    pub fn tick(&mut self, now: UnixMillis) {
        // Whoever was asked to make the group and does not is passed over.
        if let Some(creator) = self.creator
            && (!self.sessions[&creator].connected || now >= self.asked_at + CREATE)
        {
            self.creator = None;
            self.admit_first(now);
        }
        self.step(now);
    }

    /// Everything that follows from the state.
    fn step(&mut self, now: UnixMillis) {
        let live = self.live();
        if let Some(room) = self.room.as_ref().filter(|_| !self.is_dying()) {
            self.delivery.look(room, &live, now);
            if self.delivery.is_over(room, &live, now) {
                self.end_group(now);
            }
            self.propose_if_due(now);
        }
    }

    /// Whether it is a member of the present group, which it names.
    fn holds(&self, id: Id, at: &GroupEpoch) -> bool {
        let group = self.room.as_ref().map(PublicRoom::group_id);
        group == Some(at.group_id.as_slice()) && self.sessions[&id].leaf.is_some()
    }

    /// Leaves whose holders are connected.
    fn live(&self) -> BTreeSet<u32> {
        let connected = self.sessions.values().filter(|s| s.connected);
        connected.filter_map(|s| s.leaf).collect()
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
                    if self.room.is_some() && self.at() == at {
                        self.delivery.acked(leaf);
                    }
                    self.broadcast(&ServerMessage::Ack { at, leaf });
                }
            }
            ClientMessage::Application { at, .. } if !self.holds(id, &at) => self.send(
                id,
                ServerMessage::Error {
                    code: ErrorCode::UnexpectedMessage,
                    message: "not a member of that group".to_owned(),
                    fatal: false,
                },
            ),
            ClientMessage::Application { at, message } => {
                self.broadcast(&ServerMessage::Application { at, message });
            }
            ClientMessage::Refused { reason, .. } => self.refused.push((id, reason)),
            ClientMessage::Leave {} => {
                let session = self.sessions.get_mut(&id).unwrap();
                session.connected = false;
                if let Some(leaf) = session.leaf {
                    self.delivery.leaves(leaf, now);
                }
                self.waiting.retain(|w| w.id != id || w.proposed);
                self.presence();
            }
            ClientMessage::Ping {} => self.send(id, ServerMessage::Pong {}),
        }
        self.step(now);
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
            ice_servers: Vec::new(),
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
        let key = match self.profile.scheme() {
            Scheme::Ed25519 => PublicKey::Ed25519(public_key.as_slice().try_into().unwrap()),
            Scheme::P256 => PublicKey::P256(public_key.as_slice().try_into().unwrap()),
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

    /// How it stands, for whoever looks for the cause of a failure.
    pub fn story(&self) -> String {
        let room = self.room.as_ref().map(|room| {
            let pending: Vec<String> = room
                .pending()
                .iter()
                .map(|p| format!("{:?}", p.what().wish()))
                .collect();
            (room.epoch(), room.roster().leaves().collect::<Vec<_>>(), pending)
        });
        let sessions: Vec<_> = self.sessions.iter().map(|(id, s)| (*id, s.connected, s.leaf)).collect();
        let waiting: Vec<_> = self.waiting.iter().map(|w| (w.id, w.proposed)).collect();
        format!(
            "room {room:?}, sessions {sessions:?}, waiting {waiting:?}, creator {:?}, {:?}",
            self.creator, self.delivery
        )
    }

    /// The room's group is over, and nobody is told.
    pub fn forget(&mut self) {
        self.room = None;
        self.creator = None;
        for session in self.sessions.values_mut() {
            session.leaf = None;
        }
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
        self.stored();
        index
    }

    fn receipt_for(&self, der: &[u8]) -> Receipt {
        self.log.receipt(self.logged[der])
    }
}
