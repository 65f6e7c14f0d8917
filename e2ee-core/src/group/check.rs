//! The rules that members, key server and auditor all apply, each to its own copy of the group.
//!
//! A proposal is checked when it arrives and becomes [`Pending`]; a commit may then only refer to what is pending, and
//! must refer to all of it. So nothing enters the tree that was not checked, and the certificates are verified once.

use std::collections::HashMap;

use openmls::prelude::{
    Credential, LeafNode, Member as MlsMember, Proposal, ProposalOrRefType, QueuedProposal, Sender, StagedCommit,
};

use super::Refusal;
use super::key_package::{CheckedKeyPackage, check_admitted_credential, check_credential};
use super::policy::CheckedContext;
use super::rules::{self, Wish};
use crate::identity::{CheckedCertificate, Member, Role, Roster, TrustRoot};
use crate::time::UnixMillis;

/// A proposal that was checked and waits for the commit.
#[derive(Clone, Debug)]
pub struct PendingProposal {
    reference: Vec<u8>,
    what: Proposed,
}

/// What a pending proposal asks for.
#[derive(Clone, Debug)]
pub enum Proposed {
    /// Let this key package in.
    Add(Box<CheckedKeyPackage>),
    /// Remove the member at this leaf.
    Remove(u32),
    /// The member at this leaf renews its own encryption key.
    Update(u32),
}

/// The proposals delivered in the current epoch, in order.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    proposals: Vec<PendingProposal>,
    /// By reference, where it stands.
    places: Index,
    /// By [`device_of`] its certificate, where an Add stands.
    devices: Index,
}

/// One type for all of them: a browser loads the code of a map once.
type Index = HashMap<Vec<u8>, usize>;

/// What a commit, once checked, does to the group.
#[derive(Clone, Debug)]
pub struct Change {
    /// The epoch that the commit makes.
    pub epoch: u64,
    pub committer: u32,
    /// In the order of their leaves' assignment.
    pub added: Vec<Member>,
    /// Key package references of the added, in the same order.
    pub added_refs: Vec<Vec<u8>>,
    pub removed: Vec<Member>,
    /// Everybody, afterwards.
    pub roster: Roster,
}

impl PendingProposal {
    /// RFC 9420 section 5.2.
    pub fn reference(&self) -> &[u8] {
        &self.reference
    }

    pub fn what(&self) -> &Proposed {
        &self.what
    }
}

impl Proposed {
    pub fn wish(&self) -> Wish {
        match self {
            Self::Add(_) => Wish::Add,
            Self::Remove(leaf) => Wish::Remove(*leaf),
            Self::Update(leaf) => Wish::Update(*leaf),
        }
    }
}

impl Pending {
    pub fn iter(&self) -> impl Iterator<Item = &PendingProposal> {
        self.proposals.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.proposals.is_empty()
    }

    pub fn len(&self) -> usize {
        self.proposals.len()
    }

    /// Whether a Remove of this leaf is pending: its holder cannot commit it (RFC 9420 section 12.2).
    pub fn removes(&self, leaf: u32) -> bool {
        self.iter()
            .any(|pending| matches!(pending.what, Proposed::Remove(removed) if removed == leaf))
    }

    /// Whether an Add of this person's device is pending.
    pub fn adds(&self, person: &str, device: &str) -> bool {
        self.devices.contains_key(&device_named(person, device))
    }

    pub fn adds_anybody(&self) -> bool {
        self.iter().any(|pending| matches!(pending.what, Proposed::Add(_)))
    }

    /// Whether the proposal of this reference is pending.
    pub(crate) fn contains(&self, reference: &[u8]) -> bool {
        self.places.contains_key(reference)
    }

    pub(crate) fn push(&mut self, proposal: PendingProposal) {
        if self.contains(&proposal.reference) {
            return;
        }
        let place = self.proposals.len();
        self.places.insert(proposal.reference.clone(), place);
        if let Proposed::Add(add) = &proposal.what {
            self.devices.insert(device_of(add.certificate()), place);
        }
        self.proposals.push(proposal);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The proposal of this reference, and its place.
    fn get(&self, reference: &[u8]) -> Option<(usize, &PendingProposal)> {
        let place = *self.places.get(reference)?;
        Some((place, self.proposals.get(place)?))
    }

    /// Whether an Add of this device is pending, by another proposal than this one.
    fn adds_device(&self, certificate: &CheckedCertificate, reference: &[u8]) -> bool {
        let place = self.devices.get(&device_of(certificate));
        place.is_some() && place != self.places.get(reference)
    }
}

/// The roster that a tree's leaves make: every one certified by the pinned root, no device twice (C2, PF-21).
pub fn roster_of(
    members: impl Iterator<Item = MlsMember>,
    root: &TrustRoot,
    now: UnixMillis,
) -> Result<Roster, Refusal> {
    roster_checked_by(check_credential, members, root, now)
}

/// The same for a group that this process had checked and stored: whoever was let in stays in (a certificate that ran
/// out since is for the service to act on).
pub(crate) fn admitted_roster_of(
    members: impl Iterator<Item = MlsMember>,
    root: &TrustRoot,
    now: UnixMillis,
) -> Result<Roster, Refusal> {
    roster_checked_by(check_admitted_credential, members, root, now)
}

fn roster_checked_by(
    check: impl Fn(&Credential, &[u8], &TrustRoot, UnixMillis) -> Result<CheckedCertificate, Refusal>,
    members: impl Iterator<Item = MlsMember>,
    root: &TrustRoot,
    now: UnixMillis,
) -> Result<Roster, Refusal> {
    let (mut roster, mut devices) = (Roster::default(), Index::new());
    for member in members {
        let certificate = check(&member.credential, &member.signature_key, root, now)?;
        roster.insert(seat(&mut devices, member.index.u32(), certificate)?);
    }
    Ok(roster)
}

/// GRUP-1 to GRUP-3: only Add, Remove and a member's own Update, from those who may, about what exists.
pub fn check_proposal(
    context: &CheckedContext,
    root: &TrustRoot,
    roster: &Roster,
    pending: &Pending,
    queued: &QueuedProposal,
    now: UnixMillis,
) -> Result<PendingProposal, Refusal> {
    let reference = queued.proposal_reference_ref().as_slice();
    let what = match (queued.proposal(), queued.sender()) {
        (Proposal::Add(add), sender) => {
            check_may_add(context, roster, sender)?;
            let suite = context.policy().profile().ciphersuite();
            let checked = CheckedKeyPackage::check(add.key_package(), suite, root, now)?;
            if pending.adds_device(checked.certificate(), reference) {
                return Err(Refusal::DeviceTwice);
            }
            Proposed::Add(Box::new(checked))
        }
        (Proposal::Remove(remove), Sender::External(_) | Sender::Member(_)) => {
            let leaf = remove.removed().u32();
            if !roster.contains(leaf) {
                return Err(Refusal::NoSuchLeaf(leaf));
            }
            Proposed::Remove(leaf)
        }
        (Proposal::Update(update), Sender::Member(leaf)) => {
            let member = roster.get(leaf.u32()).ok_or(Refusal::NoSuchLeaf(leaf.u32()))?;
            check_same_identity(member, update.leaf_node())?;
            Proposed::Update(leaf.u32())
        }
        (Proposal::Remove(_) | Proposal::Update(_), _) => return Err(Refusal::ProposalSender),
        (other, _) => return Err(Refusal::ProposalType(other.proposal_type().into())),
    };
    Ok(PendingProposal {
        reference: reference.to_vec(),
        what,
    })
}

/// GRUP-4 to GRUP-10: what OpenMLS leaves to the application. `staged` has passed OpenMLS' own validation.
pub fn check_commit(
    context: &CheckedContext,
    roster: &Roster,
    pending: &Pending,
    sender: &Sender,
    staged: &StagedCommit,
    now: UnixMillis,
) -> Result<Change, Refusal> {
    // GRUP-4: by a member. External commits are how a server would let itself in.
    let Sender::Member(committer) = sender else {
        return Err(Refusal::ExternalCommit);
    };
    let committer = committer.u32();
    let member = roster.get(committer).ok_or(Refusal::NoSuchLeaf(committer))?;

    // GRUP-5: references only, and only to what was delivered and checked (PF-14).
    let (mut committed, mut taken) = (Vec::new(), vec![false; pending.len()]);
    for queued in staged.queued_proposals() {
        if queued.proposal_or_ref_type() != ProposalOrRefType::Reference {
            return Err(Refusal::InlineProposal);
        }
        let reference = queued.proposal_reference_ref().as_slice();
        let (place, proposal) = pending.get(reference).ok_or(Refusal::UnknownProposal)?;
        committed.push(proposal);
        if let Some(taken) = taken.get_mut(place) {
            *taken = true;
        }
    }
    // GRUP-6, see `rules::leaves_out`.
    if rules::leaves_out(
        pending
            .proposals
            .iter()
            .map(|p| p.what.wish())
            .zip(taken.iter().copied()),
    ) {
        return Err(Refusal::ProposalLeftOut);
    }

    // GRUP-7, GRUP-8: a path always (PF-22), and the committer stays who it was (PF-02).
    let path = staged.update_path_leaf_node().ok_or(Refusal::PathMissing)?;
    check_same_identity(member, path)?;
    context.check_unchanged(staged.group_context())?;
    if context.policy().lobby() && committed.iter().any(|p| matches!(p.what, Proposed::Add(_))) {
        check_host(roster, committer)?;
    }
    apply(
        roster,
        &committed,
        committer,
        staged.group_context().epoch().as_u64(),
        now,
    )
}

/// PF-02: credential and signature key of a leaf never change while it is in the tree.
pub(crate) fn check_same_identity(member: &Member, leaf: &LeafNode) -> Result<(), Refusal> {
    let same_key = leaf.signature_key().as_slice() == member.certificate().key().as_mls_bytes();
    if same_key && leads_with(leaf.credential(), member.certificate().der()) {
        Ok(())
    } else {
        Err(Refusal::CommitterChanged)
    }
}

fn leads_with(credential: &Credential, der: &[u8]) -> bool {
    crate::identity::decode_chain(credential.serialized_content())
        .is_ok_and(|chain| chain.first().is_some_and(|leaf| leaf == der))
}

fn check_may_add(context: &CheckedContext, roster: &Roster, sender: &Sender) -> Result<(), Refusal> {
    match sender {
        // In a lobby room the service only hands over the request; a host's leaf commits it.
        Sender::External(_) => Ok(()),
        Sender::Member(leaf) if context.policy().lobby() => check_host(roster, leaf.u32()),
        _ => Err(Refusal::ProposalSender),
    }
}

fn check_host(roster: &Roster, leaf: u32) -> Result<(), Refusal> {
    match roster.get(leaf).map(Member::role) {
        Some(Role::Host) => Ok(()),
        _ => Err(Refusal::NotAHost),
    }
}

/// RFC 9420 section 12.3: Removes, then Adds in order, each at the leftmost free leaf.
fn apply(
    roster: &Roster,
    committed: &[&PendingProposal],
    committer: u32,
    epoch: u64,
    now: UnixMillis,
) -> Result<Change, Refusal> {
    let mut change = Change {
        epoch,
        committer,
        added: Vec::new(),
        added_refs: Vec::new(),
        removed: Vec::new(),
        roster: roster.clone(),
    };
    for proposal in committed {
        if let Proposed::Remove(leaf) = proposal.what {
            change.removed.extend(change.roster.remove(leaf));
        }
    }
    let mut devices = Index::new();
    if committed.iter().any(|p| matches!(p.what, Proposed::Add(_))) {
        for member in change.roster.iter() {
            devices.insert(device_of(member.certificate()), member.leaf() as usize);
        }
    }
    let mut seats = roster.leaves().collect();
    let mut free = rules::reseat(&mut seats, committed.iter().map(|p| p.what.wish())).into_iter();
    for proposal in committed {
        if let Proposed::Add(add) = &proposal.what {
            // The proposal may have waited; its certificate must still be good.
            if now > add.certificate().not_after() {
                return Err(crate::identity::CertificateError::Expired.into());
            }
            let leaf = free.next().ok_or(Refusal::TreeMismatch)?;
            let member = seat(&mut devices, leaf, add.certificate().clone())?;
            change.roster.insert(member.clone());
            change.added.push(member);
            change.added_refs.push(add.reference().to_vec());
        }
    }
    Ok(change)
}

/// GRUP-10: one leaf for each device of a person.
fn seat(devices: &mut Index, leaf: u32, certificate: CheckedCertificate) -> Result<Member, Refusal> {
    match devices.insert(device_of(&certificate), leaf as usize) {
        None => Ok(Member::new(leaf, certificate)),
        Some(_) => Err(Refusal::DeviceTwice),
    }
}

/// Person and device as one. What an id is made of (IDEN-5) has no room for what stands between.
fn device_of(certificate: &CheckedCertificate) -> Vec<u8> {
    device_named(
        certificate.person().unwrap_or_default(),
        certificate.device().unwrap_or_default(),
    )
}

fn device_named(person: &str, device: &str) -> Vec<u8> {
    [person, device].join("/").into_bytes()
}

/// The roster is the tree, leaf by leaf (PF-06). Cheap: no signature is verified again.
pub(crate) fn check_tree(roster: &Roster, members: impl Iterator<Item = MlsMember>) -> Result<(), Refusal> {
    let mut seen = 0;
    for member in members {
        let known = roster.get(member.index.u32()).ok_or(Refusal::TreeMismatch)?;
        let same = known.certificate().key().as_mls_bytes() == member.signature_key
            && leads_with(&member.credential, known.certificate().der());
        if !same {
            return Err(Refusal::TreeMismatch);
        }
        seen += 1;
    }
    if seen == roster.len() {
        Ok(())
    } else {
        Err(Refusal::TreeMismatch)
    }
}
