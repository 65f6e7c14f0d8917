//! PF-23: any message in any state is an error and nothing more; the next good one works.
//!
//! Requirements held here: HEAL-7, HEAL-8, HEAL-10.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Config, Engine, Input, Output};
use e2ee_core::wire::delivery::{CommitRefusal, EndReason, ErrorCode, GroupEpoch, ServerMessage};
use e2ee_core::wire::{Bytes, Receipt};
use simulator::world::World;

const SECOND: Duration = Duration::from_secs(1);

fn receipt() -> Receipt {
    Receipt {
        index: 0,
        entry: Bytes(vec![1]),
        proof: vec![Bytes(vec![2; 32])],
        checkpoint: "x".into(),
    }
}

/// One of every message that does not end things by its own right, with contents that mean nothing.
fn nonsense(at: &GroupEpoch) -> Vec<ServerMessage> {
    let other = GroupEpoch {
        group_id: Bytes(b"elsewhere".to_vec()),
        epoch: at.epoch,
    };
    let past = GroupEpoch {
        group_id: at.group_id.clone(),
        epoch: at.epoch.wrapping_sub(1),
    };
    let mut all = vec![ServerMessage::Pong {}];
    for at in [other, past] {
        all.extend([
            ServerMessage::Proposals {
                at: at.clone(),
                proposals: vec![Bytes(vec![1, 2, 3])],
                receipts: vec![],
            },
            ServerMessage::Commit {
                at: at.clone(),
                commit: Bytes(vec![0; 9]),
                receipt: receipt(),
                roster_salt: Bytes(vec![0; 3]),
            },
            ServerMessage::CommitRefused {
                at: at.clone(),
                reason: CommitRefusal::Invalid,
                detail: "no".into(),
            },
            ServerMessage::Ack {
                at: at.clone(),
                leaf: u32::MAX,
            },
            ServerMessage::Presence {
                at: at.clone(),
                live: vec![u32::MAX, 7],
            },
            ServerMessage::Application {
                at: at.clone(),
                message: Bytes(vec![0xFF; 40]),
            },
            ServerMessage::Ended {
                group_id: Bytes(b"elsewhere".to_vec()),
                reason: EndReason::Removed,
            },
        ]);
    }
    all.push(ServerMessage::Application {
        at: at.clone(),
        message: Bytes(vec![]),
    });
    all.push(ServerMessage::Application {
        at: at.clone(),
        message: Bytes(vec![0; 20_000]),
    });
    all.push(ServerMessage::Ack {
        at: at.clone(),
        leaf: 99,
    });
    all.push(ServerMessage::CommitRefused {
        at: at.clone(),
        reason: CommitRefusal::EpochTaken,
        detail: String::new(),
    });
    all.push(ServerMessage::RelayToken {
        token: "t".into(),
        expires_in: 1,
        ice_servers: Vec::new(),
    });
    all.push(ServerMessage::Error {
        code: ErrorCode::RateLimited,
        message: "slow".into(),
        fatal: false,
    });
    all
}

const TEXTS: [&str; 9] = [
    "",
    "{",
    "null",
    "[]",
    r#"{"type":"ready"}"#,
    r#"{"type":"become-admin"}"#,
    r#"{"type":"joined","at":{"group_id":"!!","epoch":1}}"#,
    r#"{"type":"ack","at":{"group_id":"AA","epoch":-1},"leaf":1}"#,
    r#"{"type":"commit","at":{"group_id":"AA","epoch":18446744073709551616}}"#,
];

fn pelt(world: &mut World, id: usize, at: &GroupEpoch) {
    for message in nonsense(at) {
        world.deliver(id, message);
    }
    for text in TEXTS {
        world.input(id, Input::Text(text.into()));
    }
    world.input(id, Input::Text("x".repeat(5 * 1024 * 1024)));
    for stray in [
        Input::Tick,
        Input::Tick,
        Input::Chat(String::new()),
        Input::Chat("x".repeat(100_000)),
    ] {
        world.input(id, stray);
    }
}

#[test]
fn pf_23_nonsense_before_and_after_every_message_of_a_join_changes_nothing() {
    for profile in Profile::ALL {
        let mut world = World::meeting(profile, 2);
        let at = world.service.at();
        world.join(2);
        // Ten milliseconds at a time: every state on the way is met.
        for _ in 0..150 {
            pelt(&mut world, 2, &at);
            world.run(Duration::from_millis(10));
        }
        world.run(SECOND);
        world.assert_agreed(3);
        assert!(
            world.clients[&2].refusals().is_empty(),
            "{:?}",
            world.clients[&2].refusals()
        );
        assert!(!world.clients[&2].warnings().is_empty());
    }
}

#[test]
fn pf_23_nonsense_in_a_call_changes_nothing() {
    let mut world = World::meeting(Profile::Standard, 3);
    let at = world.service.at();
    for id in 0..3 {
        pelt(&mut world, id, &at);
    }
    // Nonsense about who is connected only costs time.
    world.join(3);
    world.run(SECOND * 3);
    world.assert_agreed(4);
}

#[test]
fn pf_18_a_broken_message_of_the_current_epoch_is_refused_and_the_member_is_back_in_seconds() {
    for profile in Profile::ALL {
        let mut world = World::meeting(profile, 3);
        let at = world.service.at();
        world.deliver(
            1,
            ServerMessage::Proposals {
                at: at.clone(),
                proposals: vec![Bytes(vec![9; 99])],
                receipts: vec![],
            },
        );
        assert_eq!(world.clients[&1].refusals().len(), 1);
        assert_eq!(
            world.clients[&1].engine.epoch(),
            Some(at.epoch),
            "a refused proposal costs nothing"
        );
        world.deliver(
            1,
            ServerMessage::Commit {
                at,
                commit: Bytes(vec![9; 99]),
                receipt: receipt(),
                roster_salt: Bytes(vec![0; 32]),
            },
        );
        assert_eq!(world.clients[&1].engine.epoch(), None);
        world.run(SECOND * 4);
        world.assert_agreed(3);
        assert!(world.service.refused.iter().any(|(id, _)| *id == 1));
    }
}

#[test]
fn pf_23_before_any_connection_and_after_the_end_everything_is_ignored() {
    let world = World::meeting(Profile::Standard, 1);
    let at = world.service.at();
    let mut engine = Engine::new(Config {
        seed: [1; 32],
        profile: Profile::Standard,
        expected_root: [0; 32],
        room: "room".into(),
        session: "s".into(),
    });
    let sent = |outputs: Vec<Output>| outputs.iter().any(|o| matches!(o, Output::Send(_)));
    for message in nonsense(&at) {
        assert!(!sent(engine.handle(Input::Server(message), world.now)));
    }
    engine.handle(Input::Leave, world.now);
    assert!(engine.is_over());
    for message in nonsense(&at) {
        assert!(!sent(engine.handle(Input::Server(message), world.now)));
    }
    for input in [
        Input::Connected,
        Input::ConnectionLost,
        Input::Tick,
        Input::Chat("x".into()),
        Input::Leave,
    ] {
        assert!(!sent(engine.handle(input, world.now)));
    }
}

#[test]
fn pf_17_nothing_that_can_be_printed_holds_a_key() {
    let mut world = World::meeting(Profile::Standard, 2);
    world.join(2);
    world.run(SECOND * 2);
    for client in world.clients.values() {
        let printed = format!("{:?} {:?}", client.engine, client.outputs);
        for keys in client.keys() {
            let key = keys.media.base_key.expose();
            let decimal: Vec<String> = key[..4].iter().map(u8::to_string).collect();
            assert!(!printed.contains(&decimal.join(", ")));
            assert!(!printed.to_lowercase().contains(&hex::encode(&key[..4])));
        }
        assert!(
            !format!("{:?}", client.engine).contains("session-"),
            "nor the session's token"
        );
    }
}

#[test]
fn pf_07_the_meeting_code_is_everybodys_and_of_this_epoch_only() {
    let mut world = World::meeting(Profile::Standard, 2);
    let first = world.clients[&0].code();
    assert_eq!(first, world.clients[&1].code());
    assert_eq!(first.replace(' ', "").len(), 40);
    world.join(2);
    world.run(SECOND * 2);
    assert_ne!(world.clients[&0].code(), first);
    assert_eq!(world.clients[&0].code(), world.clients[&2].code());
}
