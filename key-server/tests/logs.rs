//! PF-17: what a whole meeting leaves in the server's log.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use key_server::Turn;
use support::{TestServer, together, until};
use tracing_subscriber::EnvFilter;

const TURN_SECRET: &str = "north-star-of-the-sea";

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One test in this file: it takes the process' subscriber.
#[tokio::test(flavor = "multi_thread")]
async fn pf_17_a_meetings_log_holds_no_name_no_token_no_key_and_no_word_said() {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(
            "debug,key_server=trace,hsm_adapter=trace,e2ee_core=trace",
        ))
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let mut server = TestServer::start_with(|c| {
        c.turn = Some(Turn::new(vec!["turn:turn.example".into()], TURN_SECRET).unwrap());
    })
    .await;
    let room = server.create_room().await;
    let ada = server.join(&room, "Ada Lovelace").await;
    until("the group is made", || ada.see(|s| s.code.is_some())).await;
    let bob = server.join(&room, "Bob Beamon").await;
    together(&[&ada, &bob]).await;
    ada.chat("a word said in confidence");
    until("Bob has read it", || bob.see(|s| !s.chats.is_empty())).await;
    bob.text("{\"type\":\"nonsense\",\"secret\":\"a word said in confidence\"}");
    server.stop().await;
    server.run().await;
    until("both are back", || {
        [&ada, &bob].iter().all(|c| c.see(|s| s.connections >= 2))
    })
    .await;
    bob.leave();
    together(&[&ada]).await;
    server.stop().await;

    let mut secrets = vec![
        "Ada Lovelace".to_owned(),
        "Bob Beamon".to_owned(),
        "a word said".to_owned(),
    ];
    secrets.extend([ada.session.clone(), bob.session.clone(), room.id.clone()]);
    secrets.extend(ada.see(|s| s.relay_tokens.clone()));
    let servers = ada.see(|s| s.ice_servers.clone());
    assert!(!servers.is_empty());
    secrets.extend(servers.into_iter().map(|server| server.credential));
    secrets.push(TURN_SECRET.to_owned());
    for file in std::fs::read_dir(server.folder.path().join("keys")).unwrap() {
        let key: serde_json::Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        secrets.push(key["secret"].as_str().unwrap().to_owned());
    }
    let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("a new epoch") && log.contains("issued a certificate"),
        "the log is there"
    );
    for secret in secrets {
        assert!(secret.len() > 5 && !log.contains(&secret), "the log holds {secret:?}");
    }
}
