//! Members on OpenMLS, a delivery service that proposes, and the records that it logs.

use e2ee_core::group::policy::{capabilities, context_extensions};
use e2ee_core::group::{Profile, RoomPolicy};
use e2ee_core::identity::{TrustRoot, Use, encode_chain};
use e2ee_core::log::entry::{EpochRecord, LogEntry, roster_commitment};
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::transcript::{Epoch, EpochEvidence, Generation, TRANSCRIPT_VERSION, Transcript, group_id};
use openmls::prelude::{
    Credential, CredentialType, CredentialWithKey, ExternalProposal, GroupId, KeyPackage, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider as _,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent, SenderExtensionIndex, StagedWelcome,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use sha2::{Digest, Sha256};
use tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes};

use super::ca::{Ca, Key, now};
use super::log::{ORIGIN, TestLog};

pub const PROFILE: Profile = Profile::Standard;

pub struct Person {
    pub name: String,
    pub key: Key,
    pub certificate: Vec<u8>,
    provider: OpenMlsRustCrypto,
    pub group: Option<MlsGroup>,
}

pub struct Meeting {
    pub ca: Ca,
    pub service: Key,
    pub log_key: Key,
    pub log: TestLog,
    pub people: Vec<Person>,
    pub bundle: Transcript,
    /// Unix milliseconds of the next commit.
    pub clock: u64,
    /// Whether commits renew the committer's path, as they must.
    pub with_path: bool,
    /// The root that a group's policy names, if not the right one.
    pub policy_root: Option<[u8; 32]>,
    /// The next group's id, if not the one that the room gives it.
    pub group_id: Option<Vec<u8>>,
    seeds: u8,
}

impl Meeting {
    pub fn new() -> Self {
        let (ca, service, log_key) = (Ca::new("Clinic root"), Key::new(1), Key::new(2));
        let service_chain = vec![ca.service("delivery-service", &service).into()];
        let log_chain: Vec<e2ee_core::wire::Bytes> = vec![ca.service("transparency-log", &log_key).into()];
        let mut log = TestLog::default();
        for der in [&service_chain[0], &log_chain[0]] {
            log.append(&LogEntry::Certificate { der: der.0.clone() });
        }
        let bundle = Transcript {
            version: TRANSCRIPT_VERSION,
            room: "r-1".to_owned(),
            trust_root: ca.der.clone().into(),
            service_chain,
            log_chain,
            log_origin: ORIGIN.to_owned(),
            generations: Vec::new(),
        };
        Self {
            ca,
            service,
            log_key,
            log,
            people: Vec::new(),
            bundle,
            clock: now() * 1000,
            with_path: true,
            policy_root: None,
            group_id: None,
            seeds: 10,
        }
    }

    /// Three people over five epochs: Ada starts, Bob and Eve join, Bob leaves, new keys, Dan joins.
    pub fn usual() -> Self {
        let mut meeting = Self::new();
        meeting.start("Ada");
        meeting.join(&["Bob"]);
        meeting.join(&["Eve"]);
        meeting.leave("Bob");
        meeting.rekey();
        meeting.join(&["Dan"]);
        meeting
    }

    /// Somebody with a certificate that stands on the log.
    pub fn invite(&mut self, name: &str) -> usize {
        let at = self.stranger(name, 60, 8 * 3600);
        let der = self.people[at].certificate.clone();
        self.log.append(&LogEntry::Certificate { der });
        at
    }

    /// Somebody whose certificate does not.
    pub fn stranger(&mut self, name: &str, age: u64, lifetime: u64) -> usize {
        self.seeds += 1;
        let key = Key::new(self.seeds);
        let certificate = self.ca.person(name, "guest", &key, age, lifetime);
        self.people.push(Person {
            name: name.to_owned(),
            key,
            certificate,
            provider: OpenMlsRustCrypto::default(),
            group: None,
        });
        self.people.len() - 1
    }

    pub fn start(&mut self, name: &str) {
        let at = self.invite(name);
        self.start_with(at);
    }

    /// A new generation, made by that person.
    pub fn start_with(&mut self, at: usize) {
        let group_id = match &self.group_id {
            Some(id) => id.clone(),
            None => group_id("r-1", self.bundle.generations.len() as u32).to_vec(),
        };
        let root = TrustRoot::pin(&self.ca.der, &self.ca.hash()).unwrap();
        let chain = &self.bundle.service_chain;
        let service = root.check(chain, Use::DeliveryService, UnixMillis(self.clock)).unwrap();
        let extensions = context_extensions(
            &RoomPolicy::new(PROFILE, self.policy_root.unwrap_or(self.ca.hash())),
            &service,
            chain,
        )
        .unwrap();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(PROFILE.ciphersuite())
            .capabilities(capabilities(PROFILE))
            .with_group_context_extensions(extensions)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let person = &mut self.people[at];
        let group = MlsGroup::new_with_group_id(
            &person.provider,
            &person.key,
            &config,
            GroupId::from_slice(&group_id),
            person.credential(),
        )
        .unwrap();
        let group_info = group
            .export_group_info(person.provider.crypto(), &person.key, true)
            .unwrap();
        let group_info = bytes(&group_info);
        person.group = Some(group);
        let genesis = self.record(&group_info);
        self.bundle.generations.push(Generation {
            group_id: group_id.into(),
            group_info: group_info.into(),
            genesis,
            epochs: Vec::new(),
        });
    }

    pub fn join(&mut self, names: &[&str]) {
        let joiners: Vec<usize> = names.iter().map(|name| self.invite(name)).collect();
        self.admit(&joiners);
    }

    /// The service proposes to add them, and the first member commits.
    pub fn admit(&mut self, joiners: &[usize]) {
        let proposals = joiners.iter().map(|at| self.propose_add(*at)).collect();
        self.commit(proposals, joiners);
    }

    pub fn propose_add(&self, at: usize) -> Vec<u8> {
        let key_package = self.people[at].key_package();
        let (group_id, epoch) = self.now_at();
        let sender = SenderExtensionIndex::new(0);
        bytes(
            &ExternalProposal::new_add::<OpenMlsRustCrypto>(key_package, group_id, epoch, &self.service, sender)
                .unwrap(),
        )
    }

    pub fn propose_remove(&self, name: &str) -> Vec<u8> {
        let leaf = self.person(name).group.as_ref().unwrap().own_leaf_index();
        let (group_id, epoch) = self.now_at();
        let sender = SenderExtensionIndex::new(0);
        bytes(&ExternalProposal::new_remove::<OpenMlsRustCrypto>(leaf, group_id, epoch, &self.service, sender).unwrap())
    }

    pub fn leave(&mut self, name: &str) {
        let proposal = self.propose_remove(name);
        let at = self.people.iter().position(|p| p.name == name).unwrap();
        self.people[at].group = None;
        self.commit(vec![proposal], &[]);
    }

    pub fn rekey(&mut self) {
        self.commit(Vec::new(), &[]);
    }

    /// The first member takes all proposals, the others follow, the service logs.
    pub fn commit(&mut self, proposals: Vec<Vec<u8>>, joiners: &[usize]) {
        let (commit, welcome) = self.make_commit(&proposals);
        for person in self.people.iter_mut().filter(|p| p.group.is_some()).skip(1) {
            person.take_proposals(&proposals);
            person.follow(&commit);
        }
        for at in joiners {
            self.people[*at].join(welcome.as_ref().unwrap());
        }
        self.store(proposals, commit);
    }

    /// The committer's part, merged.
    pub fn make_commit(&mut self, proposals: &[Vec<u8>]) -> (Vec<u8>, Option<Vec<u8>>) {
        let with_path = self.with_path;
        let committer = self.people.iter_mut().find(|p| p.group.is_some()).unwrap();
        committer.take_proposals(proposals);
        let Person {
            key, provider, group, ..
        } = committer;
        let group = group.as_mut().unwrap();
        let made = group
            .commit_builder()
            .force_self_update(with_path)
            .load_psks(provider.storage())
            .unwrap()
            .build(provider.rand(), provider.crypto(), key, |_| true)
            .unwrap()
            .stage_commit(provider)
            .unwrap();
        let (commit, welcome, _) = made.into_messages();
        group.merge_pending_commit(provider).unwrap();
        (bytes(&commit), welcome.map(|welcome| bytes(&welcome)))
    }

    /// A commit that takes a proposal nobody was sent.
    pub fn remove_inline(&mut self, name: &str) {
        let leaf = self.person(name).group.as_ref().unwrap().own_leaf_index();
        let at = self.people.iter().position(|p| p.name == name).unwrap();
        self.people[at].group = None;
        let committer = self.people.iter_mut().find(|p| p.group.is_some()).unwrap();
        let Person {
            key, provider, group, ..
        } = committer;
        let group = group.as_mut().unwrap();
        let (commit, _, _) = group.remove_members(provider, key, &[leaf]).unwrap();
        group.merge_pending_commit(provider).unwrap();
        self.store(Vec::new(), bytes(&commit));
    }

    /// What the delivery service does with a commit.
    pub fn store(&mut self, proposals: Vec<Vec<u8>>, commit: Vec<u8>) {
        self.clock += 10_000;
        let evidence = self.record(&commit);
        let epoch = self.now_at().1.as_u64();
        let stored_at = self.clock;
        self.generation().epochs.push(Epoch {
            epoch,
            proposals: proposals.into_iter().map(Into::into).collect(),
            commit: commit.into(),
            stored_at,
            evidence,
        });
    }

    pub fn generation(&mut self) -> &mut Generation {
        self.bundle.generations.last_mut().unwrap()
    }

    pub fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|p| p.name == name).unwrap()
    }

    /// Everybody in the current group leaves it without a word, as when a generation ends.
    pub fn end(&mut self) {
        for person in &mut self.people {
            person.group = None;
        }
    }

    fn now_at(&self) -> (GroupId, openmls::prelude::GroupEpoch) {
        let group = self.anybody();
        (group.group_id().clone(), group.epoch())
    }

    fn anybody(&self) -> &MlsGroup {
        self.people.iter().find_map(|p| p.group.as_ref()).unwrap()
    }

    /// The current epoch's record, from a member's own state.
    pub fn epoch_record(&self, message: &[u8], salt: &[u8; 32]) -> EpochRecord {
        let group = self.anybody();
        let context = group.public_group().group_context();
        let members: Vec<(u32, Vec<u8>)> = group
            .members()
            .map(|member| (member.index.u32(), leaf_certificate(&member.credential)))
            .collect();
        EpochRecord {
            group_id: VLBytes::new(context.group_id().to_vec()),
            epoch: context.epoch().as_u64(),
            commit_hash: Sha256::digest(message).into(),
            confirmed_transcript_hash: VLBytes::new(context.confirmed_transcript_hash().to_vec()),
            tree_hash: VLBytes::new(context.tree_hash().to_vec()),
            roster_commitment: roster_commitment(salt, members.iter().map(|(leaf, der)| (*leaf, der.as_slice()))),
        }
    }

    fn record(&mut self, message: &[u8]) -> EpochEvidence {
        let salt = [self.log.entries.len() as u8; 32];
        let record = self.epoch_record(message, &salt);
        EpochEvidence {
            log_index: self.log.append(&LogEntry::Epoch(record)),
            roster_salt: salt.to_vec().into(),
        }
    }
}

impl Person {
    fn credential(&self) -> CredentialWithKey {
        let chain = encode_chain(&[&self.certificate]).unwrap();
        CredentialWithKey {
            credential: Credential::new(CredentialType::X509, chain),
            signature_key: self.key.public().to_vec().into(),
        }
    }

    fn key_package(&self) -> KeyPackage {
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities(PROFILE))
            .build(PROFILE.ciphersuite(), &self.provider, &self.key, self.credential())
            .unwrap()
            .into_key_package()
    }

    fn process(&mut self, message: &[u8]) -> ProcessedMessageContent {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(message).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let group = self.group.as_mut().unwrap();
        group.process_message(&self.provider, message).unwrap().into_content()
    }

    pub fn take_proposals(&mut self, proposals: &[Vec<u8>]) {
        for proposal in proposals {
            let ProcessedMessageContent::ProposalMessage(queued) = self.process(proposal) else {
                panic!("not a proposal");
            };
            let group = self.group.as_mut().unwrap();
            group.store_pending_proposal(self.provider.storage(), *queued).unwrap();
        }
    }

    fn follow(&mut self, commit: &[u8]) {
        let ProcessedMessageContent::StagedCommitMessage(staged) = self.process(commit) else {
            panic!("not a commit");
        };
        self.group
            .as_mut()
            .unwrap()
            .merge_staged_commit(&self.provider, *staged)
            .unwrap();
    }

    fn join(&mut self, welcome: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(welcome).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            panic!("not a Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None).unwrap();
        self.group = Some(staged.into_group(&self.provider).unwrap());
    }
}

pub fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().unwrap()
}

fn leaf_certificate(credential: &Credential) -> Vec<u8> {
    e2ee_core::identity::decode_chain(credential.serialized_content())
        .unwrap()
        .swap_remove(0)
}
