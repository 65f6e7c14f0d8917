//! Meetings among engines over an honest delivery service.
//!
//! Requirements held here: COMM-6, HEAL-1.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Input, Output};
use simulator::world::World;

const SECOND: Duration = Duration::from_secs(1);

fn both(test: impl Fn(Profile)) {
    Profile::ALL.into_iter().for_each(test);
}

#[test]
fn the_first_one_makes_the_group_and_is_alone_in_it() {
    both(|profile| {
        let world = World::meeting(profile, 1);
        let keys = world.clients[&0].keys();
        assert_eq!(keys.len(), 1);
        assert!(keys[0].fresh);
        assert_eq!(
            (keys[0].media.epoch, keys[0].media.own_leaf, keys[0].media.leaf_count),
            (0, 0, 1)
        );
    });
}

#[test]
fn pf_35_those_who_come_at_once_are_let_in_by_one_commit() {
    both(|profile| {
        let mut world = World::meeting(profile, 1);
        for id in 1..6 {
            world.join(id);
        }
        world.run(SECOND * 3);
        world.assert_agreed(6);
        assert_eq!(world.service.room.as_ref().unwrap().epoch(), 1);
        assert_eq!(world.service.commits.len(), 1);
        assert_eq!(world.clients[&0].keys().last().unwrap().media.leaf_count, 8);
    });
}

#[test]
fn pf_34_those_who_come_make_one_key_frame_of_each_sender_and_those_who_go_none() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        let key_frames = |world: &World, id: usize| world.clients[&id].switches().iter().filter(|s| s.2).count();
        let before: Vec<usize> = (0..3).map(|id| key_frames(&world, id)).collect();
        for id in 3..6 {
            world.join(id);
        }
        world.run(SECOND * 3);
        world.assert_agreed(6);
        for (id, before) in before.iter().enumerate() {
            assert_eq!(
                key_frames(&world, id),
                before + 1,
                "sender {id}: one for three newcomers"
            );
        }
        world.input(5, Input::Leave);
        world.run(SECOND * 3);
        world.assert_agreed(5);
        for (id, before) in before.iter().enumerate() {
            assert_eq!(key_frames(&world, id), before + 1, "sender {id}: none for a departure");
        }
    });
}

/// In both directions: nobody is on the screen without the key, nobody has the key who is not on the screen.
#[test]
fn pf_06_whoever_is_removed_leaves_the_screen_with_the_key_and_not_before() {
    both(|profile| {
        let mut world = World::meeting(profile, 4);
        let removed = ("p3".to_owned(), "d1".to_owned());
        world.input(3, Input::Leave);
        let mut steps = 0;
        for _ in 0..300 {
            world.run(Duration::from_millis(10));
            for id in 0..3 {
                let client = &world.clients[&id];
                let shown = client.roster().unwrap().members.iter().any(|m| m.person == removed.0);
                let key = world.ledger.key(world.ledger.newest_of(id).unwrap());
                let holds = key.seats.values().any(|seat| *seat == removed);
                assert_eq!(shown, holds, "client {id}");
                steps += usize::from(!shown);
            }
        }
        assert!(steps > 0, "it left");
        world.assert_agreed(3);
        world.ledger.check_holders(|id| world.device_of(id));
    });
}

#[test]
fn chat_reaches_everybody_with_the_name_from_the_certificate() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.input(1, Input::Chat("hello".into()));
        world.run(SECOND);
        for id in 0..3 {
            assert_eq!(
                world.clients[&id].chats(),
                [("Person 1".to_owned(), "hello".to_owned())]
            );
        }
    });
}

#[test]
fn what_is_written_while_the_connection_is_gone_or_coming_back_is_sent_once_it_is_there() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        world.disconnect(0);
        world.input(0, Input::Chat("while it was gone".into()));
        world.reconnect(0);
        // The server has not answered the hello yet.
        world.input(0, Input::Chat("while it came back".into()));
        world.run(SECOND);
        assert_eq!(
            world.clients[&1].chats(),
            ["while it was gone", "while it came back"].map(|text| ("Person 0".to_owned(), text.to_owned()))
        );
    });
}

#[test]
fn whoever_leaves_is_out_and_the_rest_have_new_keys() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        let old = world.clients[&1].base_key();
        world.input(1, Input::Leave);
        world.run(SECOND * 2);
        world.assert_agreed(2);
        assert_ne!(world.clients[&0].base_key(), old);
        assert_eq!(world.clients[&0].names(), ["Person 0", "Person 2"]);
        assert_eq!(world.clients[&1].ended().as_deref(), Some("You left."));
    });
}

#[test]
fn whoever_loses_the_connection_for_good_is_removed_within_seconds() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.crash(0);
        world.run(SECOND * 8);
        world.assert_agreed(2);
        assert_eq!(world.clients[&1].names(), ["Person 1", "Person 2"]);
    });
}

#[test]
fn the_roster_of_an_epoch_is_shown_before_its_keys_are_used_for_sending() {
    let mut world = World::meeting(Profile::Standard, 2);
    world.join(2);
    world.run(SECOND * 2);
    for client in world.clients.values() {
        let mut shown = None;
        for (_, output) in &client.outputs {
            match output {
                Output::Roster(view) => shown = Some(view.epoch),
                Output::SwitchSender { epoch, .. } => assert_eq!(shown, Some(*epoch)),
                _ => {}
            }
        }
    }
}
