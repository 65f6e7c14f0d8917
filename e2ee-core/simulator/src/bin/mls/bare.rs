//! OpenMLS alone, on our provider: no certificate, no receipt, no roster, no policy.

use std::time::{Duration, Instant};

use e2ee_core::group::Profile;
use e2ee_core::group::Scheme;
use e2ee_core::group::provider::Provider;
use openmls::prelude::{
    BasicCredential, Capabilities, CredentialWithKey, KeyPackage, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent, RatchetTreeIn,
    StagedWelcome,
};
use simulator::service::ServiceKey;
use tls_codec::{DeserializeBytes, Serialize};

use crate::Figures;

struct Member {
    provider: Provider,
    key: ServiceKey,
    profile: Profile,
}

impl Member {
    fn new(profile: Profile, number: usize) -> Self {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        Self {
            provider: Provider::from_seed(&seed),
            key: match profile.scheme() {
                Scheme::Ed25519 => ServiceKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)),
                Scheme::P256 => ServiceKey::P256(p256::ecdsa::SigningKey::from_slice(&seed).unwrap()),
            },
            profile,
        }
    }

    fn credential(&self) -> CredentialWithKey {
        let public = self.key.public().as_mls_bytes().to_vec();
        CredentialWithKey {
            credential: BasicCredential::new(public.clone()).into(),
            signature_key: public.into(),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::builder()
            .ciphersuites(vec![self.profile.ciphersuite()])
            .build()
    }

    fn key_package(&self) -> KeyPackage {
        KeyPackage::builder()
            .leaf_node_capabilities(self.capabilities())
            .build(self.profile.ciphersuite(), &self.provider, &self.key, self.credential())
            .unwrap()
            .key_package()
            .clone()
    }

    /// From the Welcome and the tree, both as bytes.
    fn join(&self, welcome: &[u8], tree: &[u8]) -> MlsGroup {
        let MlsMessageBodyIn::Welcome(welcome) = message(welcome).extract() else {
            panic!("not a Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap();
        StagedWelcome::new_from_welcome(&self.provider, &config, welcome, Some(tree))
            .unwrap()
            .into_group(&self.provider)
            .unwrap()
    }
}

pub(crate) fn measure(profile: Profile, members: usize, rounds: usize) -> Figures {
    let first = Member::new(profile, 0);
    let mut group = MlsGroup::builder()
        .ciphersuite(profile.ciphersuite())
        .with_capabilities(first.capabilities())
        .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .build(&first.provider, &first.key, first.credential())
        .unwrap();
    let others: Vec<Member> = (1..members).map(|n| Member::new(profile, n)).collect();
    let packages: Vec<KeyPackage> = others.iter().map(Member::key_package).collect();
    let start = Instant::now();
    let (_, welcome, _) = group.add_members(&first.provider, &first.key, &packages).unwrap();
    let welcome = bytes(&welcome);
    let add_all = start.elapsed();
    group.merge_pending_commit(&first.provider).unwrap();
    let follower = others.last().unwrap();
    let mut followed = follower.join(&welcome, &tree(&group));

    let mut figures = Figures {
        join: Vec::new(),
        commit: Vec::new(),
        process: Vec::new(),
        add_all,
    };
    for number in members..members + rounds {
        let newcomer = Member::new(profile, number);
        let package = newcomer.key_package();
        let (commit, welcome) = timed(&mut figures.commit, || {
            let made = group.add_members(&first.provider, &first.key, &[package]);
            let (commit, welcome, _) = made.unwrap();
            (bytes(&commit), bytes(&welcome))
        });
        timed(&mut figures.process, || {
            let message = message(&commit).try_into_protocol_message().unwrap();
            let processed = followed.process_message(&follower.provider, message).unwrap();
            let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
                panic!("not a commit");
            };
            followed.merge_staged_commit(&follower.provider, *staged).unwrap();
        });
        group.merge_pending_commit(&first.provider).unwrap();
        let tree = tree(&group);
        timed(&mut figures.join, || newcomer.join(&welcome, &tree));
    }
    figures
}

fn timed<T>(into: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    into.push(start.elapsed());
    done
}

fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.to_bytes().unwrap()
}

fn tree(group: &MlsGroup) -> Vec<u8> {
    group.export_ratchet_tree().tls_serialize_detached().unwrap()
}

fn message(bytes: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes).unwrap()
}
