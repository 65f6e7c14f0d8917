//! The relay cannot know, because it has nothing to know it with, and does not tell what it does know.
//!
//! Requirements held here: RELY-17, RELY-18.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::{Line, World};
use serde_json::Value;

/// All packages that `package` is built from, dev-dependencies aside.
fn dependencies(package: &str) -> HashSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--all-features",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: HashMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let nodes: HashMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let start = names.iter().find(|(_, name)| **name == package).unwrap().0;
    let (mut found, mut open) = (HashSet::new(), vec![*start]);
    while let Some(id) = open.pop() {
        if !found.insert(names[id].to_owned()) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].as_str() != Some("dev")) {
                open.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    found
}

#[test]
fn the_relay_is_built_without_anything_that_could_open_a_frame() {
    let found = dependencies("sfu-relay");
    assert!(
        found.contains("relay-token") && found.contains("rtc-dtls"),
        "the search works"
    );
    for name in &found {
        let forbidden = name == "e2ee-core" || name.starts_with("openmls") || name == "sframe" || name == "key-server";
        assert!(!forbidden, "the relay must not be built with {name}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_of_a_meeting_holds_no_address_no_name_and_no_media() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut world = World::new();
        let alice = world.enter("participant-alice", &[Line::camera("v", 500)]);
        let camera = world.producer(alice, relay_token::Source::Camera);
        world.enter("participant-bob", &[Line::receive("0", false, &camera)]);
        world.engine.handle_datagram(
            world.now,
            "203.0.113.9:1".parse::<std::net::SocketAddr>().unwrap(),
            &mut [22; 40],
        );
        world.pass(std::time::Duration::from_secs(11));
        tracing::info!(camera, "the capture works");
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("the capture works") && text.contains("connected"),
        "{text}"
    );
    for forbidden in ["127.0.0.1", "203.0.113", "participant-alice", "participant-bob"] {
        assert!(!text.contains(forbidden), "{forbidden} in {text}");
    }
}
