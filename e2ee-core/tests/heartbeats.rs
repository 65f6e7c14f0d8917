//! A server that forks, withholds or shows different logs is noticed (C4).
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::Input;
use e2ee_core::wire::delivery::ServerMessage;
use simulator::world::World;

const SECOND: Duration = Duration::from_secs(1);

fn both(test: impl Fn(Profile)) {
    Profile::ALL.into_iter().for_each(test);
}

#[test]
fn heal_4_an_honest_call_has_no_warnings_and_does_not_end() {
    both(|profile| {
        let mut world = World::meeting(profile, 4);
        world.run(SECOND * 120);
        for client in world.clients.values() {
            assert!(client.warnings().is_empty(), "{:?}", client.warnings());
            assert_eq!(client.ended(), None);
        }
    });
}

#[test]
fn pf_38_heartbeats_withheld_from_a_member_make_it_warn_by_name() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.service.tamper = Some(Box::new(|id, message| {
            if id == 2 && matches!(message, ServerMessage::Application { .. }) {
                *message = ServerMessage::Pong {};
            }
        }));
        world.run(SECOND * 35);
        let warnings = world.clients[&2].warnings();
        assert!(warnings.iter().any(|w| w.contains("Person 0")), "{warnings:?}");
        assert!(warnings.iter().any(|w| w.contains("Person 1")), "{warnings:?}");
        assert!(world.clients[&0].warnings().is_empty());
    });
}

#[test]
fn pf_38_a_server_that_says_of_others_that_they_are_not_connected_hides_nobody_for_long() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        // Person 2 hears nothing signed of anybody, and is told that nobody else is there who could say something.
        world.service.tamper = Some(Box::new(|id, message| match message {
            ServerMessage::Application { .. } if id == 2 => *message = ServerMessage::Pong {},
            ServerMessage::Presence { live, .. } if id == 2 => *live = vec![2],
            _ => {}
        }));
        world.join(3);
        world.run(SECOND * 75);
        let warnings = world.clients[&2].warnings();
        for name in ["Person 0", "Person 1", "Person 3"] {
            let named = warnings.iter().filter(|warning| warning.contains(name)).count();
            assert_eq!(named, 1, "{name}: {warnings:?}");
        }
        assert!(world.clients[&0].warnings().is_empty());
    });
}

#[test]
fn pf_38_a_log_that_shows_different_members_different_trees_ends_the_call_with_the_reason() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        // From now on the log tells person 1 another story, of the same length, signed by its own key.
        let mut fork = world.service.log.clone();
        fork.append(&e2ee_core::log::entry::LogEntry::Certificate { der: vec![6; 6] });
        let forked = fork.receipt(fork.size() - 1);
        // The honest entry of the same index: a newcomer's certificate.
        world.service.log_certificate(&[7; 7]);
        let honest = world.service.log.receipt(world.service.log.size() - 1);
        assert_eq!((honest.index, forked.index), (forked.index, honest.index));
        // Each gets an epoch whose record stands in its own tree.
        world.service.fork_for(1, fork);
        world.join(2);
        world.run(SECOND * 30);
        let ended: Vec<_> = [0, 1].iter().filter_map(|id| world.clients[id].ended()).collect();
        assert!(!ended.is_empty(), "nobody noticed");
        assert!(ended.iter().all(|why| why.contains("log")), "{ended:?}");
    });
}

#[test]
fn pf_32_chat_around_an_epoch_change_is_read_late_and_early() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        // Person 2 is told of the newcomer a second after everybody else: of the proposal too, for nothing may be said
        // while one waits.
        let (held, hold) = simulator::Shared::new();
        world.service.tamper = Some(Box::new(move |id, message| {
            if id == 2 && matches!(message, ServerMessage::Proposals { .. } | ServerMessage::Commit { .. }) {
                hold.lock().unwrap().push(message.clone());
                *message = ServerMessage::Pong {};
            }
        }));
        world.join(3);
        while world.clients[&0].engine.epoch() < Some(2) {
            world.run(Duration::from_millis(10));
        }
        assert_eq!(world.clients[&2].engine.epoch(), Some(1), "person 2 is behind");
        // Said in the new epoch and heard in the old one, and the other way round.
        world.input(0, Input::Chat("early".into()));
        world.input(2, Input::Chat("late".into()));
        world.run(SECOND);
        let said = |world: &World, id: usize| -> Vec<String> {
            world.clients[&id].chats().into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(said(&world, 2), ["late"], "what is early waits");
        for message in held.lock().unwrap().drain(..) {
            world.deliver(2, message);
        }
        world.run(SECOND);
        assert_eq!(said(&world, 2), ["late", "early"]);
        for id in 0..2 {
            assert_eq!(
                said(&world, id),
                ["early", "late"],
                "client {id} reads the epoch before"
            );
        }
        assert_eq!(
            said(&world, 3),
            ["early"],
            "nobody reads an epoch in which they were not"
        );
        assert!(world.clients.values().all(|client| client.refusals().is_empty()));
    });
}

#[test]
fn pf_32_a_message_of_the_next_epoch_waits_for_its_commit() {
    let mut world = World::meeting(Profile::Standard, 3);
    let (commits, commit_log) = simulator::Shared::new();
    world.service.tamper = Some(Box::new(move |id, message| {
        if id == 2 && matches!(message, ServerMessage::Commit { .. }) {
            commit_log.lock().unwrap().push(message.clone());
            *message = ServerMessage::Pong {};
        }
    }));
    world.join(3);
    world.run(SECOND * 2);
    world.input(0, Input::Chat("early".into()));
    world.run(SECOND);
    assert!(world.clients[&2].chats().is_empty());
    for commit in commits.lock().unwrap().drain(..) {
        world.deliver(2, commit);
    }
    assert_eq!(world.clients[&2].chats(), [("Person 0".to_owned(), "early".to_owned())]);
    assert!(world.clients[&2].refusals().is_empty());
}

#[test]
fn heal_3_what_was_said_in_the_epoch_before_is_read_for_ten_seconds_and_not_after() {
    for (wait, read) in [(5, true), (11, false)] {
        let mut world = World::meeting(Profile::Standard, 3);
        let (kept, keeper) = simulator::Shared::new();
        world.service.tamper = Some(Box::new(move |id, message| {
            if id == 2 && matches!(message, ServerMessage::Application { .. }) {
                keeper.lock().unwrap().push(message.clone());
                *message = ServerMessage::Pong {};
            }
        }));
        world.input(0, Input::Chat("late".into()));
        world.run(Duration::from_millis(50));
        let late = kept.lock().unwrap()[0].clone();
        world.service.tamper = None;
        world.join(3);
        while world.clients[&2].keys().last().unwrap().media.epoch < 2 {
            world.run(Duration::from_millis(10));
        }
        world.run(SECOND * wait);
        assert_eq!(world.clients[&2].engine.epoch(), Some(2));
        world.deliver(2, late);
        let texts = world.clients[&2]
            .chats()
            .into_iter()
            .filter(|(_, text)| text == "late")
            .count();
        assert_eq!(texts == 1, read, "after {wait} s");
    }
}
