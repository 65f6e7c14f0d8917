//! The engine: certificates, receipts, roster, policy and rules included, from the service's text to its outputs.

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::delivery::Timing;
use e2ee_core::group::engine::Output;
use e2ee_core::wire::Bytes;
use e2ee_core::wire::delivery::ClientMessage;
use serde_json::{Value, json};
use simulator::tape::{Lap, Taken};
use simulator::world::{World, seed_of};

use crate::Figures;

/// All who come within it are one commit.
const GATHER: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// The first makes the group. All others ask at once; of them only the last goes on living, the rest hold a leaf and say
/// nothing, as a thousand engines in one process would measure the memory. Then one after the other comes.
pub(crate) fn measure(profile: Profile, members: usize, rounds: usize) -> (Figures, Value) {
    let mut world = World::new(profile);
    world.taped = true;
    world.service.timing = Timing {
        gather: GATHER,
        ..Timing::default()
    };
    world.join(0);
    world.run(SECOND);
    let last = members - 1;
    for id in 1..members {
        world.join(id);
    }
    world.run(SECOND);
    world.clients.retain(|id, _| *id == 0 || *id == last);
    world.run(GATHER + SECOND * 3);
    assert_eq!(
        world.clients[&last].engine.epoch(),
        Some(1),
        "all came as one commit: {:?} {:?}",
        world.clients[&0].warnings(),
        world.clients[&last].warnings()
    );
    let add_all = commits(&world, 0)[0];

    let mut joins = Vec::new();
    for id in members..members + rounds {
        world.join(id);
        world.run(GATHER + SECOND * 3);
        let newcomer = world.clients.remove(&id).unwrap();
        joins.push(newcomer.tape.iter().find(|lap| lap.is("joined")).unwrap().took);
        assert!(newcomer.refusals().is_empty());
    }
    // The last of the first is one who follows; so that its own figures are a member's, it made none of the commits.
    let follower = &world.clients[&last];
    assert!(commits(&world, last).is_empty());
    let process = took(follower.tape.iter().filter(|lap| lap.is("commit")));
    assert_eq!(process.len(), rounds);
    let figures = Figures {
        join: joins,
        commit: commits(&world, 0).split_off(1),
        process,
        add_all,
    };
    (figures, tape(&world, last, profile))
}

fn took<'a>(laps: impl Iterator<Item = &'a Lap>) -> Vec<Duration> {
    laps.map(|lap| lap.took).collect()
}

/// The steps in which a commit was made.
fn commits(world: &World, id: usize) -> Vec<Duration> {
    let client = &world.clients[&id];
    let sent: Vec<_> = client
        .outputs
        .iter()
        .filter(|(_, output)| matches!(output, Output::Send(ClientMessage::Commit { .. })))
        .map(|(at, _)| *at)
        .collect();
    // The longest step of that moment: others at the same time do next to nothing.
    sent.iter()
        .map(|at| {
            let then = client.tape.iter().filter(|lap| lap.at == *at);
            then.map(|lap| lap.took).max().unwrap_or_default()
        })
        .collect()
}

/// For whoever plays it again: see `tests/bench/mls.mjs`.
fn tape(world: &World, id: usize, profile: Profile) -> Value {
    let laps = world.clients[&id].tape.iter().map(|lap| {
        let (kind, text) = match &lap.input {
            Taken::Connected => ("connected", None),
            Taken::ConnectionLost => ("lost", None),
            Taken::Text(text) => ("text", Some(text)),
            Taken::Tick => ("tick", None),
            Taken::Chat(text) => ("chat", Some(text)),
            Taken::Leave | Taken::Other => ("none", None),
        };
        json!({ "at": lap.at.0, "kind": kind, "text": text })
    });
    json!({
        "room": "room",
        "session": format!("session-{id}"),
        "root": Bytes(world.service.ca.hash().to_vec()).to_base64(),
        "profile": profile.name(),
        "seed": hex::encode(seed_of(id)),
        "laps": laps.collect::<Vec<_>>(),
    })
}
