//! A room as everybody can see it who has its handshake messages: the key server orders by it, the auditor replays it.
//!
//! ```text
//! PublicRoom::create(group_info) -> apply(proposal)* -> validate_commit(commit, welcome) -> merge -> apply ...
//! ```
//! Every step applies the same checks as the members do, plus that a Welcome covers exactly the added. What only a
//! member can check is the confirmation tag and the membership tag: they need the group's secrets.

use std::collections::BTreeMap;

use openmls::prelude::{
    GroupId, MlsMessageBodyIn, MlsMessageIn, ProcessedMessage, ProcessedMessageContent, ProposalStore, ProtocolMessage,
    PublicGroup, StagedCommit,
};
use openmls_memory_storage::MemoryStorage;
use sha2::{Digest, Sha256};
use tls_codec::{DeserializeBytes, Serialize, VLBytes};

use super::Refusal;
use super::check::{self, Change, Pending, PendingProposal};
use super::engine::committer::Epoch;
use super::policy::{CheckedContext, RoomPolicy};
use super::provider::Crypto;
use crate::identity::{Roster, TrustRoot};
use crate::log::entry::EpochRecord;
use crate::time::UnixMillis;

/// A group followed from its public messages.
pub struct PublicRoom {
    group: PublicGroup,
    storage: MemoryStorage,
    crypto: Crypto,
    root: TrustRoot,
    context: CheckedContext,
    roster: Roster,
    pending: Pending,
    /// SHA-256 of the message that made the current epoch.
    made_by: [u8; 32],
}

/// A commit that passed every check and may be merged into the very room and epoch that checked it.
pub struct CheckedCommit {
    staged: StagedCommit,
    at: u64,
    hash: [u8; 32],
    change: Change,
}

impl CheckedCommit {
    /// Who comes, who goes, who did it, and everybody afterwards.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// SHA-256 of the commit's `MLSMessage`.
    pub fn commit_hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The log's record of the epoch that this commit makes, before it is merged: the server stores and logs first.
    pub fn epoch_record(&self, salt: &[u8; 32]) -> EpochRecord {
        record(self.staged.group_context(), self.hash, &self.change.roster, salt)
    }
}

/// As the service's decisions see it.
impl Epoch for PublicRoom {
    fn leaves(&self) -> impl Iterator<Item = u32> {
        self.roster.leaves()
    }

    fn removes(&self, leaf: u32) -> bool {
        self.pending.removes(leaf)
    }

    fn waits(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl PublicRoom {
    /// GRUP-11: a new group from its creator's `GroupInfo` (`MLSMessage`, with the ratchet tree): the id asked for,
    /// epoch 0, one member, certified, and the room's policy under this root.
    pub fn create(group_info: &[u8], group_id: &[u8], root: &TrustRoot, now: UnixMillis) -> Result<Self, Refusal> {
        let message =
            MlsMessageIn::tls_deserialize_exact_bytes(group_info).map_err(|_| Refusal::NotThatMessage("GroupInfo"))?;
        let MlsMessageBodyIn::GroupInfo(info) = message.extract() else {
            return Err(Refusal::NotThatMessage("GroupInfo"));
        };
        let tree = info
            .extensions()
            .ratchet_tree()
            .ok_or(Refusal::NotThatMessage("GroupInfo without its tree"))?
            .ratchet_tree()
            .clone();
        let (crypto, storage) = (Crypto::verifying(), MemoryStorage::default());
        let (group, _) = PublicGroup::from_external(&crypto, &storage, tree, info, ProposalStore::new())
            .map_err(|e| Refusal::mls("GroupInfo")(&e))?;
        if group.group_id().as_slice() != group_id {
            return Err(Refusal::OtherGroup);
        }
        let context = CheckedContext::check(group.group_context(), root, now)?;
        let roster = check::roster_of(group.members(), root, now)?;
        if group.group_context().epoch().as_u64() != 0 || roster.len() != 1 || !roster.contains(0) {
            return Err(Refusal::NotAGenesis);
        }
        Ok(Self {
            group,
            storage,
            crypto,
            root: root.clone(),
            context,
            roster,
            pending: Pending::default(),
            made_by: Sha256::digest(group_info).into(),
        })
    }

    /// Checks a proposal (`MLSMessage` holding a `PublicMessage`) and keeps it for the commit of this epoch. Applying
    /// one twice changes nothing.
    pub fn apply(&mut self, proposal: &[u8], now: UnixMillis) -> Result<PendingProposal, Refusal> {
        let processed = self.process(proposal, "proposal")?;
        let ProcessedMessageContent::ProposalMessage(queued) = processed.into_content() else {
            return Err(Refusal::NotThatMessage("proposal"));
        };
        let checked = check::check_proposal(&self.context, &self.root, &self.roster, &self.pending, &queued, now)?;
        if !self.pending.contains(checked.reference()) {
            self.group
                .add_proposal(&self.storage, *queued)
                .map_err(|e| Refusal::mls("proposal")(&e))?;
            self.pending.push(checked.clone());
        }
        Ok(checked)
    }

    /// Checks a commit made in the current epoch and the Welcome for those it adds (PF-05). Changes nothing.
    pub fn validate_commit(
        &self,
        commit: &[u8],
        welcome: Option<&[u8]>,
        now: UnixMillis,
    ) -> Result<CheckedCommit, Refusal> {
        let checked = self.replay_commit(commit, now)?;
        check_welcome(welcome, &checked.change.added_refs)?;
        Ok(checked)
    }

    /// The same without the Welcome, which a transcript does not hold: for the auditor.
    pub fn replay_commit(&self, commit: &[u8], now: UnixMillis) -> Result<CheckedCommit, Refusal> {
        let processed = self.process(commit, "commit")?;
        let sender = processed.sender().clone();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(Refusal::NotThatMessage("commit"));
        };
        let change = check::check_commit(&self.context, &self.roster, &self.pending, &sender, &staged, now)?;
        Ok(CheckedCommit {
            staged: *staged,
            at: self.epoch(),
            hash: Sha256::digest(commit).into(),
            change,
        })
    }

    /// Enters the epoch that a checked commit makes. The group is unchanged on a refusal for another epoch.
    pub fn merge(&mut self, commit: CheckedCommit) -> Result<Change, Refusal> {
        if commit.at != self.epoch() {
            return Err(Refusal::WrongEpoch {
                at: self.epoch(),
                got: commit.at,
            });
        }
        self.group
            .merge_commit(&self.storage, commit.staged)
            .map_err(|e| Refusal::mls("commit")(&e))?;
        check::check_tree(&commit.change.roster, self.group.members())?;
        self.roster = commit.change.roster.clone();
        self.pending.clear();
        self.made_by = commit.hash;
        Ok(commit.change)
    }

    pub fn group_id(&self) -> &[u8] {
        self.group.group_id().as_slice()
    }

    pub fn epoch(&self) -> u64 {
        self.group.group_context().epoch().as_u64()
    }

    pub fn policy(&self) -> &RoomPolicy {
        self.context.policy()
    }

    pub fn context(&self) -> &CheckedContext {
        &self.context
    }

    /// Everybody who can decrypt in this epoch, in leaf order.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    pub fn tree_hash(&self) -> &[u8] {
        self.group.group_context().tree_hash()
    }

    pub fn confirmed_transcript_hash(&self) -> &[u8] {
        self.group.group_context().confirmed_transcript_hash()
    }

    /// The tree as `joined` carries it.
    pub fn ratchet_tree(&self) -> Result<Vec<u8>, Refusal> {
        self.group
            .export_ratchet_tree()
            .tls_serialize_detached()
            .map_err(|_| Refusal::Snapshot)
    }

    /// The log's record of the current epoch.
    pub fn epoch_record(&self, salt: &[u8; 32]) -> EpochRecord {
        record(self.group.group_context(), self.made_by, &self.roster, salt)
    }

    /// Everything needed to go on after a restart, pending proposals included. It holds no secret.
    pub fn snapshot(&self) -> Result<Vec<u8>, Refusal> {
        let values = self.storage.values.read().map_err(|_| Refusal::Snapshot)?;
        let mut out = Vec::new();
        let mut put = |bytes: &[u8]| {
            VLBytes::new(bytes.to_vec())
                .tls_serialize(&mut out)
                .map_err(|_| Refusal::Snapshot)
        };
        put(self.group_id())?;
        put(&self.made_by)?;
        // Sorted, so that one state has one snapshot.
        for (key, value) in values.iter().collect::<BTreeMap<_, _>>() {
            put(key)?;
            put(value)?;
        }
        Ok(out)
    }

    /// The room of a [`Self::snapshot`]. Its context and every member are checked again under `root`; members whose
    /// certificate ran out meanwhile stay in, as they do in a running room.
    pub fn restore(snapshot: &[u8], root: &TrustRoot, now: UnixMillis) -> Result<Self, Refusal> {
        let mut rest = snapshot;
        let mut take = || -> Result<Option<Vec<u8>>, Refusal> {
            if rest.is_empty() {
                return Ok(None);
            }
            let (value, tail) = VLBytes::tls_deserialize_bytes(rest).map_err(|_| Refusal::Snapshot)?;
            rest = tail;
            Ok(Some(value.into()))
        };
        let group_id = take()?.ok_or(Refusal::Snapshot)?;
        let made_by = take()?
            .and_then(|hash| <[u8; 32]>::try_from(hash).ok())
            .ok_or(Refusal::Snapshot)?;
        let storage = MemoryStorage::default();
        {
            let mut values = storage.values.write().map_err(|_| Refusal::Snapshot)?;
            while let Some(key) = take()? {
                values.insert(key, take()?.ok_or(Refusal::Snapshot)?);
            }
        }
        let group = PublicGroup::load(&storage, &GroupId::from_slice(&group_id))
            .map_err(|_| Refusal::Snapshot)?
            .ok_or(Refusal::Snapshot)?;
        let context = CheckedContext::check(group.group_context(), root, now)?;
        let roster = check::admitted_roster_of(group.members(), root, now)?;
        let queued = group.queued_proposals(&storage).map_err(|_| Refusal::Snapshot)?;
        let mut pending = Pending::default();
        for (_, proposal) in &queued {
            pending.push(check::check_proposal(&context, root, &roster, &pending, proposal, now)?);
        }
        Ok(Self {
            group,
            storage,
            crypto: Crypto::verifying(),
            root: root.clone(),
            context,
            roster,
            pending,
            made_by,
        })
    }

    fn process(&self, message: &[u8], what: &'static str) -> Result<ProcessedMessage, Refusal> {
        let message = handshake(message, what)?;
        if message.group_id() != self.group.group_id() {
            return Err(Refusal::OtherGroup);
        }
        let got = message.epoch().as_u64();
        if got != self.epoch() {
            return Err(Refusal::WrongEpoch { at: self.epoch(), got });
        }
        self.group
            .process_message(&self.crypto, message)
            .map_err(|e| Refusal::mls(what)(&e))
    }
}

/// A handshake message: an `MLSMessage` holding a `PublicMessage`. Anything else is refused unread.
pub(crate) fn handshake(bytes: &[u8], what: &'static str) -> Result<ProtocolMessage, Refusal> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes).map_err(|_| Refusal::NotThatMessage(what))?;
    match message.extract() {
        MlsMessageBodyIn::PublicMessage(message) => Ok(message.into()),
        _ => Err(Refusal::NotThatMessage(what)),
    }
}

fn check_welcome(welcome: Option<&[u8]>, added: &[Vec<u8>]) -> Result<(), Refusal> {
    let Some(welcome) = welcome else {
        return if added.is_empty() {
            Ok(())
        } else {
            Err(Refusal::WelcomeMissing)
        };
    };
    let message = MlsMessageIn::tls_deserialize_exact_bytes(welcome).map_err(|_| Refusal::NotThatMessage("Welcome"))?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
        return Err(Refusal::NotThatMessage("Welcome"));
    };
    let receivers: Vec<_> = welcome.secrets().iter().map(|secrets| secrets.new_member()).collect();
    let covers = |reference: &Vec<u8>| receivers.iter().any(|r| r.as_slice() == reference.as_slice());
    if !added.iter().all(covers) {
        return Err(Refusal::WelcomeMissing);
    }
    if receivers.len() != added.len() {
        return Err(Refusal::WelcomeSurplus);
    }
    Ok(())
}

/// The record of the epoch that `context` describes.
pub(crate) fn record(
    context: &openmls::prelude::GroupContext,
    commit_hash: [u8; 32],
    roster: &Roster,
    salt: &[u8; 32],
) -> EpochRecord {
    EpochRecord {
        group_id: VLBytes::new(context.group_id().to_vec()),
        epoch: context.epoch().as_u64(),
        commit_hash,
        confirmed_transcript_hash: VLBytes::new(context.confirmed_transcript_hash().to_vec()),
        tree_hash: VLBytes::new(context.tree_hash().to_vec()),
        roster_commitment: roster.commitment(salt),
    }
}
