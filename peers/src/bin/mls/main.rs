//! mls-rs in groups of 2 to 1,000: joining, committing, following commits, and many at once. The same steps as those of
//! `e2ee-core/simulator/src/bin/mls`, which measures ours. Prints one JSON object a line.
//!
//! On RustCrypto, as ours is; basic credentials, every commit with a path, the tree apart from the Welcome.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use mls_rs::client_builder::MlsConfig;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules};
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, ExtensionList, Group, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use serde_json::json;

const SIZES: [usize; 4] = [2, 10, 100, 1000];
const ROUNDS: usize = 9;
const SUITES: [(&str, CipherSuite); 2] = [
    ("standard", CipherSuite::CURVE25519_AES128),
    ("fips", CipherSuite::P256_AES128),
];

fn main() {
    for (profile, suite) in SUITES {
        for members in SIZES {
            measure(profile, suite, members);
        }
    }
}

fn measure(profile: &str, suite: CipherSuite, members: usize) {
    let mut first = client(suite, 0)
        .create_group(ExtensionList::default(), ExtensionList::default(), None)
        .unwrap();
    let others: Vec<_> = (1..members).map(|n| client(suite, n)).collect();
    let mut packages: Vec<MlsMessage> = others.iter().map(|one| key_package(one)).collect();
    let mut all = Vec::new();
    let (_, welcome) = timed(&mut all, || add(&mut first, std::mem::take(&mut packages)));
    first.apply_pending_commit().unwrap();
    let mut follower = join(others.last().unwrap(), &welcome, &tree(&first));

    let (mut joins, mut commits, mut processed) = (Vec::new(), Vec::new(), Vec::new());
    for n in members..members + ROUNDS {
        let newcomer = client(suite, n);
        let package = key_package(&newcomer);
        let (commit, welcome) = timed(&mut commits, || add(&mut first, vec![package]));
        timed(&mut processed, || {
            let message = MlsMessage::from_bytes(&commit).unwrap();
            follower.process_incoming_message(message).unwrap()
        });
        first.apply_pending_commit().unwrap();
        let tree = tree(&first);
        timed(&mut joins, || join(&newcomer, &welcome, &tree));
    }
    let process = median(processed);
    print(&format!("join, {members} members, {profile}"), "ms", median(joins));
    print(&format!("commit, {members} members, {profile}"), "ms", median(commits));
    print(&format!("process, {members} members, {profile}"), "ms", process);
    print(
        &format!("{} joins as one commit, {members} members, {profile}", members - 1),
        "ms",
        median(all),
    );
    print(
        &format!("epochs/s that a member follows, {members} members, {profile}"),
        "1/s",
        (1e5 / process).round() / 100.0,
    );
}

fn client(suite: CipherSuite, number: usize) -> Client<impl MlsConfig> {
    let crypto = RustCryptoProvider::default();
    let (secret, public) = crypto
        .cipher_suite_provider(suite)
        .unwrap()
        .signature_key_generate()
        .unwrap();
    let name = BasicCredential::new(format!("member {number}").into_bytes());
    let options = CommitOptions::new()
        .with_path_required(true)
        .with_ratchet_tree_extension(false);
    Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(crypto)
        .mls_rules(DefaultMlsRules::new().with_commit_options(options))
        .signing_identity(SigningIdentity::new(name.into_credential(), public), secret, suite)
        .build()
}

fn key_package(client: &Client<impl MlsConfig>) -> MlsMessage {
    client
        .generate_key_package_message(ExtensionList::default(), ExtensionList::default(), None)
        .unwrap()
}

/// Commit and Welcome, as bytes.
fn add(group: &mut Group<impl MlsConfig>, packages: Vec<MlsMessage>) -> (Vec<u8>, Vec<u8>) {
    let mut builder = group.commit_builder();
    for package in packages {
        builder = builder.add_member(package).unwrap();
    }
    let made = builder.build().unwrap();
    let bytes = |message: &MlsMessage| message.to_bytes().unwrap();
    (bytes(&made.commit_message), bytes(&made.welcome_messages[0]))
}

fn join<C: MlsConfig + Clone>(client: &Client<C>, welcome: &[u8], tree: &[u8]) -> Group<C> {
    let tree = mls_rs::group::ExportedTree::from_bytes(tree).unwrap();
    let welcome = MlsMessage::from_bytes(welcome).unwrap();
    client.join_group(Some(tree), &welcome, None).unwrap().0
}

fn tree(group: &Group<impl MlsConfig>) -> Vec<u8> {
    group.export_tree().to_bytes().unwrap()
}

fn timed<T>(into: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    into.push(start.elapsed());
    done
}

fn median(mut of: Vec<Duration>) -> f64 {
    of.sort_unstable();
    (of[of.len() / 2].as_secs_f64() * 1e5).round() / 100.0
}

fn print(case: &str, unit: &str, figure: f64) {
    println!("{}", json!({ "case": case, "unit": unit, "mls-rs 0.57": figure }));
}
