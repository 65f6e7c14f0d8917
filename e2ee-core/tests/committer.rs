//! Who commits, what happens when they do not, and how a client comes back.
//!
//! Requirements held here: HEAL-9.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Input, Output};
use e2ee_core::wire::delivery::{ClientMessage, CommitRefusal, ServerMessage};
use simulator::raw::Outsider;
use simulator::world::World;

const SECOND: Duration = Duration::from_secs(1);

fn both(test: impl Fn(Profile)) {
    Profile::ALL.into_iter().for_each(test);
}

fn accepted(world: &World) -> Vec<usize> {
    world
        .service
        .commits
        .iter()
        .filter(|(_, _, v)| v.is_ok())
        .map(|(id, _, _)| *id)
        .collect()
}

#[test]
fn comm_1_the_lowest_connected_leaf_commits_and_nobody_else_does() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        let before = world.service.commits.len();
        world.join(3);
        world.run(SECOND * 3);
        assert_eq!(world.service.commits.len(), before + 1);
        assert_eq!(accepted(&world).last(), Some(&0));
    });
}

#[test]
fn pf_36_when_the_designated_committer_dies_the_next_one_commits() {
    both(|profile| {
        let mut world = World::meeting(profile, 4);
        // Dead, but its connection still looks alive: it is neither removed nor skipped.
        world.freeze(0);
        world.join(4);
        world.run(SECOND * 2);
        assert_eq!(accepted(&world).last(), Some(&1));
        for id in 1..5 {
            assert_eq!(world.clients[&id].names().len(), 5, "client {id}");
        }
    });
}

#[test]
fn pf_36_when_the_committer_and_its_deputies_die_the_last_one_commits() {
    both(|profile| {
        let mut world = World::meeting(profile, 4);
        for id in 0..3 {
            world.freeze(id);
        }
        world.join(4);
        world.run(SECOND * 3);
        assert_eq!(accepted(&world).last(), Some(&3));
        assert_eq!(world.clients[&4].names().len(), 5);
    });
}

#[test]
fn pf_36_a_committer_whose_commits_never_arrive_is_overtaken_and_follows() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.service.deaf_to.push(0);
        world.join(3);
        world.run(SECOND * 3);
        assert_eq!(accepted(&world).last(), Some(&1));
        world.assert_agreed(4);
    });
}

#[test]
fn comm_3_a_second_commit_for_an_epoch_is_refused_and_its_maker_takes_the_first() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        // So slow that the deputies' time comes before they see the first commit.
        world.latency = Duration::from_millis(400);
        world.join(3);
        world.run(SECOND * 12);
        world.assert_agreed(4);
        let lost = world
            .service
            .commits
            .iter()
            .filter(|(_, _, verdict)| *verdict == Err(CommitRefusal::EpochTaken))
            .count();
        assert!(lost > 0, "{:?}", world.service.commits);
        let mut epochs: Vec<u64> = world
            .service
            .commits
            .iter()
            .filter(|(_, _, v)| v.is_ok())
            .map(|(_, epoch, _)| *epoch)
            .collect();
        let all = epochs.len();
        epochs.dedup();
        assert_eq!(epochs.len(), all, "one commit an epoch");
        for id in 0..3 {
            assert!(world.clients[&id].refusals().is_empty(), "a lost race is no fault");
        }
    });
}

#[test]
fn the_one_who_is_removed_does_not_commit_it() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.input(0, Input::Leave);
        world.run(SECOND * 2);
        assert_eq!(accepted(&world).last(), Some(&1));
        world.assert_agreed(2);
    });
}

#[test]
fn a_short_outage_is_bridged_and_the_missed_commits_are_taken() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.disconnect(2);
        world.join(3);
        world.run(SECOND * 2);
        world.reconnect(2);
        world.run(SECOND * 2);
        world.assert_agreed(4);
        assert!(world.clients[&2].refusals().is_empty());
        // In the same group, not in a new one.
        assert_eq!(world.clients[&2].keys().iter().filter(|keys| keys.fresh).count(), 1);
    });
}

#[test]
fn whoever_was_away_too_long_was_removed_and_joins_again_by_itself() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.disconnect(1);
        world.run(SECOND * 10);
        world.assert_agreed(2);
        world.reconnect(1);
        world.run(SECOND * 4);
        world.assert_agreed(3);
        assert_eq!(world.clients[&1].ended(), None);
    });
}

#[test]
fn the_committers_connection_breaks_after_its_commit_was_taken_and_it_still_enters() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        world.join(2);
        // The commit is on its way up, its return on its way down, and then the line is cut.
        let sent = |world: &World| {
            world.clients[&0]
                .outputs
                .iter()
                .any(|(_, o)| matches!(o, Output::Send(ClientMessage::Commit { at, .. }) if at.epoch == 1))
        };
        while !sent(&world) {
            world.run(Duration::from_millis(5));
        }
        world.run(Duration::from_millis(12));
        world.disconnect(0);
        world.run(SECOND);
        world.reconnect(0);
        world.run(SECOND * 3);
        world.assert_agreed(3);
        assert!(
            world.clients[&0].refusals().is_empty(),
            "{:?}",
            world.clients[&0].refusals()
        );
    });
}

#[test]
fn the_last_one_standing_goes_on_alone_and_a_dead_room_starts_anew() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        world.crash(0);
        world.run(SECOND * 10);
        world.assert_agreed(1);
        world.crash(1);
        world.run(SECOND * 10);
        world.join(2);
        world.run(SECOND * 3);
        assert_eq!(world.clients[&2].names(), ["Person 2"]);
        assert_eq!(world.service.room.as_ref().unwrap().group_id(), b"group-2");
    });
}

#[test]
fn pf_08_an_epoch_ends_within_five_minutes_with_nobody_coming_or_going() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        let start = world.now;
        let epoch = world.service.room.as_ref().unwrap().epoch();
        world.run(SECOND * 299);
        assert_eq!(world.service.room.as_ref().unwrap().epoch(), epoch + 1);
        world.assert_agreed(3);
        assert!(world.now.since(start) < Duration::from_secs(300));
    });
}

#[test]
fn pf_08_a_server_that_takes_no_commit_for_longer_than_that_is_told_of() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.run(SECOND * 700);
        let warned = |world: &World| -> Vec<usize> {
            let old = |warning: &String| warning.contains("older than five minutes");
            let clients = world.clients.iter();
            clients
                .filter(|(_, client)| client.warnings().iter().any(old))
                .map(|(id, _)| *id)
                .collect()
        };
        assert_eq!(warned(&world), [0; 0], "an honest server");
        world.service.deaf_to = vec![0, 1, 2];
        world.run(SECOND * 400);
        assert_eq!(warned(&world), [0, 1, 2]);
    });
}

#[test]
fn grup_6_ones_own_commit_is_not_entered_without_what_was_proposed_since_it_was_made() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.latency = Duration::from_millis(500);
        world.join(3);
        let sent = |world: &World| {
            let sends = |output: &(_, Output)| matches!(output.1, Output::Send(ClientMessage::Commit { .. }));
            world.clients[&0].outputs.iter().filter(|output| sends(output)).count()
        };
        let before = sent(&world);
        while sent(&world) == before {
            world.run(Duration::from_millis(10));
        }
        // Its commit is under way. Now the service proposes somebody else, and takes the commit nevertheless.
        let outsider = Outsider::new(profile, &world.service.ca, "Eve", world.now);
        let index = world.service.log_certificate(&outsider.der);
        let message = ServerMessage::Proposals {
            at: world.service.at(),
            proposals: vec![world.service.propose_unchecked(&outsider.key_package()).into()],
            receipts: vec![world.service.log.receipt(index)],
        };
        world.deliver(0, message);
        world.run(SECOND * 2);
        let refusals = world.clients[&0].refusals();
        assert!(refusals.iter().any(|why| why.contains("leaves out")), "{refusals:?}");
    });
}

#[test]
fn pf_22_every_member_renews_its_own_leaf_within_thirty_minutes() {
    let mut world = World::meeting(Profile::Standard, 4);
    let before = world.service.commits.len();
    world.run(SECOND * 1800);
    world.assert_agreed(4);
    for id in 0..4 {
        assert!(
            world.service.commits[before..]
                .iter()
                .any(|(by, _, verdict)| *by == id && verdict.is_ok()),
            "member {id} committed"
        );
    }
}

#[test]
fn heal_2_a_sender_switches_when_everybody_has_the_keys_or_after_a_second() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.join(3);
        world.run(SECOND * 3);
        for id in 0..4 {
            let (at, _, key_frame) = *world.clients[&id].switches().last().unwrap();
            let installed = world.clients[&id]
                .outputs
                .iter()
                .rev()
                .find(|(_, o)| matches!(o, Output::Epoch(_)))
                .unwrap()
                .0;
            assert!(at.since(installed) < Duration::from_millis(200), "acknowledged by all");
            assert!(key_frame, "somebody joined");
        }
        // One of them does not answer any more.
        world.freeze(3);
        let mut rest = 0..3;
        world.input(2, Input::Leave);
        world.run(SECOND * 3);
        rest.next_back();
        for id in rest {
            let (at, _, key_frame) = *world.clients[&id].switches().last().unwrap();
            let installed = world.clients[&id]
                .outputs
                .iter()
                .rev()
                .find(|(_, o)| matches!(o, Output::Epoch(_)))
                .unwrap()
                .0;
            assert_eq!(at.since(installed), Duration::from_millis(700), "somebody was removed");
            assert!(!key_frame, "nobody joined");
        }
    });
}

#[test]
fn a_commit_that_never_came_is_noticed_by_the_next_and_leads_to_rejoining() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        // Also where it is told who won, as its own commit of that epoch came too late.
        world.service.tamper = Some(Box::new(|id, message| {
            if id == 2 && matches!(message, ServerMessage::Commit { at, .. } if at.epoch == 1) {
                *message = ServerMessage::Pong {};
            }
        }));
        world.join(3);
        world.run(SECOND * 2);
        world.join(4);
        world.run(SECOND * 5);
        world.assert_agreed(5);
        assert_eq!(world.clients[&2].refusals().len(), 1);
    });
}

#[test]
fn heal_12_a_commit_that_was_withheld_is_asked_for_although_no_other_comes() {
    both(|profile| {
        let mut world = World::meeting(profile, 3);
        world.service.tamper = Some(Box::new(|id, message| {
            if id == 2 && matches!(message, ServerMessage::Commit { .. }) {
                *message = ServerMessage::Pong {};
            }
        }));
        world.join(3);
        world.run(SECOND * 2);
        assert_eq!(world.clients[&2].engine.epoch(), Some(1), "it is behind");
        world.service.tamper = None;
        world.run(SECOND * 3);
        world.assert_agreed(4);
        assert!(world.clients[&2].refusals().is_empty(), "asking was enough");
        assert_eq!(world.clients[&2].keys().iter().filter(|keys| keys.fresh).count(), 1);
        assert!(world.clients[&2].warnings().iter().any(|w| w.contains("later state")));
    });
}

/// A server that took the commit, said that another was first, and showed none. Alone in the
/// call there is nobody whose word could name the later epoch.
#[test]
fn heal_12_an_epoch_that_is_said_to_be_over_and_whose_commit_does_not_come_is_asked_for() {
    let mut world = World::meeting(Profile::Standard, 1);
    world.service.tamper = Some(Box::new(|id, message| {
        if let (0, ServerMessage::Commit { at, .. }) = (id, &*message) {
            *message = ServerMessage::CommitRefused {
                at: at.clone(),
                reason: CommitRefusal::EpochTaken,
                detail: String::new(),
            };
        }
    }));
    world.join(1);
    world.run(SECOND * 4);
    assert_eq!(world.clients[&0].engine.epoch(), Some(0), "it is behind");
    assert!(world.clients[&0].warnings().iter().any(|w| w.contains("later state")));
    world.service.tamper = None;
    world.run(SECOND * 20);
    world.assert_agreed(2);
}

/// Seeds 425 and 1868 of the simulation: no lie is needed, only a slow line. The commit was sent twice and refused twice,
/// and the second refusal was taken for its successor's, which the service then returned to somebody who had dropped it.
#[test]
fn comm_3_a_commit_that_was_sent_twice_is_refused_twice_and_its_successor_is_kept() {
    both(|profile| {
        let mut world = World::meeting(profile, 1);
        // There and back takes longer than the committer's patience, and another batch comes meanwhile.
        world.latency = Duration::from_millis(1800);
        world.join(1);
        world.run(Duration::from_millis(1500));
        world.join(2);
        world.run(SECOND * 90);
        world.assert_agreed(3);
        let sent = |commit: &Output| matches!(commit, Output::Send(ClientMessage::Commit { .. }));
        let commits = world.clients[&0]
            .outputs
            .iter()
            .filter(|(_, output)| sent(output))
            .count();
        assert!(commits > 2, "{commits}");
        for (id, client) in &world.clients {
            assert!(client.refusals().is_empty(), "client {id}: {:?}", client.refusals());
        }
    });
}

/// Seeds 2858 and 4146 of the simulation: the Remove of a leaf whose device asks to be let in anew was withheld from the
/// only committer, whose commits then could not be made and told the service nothing.
#[test]
fn heal_12_whoever_cannot_commit_what_is_proposed_asks_for_what_is_missing() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        let mut withhold = true;
        world.service.tamper = Some(Box::new(move |id, message| {
            if let (0, ServerMessage::Proposals { proposals, .. }) = (id, message)
                && std::mem::take(&mut withhold)
            {
                proposals.remove(0);
            }
        }));
        world.freeze(1);
        world.join_as(2, "Person 1", "p1", "d1", "guest");
        world.run(SECOND * 2);
        let warnings = world.clients[&0].warnings();
        assert!(warnings.iter().any(|w| w.contains("could not commit")), "{warnings:?}");
        world.run(SECOND * 20);
        assert_eq!(world.active(), [0, 2]);
        world.assert_agreed(2);
        assert!(world.clients[&0].refusals().is_empty(), "asking was enough");
    });
}

/// Seeds 43, 746 and 1686 of the simulation: the end of the group is withheld from the only one who still believes in it.
/// Nobody's word could tell, but the service's own to a heartbeat or a commit.
#[test]
fn heal_12_whoever_is_alone_in_a_group_that_is_over_is_told_and_comes_to_the_next() {
    both(|profile| {
        for somebody_asked in [false, true] {
            let mut world = World::meeting(profile, 1);
            world.service.tamper = Some(Box::new(|_, message| {
                if matches!(message, ServerMessage::Ended { .. } | ServerMessage::Proposals { .. }) {
                    *message = ServerMessage::Pong {};
                }
            }));
            if somebody_asked {
                world.join(1);
                world.run(Duration::from_millis(100));
            }
            world.service.forget();
            world.service.tamper = None;
            world.run(SECOND * 16);
            assert!(!world.clients[&0].warnings().is_empty());
            world.run(SECOND * 10);
            world.assert_agreed(1 + usize::from(somebody_asked));
        }
    });
}

#[test]
fn heal_12_a_server_that_goes_on_withholding_is_told_and_left() {
    let mut world = World::meeting(Profile::Standard, 3);
    world.service.tamper = Some(Box::new(move |id, message| {
        if id == 2 && matches!(message, ServerMessage::Commit { .. }) {
            *message = ServerMessage::Pong {};
        }
    }));
    world.join(3);
    world.run(SECOND * 12);
    assert!(
        world.clients[&2]
            .refusals()
            .iter()
            .any(|why| why.contains("does not deliver"))
    );
    assert!(world.service.refused.iter().any(|(id, _)| *id == 2));
    world.service.tamper = None;
    world.run(SECOND * 20);
    world.assert_agreed(4);
}

#[test]
fn heal_12_a_proposal_that_the_only_committer_was_not_sent_is_asked_for() {
    let mut world = World::meeting(Profile::Standard, 1);
    let mut withhold = true;
    world.service.tamper = Some(Box::new(move |_, message| {
        if matches!(message, ServerMessage::Proposals { .. }) && std::mem::take(&mut withhold) {
            *message = ServerMessage::Pong {};
        }
    }));
    world.join(1);
    world.run(SECOND * 10);
    assert_eq!(world.active(), [0], "nobody knows that somebody waits");
    // Its own commit, which the age of the epoch makes due, lacks it.
    world.run(SECOND * 285);
    world.assert_agreed(2);
}

/// Found by the test before this: the second request was granted after the first, and the call ended as if the device
/// had joined from elsewhere.
#[test]
fn heal_9_a_request_that_is_granted_twice_moves_the_device_and_does_not_end_its_call() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        let request = world.clients[&1].outputs.iter().find_map(|(_, output)| match output {
            Output::Send(join @ ClientMessage::Join { .. }) => Some(join.clone()),
            _ => None,
        });
        let now = world.now;
        world.service.receive(1, request.unwrap(), now);
        world.run(SECOND * 20);
        world.assert_agreed(2);
        assert_eq!(world.clients[&1].ended(), None);
    });
}

/// Seeds 56, 156, 243 and 294 of the simulation: nobody was left who could commit the Removes.
#[test]
fn dlvr_9_where_everybody_is_being_removed_the_group_ends_and_the_next_begins() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        world.service.deaf_to = vec![0];
        world.disconnect(1);
        world.run(SECOND * 8);
        world.disconnect(0);
        world.reconnect(1);
        world.run(SECOND * 20);
        world.reconnect(0);
        world.join(2);
        world.service.deaf_to.clear();
        world.run(SECOND * 20);
        world.assert_agreed(3);
    });
}

#[test]
fn forty_people_coming_and_going_end_up_in_one_epoch() {
    let mut world = World::meeting(Profile::Standard, 10);
    for round in 0..10 {
        for id in 0..3 {
            world.join(10 + round * 3 + id);
        }
        world.input(round, Input::Leave);
        world.run(Duration::from_millis(700));
    }
    world.run(SECOND * 5);
    world.assert_agreed(30);
    for id in world.active() {
        assert!(world.clients[&id].refusals().is_empty());
    }
}

#[test]
fn a_certificate_that_ends_with_the_session_is_renewed_once_and_not_again_and_again() {
    let mut world = World::new(Profile::Standard);
    let end = world.now + Duration::from_secs(1500);
    let (issued, count) = simulator::Shared::new();
    world.service.issue = Some(Box::new(move |mut request, key, ca| {
        count.lock().unwrap().push(request.names.clone());
        request.not_after = end;
        ca.issue(&request, key)
    }));
    for id in 0..3 {
        world.join(id);
    }
    world.run(SECOND * 1490);
    world.assert_agreed(3);
    let all = issued.lock().unwrap().len();
    assert!((3..=6).contains(&all), "{all} certificates for three");
    for client in world.clients.values() {
        let warnings = client.warnings();
        assert!(
            warnings.iter().any(|warning| warning.contains("sign-in ends")),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_certificate_is_renewed_in_the_call_before_it_runs_out() {
    let mut world = World::new(Profile::Standard);
    world.service.issue = Some(Box::new(|mut request, key, ca| {
        request.not_after = request.not_before + Duration::from_secs(1200);
        ca.issue(&request, key)
    }));
    for id in 0..3 {
        world.join(id);
    }
    world.run(SECOND * 3);
    let codes = |world: &World| -> Vec<String> {
        let view = world.clients[&0].roster().unwrap();
        view.members.iter().map(|m| m.certificate_code.clone()).collect()
    };
    let first = codes(&world);
    world.run(SECOND * 1100);
    world.assert_agreed(3);
    assert!(codes(&world).iter().all(|code| !first.contains(code)));
    for client in world.clients.values() {
        assert!(client.refusals().is_empty(), "{:?}", client.refusals());
    }
}
