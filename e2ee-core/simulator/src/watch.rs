//! Whoever is not where the others are must know it: told by a warning, a refusal, its status or the roster.

use std::collections::BTreeMap;
use std::time::Duration;

use e2ee_core::group::engine::{Output, Phase};
use e2ee_core::time::UnixMillis;

use crate::service::Id;
use crate::world::World;

/// A heartbeat's interval, its grace, and the way through a bad network twice.
pub const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// Since when each member is not where the service is.
#[derive(Default)]
pub struct Watch {
    behind: BTreeMap<Id, UnixMillis>,
}

impl Watch {
    /// To be called every second or so of virtual time.
    pub fn look(&mut self, world: &World) {
        for (id, client) in &world.clients {
            if !client.takes_part() || client.engine.epoch().is_none() || in_step(world, *id) {
                self.behind.remove(id);
                continue;
            }
            let since = *self.behind.entry(*id).or_insert(world.now);
            assert!(
                world.now.since(since) < TOLD_WITHIN || told(world, *id, since),
                "client {id} is behind since {:?} and was told nothing: {:#?}",
                world.now.since(since),
                client.story(world.now)
            );
        }
    }
}

fn in_step(world: &World, id: Id) -> bool {
    let (Some(room), Some(number)) = (&world.service.room, world.ledger.newest_of(id)) else {
        return false;
    };
    let key = world.ledger.key(number);
    let seated = room
        .roster()
        .leaf_of(&world.clients[&id].person, &world.clients[&id].device);
    key.group_id == room.group_id() && key.epoch == room.epoch() && seated.is_some()
}

/// Whether anything that a page shows said so since then.
pub fn told(world: &World, id: Id, since: UnixMillis) -> bool {
    world.clients[&id]
        .outputs
        .iter()
        .rev()
        .take_while(|(at, _)| *at >= since)
        .any(|(_, output)| match output {
            Output::Warning(_) | Output::Refused { .. } | Output::Ended { .. } => true,
            Output::Status(status) => status.state != Phase::InCall,
            Output::Roster(view) => view.members.iter().any(|member| !member.connected),
            _ => false,
        })
}
