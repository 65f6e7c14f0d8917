//! AUDT-7 to AUDT-9: the groups of the room are made by nothing but their members' signed messages, replayed here from
//! the first to the last with the very checks that members apply.

use e2ee_core::group::{Profile, PublicRoom, Refusal};
use e2ee_core::identity::{Member, Roster, TrustRoot};
use e2ee_core::log::entry::EpochRecord;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::transcript::{Epoch, EpochEvidence, Generation};

use crate::issued::creator_issued_at;
use crate::report::{Claim, Place, Report};

/// A generation as far as it could be replayed.
pub(crate) struct Replayed<'a> {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) generation: &'a Generation,
    pub(crate) epochs: Vec<ReplayedEpoch<'a>>,
}

/// An epoch whose making was verified.
pub(crate) struct ReplayedEpoch<'a> {
    pub(crate) epoch: u64,
    /// The service's word; none for epoch 0.
    pub(crate) stored_at: Option<UnixMillis>,
    pub(crate) evidence: &'a EpochEvidence,
    /// What must stand on the log; none if the bundle has no proper salt.
    pub(crate) record: Option<EpochRecord>,
    pub(crate) committer: String,
    pub(crate) joined: Vec<Member>,
    pub(crate) left: Vec<Member>,
    pub(crate) roster: Roster,
}

impl Replayed<'_> {
    pub(crate) fn place(&self) -> Place {
        Place::generation(self.number)
    }

    /// Epochs in the bundle that come after the last one replayed.
    pub(crate) fn not_replayed(&self) -> usize {
        (1 + self.generation.epochs.len()).saturating_sub(self.epochs.len())
    }
}

/// Replays until the end, or until something is wrong: what comes after that could not be judged.
pub(crate) fn check<'a>(
    report: &mut Report,
    number: usize,
    generation: &'a Generation,
    root: &TrustRoot,
    profile: Option<Profile>,
) -> Replayed<'a> {
    let mut replayed = Replayed {
        number,
        generation,
        epochs: Vec::new(),
    };
    let place = replayed.place();
    let Some(mut room) = genesis(report, place, generation, root, profile) else {
        return replayed;
    };
    replayed.epochs.push(ReplayedEpoch {
        epoch: 0,
        stored_at: None,
        evidence: &generation.genesis,
        record: record(&room, &generation.genesis),
        committer: creator(room.roster()),
        joined: room.roster().iter().cloned().collect(),
        left: Vec::new(),
        roster: room.roster().clone(),
    });
    for epoch in &generation.epochs {
        match enter(report, place, &mut room, epoch, generation) {
            Some(entered) => replayed.epochs.push(entered),
            None => break,
        }
    }
    replayed
}

/// AUDT-7. The bundle gives no time for a group's making, so it is judged as of its creator's certificate's issuing.
fn genesis(
    report: &mut Report,
    place: Place,
    generation: &Generation,
    root: &TrustRoot,
    profile: Option<Profile>,
) -> Option<PublicRoom> {
    let group_info = generation.group_info.as_slice();
    let now = creator_issued_at(group_info).unwrap_or_default();
    let room = PublicRoom::create(group_info, generation.group_id.as_slice(), root, now).and_then(|room| {
        // CLNT-8: members hold the link's algorithms against the group, and so does whoever audits by the link.
        let as_pinned = profile.is_none_or(|profile| room.policy().profile() == profile);
        if as_pinned {
            Ok(room)
        } else {
            Err(Refusal::OtherProfile)
        }
    });
    report.judge(Claim::Genesis, place.epoch(0), "group's making", room)
}

fn enter<'a>(
    report: &mut Report,
    place: Place,
    room: &mut PublicRoom,
    epoch: &'a Epoch,
    generation: &Generation,
) -> Option<ReplayedEpoch<'a>> {
    let next = room.epoch() + 1;
    let place = place.epoch(next);
    if epoch.epoch != next {
        out_of_order(report, place, epoch.epoch, generation);
        return None;
    }
    let now = UnixMillis(epoch.stored_at);
    let mut all_proposals_hold = true;
    for (at, proposal) in (1..).zip(&epoch.proposals) {
        let applied = room.apply(proposal.as_slice(), now);
        let what = format!("proposal {at} of {}", epoch.proposals.len());
        all_proposals_hold &= report.judge(Claim::Proposals, place, what, applied).is_some();
    }
    let before = room.roster().clone();
    let entered = room
        .replay_commit(epoch.commit.as_slice(), now)
        .and_then(|commit| room.merge(commit));
    let change = match entered {
        Ok(change) => {
            report.holds(Claim::Commit);
            change
        }
        // What is wrong with it was said with the proposal that it takes.
        Err(_) if !all_proposals_hold => return None,
        Err(why) => {
            report.fails(Claim::Commit, place, "commit", why);
            return None;
        }
    };
    Some(ReplayedEpoch {
        epoch: next,
        stored_at: Some(now),
        evidence: &epoch.evidence,
        record: record(room, &epoch.evidence),
        committer: before
            .get(change.committer)
            .map(|m| m.name().to_owned())
            .unwrap_or_default(),
        joined: change.added,
        left: change.removed,
        roster: change.roster,
    })
}

/// AUDT-13, AUDT-15: an epoch that is gone and one that stands elsewhere are two different lies.
fn out_of_order(report: &mut Report, expected: Place, found: u64, generation: &Generation) {
    let wanted = expected.epoch;
    if generation.epochs.iter().any(|epoch| Some(epoch.epoch) == wanted) {
        let why = format!("the bundle gives epoch {found} in its place");
        report.fails(Claim::Order, expected, "order of epochs", why);
    } else {
        let why = format!("the bundle leaves it out and goes on with epoch {found}");
        report.fails(Claim::Complete, expected, "epoch", why);
    }
}

fn record(room: &PublicRoom, evidence: &EpochEvidence) -> Option<EpochRecord> {
    let salt = evidence.roster_salt.as_slice().try_into().ok()?;
    Some(room.epoch_record(salt))
}

fn creator(roster: &Roster) -> String {
    roster
        .iter()
        .next()
        .map(|member| member.name().to_owned())
        .unwrap_or_default()
}
