//! What a session may have, by whether its device is in the group, and how often.
//!
//! Requirements held here: DLVR-3, DLVR-14, DLVR-15.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use e2ee_core::wire::delivery::{ClientMessage, CommitRefusal, ErrorCode, PROTOCOL, ServerMessage};
use futures_util::{SinkExt as _, StreamExt as _};
use support::{Room, TestServer, together, until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Says hello and no more. What comes back goes on to be read.
async fn hello(server: &TestServer, room: &Room, session: &str) -> Socket {
    let url = format!("ws://{}/api/rooms/{}/delivery", server.address, room.id);
    let (mut socket, _) = connect_async(&url).await.unwrap();
    let hello = ClientMessage::Hello {
        protocol: PROTOCOL,
        session: session.to_owned(),
        resume: None,
    };
    say(&mut socket, &hello).await;
    socket
}

async fn say(socket: &mut Socket, message: &ClientMessage) {
    let text = serde_json::to_string(message).unwrap();
    socket.send(Message::Text(text.into())).await.unwrap();
}

async fn heard(socket: &mut Socket) -> Option<ServerMessage> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(text.as_str()).ok(),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_14_a_relay_token_has_rights_while_its_device_is_in_the_group() {
    let server = TestServer::start_with(|c| c.timing.relay_token = Duration::from_secs(2)).await;
    let room = server.create_room().await;
    let verifier = relay_token::Verifier::new(server.server().relay_token_key());
    let began = support::client::now().as_secs();
    let may = |token: &str| {
        // When it was looked at is not what this is about.
        let claims = (began..began + 600)
            .find_map(|at| verifier.verify(token, at).ok())
            .unwrap();
        assert_eq!(
            claims.rights.subscribe,
            !claims.rights.publish.is_empty(),
            "all or nothing"
        );
        claims.rights.subscribe
    };
    let ada = server.join(&room, "Ada").await;
    let newest = |client: &support::Client| client.see(|s| s.relay_tokens.last().cloned());
    until("Ada has rights", || newest(&ada).is_some_and(|token| may(&token))).await;
    assert!(!may(&ada.see(|s| s.relay_tokens[0].clone())), "not with the first word");

    // Whoever is signed in and never let in gets none, however long they stay.
    let session = server.sign_in(&room, "Eve").await;
    let mut eve = hello(&server, &room, &session).await;
    let mut tokens = 0;
    while tokens < 3 {
        match heard(&mut eve).await.unwrap() {
            ServerMessage::Ready(ready) => assert!(!may(&ready.relay_token)),
            ServerMessage::RelayToken { token, .. } => assert!(!may(&token)),
            _ => continue,
        }
        tokens += 1;
        say(&mut eve, &ClientMessage::Ping {}).await;
    }

    // Whoever comes back to the group gets them anew, without joining.
    let before = ada.see(|s| s.relay_tokens.len());
    ada.cut(Duration::from_millis(300));
    until("Ada came back", || ada.see(|s| s.relay_tokens.len() >= before + 2)).await;
    until("with her rights", || newest(&ada).is_some_and(|token| may(&token))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_15_whoever_connects_again_and_again_is_limited_and_the_others_are_not() {
    let server = TestServer::start().await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let session = server.sign_in(&room, "Eve").await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(heard(&mut hello(&server, &room, &session).await).await);
    }
    let ready = |answer: &&Option<ServerMessage>| matches!(answer, Some(ServerMessage::Ready(_)));
    let limited = |answer: &&Option<ServerMessage>| {
        matches!(
            answer,
            Some(ServerMessage::Error {
                code: ErrorCode::RateLimited,
                fatal: false,
                ..
            })
        )
    };
    let (served, refused) = (
        answers.iter().filter(ready).count(),
        answers.iter().filter(limited).count(),
    );
    assert!((8..20).contains(&served), "{served}");
    assert_eq!(served + refused, 20);

    let path = format!("/api/rooms/{}/transcript", room.id);
    let bearer = format!("Bearer {session}");
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(
            server
                .http("GET", &path, &[("authorization", &bearer)], "")
                .await
                .status,
        );
    }
    assert_eq!(statuses[..4], [200; 4]);
    assert!(statuses[4..].contains(&429), "{statuses:?}");
    assert_eq!(server.transcript(&room, &ada.session).await.generations.len(), 1);
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dlvr_3_whoever_was_removed_by_the_commit_that_won_is_told_that_it_is_no_member_and_not_who_won() {
    let server = TestServer::start_with(|c| c.timing.gone = Duration::from_secs(3)).await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob").await;
    together(&[&ada, &bob]).await;
    bob.die();
    together(&[&ada]).await;
    let (at, commit) = ada.see(|s| {
        let commits = s.sent.iter().filter_map(|message| match message {
            ClientMessage::Commit { at, commit, .. } => Some((at.clone(), commit.clone())),
            _ => None,
        });
        commits.collect::<Vec<_>>().pop().unwrap()
    });
    // The very commit that removed him, and one of his own: neither gets another answer.
    let mut socket = hello(&server, &room, &bob.session).await;
    let mut own = commit.clone();
    *own.0.last_mut().unwrap() ^= 1;
    for commit in [commit, own] {
        let message = ClientMessage::Commit {
            at: at.clone(),
            commit,
            welcome: None,
        };
        say(&mut socket, &message).await;
        let answer = loop {
            match heard(&mut socket).await.unwrap() {
                ServerMessage::Ready(_) | ServerMessage::RelayToken { .. } | ServerMessage::Presence { .. } => {}
                other => break other,
            }
        };
        let refused =
            matches!(&answer, ServerMessage::CommitRefused { at: of, reason: CommitRefusal::Invalid, .. } if *of == at);
        assert!(refused, "{answer:?}");
    }
    say(&mut socket, &ClientMessage::Ping {}).await;
    assert!(
        matches!(heard(&mut socket).await, Some(ServerMessage::Pong {})),
        "and nothing more"
    );
}
