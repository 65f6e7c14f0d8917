//! C1: the relay links no code that could open a frame. Read from `cargo metadata`, all features, all targets.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crates that hold the protocol or would let the relay speak MLS or SFrame.
const FORBIDDEN: [&str; 4] = ["e2ee-core", "openmls", "sframe", "hpke-rs"];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Names of everything that `root` links, itself included; dev-dependencies are left out, as they are never linked.
fn linked(metadata: &Value, root: &str) -> BTreeSet<String> {
    let text = |v: &Value| v.as_str().expect("a string").to_owned();
    let names: BTreeMap<String, String> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|p| (text(&p["id"]), text(&p["name"])))
        .collect();
    let edges: BTreeMap<String, Vec<String>> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| {
            let linked = node["deps"].as_array().expect("deps").iter().filter(|dep| {
                dep["dep_kinds"]
                    .as_array()
                    .expect("kinds")
                    .iter()
                    .any(|k| k["kind"].as_str() != Some("dev"))
            });
            (text(&node["id"]), linked.map(|dep| text(&dep["pkg"])).collect())
        })
        .collect();

    let start = names
        .iter()
        .find(|(_, name)| *name == root)
        .expect("the crate is in the workspace")
        .0
        .clone();
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        if seen.insert(id.clone()) {
            open.extend(edges[&id].iter().cloned());
        }
    }
    seen.iter().map(|id| names[id].clone()).collect()
}

fn offenders(linked: &BTreeSet<String>) -> Vec<&String> {
    linked
        .iter()
        .filter(|name| {
            FORBIDDEN
                .iter()
                .any(|f| name == f || name.starts_with(&format!("{f}_")))
        })
        .collect()
}

#[test]
fn c1_the_relay_links_neither_the_protocol_nor_mls() {
    let metadata = metadata();
    for krate in ["sfu-relay", "relay-token", "callers"] {
        let linked = linked(&metadata, krate);
        assert_eq!(offenders(&linked), Vec::<&String>::new(), "{krate} must stay blind");
    }
}

#[test]
fn the_check_sees_what_it_is_meant_to_see() {
    let linked = linked(&metadata(), "key-server");
    for name in ["e2ee-core", "openmls", "openmls_traits"] {
        assert!(
            offenders(&linked).iter().any(|o| *o == name),
            "{name} is linked by the key server and must be found"
        );
    }
}
