//! A member: the product's committer and pursuit, and around them what the engine does with MLS.

use std::collections::{BTreeMap, BTreeSet};

use e2ee_core::group::engine::committer::{Committer, Epoch};
use e2ee_core::group::engine::pursuit::{Pursuit, Step};
use e2ee_core::group::rules::{self, Wish};
use e2ee_core::time::UnixMillis;

use crate::service::{Commit, CommitRefusalKind, Down, Proposal, Up, seats_after};
use crate::{Device, Key, Seats};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    pub device: Device,
    pub crashed: bool,
    /// None while it waits to be let in, or when it is out.
    pub group: Option<Group>,
    /// It is out for good.
    pub over: bool,
    /// Every key that it was ever given, and the roster that it was shown with it.
    pub held: BTreeMap<Key, Seats>,
    /// It said to whoever uses it that something is wrong.
    pub told: bool,
    refusals: u8,
    nonce: u8,
}

/// The epoch that a member is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    pub leaf: u32,
    pub epoch: u32,
    pub key: Key,
    pub seats: Seats,
    pub pending: Vec<Proposal>,
    committer: Committer,
    pursuit: Pursuit,
    /// An own commit on its way, and how many proposals there were.
    flight: Option<(Commit, usize)>,
}

/// After so many refusals a client gives up.
const MAX_REFUSALS: u8 = 5;

impl Epoch for Group {
    fn leaves(&self) -> impl Iterator<Item = u32> {
        self.seats.keys().copied()
    }

    fn removes(&self, leaf: u32) -> bool {
        self.pending.iter().any(|p| p.wish == Wish::Remove(leaf))
    }

    fn waits(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl Group {
    fn new(leaf: u32, epoch: u32, key: Key, seats: Seats, live: Option<BTreeSet<u32>>, now: UnixMillis) -> Self {
        Self {
            leaf,
            epoch,
            key,
            seats,
            pending: Vec::new(),
            committer: Committer::new(leaf, live, now),
            pursuit: Pursuit::default(),
            flight: None,
        }
    }

    /// When the next of its timers is due; the rekeying of quiet groups is not modelled.
    fn wake(&self) -> Option<UnixMillis> {
        let commit = self.committer.commit_at(self).filter(|_| self.waits());
        [commit, self.committer.resend_at(), self.pursuit.due()]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Member {
    pub fn seated(device: Device, seats: &Seats, key: Key, now: UnixMillis) -> Self {
        let leaf = u32::from(device);
        let live = Some(seats.keys().copied().collect());
        Self {
            group: Some(Group::new(leaf, 0, key, seats.clone(), live, now)),
            held: BTreeMap::from([(key, seats.clone())]),
            ..Self::applicant(device)
        }
    }

    pub fn applicant(device: Device) -> Self {
        Self {
            device,
            crashed: false,
            group: None,
            over: false,
            held: BTreeMap::new(),
            told: false,
            refusals: 0,
            nonce: 0,
        }
    }

    pub fn takes_part(&self) -> bool {
        !self.crashed && !self.over
    }

    pub fn wake(&self) -> Option<UnixMillis> {
        self.group.as_ref().filter(|_| self.takes_part())?.wake()
    }

    /// A timer of this member is due.
    pub fn on_time(&mut self, now: UnixMillis) -> Vec<Up> {
        let Some(group) = &mut self.group else {
            return Vec::new();
        };
        match group.pursuit.step(now) {
            Some(Step::AskAgain) => {
                self.told = true;
                group.pursuit.resumed(now);
                let mut up = vec![Up::Resume(group.epoch)];
                group.committer.connected_anew();
                up.extend(resend(group, now));
                return up;
            }
            Some(Step::GiveUp) => return self.rejoin(),
            None => {}
        }
        let mut up = Vec::new();
        if group.committer.resend_at().is_some_and(|at| now >= at) {
            up.extend(resend(group, now));
        }
        if group.committer.commit_at(&*group).is_some_and(|at| now >= at) {
            let removed = |leaf: u32| group.pending.iter().any(|p| p.wish == Wish::Remove(leaf));
            let takes = group
                .pending
                .iter()
                .filter(|p| !matches!(p.wish, Wish::Update(leaf) if removed(leaf)));
            self.nonce += 1;
            let commit = Commit {
                epoch: group.epoch,
                by: group.leaf,
                nonce: self.nonce,
                after: group.key,
                takes: takes.map(|p| p.id).collect(),
            };
            group.committer.sent(now);
            group.flight = Some((commit.clone(), group.pending.len()));
            up.push(Up::Commit(commit));
        }
        up
    }

    pub fn on_message(&mut self, message: Down, now: UnixMillis) -> Vec<Up> {
        let Some(group) = &mut self.group else {
            if let Down::Joined {
                epoch,
                key,
                seats,
                leaf,
            } = message
            {
                self.held.insert(key, seats.clone());
                self.group = Some(Group::new(leaf, epoch, key, seats, None, now));
                return vec![Up::Ack(epoch)];
            }
            return Vec::new();
        };
        match message {
            Down::Proposals(epoch, _) if epoch > group.epoch => return self.rejoin(),
            Down::Proposals(epoch, proposals) if epoch == group.epoch => {
                for proposal in proposals {
                    // ADMT-6: no certificate, no pending proposal.
                    if !proposal.certified {
                        self.told = true;
                    } else if !group.pending.contains(&proposal) {
                        if group.pending.is_empty() {
                            group.committer.proposed(now);
                        }
                        group.pending.push(proposal);
                        group.pursuit.caught_up();
                    }
                }
            }
            Down::Commit(commit) if commit.epoch > group.epoch => return self.rejoin(),
            Down::Commit(commit) if commit.epoch == group.epoch => return self.on_commit(&commit, now),
            Down::Refused(epoch, kind) => {
                let meant = group.flight.as_ref().is_some_and(|(commit, _)| commit.epoch == epoch);
                if meant
                    && !group.committer.refusal_is_stale()
                    && let Some((_, proposals)) = group.flight.take()
                {
                    let lacks = match kind {
                        CommitRefusalKind::Missing => proposals == group.pending.len(),
                        CommitRefusalKind::Taken => true,
                        CommitRefusalKind::Invalid => false,
                    };
                    if lacks {
                        group.pursuit.noticed(now);
                    }
                    let mut committer = group.committer.clone();
                    committer.refused(kind.into(), &*group, now);
                    group.committer = committer;
                }
            }
            Down::Presence(epoch, live) => {
                if epoch > group.epoch {
                    group.pursuit.noticed(now);
                }
                group.committer.presence(live);
            }
            Down::Ended => return self.rejoin(),
            _ => {}
        }
        Vec::new()
    }

    fn on_commit(&mut self, commit: &Commit, now: UnixMillis) -> Vec<Up> {
        let Some(group) = &mut self.group else {
            return Vec::new();
        };
        let known = |id: &u16| group.pending.iter().any(|p| p.id == *id);
        let takes = |p: &Proposal| commit.takes.contains(&p.id);
        // MLS: it continues this very group, and its committer is a member. GRUP-5, GRUP-6: references only to what
        // was delivered, and to all of it.
        let good = commit.after == group.key
            && group.seats.contains_key(&commit.by)
            && commit.takes.iter().all(known)
            && !rules::leaves_out(group.pending.iter().map(|p| (p.wish, takes(p))));
        if !good {
            return self.rejoin();
        }
        let (seats, added) = seats_after(&group.seats, &group.pending, &commit.takes);
        if seats.get(&group.leaf) != Some(&self.device) {
            // Removed: it never learns the key. Whoever is let in elsewhere by the same commit follows its Welcome.
            self.group = None;
            self.over = !added.iter().any(|(_, device)| *device == self.device);
            return Vec::new();
        }
        let own = commit.by == group.leaf;
        group.epoch += 1;
        group.key = commit.key();
        group.seats = seats;
        group.pending.clear();
        group.flight = None;
        let newcomers = added.into_iter().map(|(leaf, _)| leaf).collect();
        let mut committer = group.committer.clone();
        committer.entered(&*group, &newcomers, own, now);
        group.committer = committer;
        group.pursuit.caught_up();
        self.held.insert(group.key, group.seats.clone());
        vec![Up::Ack(group.epoch)]
    }

    /// PF-18: a refusal is told, and the way out is a fresh leaf.
    fn rejoin(&mut self) -> Vec<Up> {
        self.group = None;
        self.told = true;
        self.refusals += 1;
        if self.refusals >= MAX_REFUSALS {
            self.over = true;
            return vec![Up::Leave];
        }
        vec![Up::Join]
    }
}

fn resend(group: &mut Group, now: UnixMillis) -> Option<Up> {
    let (commit, _) = group.flight.as_ref()?;
    group.committer.sent_again(now);
    Some(Up::Commit(commit.clone()))
}
