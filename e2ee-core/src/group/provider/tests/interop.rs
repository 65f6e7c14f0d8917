//! One group, some members on this provider and some on the one that comes with OpenMLS.

use openmls::prelude::{
    BasicCredential, Capabilities, CredentialWithKey, KeyPackage, LeafNodeIndex, LeafNodeParameters, MlsGroup,
    MlsGroupJoinConfig, MlsMessageIn, MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent,
    StagedWelcome,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use tls_codec::DeserializeBytes;

use super::provider;
use crate::group::policy::Profile;
use crate::group::provider::Provider;
use crate::group::randomness::Randomness;
use crate::group::signature::SignatureKey;

struct Member<P> {
    provider: P,
    key: SignatureKey,
    profile: Profile,
    group: Option<MlsGroup>,
}

impl<P: OpenMlsProvider> Member<P> {
    fn new(provider: P, profile: Profile, seed: u8) -> Self {
        Self {
            provider,
            key: SignatureKey::generate(profile, &Randomness::new(&[seed; 32])),
            profile,
            group: None,
        }
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.key.public()).into(),
            signature_key: self.key.public().into(),
        }
    }

    fn create(&mut self) {
        let group = MlsGroup::builder()
            .ciphersuite(self.profile.ciphersuite())
            .with_capabilities(self.capabilities())
            .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build(&self.provider, &self.key, self.credential())
            .unwrap();
        self.group = Some(group);
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

    fn group(&mut self) -> &mut MlsGroup {
        self.group.as_mut().unwrap()
    }

    /// Commit and Welcome.
    fn add(&mut self, key_package: KeyPackage) -> (Vec<u8>, Vec<u8>) {
        let (commit, welcome, _) = self
            .group
            .as_mut()
            .unwrap()
            .add_members(&self.provider, &self.key, &[key_package])
            .unwrap();
        self.merge();
        (out(commit), out(welcome))
    }

    fn remove(&mut self, leaf: u32) -> Vec<u8> {
        let (commit, _, _) = self
            .group
            .as_mut()
            .unwrap()
            .remove_members(&self.provider, &self.key, &[LeafNodeIndex::new(leaf)])
            .unwrap();
        self.merge();
        out(commit)
    }

    fn update(&mut self) -> Vec<u8> {
        let bundle = self
            .group
            .as_mut()
            .unwrap()
            .self_update(&self.provider, &self.key, LeafNodeParameters::default())
            .unwrap();
        self.merge();
        out(bundle.into_commit())
    }

    fn merge(&mut self) {
        self.group
            .as_mut()
            .unwrap()
            .merge_pending_commit(&self.provider)
            .unwrap();
    }

    fn join(&mut self, welcome: &[u8]) {
        let openmls::prelude::MlsMessageBodyIn::Welcome(welcome) = message(welcome).extract() else {
            panic!("not a Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let group = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None)
            .unwrap()
            .into_group(&self.provider)
            .unwrap();
        self.group = Some(group);
    }

    fn process(&mut self, commit: &[u8]) {
        let group = self.group.as_mut().unwrap();
        let processed = group
            .process_message(&self.provider, message(commit).try_into_protocol_message().unwrap())
            .unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("not a commit");
        };
        group.merge_staged_commit(&self.provider, *staged).unwrap();
    }

    fn say(&mut self, text: &[u8]) -> Vec<u8> {
        out(self
            .group
            .as_mut()
            .unwrap()
            .create_message(&self.provider, &self.key, text)
            .unwrap())
    }

    fn hear(&mut self, sealed: &[u8]) -> Vec<u8> {
        let processed = self
            .group
            .as_mut()
            .unwrap()
            .process_message(&self.provider, message(sealed).try_into_protocol_message().unwrap())
            .unwrap();
        let ProcessedMessageContent::ApplicationMessage(content) = processed.into_content() else {
            panic!("not an application message");
        };
        content.into_bytes()
    }

    /// What differs in any two groups that are not one.
    fn secrets(&mut self) -> (Vec<u8>, Vec<u8>) {
        let exported = {
            let group = self.group.as_ref().unwrap();
            group
                .export_secret(self.provider.crypto(), "interop", b"context", 40)
                .unwrap()
        };
        (exported, self.group().epoch_authenticator().as_slice().to_vec())
    }
}

fn out(message: MlsMessageOut) -> Vec<u8> {
    message.to_bytes().unwrap()
}

fn message(bytes: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes).unwrap()
}

/// Everything that uses HPKE, in both directions: Welcomes, paths for one and for two members, a blank between them.
fn meeting<A: OpenMlsProvider, B: OpenMlsProvider, C: OpenMlsProvider>(
    a: &mut Member<A>,
    b: &mut Member<B>,
    c: &mut Member<C>,
) {
    a.create();
    let (_, welcome) = a.add(b.key_package());
    b.join(&welcome);
    let (commit, welcome) = b.add(c.key_package());
    a.process(&commit);
    c.join(&welcome);
    for _ in 0..3 {
        let commit = a.update();
        b.process(&commit);
        c.process(&commit);
        let commit = b.update();
        a.process(&commit);
        c.process(&commit);
        let commit = c.update();
        a.process(&commit);
        b.process(&commit);
        assert_eq!(a.secrets(), b.secrets());
        assert_eq!(a.secrets(), c.secrets());
        let said = b.say(b"one for all");
        assert_eq!(a.hear(&said), b"one for all");
        assert_eq!(c.hear(&said), b"one for all");
        let said = a.say(b"all for one");
        assert_eq!(b.hear(&said), b"all for one");
    }
    let before = c.secrets();
    let commit = c.remove(1);
    a.process(&commit);
    assert_eq!(a.secrets(), c.secrets());
    assert_ne!(a.secrets(), before);
    assert_ne!(a.secrets(), b.secrets());
}

fn ours(profile: Profile, seed: u8) -> Member<Provider> {
    Member::new(provider(seed), profile, seed)
}

fn theirs(profile: Profile, seed: u8) -> Member<OpenMlsRustCrypto> {
    Member::new(OpenMlsRustCrypto::default(), profile, seed)
}

#[test]
fn members_on_either_provider_are_in_one_group_in_every_profile() {
    for profile in Profile::ALL {
        meeting(&mut ours(profile, 1), &mut ours(profile, 2), &mut ours(profile, 3));
        // The other one has the algorithms of a draft's suite (see `x_wing`), but not the suite.
        if OpenMlsRustCrypto::default()
            .crypto()
            .supports(profile.ciphersuite())
            .is_err()
        {
            assert!(profile.is_experimental());
            continue;
        }
        meeting(&mut ours(profile, 1), &mut theirs(profile, 2), &mut theirs(profile, 3));
        meeting(&mut theirs(profile, 1), &mut ours(profile, 2), &mut theirs(profile, 3));
        meeting(&mut theirs(profile, 1), &mut theirs(profile, 2), &mut ours(profile, 3));
    }
}

#[test]
fn mlsp_4_a_used_key_package_and_the_keys_of_past_epochs_are_not_kept() {
    let (mut a, mut b) = (ours(Profile::Standard, 1), ours(Profile::Standard, 2));
    a.create();
    let (used, unused) = (b.key_package(), b.key_package());
    assert_ne!(used, unused);
    assert_eq!(b.provider.storage().held(), [2, 0, 0]);
    let (_, welcome) = a.add(used);
    b.join(&welcome);
    assert_eq!(b.provider.storage().held(), [1, 0, 1]);
    for _ in 0..5 {
        let commit = b.update();
        a.process(&commit);
        assert_eq!(b.provider.storage().held(), [1, 0, 1]);
        assert_eq!(a.provider.storage().held(), [0, 0, 1]);
    }
}
