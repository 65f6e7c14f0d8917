//! The delivery service: the product's decisions, and around them what it keeps and tells everybody in one order.

use std::collections::BTreeSet;

use e2ee_core::group::delivery::{Delivery, Timing, Turn};
use e2ee_core::group::engine::committer::Epoch;
use e2ee_core::group::rules::{self, Wish};
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{CommitRefusal, GroupEpoch};

use crate::{Device, Key, Seats, next_key};

/// Asks for somebody to be added or removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposal {
    pub id: u16,
    pub wish: Wish,
    /// Whom an Add is about.
    pub device: Device,
    /// Whether it carries a certificate of the pinned root, which no service can forge.
    pub certified: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    pub epoch: u32,
    pub by: u32,
    /// Each attempt has a path of its own.
    pub nonce: u8,
    /// The epoch's key that it continues; only those who hold it can make or follow it.
    pub after: Key,
    pub takes: Vec<u16>,
}

impl Commit {
    pub fn key(&self) -> Key {
        next_key(self.after, self.by, self.nonce, &self.takes)
    }
}

/// From a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Up {
    Commit(Commit),
    Ack(u32),
    Join,
    Leave,
    Resume(u32),
}

/// To a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Down {
    Proposals(u32, Vec<Proposal>),
    Commit(Commit),
    Refused(u32, CommitRefusalKind),
    Presence(u32, BTreeSet<u32>),
    Joined {
        epoch: u32,
        key: Key,
        seats: Seats,
        leaf: u32,
    },
    Ended,
}

/// [`CommitRefusal`], which cannot be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitRefusalKind {
    Taken,
    Missing,
    Invalid,
}

impl From<CommitRefusalKind> for CommitRefusal {
    fn from(kind: CommitRefusalKind) -> Self {
        match kind {
            CommitRefusalKind::Taken => Self::EpochTaken,
            CommitRefusalKind::Missing => Self::ProposalsMissing,
            CommitRefusalKind::Invalid => Self::Invalid,
        }
    }
}

/// What it decides is [`Delivery`], the product's own; around it, what the key server keeps in its database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    pub epoch: u32,
    /// The first epoch of this generation: an epoch has one number over all generations here.
    first: u32,
    pub key: Key,
    pub seats: Seats,
    pub pending: Vec<Proposal>,
    /// Each epoch's proposals and the commit that ended it, in this generation.
    pub history: Vec<(Vec<Proposal>, Commit)>,
    /// Good commits that came too late, for a server that would show them to somebody.
    pub losers: Vec<Commit>,
    pub arrivals: Vec<Device>,
    pub delivery: Delivery,
    next_proposal: u16,
}

/// To whom, and what.
pub(crate) type Out = Vec<(Device, Down)>;

impl Epoch for Service {
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

impl Service {
    pub fn new(members: Device, now: UnixMillis) -> Self {
        Self {
            epoch: 0,
            first: 0,
            key: 1,
            seats: (0..members).map(|device| (u32::from(device), device)).collect(),
            pending: Vec::new(),
            history: Vec::new(),
            losers: Vec::new(),
            arrivals: Vec::new(),
            delivery: Delivery::new(Timing::default(), now),
            next_proposal: 0,
        }
    }

    pub fn has_begun_anew(&self) -> bool {
        self.first > 0 && !self.seats.is_empty()
    }

    pub fn leaf_of(&self, device: Device) -> Option<u32> {
        self.seats.iter().find(|(_, d)| **d == device).map(|(leaf, _)| *leaf)
    }

    /// Who asks to be let in and may be added in this epoch: one Add for each device.
    fn to_add(&self) -> impl Iterator<Item = Device> {
        let asked = |device: Device| self.pending.iter().any(|p| p.wish == Wish::Add && p.device == device);
        self.arrivals.iter().copied().filter(move |device| !asked(*device))
    }

    fn to_remove(&self, now: UnixMillis) -> Vec<u32> {
        let replaced = self.to_add().filter_map(|device| self.leaf_of(device)).collect();
        self.delivery.removals(self, &replaced, now)
    }

    /// A member goes, or asks to be let in anew.
    pub(crate) fn leaves_its_leaf(&mut self, device: Device, now: UnixMillis) {
        self.arrivals.retain(|other| *other != device);
        if let Some(leaf) = self.leaf_of(device) {
            self.delivery.leaves(leaf, now);
        }
    }

    /// When it does something although nothing comes in.
    pub(crate) fn wake(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.delivery.next(now).filter(|_| !self.seats.is_empty())
    }

    /// Everything that follows from the state: the end of a generation, the next one, proposals.
    pub(crate) fn step(&mut self, live: &BTreeSet<Device>, now: UnixMillis) -> Out {
        let mut out = Vec::new();
        let mut delivery = self.delivery.clone();
        let leaves = self.live_leaves(live);
        delivery.look(self, &leaves, now);
        if !self.seats.is_empty() && delivery.is_over(self, &leaves, now) {
            out.extend(self.tell(live, &Down::Ended));
            self.seats.clear();
            self.pending.clear();
            self.history.clear();
            self.losers.clear();
            self.epoch += 1;
            self.first = self.epoch;
        }
        let due = !self.seats.is_empty() && (self.to_add().next().is_some() || !self.to_remove(now).is_empty());
        let proposes = delivery.proposes(due, now);
        self.delivery = delivery;
        if self.seats.is_empty() {
            out.extend(self.begin(live, now));
        } else if proposes {
            out.extend(self.propose(live, now));
        }
        out
    }

    /// The first who waits makes the next generation's group.
    fn begin(&mut self, live: &BTreeSet<Device>, now: UnixMillis) -> Out {
        let Some(place) = self.arrivals.iter().position(|device| live.contains(device)) else {
            return Vec::new();
        };
        let device = self.arrivals.remove(place);
        self.seats = Seats::from([(0, device)]);
        self.key = next_key(self.key, 0, u8::MAX, &[]);
        self.delivery = Delivery::new(Timing::default(), now);
        let joined = Down::Joined {
            epoch: self.epoch,
            key: self.key,
            seats: self.seats.clone(),
            leaf: 0,
        };
        vec![(device, joined)]
    }

    fn live_leaves(&self, live: &BTreeSet<Device>) -> BTreeSet<u32> {
        let up = self.seats.iter().filter(|(_, device)| live.contains(device));
        up.map(|(leaf, _)| *leaf).collect()
    }

    /// What has gathered, in one message.
    fn propose(&mut self, live: &BTreeSet<Device>, now: UnixMillis) -> Out {
        let removals = self.to_remove(now).into_iter();
        let mut wishes: Vec<(Wish, Device)> = removals.map(|leaf| (Wish::Remove(leaf), self.seats[&leaf])).collect();
        wishes.extend(self.to_add().map(|device| (Wish::Add, device)));
        let fresh: Vec<Proposal> = wishes
            .into_iter()
            .map(|(wish, device)| {
                self.next_proposal += 1;
                Proposal {
                    id: self.next_proposal,
                    wish,
                    device,
                    certified: true,
                }
            })
            .collect();
        self.pending.extend(fresh.iter().cloned());
        self.delivery.proposed(now);
        self.tell(live, &Down::Proposals(self.epoch, fresh))
    }

    fn at(&self, epoch: u32) -> GroupEpoch {
        GroupEpoch {
            group_id: vec![0].into(),
            epoch: epoch.into(),
        }
    }

    pub(crate) fn on_commit(&mut self, from: Device, commit: Commit, live: &BTreeSet<Device>, now: UnixMillis) -> Out {
        let refuse = |kind| vec![(from, Down::Refused(commit.epoch, kind))];
        match Delivery::turn(Some(&self.at(self.epoch)), &self.at(commit.epoch)) {
            Turn::Now => {}
            Turn::Never => return refuse(CommitRefusalKind::Invalid),
            Turn::Late => {
                let place = commit.epoch.checked_sub(self.first);
                return match place.and_then(|place| self.history.get(place as usize)) {
                    Some((_, won)) if *won == commit => vec![(from, Down::Commit(commit))],
                    Some((_, won)) => {
                        let won = (from, Down::Commit(won.clone()));
                        refuse(CommitRefusalKind::Taken).into_iter().chain([won]).collect()
                    }
                    None => refuse(CommitRefusalKind::Taken),
                };
            }
        }
        // The service cannot verify the confirmation tag; it does see whether a commit continues what it has.
        if commit.after != self.key || self.leaf_of(from) != Some(commit.by) {
            return refuse(CommitRefusalKind::Invalid);
        }
        let takes = |p: &Proposal| commit.takes.contains(&p.id);
        if rules::leaves_out(self.pending.iter().map(|p| (p.wish, takes(p)))) {
            return refuse(CommitRefusalKind::Missing);
        }
        self.accept(commit, live, now)
    }

    fn accept(&mut self, commit: Commit, live: &BTreeSet<Device>, now: UnixMillis) -> Out {
        let mut out = self.tell(live, &Down::Commit(commit.clone()));
        let pending = std::mem::take(&mut self.pending);
        let (seats, added) = seats_after(&self.seats, &pending, &commit.takes);
        self.seats = seats;
        self.epoch += 1;
        self.key = commit.key();
        self.losers.clear();
        self.history.push((pending, commit));
        self.delivery
            .entered(added.iter().map(|(leaf, _)| *leaf).collect(), now);
        for (leaf, device) in added {
            // Whoever went before being let in holds nothing of this leaf.
            if !live.contains(&device) || !self.arrivals.contains(&device) {
                self.delivery.leaves(leaf, now);
                continue;
            }
            self.arrivals.retain(|other| *other != device);
            let joined = Down::Joined {
                epoch: self.epoch,
                key: self.key,
                seats: self.seats.clone(),
                leaf,
            };
            out.push((device, joined));
        }
        out.extend(self.presence(live));
        out
    }

    pub(crate) fn presence(&self, live: &BTreeSet<Device>) -> Out {
        self.tell(live, &Down::Presence(self.epoch, self.live_leaves(live)))
    }

    /// What a client missed since the epoch that it names.
    pub(crate) fn resume(&self, device: Device, from: u32) -> Out {
        let Some(place) = from.checked_sub(self.first) else {
            return vec![(device, Down::Ended)];
        };
        let mut out: Out = Vec::new();
        for (epoch, (proposals, commit)) in (from..).zip(self.history.iter().skip(place as usize)) {
            out.push((device, Down::Proposals(epoch, proposals.clone())));
            out.push((device, Down::Commit(commit.clone())));
        }
        if self.leaf_of(device).is_some() {
            out.push((device, Down::Proposals(self.epoch, self.pending.clone())));
        } else {
            out.push((device, Down::Ended));
        }
        out
    }

    fn tell(&self, live: &BTreeSet<Device>, what: &Down) -> Out {
        self.seats
            .values()
            .filter(|device| live.contains(device))
            .map(|device| (*device, what.clone()))
            .collect()
    }
}

/// Who sits where after a commit, and the added. The arithmetic is the product's.
pub(crate) fn seats_after(seats: &Seats, pending: &[Proposal], takes: &[u16]) -> (Seats, Vec<(u32, Device)>) {
    let taken = || pending.iter().filter(|p| takes.contains(&p.id));
    let mut leaves: BTreeSet<u32> = seats.keys().copied().collect();
    let free = rules::reseat(&mut leaves, taken().map(|p| p.wish));
    let removed: BTreeSet<u32> = taken()
        .filter_map(|p| match p.wish {
            Wish::Remove(leaf) => Some(leaf),
            _ => None,
        })
        .collect();
    let mut after: Seats = seats
        .iter()
        .filter(|(leaf, _)| !removed.contains(leaf))
        .map(|(leaf, device)| (*leaf, *device))
        .collect();
    let added: Vec<(u32, Device)> = free
        .into_iter()
        .zip(taken().filter(|p| p.wish == Wish::Add).map(|p| p.device))
        .collect();
    after.extend(added.iter().copied());
    (after, added)
}
