//! Whole meetings from a seed: what people do, what the network does, and what the server does, in virtual time.
//!
//! During and after each the same must hold (see [`crate::ledger`], [`crate::air`], [`crate::watch`]); what has to be
//! true in the end depends on who was hostile.

use std::collections::BTreeSet;
use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::Input;

use crate::air::{Air, Tally, Weather};
use crate::dice::Dice;
use crate::service::{Death, Dies, Id};
use crate::storm::{Malice, Storm};
use crate::watch::{TOLD_WITHIN, Watch, told};
use crate::world::World;

/// Who is hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The network only: lines stall and break, clients crash.
    Network,
    /// The server dies, at any step of storing, and comes back.
    Dying,
    /// The server withholds, doubles, reorders, alters, replays and invents.
    Lying,
    /// The server tells two stories and hides it.
    Forking,
}

impl Kind {
    pub fn of(seed: u64) -> Self {
        match seed % 8 {
            0 | 4 => Self::Network,
            1 | 5 => Self::Dying,
            2 | 3 | 6 => Self::Lying,
            _ => Self::Forking,
        }
    }
}

/// How often a server dies in one meeting, at most.
const DEATHS: u32 = 3;
const STEPS: usize = 18;
const MOST_PEOPLE: usize = 6;

/// Plays one meeting; panics where something does not hold.
pub fn meeting(seed: u64) -> Tally {
    let kind = Kind::of(seed);
    let profile = if seed % 16 >= 14 {
        Profile::Fips
    } else {
        Profile::Standard
    };
    let mut play = Play::new(seed, kind, profile);
    play.hostile_time();
    match kind {
        Kind::Network | Kind::Dying => play.calm_and_agreed(),
        Kind::Lying => play.calm_after_lies(),
        Kind::Forking => play.forked(),
    }
    play.world.ledger.check_holders(|id| play.world.device_of(id));
    play.world.air.take().map(|air| air.tally).unwrap_or_default()
}

/// Three come, one of them late, one goes: with a server that dies where told. How often it stored something.
pub fn stores_of_a_small_meeting(death: Option<Death>) -> u64 {
    let mut world = World::new(Profile::Standard);
    world.service.mortal(death);
    world.join(0);
    world.join(1);
    world.run(Duration::from_secs(2));
    world.join(2);
    world.run(Duration::from_secs(2));
    world.input(1, Input::Leave);
    world.run(Duration::from_secs(12));
    let expected = world.taking_part();
    assert_eq!(expected, [0, 2], "{death:?}");
    assert_eq!(world.active(), expected, "{death:?}: whoever is connected is in");
    world.assert_agreed(2);
    world.ledger.check_holders(|id| world.device_of(id));
    world.ledger.check_one_story(&world.service.rosters);
    for (id, client) in &world.clients {
        assert!(
            client.refusals().is_empty(),
            "{death:?}, client {id}: {:?}",
            client.refusals()
        );
    }
    world.service.stores()
}

struct Play {
    kind: Kind,
    world: World,
    watch: Watch,
    dice: Dice,
    next: Id,
    cut: Vec<Id>,
    deaths: u32,
}

impl Play {
    fn new(seed: u64, kind: Kind, profile: Profile) -> Self {
        let mut world = World::new(profile);
        let malice = match kind {
            Kind::Network | Kind::Dying => Malice::ROUGH,
            Kind::Lying => Malice::LYING,
            Kind::Forking => Malice::default(),
        };
        world.storm = Some(Storm::new(malice, Dice::named(seed, 1)));
        let weather = Weather {
            delay: (10, 300),
            lost: 30,
            doubled: 30,
            forged: 20,
        };
        let air = Air::new(weather, Duration::from_millis(400), Dice::named(seed, 2), world.now);
        world.air = Some(air);
        let mut play = Self {
            kind,
            world,
            watch: Watch::default(),
            dice: Dice::named(seed, 3),
            next: 0,
            cut: Vec::new(),
            deaths: 0,
        };
        if kind == Kind::Dying {
            play.world.service.mortal(None);
            play.plan_death();
        }
        play
    }

    fn plan_death(&mut self) {
        if self.deaths == DEATHS {
            return;
        }
        self.deaths += 1;
        let dies = match self.dice.below(3) {
            0 => Dies::Before,
            1 => Dies::After,
            _ => Dies::Having(1 + self.dice.index(4)),
        };
        let store = self.world.service.stores() + 1 + u64::from(self.dice.below(8));
        self.world.service.mortal(Some(Death { store, dies }));
    }

    fn hostile_time(&mut self) {
        for _ in 0..STEPS {
            self.world.latency = self.dice.millis(5, 150);
            self.somebody_acts();
            let span = self.dice.millis(50, 2500);
            self.run(span);
        }
    }

    fn somebody_acts(&mut self) {
        let there = self.world.taking_part();
        match self.dice.below(10) {
            0..5 if there.len() < MOST_PEOPLE => {
                self.world.join(self.next);
                self.next += 1;
            }
            5 => {
                if let Some(id) = self.dice.pick(&there) {
                    self.world.input(id, Input::Leave);
                }
            }
            6 => match self.dice.pick(&there) {
                Some(id) if self.dice.per_mille(700) => self.world.crash(id),
                Some(id) => self.world.freeze(id),
                None => {}
            },
            7 => {
                if let Some(id) = self.dice.pick(&there) {
                    self.world.disconnect(id);
                    self.cut.push(id);
                }
            }
            8 => self.one_returns(),
            9 => {
                if let Some(id) = self.dice.pick(&there) {
                    let text = format!("{id} at {}", self.world.now.0);
                    self.world.input(id, Input::Chat(text));
                }
            }
            _ => {}
        }
    }

    fn one_returns(&mut self) {
        let Some(id) = self.dice.pick(&self.cut) else { return };
        self.cut.retain(|other| *other != id);
        if !self.world.clients[&id].connected {
            self.world.reconnect(id);
        }
    }

    /// Runs, and looks after every second.
    fn run(&mut self, span: Duration) {
        let end = self.world.now + span;
        while self.world.now < end {
            let rest = end.since(self.world.now).min(Duration::from_secs(1));
            self.world.run(rest);
            self.look();
        }
    }

    fn look(&mut self) {
        let world = &self.world;
        if self.kind != Kind::Forking {
            world.ledger.check_one_story(&world.service.rosters);
            self.watch.look(world);
        }
        if self.kind == Kind::Dying && self.world.service.stores() > 0 && !self.world.service.awaits_death() {
            self.plan_death();
        }
    }

    fn calm(&mut self) {
        self.world.latency = Duration::from_millis(10);
        if let Some(storm) = &mut self.world.storm {
            storm.malice = Malice::default();
        }
        self.deaths = DEATHS;
        self.world.service.immortal();
        while !self.cut.is_empty() {
            self.one_returns();
        }
        // Frozen ones are noticed by their silence.
        let frozen: Vec<Id> = self
            .world
            .clients
            .iter()
            .filter(|(_, c)| c.crashed && c.connected)
            .map(|(id, _)| *id)
            .collect();
        for id in frozen {
            self.world.disconnect(id);
        }
        self.run(Duration::from_secs(30));
    }

    /// Nobody lied: whoever takes part is in, in one epoch, and nobody had anything to refuse.
    fn calm_and_agreed(&mut self) {
        self.calm();
        let expected = self.world.taking_part();
        assert_eq!(self.world.active(), expected, "whoever is connected is in");
        if !expected.is_empty() {
            self.world.assert_agreed(expected.len());
        }
        for (id, client) in &self.world.clients {
            let refusals = client.refusals();
            assert!(
                refusals.is_empty(),
                "client {id}: {refusals:?}: {:#?}",
                client.story_of_a_refusal()
            );
        }
    }

    /// Whoever was not driven off by the lies is in one epoch with the others once they stop.
    fn calm_after_lies(&mut self) {
        self.calm();
        if self.world.active() != self.world.taking_part() {
            // What was withheld from everybody shows when the age of the epoch makes a commit due (COMM-4).
            self.run(Duration::from_secs(300));
        }
        let expected = self.world.taking_part();
        let stories = || -> Vec<(Id, Vec<String>)> {
            let clients = expected.iter().take(3).map(|id| (*id, &self.world.clients[id]));
            clients.map(|(id, client)| (id, client.story(self.world.now))).collect()
        };
        assert_eq!(
            self.world.active(),
            expected,
            "whoever is connected is in; {}; {:#?}",
            self.world.service.story(),
            stories()
        );
        if !expected.is_empty() {
            self.world.assert_agreed(expected.len());
        }
        for (id, client) in &self.world.clients {
            let over = client.engine.is_over();
            assert_eq!(over, client.ended().is_some(), "client {id} says why it went");
        }
    }

    /// Two stories: whoever is told either notices that the others are not there any more, and no key is in both.
    fn forked(&mut self) {
        self.calm();
        let everybody = self.world.taking_part();
        if everybody.len() < 2 {
            return;
        }
        self.world.assert_agreed(everybody.len());
        let mut apart: BTreeSet<Id> = everybody.iter().copied().filter(|_| self.dice.per_mille(500)).collect();
        if apart.is_empty() {
            apart.insert(everybody[0]);
        }
        if apart.len() == everybody.len() {
            apart.remove(&everybody[0]);
        }
        let forked_at = self.world.now;
        self.world.ledger.check_one_story(&self.world.service.rosters);
        let before: BTreeSet<_> = everybody
            .iter()
            .filter_map(|id| self.world.ledger.newest_of(*id))
            .collect();
        self.world.fork(apart.clone());
        // Each story goes on by itself.
        self.world.join(self.next);
        self.world.join_in_the_other_story(self.next + 1);
        self.run(TOLD_WITHIN + Duration::from_secs(15));
        for id in &everybody {
            assert!(
                told(&self.world, *id, forked_at),
                "client {id} was told nothing of the fork"
            );
        }
        for one in everybody.iter().filter(|id| apart.contains(id)) {
            for other in everybody.iter().filter(|id| !apart.contains(id)) {
                let keys = (self.world.ledger.newest_of(*one), self.world.ledger.newest_of(*other));
                let moved = keys.0.is_some_and(|key| !before.contains(&key));
                assert!(
                    !moved || keys.0 != keys.1,
                    "clients {one} and {other} were told two stories and share a key"
                );
            }
        }
    }
}
