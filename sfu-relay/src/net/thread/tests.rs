#![allow(clippy::unwrap_used)]

use super::{Input, Thread};
use crate::Limits;
use crate::engine::{Command, Engine, EngineConfig, Event, SessionId};
use crate::net::dtls::Identity;
use crate::net::outlets::Outlets;
use crate::signal::message::{ErrorCode, RelayMessage};
use crate::stats::Counters;
use rand::SeedableRng;
use relay_token::{Claims, Rights};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

fn thread() -> Thread {
    let counters = Counters::shared();
    let engine = Engine::new(EngineConfig {
        identity: Identity::generate().unwrap(),
        candidates: Vec::new(),
        limits: Limits::default(),
        rng: rand::rngs::StdRng::seed_from_u64(1),
        counters: counters.clone(),
    });
    let (happenings, _) = mpsc::channel(1);
    Thread {
        index: 0,
        engine,
        outlets: Outlets::new(None, None, counters.clone()),
        outboxes: Default::default(),
        counters,
        mailboxes: Vec::new().into(),
        handed: 0,
        happenings,
        connections: 0,
        swept: Instant::now(),
        farewell: false,
    }
}

fn join(thread: &mut Thread, number: u64) -> mpsc::Receiver<Event> {
    let session = SessionId(number);
    let (outbox, events) = mpsc::channel(16);
    thread.told(Input::Open { session, outbox });
    let claims = Claims {
        room: "r".into(),
        participant: "alice".into(),
        rights: Rights {
            publish: Vec::new(),
            subscribe: true,
        },
        nbf: 1_000,
        exp: 1_060,
        jti: "j".into(),
    };
    let ends = Instant::now() + Duration::from_secs(60);
    thread.told(Input::Command(Command::Join { session, claims, ends }));
    thread.deliver();
    events
}

#[test]
fn a_session_that_the_engine_closed_leaves_nothing_behind_but_its_last_word() {
    let mut thread = thread();
    let mut last = Vec::new();
    for number in 0..50 {
        last.push(join(&mut thread, number));
        assert_eq!(thread.outboxes.len(), 1, "the newest speaks for Alice");
    }
    thread.told(Input::Command(Command::Disconnect {
        room: "r".into(),
        participant: "alice".into(),
        at: 2_000,
    }));
    thread.deliver();
    assert!(thread.outboxes.is_empty());
    // With a token from before she is not let in.
    last.push(join(&mut thread, 50));
    assert!(thread.outboxes.is_empty());
    for (number, mut events) in last.into_iter().enumerate() {
        let mut end = None;
        while let Ok(event) = events.try_recv() {
            end = Some(event);
        }
        let code = if number < 49 {
            ErrorCode::Replaced
        } else {
            ErrorCode::Disconnected
        };
        let session = SessionId(number as u64);
        assert_eq!(end, Some(Event::Close { session, code }));
        assert!(events.is_closed(), "and the session's task sees the end");
    }
}

#[test]
fn rely_52_a_session_that_opens_after_the_farewell_is_told_as_well() {
    let mut thread = thread();
    let farewells = |events: &mut mpsc::Receiver<Event>| {
        let said = std::iter::from_fn(|| events.try_recv().ok());
        let is = |event: &Event| matches!(event, Event::Say { message: RelayMessage::Error { code, .. }, .. } if *code == ErrorCode::ShuttingDown);
        said.filter(is).count()
    };
    let mut early = join(&mut thread, 1);
    assert_eq!(farewells(&mut early), 0);
    thread.told(Input::Farewell);
    assert_eq!(farewells(&mut early), 1);
    assert_eq!(farewells(&mut join(&mut thread, 2)), 1);
}
