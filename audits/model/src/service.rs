//! The delivery service: proposes, takes the first good commit of an epoch, keeps what it took, tells everybody in one
//! order.

use std::collections::BTreeSet;

use e2ee_core::group::rules::{self, Wish};
use e2ee_core::wire::delivery::CommitRefusal;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    pub epoch: u32,
    pub key: Key,
    pub seats: Seats,
    pub pending: Vec<Proposal>,
    /// Each epoch's proposals and the commit that ended it.
    pub history: Vec<(Vec<Proposal>, Commit)>,
    /// Good commits that came too late, for a server that would show them to somebody.
    pub losers: Vec<Commit>,
    pub arrivals: Vec<Device>,
    pub departures: BTreeSet<u32>,
    next_proposal: u16,
}

/// To whom, and what.
pub(crate) type Out = Vec<(Device, Down)>;

impl Service {
    pub fn new(members: Device) -> Self {
        Self {
            epoch: 0,
            key: 1,
            seats: (0..members).map(|device| (u32::from(device), device)).collect(),
            pending: Vec::new(),
            history: Vec::new(),
            losers: Vec::new(),
            arrivals: Vec::new(),
            departures: BTreeSet::new(),
            next_proposal: 0,
        }
    }

    pub fn leaf_of(&self, device: Device) -> Option<u32> {
        self.seats.iter().find(|(_, d)| **d == device).map(|(leaf, _)| *leaf)
    }

    pub fn has_wishes(&self) -> bool {
        let removes = |leaf: &u32| self.pending.iter().any(|p| p.wish == Wish::Remove(*leaf));
        !self.arrivals.is_empty() || self.departures.iter().any(|leaf| !removes(leaf))
    }

    /// What has gathered, in one message.
    pub(crate) fn propose(&mut self, live: &BTreeSet<Device>) -> Out {
        let mut wishes: Vec<(Wish, Device)> = Vec::new();
        for leaf in std::mem::take(&mut self.departures) {
            if self.seats.contains_key(&leaf) && !self.pending.iter().any(|p| p.wish == Wish::Remove(leaf)) {
                wishes.push((Wish::Remove(leaf), self.seats[&leaf]));
            }
        }
        let (now, later): (Vec<Device>, Vec<Device>) = std::mem::take(&mut self.arrivals)
            .into_iter()
            .partition(|device| !self.pending.iter().any(|p| p.wish == Wish::Add && p.device == *device));
        self.arrivals = later;
        wishes.extend(now.into_iter().map(|device| (Wish::Add, device)));
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
        if fresh.is_empty() {
            return Vec::new();
        }
        self.tell(live, &Down::Proposals(self.epoch, fresh))
    }

    pub(crate) fn on_commit(&mut self, from: Device, commit: Commit, live: &BTreeSet<Device>) -> Out {
        let refuse = |kind| vec![(from, Down::Refused(commit.epoch, kind))];
        if commit.epoch < self.epoch {
            let (_, won) = &self.history[commit.epoch as usize];
            if *won == commit {
                return vec![(from, Down::Commit(commit))];
            }
            return refuse(CommitRefusalKind::Taken);
        }
        // The service cannot verify the confirmation tag; it does see whether a commit continues what it has.
        if commit.epoch > self.epoch || commit.after != self.key || self.leaf_of(from) != Some(commit.by) {
            return refuse(CommitRefusalKind::Invalid);
        }
        let takes = |p: &Proposal| commit.takes.contains(&p.id);
        if rules::leaves_out(self.pending.iter().map(|p| (p.wish, takes(p)))) {
            return refuse(CommitRefusalKind::Missing);
        }
        self.accept(commit, live)
    }

    fn accept(&mut self, commit: Commit, live: &BTreeSet<Device>) -> Out {
        let mut out = self.tell(live, &Down::Commit(commit.clone()));
        let pending = std::mem::take(&mut self.pending);
        let (seats, added) = seats_after(&self.seats, &pending, &commit.takes);
        self.seats = seats;
        self.epoch += 1;
        self.key = commit.key();
        self.losers.clear();
        self.history.push((pending, commit));
        for (leaf, device) in added {
            if live.contains(&device) {
                let seats = self.seats.clone();
                let (epoch, key) = (self.epoch, self.key);
                out.push((
                    device,
                    Down::Joined {
                        epoch,
                        key,
                        seats,
                        leaf,
                    },
                ));
            } else {
                self.departures.insert(leaf);
            }
        }
        out.extend(self.presence(live));
        out
    }

    pub(crate) fn presence(&self, live: &BTreeSet<Device>) -> Out {
        let up: BTreeSet<u32> = self
            .seats
            .iter()
            .filter(|(_, device)| live.contains(device))
            .map(|(leaf, _)| *leaf)
            .collect();
        self.tell(live, &Down::Presence(self.epoch, up))
    }

    /// What a client missed since the epoch that it names.
    pub(crate) fn resume(&self, device: Device, from: u32) -> Out {
        let mut out: Out = Vec::new();
        for (epoch, (proposals, commit)) in self.history.iter().enumerate().skip(from as usize) {
            let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
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
