//! Members' engines, the real key server over real sockets, and the auditor over what they leave behind.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use audits::Verdict;
use audits::expected_root::ExpectedRoot;
use audits::log_folder::LogFolder;
use e2ee_core::group::Profile;
use e2ee_core::wire::Bytes;
use e2ee_core::wire::delivery::{ClientMessage, CommitRefusal, ServerMessage};
use e2ee_core::wire::transcript::Transcript;
use support::{Member, Server, Way, agreed};

async fn transcript(server: &Server, room: &str, session: &str) -> Transcript {
    let path = format!("/api/rooms/{room}/transcript");
    let (status, body) = server.ask("GET", &path, Some(session), "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c7_a_meeting_over_the_real_key_server_is_one_group_and_its_transcript_satisfies_the_auditor() {
    for profile in Profile::ALL {
        meeting_and_audit(profile).await;
    }
}

async fn meeting_and_audit(profile: Profile) {
    let server = Server::start().await;
    let room = server.make_room_of(profile).await;
    let ada = Member::join_as(&server, &room, "Ada", profile).await;
    let first = agreed(&[&ada]).await;
    let ben = Member::join_as(&server, &room, "Ben", profile).await;
    let cleo = Member::join_as(&server, &room, "Cleo", profile).await;
    let second = agreed(&[&ada, &ben, &cleo]).await;
    assert!(second > first);
    let key = ada.see(|seen| seen.base_key.clone());

    ada.chat("good morning");
    ben.until("Ada's line", |seen| {
        seen.chat == [("Ada".to_owned(), "good morning".to_owned())]
    })
    .await;

    ben.leave();
    let third = agreed(&[&ada, &cleo]).await;
    assert!(third > second);
    assert_ne!(ada.see(|seen| seen.base_key.clone()), key, "new keys without Ben");
    assert_eq!(
        ben.see(|seen| seen.base_key.clone()),
        key,
        "and Ben has only the old ones"
    );

    let bundle = transcript(&server, &room, &ada.session).await;
    let folder = LogFolder::open(&server.log_folder()).unwrap();
    let expected = ExpectedRoot {
        profile: Some(profile),
        ..ExpectedRoot::new(server.root_hash())
    };
    let report = audits::transcript::audit(&bundle, &folder, &expected).unwrap();
    let text = report.to_text();
    assert_eq!(report.verdict(), Verdict::Holds, "{text}");
    for name in ["Ada", "Ben", "Cleo"] {
        assert!(text.contains(name), "{text}");
    }

    let other = Profile::ALL.into_iter().find(|other| *other != profile);
    let misled = ExpectedRoot {
        profile: other,
        ..expected.clone()
    };
    let report = audits::transcript::audit(&bundle, &folder, &misled).unwrap();
    assert_eq!(report.verdict(), Verdict::Wrong, "the link names other algorithms");

    // Whatever of it is altered, it no longer holds.
    let mut altered = bundle.clone();
    let commit = &mut altered.generations[0].epochs[0].commit.0;
    let middle = commit.len() / 2;
    commit[middle] ^= 1;
    assert_eq!(
        audits::transcript::audit(&altered, &folder, &expected)
            .unwrap()
            .verdict(),
        Verdict::Wrong
    );
    let mut shorter = bundle.clone();
    shorter.generations[0].epochs.pop();
    assert_eq!(
        audits::transcript::audit(&shorter, &folder, &expected)
            .unwrap()
            .verdict(),
        Verdict::Wrong
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clnt_8_whose_link_pins_other_algorithms_than_the_rooms_stays_out_and_is_told_why() {
    let server = Server::start().await;
    for room_is in Profile::ALL {
        let room = server.make_room_of(room_is).await;
        let ada = Member::join_as(&server, &room, "Ada", room_is).await;
        agreed(&[&ada]).await;
        for link_says in Profile::ALL.into_iter().filter(|other| *other != room_is) {
            let ben = Member::join_as(&server, &room, "Ben", link_says).await;
            ben.until("the end", |seen| seen.ended.is_some()).await;
            // A service's key of the wrong kind tells at once; else the key package does.
            let words = |said: &String| said.contains("another profile") || said.contains("another cipher suite");
            assert!(ben.see(|seen| seen.refused.iter().chain(&seen.ended).any(words)));
            assert!(ben.see(|seen| seen.roster.is_none()));
        }
        agreed(&[&ada]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comm_3_the_second_commit_for_an_epoch_is_refused_and_its_maker_takes_the_first() {
    let server = Server::start().await;
    let room = server.make_room().await;

    // Ada's commits are held back until somebody else's came down to her: then hers arrives second.
    let held = Arc::new(Mutex::new((false, Vec::<String>::new())));
    let gate = held.clone();
    let mut late = Vec::new();
    let ada = Member::join_through(
        &server,
        &room,
        "Ada",
        Box::new(move |way, text| {
            let mut gate = gate.lock().unwrap();
            match way {
                Way::Up if gate.0 && matches!(serde_json::from_str(&text), Ok(ClientMessage::Commit { .. })) => {
                    gate.1.push(text);
                    Vec::new()
                }
                // The commit that won is kept from her until hers was refused.
                Way::Down if gate.0 && matches!(serde_json::from_str(&text), Ok(ServerMessage::Commit { .. })) => {
                    late.push(text);
                    Vec::new()
                }
                Way::Down if matches!(serde_json::from_str(&text), Ok(ServerMessage::CommitRefused { .. })) => {
                    gate.0 = false;
                    std::iter::once(text).chain(late.drain(..)).collect()
                }
                Way::Up if !late.is_empty() && !gate.1.is_empty() => gate.1.drain(..).chain([text]).collect(),
                _ => vec![text],
            }
        }),
    )
    .await;
    let ben = Member::join(&server, &room, "Ben").await;
    let before = agreed(&[&ada, &ben]).await;

    held.lock().unwrap().0 = true;
    let cleo = Member::join(&server, &room, "Cleo").await;
    // Ben stands by for Ada, so that Cleo comes in all the same.
    ben.until("Cleo", |seen| {
        seen.roster.as_ref().is_some_and(|roster| roster.members.len() == 3)
    })
    .await;

    let after = agreed(&[&ada, &ben, &cleo]).await;
    assert_eq!(after, before + 1, "one commit for the epoch, not two");
    let refusals: Vec<CommitRefusal> = ada.see(|seen| {
        let messages = seen.heard.iter().filter_map(|text| serde_json::from_str(text).ok());
        messages
            .filter_map(|message| match message {
                ServerMessage::CommitRefused { reason, .. } => Some(reason),
                _ => None,
            })
            .collect()
    });
    assert!(
        matches!(refusals[..], [CommitRefusal::EpochTaken | CommitRefusal::WrongEpoch]),
        "{refusals:?}"
    );
    let bundle = transcript(&server, &room, &ada.session).await;
    let epochs: Vec<u64> = bundle.generations[0].epochs.iter().map(|epoch| epoch.epoch).collect();
    assert_eq!(epochs, (1..=after).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_of_the_key_server_the_same_group_goes_on_and_takes_in_somebody_new() {
    let mut server = Server::start().await;
    let room = server.make_room().await;
    let ada = Member::join(&server, &room, "Ada").await;
    let ben = Member::join(&server, &room, "Ben").await;
    let before = agreed(&[&ada, &ben]).await;

    server.stop().await;
    for member in [&ada, &ben] {
        member.until("the loss of the connection", |seen| !seen.connected).await;
    }
    server.resume().await;
    for member in [&ada, &ben] {
        member.until("the connection again", |seen| seen.connected).await;
    }

    let cleo = Member::join(&server, &room, "Cleo").await;
    let after = agreed(&[&ada, &ben, &cleo]).await;
    assert!(after > before);
    assert!(ada.see(|seen| seen.refused.is_empty()));
    let bundle = transcript(&server, &room, &ada.session).await;
    assert_eq!(bundle.generations.len(), 1, "no new group");
    let folder = LogFolder::open(&server.log_folder()).unwrap();
    let report = audits::transcript::audit(&bundle, &folder, &ExpectedRoot::new(server.root_hash())).unwrap();
    assert_eq!(report.verdict(), Verdict::Holds, "{}", report.to_text());
}

/// What a server between, or a hostile one, may do to an Add on its way to the members.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admt_6_dlvr_13_an_add_that_was_changed_on_the_way_is_refused_and_nobody_comes_in_by_it() {
    let server = Server::start().await;
    let room = server.make_room().await;
    let armed = Arc::new(Mutex::new(0));
    let shots = armed.clone();
    let ada = Member::join_through(
        &server,
        &room,
        "Ada",
        Box::new(move |way, text| {
            let mut shots = shots.lock().unwrap();
            if way == Way::Down
                && *shots > 0
                && let Ok(ServerMessage::Proposals {
                    at,
                    mut proposals,
                    receipts,
                }) = serde_json::from_str(&text)
            {
                *shots -= 1;
                let Bytes(proposal) = &mut proposals[0];
                let middle = proposal.len() / 2;
                proposal[middle] ^= 1;
                let changed = ServerMessage::Proposals {
                    at,
                    proposals,
                    receipts,
                };
                return vec![serde_json::to_string(&changed).unwrap()];
            }
            vec![text]
        }),
    )
    .await;
    agreed(&[&ada]).await;

    *armed.lock().unwrap() = 1;
    let mallory = Member::join(&server, &room, "Mallory").await;
    ada.until("a refusal", |seen| !seen.refused.is_empty()).await;
    assert!(ada.see(|seen| {
        let only_ada = |roster: &e2ee_core::group::engine::RosterView| roster.members.len() == 1;
        seen.roster.as_ref().is_some_and(only_ada)
    }));
    // PF-18: it recovers by itself. The same person with an Add that nobody changed is let in.
    agreed(&[&ada, &mallory]).await;
}
