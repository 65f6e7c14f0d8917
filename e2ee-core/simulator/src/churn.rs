//! People come and go all the time while everybody talks, over lines that delay, lose and reorder: no frame may be lost
//! for want of a key, and nobody may open for long what is sealed after it went.

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::delivery::Timing;
use e2ee_core::group::engine::{Input, Output};
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::ClientMessage;

use crate::air::{Air, Tally, Weather};
use crate::dice::Dice;
use crate::service::Id;
use crate::storm::{Malice, Storm};
use crate::world::World;

/// How a run went.
#[derive(Clone, Debug)]
pub struct Churned {
    pub tally: Tally,
    pub epochs: u64,
    pub refusals: usize,
    /// From asking to be let in to holding the keys, in ascending order.
    pub joins: Vec<Duration>,
}

impl Churned {
    /// How long so many of a hundred arrivals took at most.
    pub fn join_within(&self, percent: usize) -> Duration {
        let last = self.joins.len().saturating_sub(1);
        self.joins.get(last * percent / 100).copied().unwrap_or_default()
    }
}

const FEWEST: usize = 4;
const MOST: usize = 9;

/// TCP: what is lost is sent again and holds up what is behind it.
const LINES: Malice = Malice {
    jitter: 60,
    stalled: 20,
    stall: (200, 500),
    ..Malice::ROUGH
};

/// UDP.
const AIR: Weather = Weather {
    delay: (10, 250),
    lost: 20,
    doubled: 10,
    forged: 5,
};

/// Milliseconds from one event to the next, at least and at most.
pub type Pace = (u32, u32);

/// So many times somebody comes, leaves or crashes, while the service waits as told.
pub fn churn(seed: u64, events: usize, pace: Pace, profile: Profile, timing: Timing) -> Churned {
    let mut world = World::new(profile);
    world.service.timing = timing;
    let mut dice = Dice::named(seed, 3);
    world.latency = Duration::from_millis(30);
    for id in 0..FEWEST {
        world.join(id);
    }
    world.run(Duration::from_secs(3));
    world.storm = Some(Storm::new(LINES, Dice::named(seed, 1)));
    let every = Duration::from_millis(100);
    world.air = Some(Air::new(AIR, every, Dice::named(seed, 2), world.now));

    let mut next: Id = FEWEST;
    for _ in 0..events {
        let there = world.taking_part();
        let come = there.len() <= FEWEST || (there.len() < MOST && dice.per_mille(520));
        match dice.pick(&there) {
            Some(_) if come => {
                world.join(next);
                next += 1;
            }
            Some(id) if dice.per_mille(850) => world.input(id, Input::Leave),
            Some(id) => world.crash(id),
            None => {}
        }
        world.run(dice.millis(pace.0, pace.1));
        world.set_aside(Duration::from_secs(20));
    }
    world.run(Duration::from_secs(12));
    let there = world.taking_part();
    assert_eq!(world.active(), there, "whoever is connected is in");
    world.assert_agreed(there.len());
    world.ledger.check_holders(|id| world.device_of(id));
    world.ledger.check_one_story(&world.service.rosters);
    let mut joins: Vec<Duration> = world
        .clients
        .values()
        .chain(world.former.values())
        .filter_map(|client| joined_after(&client.outputs))
        .collect();
    joins.sort_unstable();
    Churned {
        joins,
        tally: world.air.take().map(|air| air.tally).unwrap_or_default(),
        epochs: world.service.room.as_ref().map_or(0, |room| room.epoch()),
        refusals: world
            .clients
            .values()
            .chain(world.former.values())
            .map(|c| c.refusals().len())
            .sum(),
    }
}

fn joined_after(outputs: &[(UnixMillis, Output)]) -> Option<Duration> {
    let first = |is: fn(&Output) -> bool| outputs.iter().find(|(_, output)| is(output)).map(|(at, _)| *at);
    let asked = first(|output| matches!(output, Output::Send(ClientMessage::Join { .. })))?;
    let entered = first(|output| matches!(output, Output::Epoch(_)))?;
    Some(entered.since(asked))
}
