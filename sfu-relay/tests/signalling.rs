//! The real thing: WebSocket, UDP socket and the engine's thread.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use relay_token::{Claims, Rights, Source, encode};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sfu_relay::{Config, Relay};
use tokio_tungstenite::tungstenite::Message;

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

const ROOM: &str = "the-board-room";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn token(seed: u8, participant: &str, nbf: u64, exp: u64) -> String {
    let claims = Claims {
        room: ROOM.into(),
        participant: participant.into(),
        rights: Rights {
            publish: vec![Source::Camera],
            subscribe: true,
        },
        nbf,
        exp,
        jti: "j".into(),
    };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    encode(&claims, |bytes| Ok::<_, Infallible>(pair.sign(bytes).as_ref().to_vec())).unwrap()
}

async fn relay() -> (Relay, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let key = pair.public_key().as_ref().try_into().unwrap();
    let relay = Relay::start(&Config::new("127.0.0.1:0".parse().unwrap(), key)).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/relay/v1", listener.local_addr().unwrap());
    let app = sfu_relay::router(relay.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (relay, url)
}

async fn connect(url: &str) -> Socket {
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

async fn send(socket: &mut Socket, message: Value) {
    socket.send(Message::Text(message.to_string().into())).await.unwrap();
}

/// The next message; `null` once the connection is closed.
async fn next(socket: &mut Socket) -> Value {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), socket.next())
            .await
            .unwrap()
        {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Value::Null,
        }
    }
}

async fn joined(url: &str, participant: &str) -> Socket {
    let mut socket = connect(url).await;
    send(
        &mut socket,
        json!({"type": "hello", "protocol": 1, "token": token(1, participant, now(), now() + 60)}),
    )
    .await;
    assert_eq!(
        next(&mut socket).await,
        json!({"type": "ready", "participant": participant})
    );
    assert_eq!(
        next(&mut socket).await,
        json!({"type": "producers", "added": [], "removed": []})
    );
    socket
}

async fn is_refused(socket: &mut Socket, code: &str) {
    let error = next(socket).await;
    assert_eq!(
        (&error["type"], &error["code"], &error["fatal"]),
        (&json!("error"), &json!(code), &json!(true))
    );
    assert_eq!(next(socket).await, Value::Null, "and the connection ends");
}

#[tokio::test]
async fn tokens_that_are_not_good_here_and_now_are_refused() {
    let (relay, url) = relay().await;
    let now = now();
    for (token, code) in [
        (token(1, "a", now - 120, now - 60), "token-expired"),
        (token(1, "a", now + 60, now + 120), "token-invalid"),
        (token(2, "a", now, now + 60), "token-invalid"),
        ("nonsense".into(), "token-invalid"),
        ("x".repeat(100_000), "token-invalid"),
    ] {
        let mut socket = connect(&url).await;
        send(&mut socket, json!({"type": "hello", "protocol": 1, "token": token})).await;
        is_refused(&mut socket, code).await;
    }
    assert_eq!((relay.stats().tokens_refused, relay.stats().peers), (5, 0));
}

#[tokio::test]
async fn whatever_is_not_the_protocol_ends_the_connection() {
    let (_relay, url) = relay().await;
    for first in [
        json!({"type": "ping"}),
        json!({"type": "hello", "protocol": 2, "token": token(1, "a", now(), now() + 60)}),
        json!({"type": "hello", "protocol": 1}),
        json!("hello"),
    ] {
        let mut socket = connect(&url).await;
        send(&mut socket, first).await;
        is_refused(&mut socket, "protocol").await;
    }
    for later in [
        json!({"type": "hello", "protocol": 1, "token": ""}),
        json!({"type": "ping", "x": 1}),
        json!(7),
    ] {
        let mut socket = joined(&url, "a").await;
        send(&mut socket, later).await;
        is_refused(&mut socket, "protocol").await;
    }
    let mut socket = joined(&url, "b").await;
    socket.send(Message::Binary(vec![1, 2, 3].into())).await.unwrap();
    is_refused(&mut socket, "protocol").await;
}

#[tokio::test]
async fn pf_23_a_bad_offer_is_an_error_and_the_next_message_works() {
    let (_relay, url) = relay().await;
    let mut socket = joined(&url, "a").await;
    for sdp in ["", "v=0", "v=0\r\nm=audio", "\u{0}"] {
        send(
            &mut socket,
            json!({"type": "offer", "id": 1, "sdp": sdp, "publish": [], "subscribe": []}),
        )
        .await;
        let error = next(&mut socket).await;
        assert_eq!((&error["code"], &error["fatal"]), (&json!("offer"), &json!(false)));
    }
    send(&mut socket, json!({"type": "pause", "producer": "none"})).await;
    assert_eq!(next(&mut socket).await["code"], "unknown-producer");
    send(&mut socket, json!({"type": "ping"})).await;
    assert_eq!(next(&mut socket).await, json!({"type": "pong"}));
}

#[tokio::test]
async fn the_newest_connection_of_a_participant_replaces_the_older() {
    let (relay, url) = relay().await;
    let mut old = joined(&url, "a").await;
    let _new = joined(&url, "a").await;
    is_refused(&mut old, "replaced").await;
    assert_eq!(relay.stats().peers, 1);
}

#[tokio::test]
async fn a_participant_put_out_is_told_and_gone() {
    let (relay, url) = relay().await;
    let mut socket = joined(&url, "a").await;
    relay.disconnect(ROOM, "a").await;
    is_refused(&mut socket, "disconnected").await;
    assert_eq!(relay.stats().peers, 0);
    let mut again = connect(&url).await;
    send(
        &mut again,
        json!({"type": "hello", "protocol": 1, "token": token(1, "a", now() - 1, now() + 60)}),
    )
    .await;
    is_refused(&mut again, "disconnected").await;
}

#[tokio::test]
async fn a_flood_of_messages_ends_its_connection_and_no_other() {
    let (_relay, url) = relay().await;
    let mut quiet = joined(&url, "quiet").await;
    let mut loud = joined(&url, "loud").await;
    for _ in 0..1_000 {
        if loud
            .send(Message::Text(r#"{"type":"request-key-frame","producer":"x"}"#.into()))
            .await
            .is_err()
        {
            break;
        }
    }
    let mut last = Value::Null;
    loop {
        match next(&mut loud).await {
            Value::Null => break,
            message => last = message,
        }
    }
    assert!(
        last["code"] == "too-many" || last["code"] == "unknown-producer",
        "{last}"
    );
    send(&mut quiet, json!({"type": "ping"})).await;
    assert_eq!(next(&mut quiet).await, json!({"type": "pong"}));
}

#[tokio::test]
async fn shutting_down_tells_everybody_and_frees_the_port() {
    let (relay, url) = relay().await;
    let mut socket = joined(&url, "a").await;
    let port = relay.port();
    relay.shutdown().await;
    is_refused(&mut socket, "shutting-down").await;
    std::net::UdpSocket::bind(("127.0.0.1", port)).unwrap();
}

/// Status line and body of a `GET` at the operations' address.
async fn asked(address: std::net::SocketAddr, path: &str) -> (String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn rely_52_a_draining_relay_tells_who_is_here_refuses_who_comes_says_so_and_ends_when_all_have_left() {
    let (relay, url) = relay().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operations = listener.local_addr().unwrap();
    let app = sfu_relay::operations(relay.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let mut alice = joined(&url, "alice").await;
    assert!(asked(operations, "/health").await.0.contains(" 200 "));
    let (status, figures) = asked(operations, "/metrics").await;
    assert!(status.contains(" 200 "));
    assert!(
        figures.lines().any(|line| line == "conclave_relay_peers 1"),
        "{figures}"
    );

    let draining = tokio::spawn({
        let relay = relay.clone();
        async move { relay.drain(Duration::from_secs(60)).await }
    });
    while !relay.is_draining() {
        tokio::task::yield_now().await;
    }
    assert!(asked(operations, "/health").await.0.contains(" 503 "));
    let mut bob = connect(&url).await;
    send(
        &mut bob,
        json!({"type": "hello", "protocol": 1, "token": token(1, "bob", now(), now() + 60)}),
    )
    .await;
    is_refused(&mut bob, "shutting-down").await;

    let told = next(&mut alice).await;
    assert_eq!(
        (&told["code"], &told["fatal"]),
        (&json!("shutting-down"), &json!(false)),
        "told to move"
    );
    send(&mut alice, json!({"type": "ping"})).await;
    assert_eq!(next(&mut alice).await, json!({"type": "pong"}), "still served");
    alice.close(None).await.unwrap();
    draining.await.unwrap();
    assert!(!relay.is_alive());
    assert!(asked(operations, "/health").await.0.contains(" 503 "));
}

#[tokio::test]
async fn rely_53_figures_of_a_room_are_told_without_its_name_or_anybodys_and_end_with_it() {
    let (relay, url) = relay().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operations = listener.local_addr().unwrap();
    let app = sfu_relay::operations(relay.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let mut alice = joined(&url, "alice-of-the-board").await;
    let mut bob = joined(&url, "bob-of-the-board").await;
    let (_, figures) = asked(operations, "/metrics").await;
    let of = |figures: &str, name: &str| -> Vec<String> {
        let lines = figures.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        lines.map(str::to_owned).collect()
    };
    let peers = of(&figures, "conclave_relay_room_peers");
    assert!(peers.len() == 1 && peers[0].ends_with(" 2"), "{figures}");
    for name in ["board", "alice", "bob", "127.0.0.1", ROOM] {
        assert!(!figures.contains(name), "{name}");
    }
    alice.close(None).await.unwrap();
    bob.close(None).await.unwrap();
    while relay.stats().peers > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, figures) = asked(operations, "/metrics").await;
    assert!(of(&figures, "conclave_relay_room_peers").is_empty(), "{figures}");
}

#[tokio::test]
async fn rely_73_a_session_ends_with_its_token_unless_it_shows_a_fresh_one_of_its_own() {
    let (relay, url) = relay().await;
    let soon = now();
    // Over in a second, had a clock not five to be wrong by.
    let expired = |participant: &str| token(1, participant, soon - 20, soon + 1);
    let hello = |participant: &str| json!({"type": "hello", "protocol": 1, "token": expired(participant)});
    let mut renewing = connect(&url).await;
    send(&mut renewing, hello("renewing")).await;
    let mut idle = connect(&url).await;
    send(&mut idle, hello("idle")).await;
    for socket in [&mut renewing, &mut idle] {
        assert_eq!(next(socket).await["type"], "ready");
        assert_eq!(next(socket).await["type"], "producers");
    }
    let renew = |token: String| json!({"type": "renew", "token": token});
    send(&mut renewing, renew(token(1, "renewing", soon, soon + 60))).await;
    is_refused(&mut idle, "token-expired").await;
    until(|| relay.stats().peers == 1).await;
    send(&mut renewing, json!({"type": "ping"})).await;
    assert_eq!(next(&mut renewing).await, json!({"type": "pong"}));

    let someone_elses = token(1, "idle", soon, soon + 60);
    send(&mut renewing, renew(someone_elses)).await;
    is_refused(&mut renewing, "token-invalid").await;
    let mut forging = joined(&url, "forging").await;
    send(&mut forging, renew(token(2, "forging", soon, soon + 60))).await;
    is_refused(&mut forging, "token-invalid").await;
    let mut late = joined(&url, "late").await;
    send(&mut late, renew(token(1, "late", soon - 60, soon - 30))).await;
    is_refused(&mut late, "token-expired").await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpSocket;

    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let key = pair.public_key().as_ref().try_into().unwrap();
    let relay = Relay::start(&Config::new("127.0.0.1:0".parse().unwrap(), key)).unwrap();
    // Buffers of a few packets, so that a few answers fill them.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(2_048).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    let app = sfu_relay::router(relay.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let client = TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(2_048).unwrap();
    let mut client = client.connect(address).await.unwrap();

    let masked = |text: &str| {
        let mut frame = vec![0x81];
        match text.len() {
            len @ 0..126 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(len as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        frame
    };
    let request = format!(
        "GET /relay/v1 HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let hello = json!({"type": "hello", "protocol": 1, "token": token(1, "mute", now(), now() + 60)});
    client.write_all(&masked(&hello.to_string())).await.unwrap();
    for _ in 0..190 {
        client
            .write_all(&masked(r#"{"type":"request-key-frame","producer":"nobodys"}"#))
            .await
            .unwrap();
    }
    until(|| relay.stats().peers == 1).await;
    // It says that it is there, again and again, and takes no answer.
    let alive = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(&[0x8A, 0x80, 0, 0, 0, 0]).await.is_err() {
                return;
            }
        }
    });
    until(|| relay.stats().peers == 0).await;
    tokio::time::timeout(Duration::from_secs(10), alive)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn pf_01_rely_75_who_connects_again_and_again_is_limited_and_others_behind_the_same_proxy_are_not() {
    use std::net::SocketAddr;
    use tokio_tungstenite::tungstenite::{Error, client::IntoClientRequest};

    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let mut config = Config::new(
        "127.0.0.1:0".parse().unwrap(),
        pair.public_key().as_ref().try_into().unwrap(),
    );
    config.connects = (2, 0.01);
    config.trusted_proxies = ["127.0.0.1".parse::<callers::Network>().unwrap()].into_iter().collect();
    let relay = Relay::start(&config).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/relay/v1", listener.local_addr().unwrap());
    let app = sfu_relay::router(relay.clone()).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    for (client, expected) in [
        ("203.0.113.9", 101),
        ("203.0.113.9", 101),
        ("203.0.113.9", 429),
        ("192.0.2.1, 203.0.113.9", 429),
        ("2001:db8:1:2::1", 101),
        ("2001:db8:1:2::2", 101),
        ("2001:db8:1:2::3", 429),
        ("2001:db8:1:3::1", 101),
    ] {
        let mut request = url.clone().into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
        let status = match tokio_tungstenite::connect_async(request).await {
            Ok((_, answer)) => answer.status(),
            Err(Error::Http(answer)) => answer.status(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(status.as_u16(), expected, "{client}");
    }
    assert_eq!(relay.stats().signals_refused, 3);
}

async fn until(done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), wait).await.unwrap();
}
