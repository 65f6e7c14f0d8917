//! The delivery service as clients see it. Every client runs the real engine, so whatever is not right by the members'
//! checks shows as a refusal.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use e2ee_core::wire::delivery::{ClientMessage, CommitRefusal, ServerMessage};
use key_server::Turn;
use support::{TestServer, together, until};

fn nobody_refused(clients: &[&support::Client]) {
    for client in clients {
        client.see(|s| assert!(s.refusals.is_empty() && s.ended.is_none(), "{}: {s:?}", client.name));
    }
}

fn commits_sent(client: &support::Client) -> Vec<ClientMessage> {
    client.see(|s| {
        s.sent
            .iter()
            .filter(|m| matches!(m, ClientMessage::Commit { .. }))
            .cloned()
            .collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_4_three_people_meet_talk_and_one_leaves() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("Ada has made the group", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    let cyd = server.join(&room, "Cyd").await;
    let epoch = together(&[&ada, &bob, &cyd]).await;

    ada.chat("hello");
    until("Bob and Cyd have read it", || {
        [&bob, &cyd]
            .iter()
            .all(|c| c.see(|s| s.chats.contains(&("Ada".into(), "hello".into()))))
    })
    .await;
    cyd.chat("hello back");
    until("Ada has read it", || {
        ada.see(|s| s.chats.contains(&("Cyd".into(), "hello back".into())))
    })
    .await;

    bob.leave();
    let after = together(&[&ada, &cyd]).await;
    assert!(after > epoch, "a leave makes a new epoch");
    nobody_refused(&[&ada, &cyd]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pf_35_many_arrivals_at_once_are_few_epochs() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let first = server.join(&room, "P0").await;
    until("the group is made", || first.see(|s| s.code.is_some())).await;
    let mut others = Vec::new();
    for i in 1..12 {
        others.push(server.join(&room, &format!("P{i}")).await);
    }
    let all: Vec<_> = std::iter::once(&first).chain(&others).collect();
    let epoch = together(&all).await;
    assert!(epoch < 11, "11 arrivals made {epoch} epochs");
    nobody_refused(&all);
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_9_a_lost_member_is_removed_and_an_abandoned_group_is_ended() {
    let server = TestServer::start_with(|c| c.timing.gone = Duration::from_secs(3)).await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    bob.die();
    together(&[&ada]).await;
    nobody_refused(&[&ada]);
    // Now nobody is left; who comes next gets a new group, in which Ada is not.
    ada.die();
    let cyd = server.join(&room, "Cyd").await;
    assert_eq!(together(&[&cyd]).await, 0);
    let transcript = server.transcript(&room, &cyd.session).await;
    assert_eq!(transcript.generations.len(), 2);
    assert_ne!(transcript.generations[0].group_id, transcript.generations[1].group_id);
}

/// Whoever is being removed may be connected and still cannot commit its own Remove: with nobody else left, the group
/// would never have ended.
#[tokio::test(flavor = "multi_thread")]
async fn dlvr_9_where_everybody_left_is_being_removed_the_group_ends_and_the_next_begins() {
    let server = TestServer::start_with(|c| c.timing.gone = Duration::from_secs(3)).await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    // Nothing that Ada commits arrives whole, so that the Remove of Bob, who is silent for too long, stays pending.
    ada.tamper(|message| {
        if let ClientMessage::Commit { commit, .. } = message {
            commit.0.truncate(10);
        }
    });
    bob.cut(Duration::from_secs(5));
    let refused = |m: &ServerMessage| matches!(m, ServerMessage::CommitRefused { .. });
    until("a commit was refused", || ada.see(|s| s.received.iter().any(refused))).await;
    until("Bob is back", || bob.see(|s| s.connections >= 2)).await;
    ada.die();
    assert_eq!(together(&[&bob]).await, 0, "in a group of his own");
    assert_eq!(server.transcript(&room, &bob.session).await.generations.len(), 2);
    let cyd = server.join(&room, "Cyd").await;
    together(&[&bob, &cyd]).await;
    nobody_refused(&[&bob, &cyd]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_7_a_client_that_was_cut_off_resumes_with_what_it_missed() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    bob.cut(Duration::from_millis(2500));
    let cyd = server.join(&room, "Cyd").await;
    together(&[&ada, &cyd, &bob]).await;
    assert_eq!(bob.see(|s| s.connections), 2);
    let joins = bob.see(|s| {
        s.sent
            .iter()
            .filter(|m| matches!(m, ClientMessage::Join { .. }))
            .count()
    });
    assert_eq!(joins, 1, "resumed, not joined anew");
    nobody_refused(&[&ada, &bob, &cyd]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_6_a_restart_of_the_server_loses_nothing() {
    let mut server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    let before = together(&[&ada, &bob]).await;
    let root = server.server().trust_root_hash();
    server.stop().await;
    server.run().await;
    assert_eq!(server.server().trust_root_hash(), root);
    // Chat is not kept for those who are away: both must have resumed.
    let resumed = |client: &support::Client| {
        client.see(|s| {
            let ready = s
                .received
                .iter()
                .rposition(|m| matches!(m, ServerMessage::Ready(_)))
                .unwrap_or(0);
            let both = |m: &ServerMessage| matches!(m, ServerMessage::Presence { live, .. } if live.len() == 2);
            s.connections >= 2 && s.received[ready..].iter().any(both)
        })
    };
    until("both are back", || resumed(&ada) && resumed(&bob)).await;
    assert_eq!(
        together(&[&ada, &bob]).await,
        before,
        "the same epoch of the same group"
    );
    ada.chat("still here");
    until("Bob has read it", || {
        bob.see(|s| s.chats.contains(&("Ada".into(), "still here".into())))
    })
    .await;
    let cyd = server.join(&room, "Cyd").await;
    together(&[&ada, &bob, &cyd]).await;
    nobody_refused(&[&ada, &bob, &cyd]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_3_the_same_commit_again_gets_the_same_answer_and_another_learns_who_won() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    let sent = commits_sent(&ada);
    let [ClientMessage::Commit { at, commit, welcome }] = &sent[..] else {
        panic!("one commit")
    };
    let answers = |client: &support::Client| -> Vec<ServerMessage> {
        client.see(|s| {
            let of_epoch = |m: &&ServerMessage| matches!(m, ServerMessage::Commit { at: a, .. } | ServerMessage::CommitRefused { at: a, .. } if a == at);
            s.received.iter().filter(of_epoch).cloned().collect()
        })
    };
    assert_eq!(answers(&ada).len(), 1);
    ada.raw(sent[0].clone());
    until("the answer came again", || answers(&ada).len() == 2).await;
    let both = answers(&ada);
    let (
        ServerMessage::Commit {
            commit: a,
            roster_salt: x,
            ..
        },
        ServerMessage::Commit {
            commit: b,
            roster_salt: y,
            ..
        },
    ) = (&both[0], &both[1])
    else {
        panic!("two commits")
    };
    assert_eq!((a, x), (b, y));

    // DLVR-1: another commit for the same epoch, from somebody who is a member now.
    let mut other = commit.clone();
    *other.0.last_mut().unwrap() ^= 1;
    let before = answers(&bob).len();
    bob.raw(ClientMessage::Commit {
        at: at.clone(),
        commit: other,
        welcome: welcome.clone(),
    });
    until("Bob is told who won", || answers(&bob).len() == before + 2).await;
    let told = answers(&bob);
    assert!(matches!(
        &told[before],
        ServerMessage::CommitRefused {
            reason: CommitRefusal::EpochTaken,
            ..
        }
    ));
    assert!(matches!(&told[before + 1], ServerMessage::Commit { commit: winner, .. } if winner == commit));
    assert_eq!(
        server.transcript(&room, &ada.session).await.generations[0].epochs.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pf_05_a_commit_without_the_welcome_of_those_it_adds_is_refused() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let mut first = true;
    ada.tamper(move |message| {
        if let ClientMessage::Commit { welcome, .. } = message
            && std::mem::take(&mut first)
        {
            *welcome = None;
        }
    });
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    let refused = ada.see(|s| {
        s.received.iter().any(|m| {
            matches!(
                m,
                ServerMessage::CommitRefused {
                    reason: CommitRefusal::WelcomeMissing,
                    ..
                }
            )
        })
    });
    assert!(refused);
    let epochs = server.transcript(&room, &ada.session).await.generations[0].epochs.len();
    assert_eq!(epochs, 1, "the refused commit is nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_2_a_forged_commit_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let mut tries = 0;
    ada.tamper(move |message| {
        if let ClientMessage::Commit { commit, .. } = message {
            tries += 1;
            if tries == 1 {
                let middle = commit.0.len() / 2;
                commit.0[middle] ^= 1;
            }
        }
    });
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    assert!(ada.see(|s| s.received.iter().any(|m| matches!(
        m,
        ServerMessage::CommitRefused {
            reason: CommitRefusal::Invalid,
            ..
        }
    ))));
    assert_eq!(ada.epoch(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pf_01_who_floods_is_limited_and_the_others_are_not() {
    let server = TestServer::start_with(|c| c.limits.commits = (3, 0.1)).await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    let at = e2ee_core::wire::delivery::GroupEpoch {
        group_id: vec![1; 20].into(),
        epoch: 9,
    };
    for _ in 0..10 {
        bob.raw(ClientMessage::Commit {
            at: at.clone(),
            commit: vec![0; 100].into(),
            welcome: None,
        });
    }
    let limited = || {
        bob.see(|s| {
            let is = |m: &&ServerMessage| {
                matches!(
                    m,
                    ServerMessage::CommitRefused {
                        reason: CommitRefusal::RateLimited,
                        ..
                    }
                )
            };
            s.received.iter().filter(is).count()
        })
    };
    until("Bob is limited", || limited() >= 6).await;
    let cyd = server.join(&room, "Cyd").await;
    together(&[&ada, &bob, &cyd]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pf_23_messages_that_do_not_fit_are_answered_and_the_next_good_one_works() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    for text in [
        "",
        "{",
        "null",
        "{\"type\":\"become-admin\"}",
        "{\"type\":\"leave\",\"and\":1}",
        "{\"type\":\"hello\",\"protocol\":1,\"session\":\"x\",\"resume\":null}",
    ] {
        ada.text(text);
    }
    ada.raw(ClientMessage::Join {
        key_package: vec![1, 2, 3].into(),
        replaces: None,
    });
    let errors = || {
        ada.see(|s| {
            s.received
                .iter()
                .filter(|m| matches!(m, ServerMessage::Error { fatal: false, .. }))
                .count()
        })
    };
    until("each was answered", || errors() >= 7).await;
    assert_eq!(ada.see(|s| s.connections), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_13_a_client_that_lost_its_state_takes_its_own_place_again() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    // A page that was loaded anew: the session is there, the group is not.
    bob.die();
    let again = support::Client::start(server.address, &room, &bob.session, "Bob");
    together(&[&ada, &again]).await;
    nobody_refused(&[&ada, &again]);
    // Alone, there is nobody who could let the same person in again: a new generation, at once.
    ada.leave();
    together(&[&again]).await;
    again.die();
    let alone = support::Client::start(server.address, &room, &bob.session, "Bob");
    assert_eq!(together(&[&alone]).await, 0);
    assert_eq!(server.transcript(&room, &bob.session).await.generations.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_5_proposals_that_nobody_committed_survive_a_restart() {
    let mut server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let still_broken = broken.clone();
    ada.tamper(move |message| {
        if let ClientMessage::Commit { commit, .. } = message
            && still_broken.load(std::sync::atomic::Ordering::Relaxed)
        {
            commit.0.truncate(10);
        }
    });
    let bob = server.join(&room, "Bob").await;
    let refused = |m: &ServerMessage| matches!(m, ServerMessage::CommitRefused { .. });
    until("a commit was refused", || ada.see(|s| s.received.iter().any(refused))).await;
    server.stop().await;
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    server.run().await;
    together(&[&ada, &bob]).await;
    nobody_refused(&[&ada]);
}

#[tokio::test(flavor = "multi_thread")]
async fn admt_10_a_key_package_of_another_session_is_refused() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    let join = bob
        .see(|s| s.sent.iter().find(|m| matches!(m, ClientMessage::Join { .. })).cloned())
        .unwrap();
    ada.raw(join);
    let refused = |m: &ServerMessage| {
        matches!(
            m,
            ServerMessage::Error {
                code: e2ee_core::wire::delivery::ErrorCode::KeyPackageRefused,
                fatal: false,
                ..
            }
        )
    };
    until("it was refused", || ada.see(|s| s.received.iter().any(refused))).await;
    // And Ada is where she was.
    let cyd = server.join(&room, "Cyd").await;
    together(&[&ada, &bob, &cyd]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_is_told_of_whoever_was_removed_and_of_nobody_else() {
    let server = TestServer::start_with(|c| c.timing.gone = Duration::from_secs(3)).await;
    let mut removals = server.server().removals();
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    bob.cut(Duration::from_millis(100));
    until("Bob is back", || bob.see(|s| s.connections == 2)).await;
    let person = bob.see(|s| {
        s.roster
            .as_ref()
            .unwrap()
            .members
            .iter()
            .find(|m| m.own)
            .unwrap()
            .person
            .clone()
    });
    bob.leave();
    together(&[&ada]).await;
    let removal = removals.recv().await.unwrap();
    assert_eq!(removal.participant, person);
    assert_ne!(removal.room, room.id);
    assert!(removals.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn iden_1_a_client_with_another_roots_link_ends_at_once() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let session = server.sign_in(&room, "Eve").await;
    let eve = support::Client::start_expecting(server.address, &room, &session, "Eve", [9; 32]);
    until("it has ended", || eve.see(|s| s.ended.is_some())).await;
    assert!(eve.see(|s| {
        s.sent
            .iter()
            .all(|m| matches!(m, ClientMessage::Hello { .. } | ClientMessage::Refused { .. }))
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_good_for_its_room_only() {
    let server = TestServer::start().await;
    let (room, other) = (server.create_room().await, server.create_room().await);
    let session = server.sign_in(&room, "Ada").await;
    let ada = support::Client::start(server.address, &other, &session, "Ada");
    until("it has ended", || ada.see(|s| s.ended.is_some())).await;
    let reply = server
        .http(
            "GET",
            &format!("/api/rooms/{}/transcript", other.id),
            &[("authorization", &format!("Bearer {session}"))],
            "",
        )
        .await;
    assert_eq!(reply.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_tokens_name_the_certificates_person_and_not_the_rooms_id() {
    let server = TestServer::start_with(|c| c.timing.relay_token = Duration::from_millis(500)).await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("a token was renewed", || ada.see(|s| s.relay_tokens.len() >= 3)).await;
    let verifier = relay_token::Verifier::new(server.server().relay_token_key());
    let person = ada.see(|s| s.roster.as_ref().unwrap().members[0].person.clone());
    for token in ada.see(|s| s.relay_tokens.clone()) {
        match verifier.verify(&token, support::client::now().as_secs()) {
            Ok(claims) => {
                assert_eq!(claims.participant, person);
                assert_ne!(claims.room, room.id);
            }
            // They live for a second here.
            Err(error) => assert_eq!(error, relay_token::TokenError::Expired),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rely_50_members_get_turn_credentials_with_ready_and_fresh_ones_with_each_token() {
    let server = TestServer::start_with(|c| {
        c.timing.relay_token = Duration::from_millis(1_100);
        let urls = vec!["turns:turn.example:5349".to_owned()];
        c.turn = Some(Turn::new(urls, "north-star-of-the-sea").unwrap());
    })
    .await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("credentials were renewed", || ada.see(|s| s.ice_servers.len() >= 3)).await;
    let person = ada.see(|s| s.roster.as_ref().unwrap().members[0].person.clone());
    let servers = ada.see(|s| s.ice_servers.clone());
    let mut expiries = Vec::new();
    for server in &servers {
        assert_eq!(server.urls, ["turns:turn.example:5349"]);
        let (expiry, who) = server.username.split_once(':').unwrap();
        assert_eq!(who, person);
        expiries.push(expiry.parse::<u64>().unwrap());
        let left = expiries[expiries.len() - 1].saturating_sub(support::client::now().as_secs());
        assert!((3_500..=3_600).contains(&left), "{left} s");
    }
    assert!(expiries.is_sorted() && expiries[0] < expiries[expiries.len() - 1]);

    let without = TestServer::start().await;
    let room = without.create_room().await;
    let bob = without.join(&room, "Bob").await;
    until("Bob is in", || bob.see(|s| s.roster.is_some())).await;
    assert!(bob.see(|s| s.ice_servers.is_empty()));
}
