//! Seeded meetings on a bad network: people come, go, crash and are cut off at random, and the line is slow at random.
//! Whatever happens, when it is calm again everybody who is connected is in one epoch with one roster.
//!
//! A failing seed is replayed with `CHAOS_SEED=<n> cargo test -p e2ee-core --test chaos`; `CHAOS_SEEDS=<n>` runs the
//! first n of them instead of a few.
// The seed to replay comes from the environment and is printed.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Input, Output};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use simulator::world::World;

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("CHAOS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHAOS_SEEDS").unwrap_or(40),
    }
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0.next_u32() % n
    }

    fn pick(&mut self, from: &[usize]) -> Option<usize> {
        (!from.is_empty()).then(|| from[self.below(from.len() as u32) as usize])
    }
}

fn meeting(seed: u64) {
    println!("seed {seed}");
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let profile = if seed.is_multiple_of(5) {
        Profile::Fips
    } else {
        Profile::Standard
    };
    let mut world = World::new(profile);
    let mut next = 0;
    let mut cut: Vec<usize> = Vec::new();
    for _ in 0..40 {
        world.latency = Duration::from_millis(u64::from(dice.below(300)));
        let there: Vec<usize> = world
            .clients
            .iter()
            .filter(|(_, c)| c.connected && !c.crashed && c.ended().is_none())
            .map(|(id, _)| *id)
            .collect();
        match dice.below(10) {
            0..4 if there.len() < 8 => {
                world.join(next);
                next += 1;
            }
            4 => {
                if let Some(id) = dice.pick(&there) {
                    world.input(id, Input::Leave);
                }
            }
            5 => {
                if let Some(id) = dice.pick(&there) {
                    world.crash(id);
                }
            }
            6 => {
                if let Some(id) = dice.pick(&there) {
                    world.disconnect(id);
                    cut.push(id);
                }
            }
            7 => {
                if let Some(id) = dice.pick(&cut) {
                    cut.retain(|c| *c != id);
                    world.reconnect(id);
                }
            }
            8 => {
                if let Some(id) = dice.pick(&there) {
                    world.input(id, Input::Chat(format!("{id} at {}", world.now.0)));
                }
            }
            _ => {}
        }
        world.run(Duration::from_millis(u64::from(dice.below(4000))));
    }
    // Calm.
    world.latency = Duration::from_millis(10);
    for id in std::mem::take(&mut cut) {
        world.reconnect(id);
    }
    world.run(Duration::from_secs(40));

    let expected: Vec<usize> = world
        .clients
        .iter()
        .filter(|(_, c)| c.connected && !c.crashed && c.ended().is_none())
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(world.active(), expected, "seed {seed}: whoever is connected is in");
    if expected.is_empty() {
        return;
    }
    world.assert_agreed(expected.len());
    check_every_epoch(&world, seed);
}

/// C2 over time: in each epoch of each group all who were in it had one key, and nobody else had it.
fn check_every_epoch(world: &World, seed: u64) {
    let mut keys = std::collections::BTreeMap::new();
    for (id, client) in &world.clients {
        assert!(
            client.refusals().is_empty(),
            "seed {seed}, client {id}: {:?}",
            client.refusals()
        );
        let mut shown: Vec<u32> = Vec::new();
        for (_, output) in &client.outputs {
            match output {
                Output::Roster(view) => shown = view.members.iter().map(|m| m.leaf).collect(),
                Output::Epoch(epoch) => {
                    let key = epoch.media.base_key.expose().to_vec();
                    let known = keys.entry(key).or_insert_with(|| (epoch.media.epoch, shown.clone()));
                    assert_eq!(
                        known,
                        &(epoch.media.epoch, shown.clone()),
                        "seed {seed}: one roster for one key"
                    );
                    assert!(shown.contains(&epoch.media.own_leaf));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn whatever_the_network_does_all_who_are_connected_end_up_in_one_epoch() {
    for seed in seeds() {
        meeting(seed);
    }
}
