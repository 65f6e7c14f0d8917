//! Everything together, as stateright explores it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use e2ee_core::group::rules::Wish;
use e2ee_core::time::UnixMillis;
use stateright::{Model, Property};

use crate::member::Member;
use crate::service::{Commit, Down, Out, Proposal, Service, Up};
use crate::{Device, Key, Seats};

/// How much may happen in one history. What is explored is everything within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    pub crashes: u8,
    pub leaves: u8,
    pub joins: u8,
    /// Messages that the server withholds, doubles, or shows in another order.
    pub lies: u8,
    /// Newcomers that the server invents, each shown to one member.
    pub forged_adds: u8,
    /// Commits that lost and that the server shows to somebody as if they had won.
    pub forks: u8,
    /// Members' timers that fire: how far time goes.
    pub timers: u8,
}

/// So many members, all in epoch 0, and what may happen to them.
#[derive(Clone, Copy, Debug)]
pub struct Meeting {
    pub members: Device,
    pub budget: Budget,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub now: UnixMillis,
    pub service: Service,
    pub members: Vec<Member>,
    up: Vec<VecDeque<Up>>,
    down: Vec<VecDeque<Down>>,
    /// Who crashed and is not taken for gone yet.
    unnoticed: BTreeSet<Device>,
    left: Budget,
    /// How often a timer fired, with nothing on its way, while the same proposals waited.
    waited: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Deliver(Device),
    Receive(Device),
    /// The earliest timer of all fires: a member's, or
    Fire(Device),
    /// the service's.
    Tick,
    NoticeGone(Device),
    Crash(Device),
    Leave(Device),
    Join,
    Withhold(Device),
    Double(Device),
    Swap(Device),
    ForgeAdd(Device),
    Fork(Device),
}

impl State {
    /// What happens by itself. Where there is nothing, all is quiet.
    fn progress(&self, out: &mut Vec<Action>) {
        for device in self.devices() {
            if !self.up[device as usize].is_empty() {
                out.push(Action::Receive(device));
            }
            if !self.down[device as usize].is_empty() {
                out.push(Action::Deliver(device));
            }
        }
        let members = self.members.iter();
        let wakes = members.filter_map(|m| m.wake().map(|at| (at.max(self.now), Action::Fire(m.device))));
        let service = self.service.wake(self.now).map(|at| (at, Action::Tick));
        let wakes: Vec<_> = wakes.chain(service).collect();
        let first = wakes.iter().map(|(at, _)| *at).min();
        out.extend(
            wakes
                .into_iter()
                .filter(|(at, _)| Some(*at) == first)
                .map(|(_, action)| action),
        );
        out.extend(self.unnoticed.iter().map(|device| Action::NoticeGone(*device)));
    }

    fn mischief(&self, out: &mut Vec<Action>) {
        for member in self.members.iter().filter(|m| m.takes_part()) {
            let device = member.device;
            let heard = &self.down[device as usize];
            let enabled = [
                (self.left.crashes > 0, Action::Crash(device)),
                (self.left.leaves > 0 && member.group.is_some(), Action::Leave(device)),
                (self.left.lies > 0 && !heard.is_empty(), Action::Withhold(device)),
                (self.left.lies > 0 && !heard.is_empty(), Action::Double(device)),
                (self.left.lies > 0 && heard.len() > 1, Action::Swap(device)),
                (
                    self.left.forged_adds > 0 && member.group.is_some(),
                    Action::ForgeAdd(device),
                ),
                (
                    self.left.forks > 0 && self.fork_for(device).is_some(),
                    Action::Fork(device),
                ),
            ];
            out.extend(enabled.into_iter().filter(|(on, _)| *on).map(|(_, action)| action));
        }
        if self.left.joins > 0 {
            out.push(Action::Join);
        }
    }

    /// A commit that is on its way up and could be shown to this member in place of the one that won.
    fn fork_for(&self, device: Device) -> Option<(usize, Commit)> {
        let (place, won) =
            self.down[device as usize]
                .iter()
                .enumerate()
                .find_map(|(place, message)| match message {
                    Down::Commit(commit) => Some((place, commit)),
                    _ => None,
                })?;
        let other = self.up.iter().flatten().find_map(|message| match message {
            Up::Commit(other) if other.epoch == won.epoch && other != won => Some(other.clone()),
            _ => None,
        })?;
        Some((place, other))
    }

    fn devices(&self) -> impl Iterator<Item = Device> + use<> {
        0..Device::try_from(self.members.len()).unwrap_or(Device::MAX)
    }

    fn live(&self) -> BTreeSet<Device> {
        let up = self
            .members
            .iter()
            .filter(|m| m.takes_part() || self.unnoticed.contains(&m.device));
        up.map(|m| m.device).collect()
    }

    /// Those of them that hold their leaf: whoever left, or asks to be let in anew, does not.
    fn holders(&self) -> BTreeSet<Device> {
        let mut live = self.live();
        live.retain(|device| !self.service.arrivals.contains(device) || self.service.leaf_of(*device).is_none());
        live
    }

    fn send(&mut self, out: Out) {
        for (device, message) in out {
            if self.members[device as usize].takes_part() {
                self.down[device as usize].push_back(message);
            }
        }
    }

    fn receive(&mut self, device: Device) {
        let Some(message) = self.up[device as usize].pop_front() else {
            return;
        };
        let live = self.live();
        let out = match message {
            Up::Commit(commit) => self.service.on_commit(device, commit, &live, self.now),
            Up::Ack(epoch) => {
                if let Some(leaf) = self.service.leaf_of(device).filter(|_| epoch == self.service.epoch) {
                    self.service.delivery.acked(leaf);
                }
                Vec::new()
            }
            Up::Join => {
                self.service.leaves_its_leaf(device, self.now);
                self.service.arrivals.push(device);
                Vec::new()
            }
            Up::Leave => {
                self.service.leaves_its_leaf(device, self.now);
                self.service.presence(&live)
            }
            Up::Resume(epoch) => {
                // A new connection: nothing of the old one arrives any more.
                self.down[device as usize].clear();
                let mut out = self.service.resume(device, epoch);
                out.extend(self.service.presence(&live));
                out
            }
        };
        self.send(out);
        self.follow_up();
    }

    /// What follows at the service from what just happened.
    fn follow_up(&mut self) {
        let out = self.service.step(&self.holders(), self.now);
        self.send(out);
    }

    /// Bounded progress: time alone must end an epoch whose proposals wait.
    fn note_waiting(&mut self, before: &Self) {
        let nothing_moves = before.up.iter().all(VecDeque::is_empty) && before.down.iter().all(VecDeque::is_empty);
        let same = self.service.epoch == before.service.epoch && !before.service.pending.is_empty();
        match (same, nothing_moves) {
            (true, true) => self.waited += 1,
            (true, false) => {}
            (false, _) => self.waited = 0,
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Receive(device) => self.receive(device),
            Action::Deliver(device) => {
                if let Some(message) = self.down[device as usize].pop_front() {
                    let now = self.now;
                    let member = &mut self.members[device as usize];
                    if member.takes_part() {
                        let up = member.on_message(message, now);
                        self.up[device as usize].extend(up);
                    }
                }
            }
            Action::Fire(device) => {
                self.left.timers -= 1;
                if let Some(at) = self.members[device as usize].wake() {
                    self.now = self.now.max(at);
                }
                let up = self.members[device as usize].on_time(self.now);
                self.up[device as usize].extend(up);
            }
            Action::Tick => {
                if let Some(at) = self.service.wake(self.now) {
                    self.now = self.now.max(at);
                }
                self.follow_up();
            }
            Action::NoticeGone(device) => {
                self.unnoticed.remove(&device);
                self.service.arrivals.retain(|other| *other != device);
                if let Some(leaf) = self.service.leaf_of(device) {
                    self.service.delivery.lost(leaf, self.now);
                }
                let out = self.service.presence(&self.live());
                self.send(out);
                self.follow_up();
            }
            Action::Crash(device) => {
                self.left.crashes -= 1;
                self.members[device as usize].crashed = true;
                self.down[device as usize].clear();
                self.unnoticed.insert(device);
            }
            Action::Leave(device) => {
                self.left.leaves -= 1;
                let member = &mut self.members[device as usize];
                (member.over, member.group) = (true, None);
                self.down[device as usize].clear();
                self.up[device as usize].push_back(Up::Leave);
            }
            Action::Join => {
                self.left.joins -= 1;
                let device = Device::try_from(self.members.len()).unwrap_or(Device::MAX);
                self.members.push(Member::applicant(device));
                self.up.push(VecDeque::from([Up::Join]));
                self.down.push(VecDeque::new());
            }
            Action::Withhold(device) => {
                self.left.lies -= 1;
                self.down[device as usize].pop_front();
            }
            Action::Double(device) => {
                self.left.lies -= 1;
                let first = self.down[device as usize].front().cloned();
                self.down[device as usize].extend(first);
            }
            Action::Swap(device) => {
                self.left.lies -= 1;
                self.down[device as usize].swap(0, 1);
            }
            Action::ForgeAdd(device) => {
                self.left.forged_adds -= 1;
                let forged = Proposal {
                    id: u16::MAX,
                    wish: Wish::Add,
                    device: Device::MAX,
                    certified: false,
                };
                let epoch = self.service.epoch;
                self.down[device as usize].push_back(Down::Proposals(epoch, vec![forged]));
            }
            Action::Fork(device) => {
                self.left.forks -= 1;
                if let Some((place, other)) = self.fork_for(device) {
                    self.down[device as usize][place] = Down::Commit(other);
                }
            }
        }
    }

    /// Nothing moves any more by itself.
    pub fn is_quiet(&self) -> bool {
        let mut progress = Vec::new();
        self.progress(&mut progress);
        progress.is_empty()
    }

    /// One key, one roster, and nobody holds it who is not on it.
    pub fn only_the_roster_holds_keys(&self) -> bool {
        let mut rosters: BTreeMap<Key, &Seats> = BTreeMap::new();
        self.members.iter().all(|member| {
            member.held.iter().all(|(key, seats)| {
                seats.values().any(|device| *device == member.device) && *rosters.entry(*key).or_insert(seats) == seats
            })
        })
    }

    pub fn one_commit_an_epoch(&self, forked: bool) -> bool {
        let mut keys: BTreeMap<u32, Key> = BTreeMap::new();
        let groups = self.members.iter().filter_map(|m| m.group.as_ref());
        forked
            || groups
                .into_iter()
                .all(|group| *keys.entry(group.epoch).or_insert(group.key) == group.key)
    }

    /// Where all is quiet: whoever takes part is in the service's epoch, and nothing is left undone while somebody could
    /// do it. Whoever was lied to may instead know that it is not: it said so, waits to be let in again, or (where two
    /// commits were shown for one epoch) misses the heartbeats of somebody on its roster (HEAL-5).
    pub fn settled(&self, used: Used) -> bool {
        let in_step = |member: &Member| {
            member
                .group
                .as_ref()
                .is_some_and(|group| group.epoch == self.service.epoch && group.key == self.service.key)
        };
        let parts = || self.members.iter().filter(|m| m.takes_part());
        if !parts().any(in_step) {
            return true;
        }
        let misses_somebody = |member: &Member| {
            member.group.as_ref().is_some_and(|own| {
                parts().any(|other| {
                    let seated = own.seats.values().any(|device| *device == other.device);
                    seated && other.group.as_ref().is_none_or(|group| group.key != own.key)
                })
            })
        };
        let knows = |member: &Member| {
            (used.lies && (member.told || member.group.is_none())) || (used.forks && misses_somebody(member))
        };
        parts().all(|member| in_step(member) || knows(member)) && self.service.pending.is_empty()
    }

    /// Bounded progress, where nobody lies: a dead committer costs its place in the line, a lost race one more turn.
    pub fn waits_too_long(&self) -> bool {
        usize::from(self.waited) > 2 * self.members.len()
    }
}

/// Which kinds of lies were told so far.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub lies: bool,
    pub forks: bool,
}

impl Meeting {
    fn used(&self, state: &State) -> Used {
        let forks = state.left.forks < self.budget.forks;
        let forged = state.left.forged_adds < self.budget.forged_adds;
        Used {
            lies: forks || forged || state.left.lies < self.budget.lies,
            forks,
        }
    }
}

impl Model for Meeting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let start = UnixMillis(1_000_000);
        let service = Service::new(self.members, start);
        let members: Vec<Member> = (0..self.members)
            .map(|device| Member::seated(device, &service.seats, service.key, start))
            .collect();
        let queues = members.len();
        vec![State {
            now: start,
            service,
            members,
            up: vec![VecDeque::new(); queues],
            down: vec![VecDeque::new(); queues],
            unnoticed: BTreeSet::new(),
            left: self.budget,
            waited: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.progress(actions);
        if state.left.timers == 0 {
            actions.retain(|action| !matches!(action, Action::Fire(_)));
        }
        state.mischief(actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        next.act(&action);
        if matches!(action, Action::Fire(_)) {
            next.note_waiting(last);
        } else if next.service.epoch != last.service.epoch {
            next.waited = 0;
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one commit an epoch", |model: &Self, state: &State| {
                state.one_commit_an_epoch(model.used(state).forks)
            }),
            Property::always("only the roster holds keys", |_, state: &State| {
                state.only_the_roster_holds_keys()
            }),
            Property::always(
                "where all is quiet, all are in one epoch or know why not",
                |model: &Self, state: &State| !state.is_quiet() || state.settled(model.used(state)),
            ),
            Property::eventually(
                "everything settles, or the bound is reached",
                |model: &Self, state: &State| {
                    state.left.timers == 0 || (state.is_quiet() && state.settled(model.used(state)))
                },
            ),
            Property::always("no proposal waits for ever", |model: &Self, state: &State| {
                model.used(state).lies || !state.waits_too_long()
            }),
            Property::sometimes("a generation ends and the next begins", |_, state: &State| {
                state.service.has_begun_anew()
            }),
            Property::sometimes("an epoch ends", |_, state: &State| state.service.epoch > 0),
            Property::sometimes("a deputy commits", |_, state: &State| {
                state.service.history.iter().any(|(_, commit)| commit.by > 0)
            }),
            Property::sometimes("all is quiet again", |_, state: &State| {
                state.service.epoch > 0 && state.is_quiet()
            }),
        ]
    }
}
