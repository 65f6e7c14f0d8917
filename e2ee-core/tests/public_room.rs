//! The shared checks, met by members who follow no rule but OpenMLS' own.
//!
//! Requirements held here: GRUP-2.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use e2ee_core::group::policy::{RoomPolicy, capabilities};
use e2ee_core::group::{CheckedKeyPackage, Profile, PublicRoom, Refusal};
use e2ee_core::identity::CertificateError;
use e2ee_core::time::UnixMillis;
use openmls::prelude::{
    Capabilities, ExtensionType, Extensions, ExternalProposal, GroupContext, KeyPackage, LeafNodeIndex,
    LeafNodeParameters, Lifetime, MlsGroup, NewSignerBundle, SenderExtensionIndex,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider;
use simulator::ca::{Ca, Request};
use simulator::raw::{Outsider, extensions, extensions_of, message};
use simulator::service::ServiceKey;
use simulator::start_of_time;

/// A room of one raw member, followed by a `PublicRoom`.
struct Raw {
    now: UnixMillis,
    ca: Ca,
    service: ServiceKey,
    alice: Outsider,
    group: MlsGroup,
    room: PublicRoom,
}

impl Raw {
    fn new(profile: Profile) -> Self {
        Self::made_by("guest", profile, |policy| policy)
    }

    /// By somebody of this role, under this policy.
    fn made_by(role: &str, profile: Profile, policy: impl FnOnce(RoomPolicy) -> RoomPolicy) -> Self {
        let now = start_of_time();
        let (ca, service) = (Ca::new(now), ServiceKey::new(profile, 21));
        let request = Request::with_role("Alice", Some(("alice", "d1")), role, now);
        let alice = Outsider::with(profile, &ca, &request, now);
        let policy = policy(RoomPolicy::new(profile, ca.hash()));
        let (group, info) = alice.group(extensions_of(&policy, &ca, &service, now));
        let room = PublicRoom::create(&info, b"raw", &ca.root(), now).unwrap();
        Self {
            now,
            ca,
            service,
            alice,
            group,
            room,
        }
    }

    /// The service's Add, applied to both copies.
    fn propose(&mut self, key_package: KeyPackage) -> Result<(), Refusal> {
        let proposal = message(
            ExternalProposal::new_add::<OpenMlsRustCrypto>(
                key_package,
                self.group.group_id().clone(),
                self.group.epoch(),
                &self.service,
                SenderExtensionIndex::new(0),
            )
            .unwrap(),
        );
        self.deliver(&proposal)
    }

    fn propose_remove(&mut self, leaf: u32) -> Result<(), Refusal> {
        let proposal = message(
            ExternalProposal::new_remove::<OpenMlsRustCrypto>(
                LeafNodeIndex::new(leaf),
                self.group.group_id().clone(),
                self.group.epoch(),
                &self.service,
                SenderExtensionIndex::new(0),
            )
            .unwrap(),
        );
        self.deliver(&proposal)
    }

    fn deliver(&mut self, proposal: &[u8]) -> Result<(), Refusal> {
        use openmls::prelude::{MlsMessageIn, ProcessedMessageContent};
        use tls_codec::DeserializeBytes;
        self.room.apply(proposal, self.now)?;
        let parsed = MlsMessageIn::tls_deserialize_exact_bytes(proposal).unwrap();
        let processed = self
            .group
            .process_message(&self.alice.provider, parsed.try_into_protocol_message().unwrap())
            .unwrap();
        let ProcessedMessageContent::ProposalMessage(queued) = processed.into_content() else {
            panic!("no proposal")
        };
        self.group
            .store_pending_proposal(self.alice.provider.storage(), *queued)
            .unwrap();
        Ok(())
    }

    /// A commit by the book: everything pending, with a path.
    fn commit(&mut self, force_path: bool) -> (Vec<u8>, Option<Vec<u8>>) {
        let bundle = self
            .group
            .commit_builder()
            .force_self_update(force_path)
            .load_psks(self.alice.provider.storage())
            .unwrap()
            .build(
                self.alice.provider.rand(),
                self.alice.provider.crypto(),
                &self.alice.key,
                |_| true,
            )
            .unwrap()
            .stage_commit(&self.alice.provider)
            .unwrap();
        let (commit, welcome, _) = bundle.into_messages();
        (message(commit), welcome.map(message))
    }

    /// Commits and merges on both sides.
    fn settle(&mut self) {
        let (commit, welcome) = self.commit(true);
        let checked = self
            .room
            .validate_commit(&commit, welcome.as_deref(), self.now)
            .unwrap();
        self.room.merge(checked).unwrap();
        self.group.merge_pending_commit(&self.alice.provider).unwrap();
    }

    fn bob(&self) -> Outsider {
        Outsider::new(self.alice.profile, &self.ca, "Bob", self.now)
    }
}

fn both(test: impl Fn(Profile)) {
    Profile::ALL.into_iter().for_each(test);
}

#[test]
fn grup_11_a_room_is_followed_from_its_group_info_through_proposals_and_commits() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let bob = raw.bob();
        raw.propose(bob.key_package()).unwrap();
        assert_eq!(raw.room.pending().len(), 1);
        let (commit, welcome) = raw.commit(true);
        let checked = raw.room.validate_commit(&commit, welcome.as_deref(), raw.now).unwrap();
        let record = checked.epoch_record(&[1; 32]);
        let change = raw.room.merge(checked).unwrap();
        raw.group.merge_pending_commit(&raw.alice.provider).unwrap();
        assert_eq!((change.epoch, change.committer, change.added.len()), (1, 0, 1));
        assert_eq!(change.added[0].name(), "Bob");
        assert_eq!(
            raw.room.epoch_record(&[1; 32]),
            record,
            "the record before the merge is that after it"
        );
        assert_eq!(record.tree_hash.as_slice(), raw.room.tree_hash());
        let names: Vec<_> = raw
            .room
            .roster()
            .iter()
            .map(|m| (m.leaf(), m.name().to_owned()))
            .collect();
        assert_eq!(names, [(0, "Alice".to_owned()), (1, "Bob".to_owned())]);
        raw.propose_remove(1).unwrap();
        raw.settle();
        assert_eq!(raw.room.roster().len(), 1);
        assert_eq!(raw.room.epoch(), 2);
    });
}

#[test]
fn grup_11_a_snapshot_goes_on_where_the_room_was_pending_proposals_included() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let bob = raw.bob();
        raw.propose(bob.key_package()).unwrap();
        let snapshot = raw.room.snapshot().unwrap();
        // Long after: the certificates have run out, the room is the same.
        let later = raw.now + Duration::from_secs(18 * 3600);
        let room = PublicRoom::restore(&snapshot, &raw.ca.root(), raw.now).unwrap();
        assert_eq!(room.snapshot().unwrap(), snapshot);
        raw.room = room;
        raw.settle();
        let again = PublicRoom::restore(&raw.room.snapshot().unwrap(), &raw.ca.root(), raw.now).unwrap();
        assert_eq!(again.roster().len(), 2);
        assert_eq!(again.epoch_record(&[0; 32]), raw.room.epoch_record(&[0; 32]));
        assert!(PublicRoom::restore(&snapshot[..snapshot.len() - 1], &raw.ca.root(), later).is_err());
        assert!(PublicRoom::restore(&snapshot, &Ca::new(raw.now).root(), raw.now).is_err());
    });
}

/// C3.
#[test]
fn grup_2_in_a_lobby_room_only_a_hosts_leaf_commits_an_add() {
    both(|profile| {
        for role in ["guest", "member", "host"] {
            let mut raw = Raw::made_by(role, profile, RoomPolicy::with_lobby);
            assert!(raw.room.policy().lobby());
            let bob = raw.bob();
            // The service hands the request over to everybody.
            raw.propose(bob.key_package()).unwrap();
            let (commit, welcome) = raw.commit(true);
            let verdict = raw.room.validate_commit(&commit, welcome.as_deref(), raw.now);
            if role == "host" {
                assert_eq!(verdict.unwrap().change().added.len(), 1);
            } else {
                assert_eq!(verdict.err(), Some(Refusal::NotAHost), "{role}");
            }
        }
        // Anybody ends an epoch in which nobody is let in.
        let mut raw = Raw::made_by("guest", profile, RoomPolicy::with_lobby);
        raw.settle();
        assert_eq!(raw.room.epoch(), 1);
    });
}

#[test]
fn pf_02_a_commit_that_swaps_the_committers_key_or_certificate_is_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        // The same person, freshly certified for another key.
        let mut request = Request::person("Alice", "alice", "d1", raw.now);
        request.uris.swap(0, 1);
        let other = Outsider::with(profile, &raw.ca, &request, raw.now);
        let bundle = raw
            .group
            .commit_builder()
            .load_psks(raw.alice.provider.storage())
            .unwrap()
            .build_with_new_signer(
                raw.alice.provider.rand(),
                raw.alice.provider.crypto(),
                &raw.alice.key,
                NewSignerBundle {
                    signer: &other.key,
                    credential_with_key: other.credential(),
                },
                |_| true,
            )
            .unwrap()
            .stage_commit(&raw.alice.provider)
            .unwrap();
        let commit = message(bundle.into_commit());
        assert_eq!(
            raw.room.replay_commit(&commit, raw.now).err(),
            Some(Refusal::CommitterChanged)
        );
        raw.group.clear_pending_commit(raw.alice.provider.storage()).unwrap();

        // The same key under another certificate.
        let mut promoted = Request::person("Boss", "alice", "d1", raw.now);
        promoted.uris[2] = "urn:conclave:role:host".into();
        let mut swapped = raw.alice.credential();
        let der = raw.ca.issue(&promoted, &raw.alice.key.public());
        swapped.credential = openmls::prelude::Credential::new(
            openmls::prelude::CredentialType::X509,
            e2ee_core::identity::encode_chain(&[der]).unwrap(),
        );
        let bundle = raw.group.self_update(
            &raw.alice.provider,
            &raw.alice.key,
            LeafNodeParameters::builder().with_credential_with_key(swapped).build(),
        );
        if let Ok(bundle) = bundle {
            let commit = message(bundle.into_commit());
            assert_eq!(
                raw.room.replay_commit(&commit, raw.now).err(),
                Some(Refusal::CommitterChanged)
            );
        }
    });
}

#[test]
fn pf_03_key_packages_that_are_expired_not_yet_valid_or_live_too_long_are_refused() {
    both(|profile| {
        let raw = Raw::new(profile);
        let bob = raw.bob();
        let day = 24 * 3600;
        let now = raw.now.as_secs();
        let check = |lifetime: Lifetime, at: UnixMillis| {
            let bundle = bob.bundle(lifetime, capabilities(profile));
            let bytes = message(bundle.into());
            CheckedKeyPackage::from_message(&bytes, profile, &raw.ca.root(), at).map(|_| ())
        };
        let good = Lifetime::init(now - 60, now + 5 * day);
        assert_eq!(check(good, raw.now), Ok(()));
        let before = UnixMillis::from_secs(now - 61);
        assert_eq!(check(good, before), Err(Refusal::KeyPackageNotYetValid));
        let short = Lifetime::init(now - 60, now + 3600);
        // By OpenMLS' clock, which is the machine's, the short one has expired already.
        assert!(matches!(check(short, raw.now), Err(Refusal::Mls { .. })));
        let soon = Lifetime::init(now - 60, now + 22 * 3600);
        assert_eq!(check(soon, raw.now), Ok(()));
        let too_late = raw.now + Duration::from_secs(23 * 3600);
        assert_eq!(check(soon, too_late), Err(Refusal::KeyPackageExpired));
        let long = Lifetime::init(now - 60, now + 85 * day);
        assert_eq!(check(long, raw.now), Err(Refusal::KeyPackageLivesTooLong));
    });
}

#[test]
fn admt_5_a_key_package_certified_by_another_ca_or_expired_or_for_another_key_or_role_is_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let now = raw.now;
        let other_ca = Outsider::new(profile, &Ca::new(now), "Mallory", now);
        assert_eq!(
            raw.propose(other_ca.key_package()),
            Err(Refusal::Certificate(CertificateError::SignatureInvalid))
        );
        let mut expired = Request::person("Mallory", "mallory", "d1", now);
        expired.not_before = now - Duration::from_secs(7200);
        expired.not_after = now - Duration::from_secs(3600);
        assert_eq!(
            raw.propose(Outsider::with(profile, &raw.ca, &expired, now).key_package()),
            Err(Refusal::Certificate(CertificateError::Expired))
        );
        let mut other_key = raw.bob();
        other_key.key = ServiceKey::new(profile, 99);
        assert_eq!(
            raw.propose(other_key.key_package()),
            Err(Refusal::Certificate(CertificateError::OtherKey))
        );
        let service = Outsider::with(profile, &raw.ca, &Request::service("delivery-service", now), now);
        assert_eq!(
            raw.propose(service.key_package()),
            Err(Refusal::Certificate(CertificateError::WrongRole("delivery-service")))
        );
        assert!(raw.room.pending().is_empty());
    });
}

#[test]
fn grup_10_the_same_device_twice_is_refused_unless_the_old_leaf_goes_in_the_same_commit() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let bob = raw.bob();
        raw.propose(bob.key_package()).unwrap();
        // A second one for the same device, in the same epoch.
        let mut again = Request::person("Bob", "bob", "d1", raw.now);
        again.uris.swap(0, 2);
        let twin = Outsider::with(profile, &raw.ca, &again, raw.now);
        assert_eq!(raw.propose(twin.key_package()), Err(Refusal::DeviceTwice));
        raw.settle();
        // In a later one, without a Remove.
        raw.propose(twin.key_package()).unwrap();
        let (commit, welcome) = raw.commit(true);
        let verdict = raw.room.validate_commit(&commit, welcome.as_deref(), raw.now);
        assert_eq!(verdict.err(), Some(Refusal::DeviceTwice));
        raw.group.clear_pending_commit(raw.alice.provider.storage()).unwrap();
        // And with one.
        raw.propose_remove(1).unwrap();
        raw.settle();
        assert_eq!(raw.room.roster().len(), 2);
    });
}

#[test]
fn pf_14_inline_proposals_are_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let bob = raw.bob();
        let bundle = raw
            .group
            .commit_builder()
            .force_self_update(true)
            .propose_adds([bob.key_package()])
            .load_psks(raw.alice.provider.storage())
            .unwrap()
            .build(
                raw.alice.provider.rand(),
                raw.alice.provider.crypto(),
                &raw.alice.key,
                |_| true,
            )
            .unwrap()
            .stage_commit(&raw.alice.provider)
            .unwrap();
        let (commit, welcome, _) = bundle.into_messages();
        let welcome = welcome.map(message);
        let verdict = raw.room.validate_commit(&message(commit), welcome.as_deref(), raw.now);
        assert_eq!(verdict.err(), Some(Refusal::InlineProposal));
    });
}

#[test]
fn pf_14_a_change_of_the_groups_context_is_refused_proposed_or_inline() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let other = extensions(profile, &raw.ca, &ServiceKey::new(profile, 50), raw.now);
        let proposal = message(
            ExternalProposal::new_group_context_extensions::<OpenMlsRustCrypto>(
                other.clone(),
                raw.group.group_id().clone(),
                raw.group.epoch(),
                &raw.service,
                SenderExtensionIndex::new(0),
            )
            .unwrap(),
        );
        assert_eq!(raw.room.apply(&proposal, raw.now).err(), Some(Refusal::ProposalType(7)));
        let bundle = raw
            .group
            .commit_builder()
            .propose_group_context_extensions(other)
            .unwrap()
            .load_psks(raw.alice.provider.storage())
            .unwrap()
            .build(
                raw.alice.provider.rand(),
                raw.alice.provider.crypto(),
                &raw.alice.key,
                |_| true,
            )
            .unwrap()
            .stage_commit(&raw.alice.provider)
            .unwrap();
        let commit = message(bundle.into_commit());
        assert_eq!(
            raw.room.replay_commit(&commit, raw.now).err(),
            Some(Refusal::InlineProposal)
        );
    });
}

#[test]
fn grup_6_a_commit_that_leaves_out_a_pending_proposal_is_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let bob = raw.bob();
        raw.propose(bob.key_package()).unwrap();
        let bundle = raw
            .group
            .commit_builder()
            .force_self_update(true)
            .load_psks(raw.alice.provider.storage())
            .unwrap()
            .build(
                raw.alice.provider.rand(),
                raw.alice.provider.crypto(),
                &raw.alice.key,
                |_| false,
            )
            .unwrap()
            .stage_commit(&raw.alice.provider)
            .unwrap();
        let commit = message(bundle.into_commit());
        assert_eq!(
            raw.room.replay_commit(&commit, raw.now).err(),
            Some(Refusal::ProposalLeftOut)
        );
    });
}

#[test]
fn pf_22_a_commit_without_an_update_path_is_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let bob = raw.bob();
        raw.propose(bob.key_package()).unwrap();
        let (commit, welcome) = raw.commit(false);
        let verdict = raw.room.validate_commit(&commit, welcome.as_deref(), raw.now);
        assert_eq!(verdict.err(), Some(Refusal::PathMissing));
    });
}

#[test]
fn pf_05_a_commit_whose_welcome_is_missing_or_anothers_is_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let mut other = Raw::new(profile);
        let (bob, carol) = (raw.bob(), Outsider::new(profile, &raw.ca, "Carol", raw.now));
        raw.propose(bob.key_package()).unwrap();
        let (commit, welcome) = raw.commit(true);
        let verdict = |welcome: Option<&[u8]>| raw.room.validate_commit(&commit, welcome, raw.now).map(|_| ());
        assert_eq!(verdict(welcome.as_deref()), Ok(()));
        assert_eq!(verdict(None), Err(Refusal::WelcomeMissing));
        assert_eq!(verdict(Some(&commit)), Err(Refusal::NotThatMessage("Welcome")));
        let bob_elsewhere = Outsider::new(profile, &other.ca, "Bob", other.now);
        other.propose(bob_elsewhere.key_package()).unwrap();
        let (_, foreign) = other.commit(true);
        assert_eq!(verdict(foreign.as_deref()), Err(Refusal::WelcomeMissing));
        // A Welcome for one more than the commit adds.
        let mut solo = Raw::new(profile);
        let (just_a_path, _) = solo.commit(true);
        let verdict = solo.room.validate_commit(&just_a_path, foreign.as_deref(), solo.now);
        assert_eq!(verdict.err(), Some(Refusal::WelcomeSurplus));
        drop(carol);
    });
}

#[test]
fn grup_3_proposals_of_others_about_nobody_or_for_another_epoch_are_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        assert_eq!(raw.propose_remove(5), Err(Refusal::NoSuchLeaf(5)));
        // Signed by somebody who is no sender of this group.
        let right = std::mem::replace(&mut raw.service, ServiceKey::new(profile, 60));
        assert!(matches!(raw.propose_remove(0), Err(Refusal::Mls { .. })));
        raw.service = right;
        let stale = message(
            ExternalProposal::new_remove::<OpenMlsRustCrypto>(
                LeafNodeIndex::new(0),
                raw.group.group_id().clone(),
                5.into(),
                &raw.service,
                SenderExtensionIndex::new(0),
            )
            .unwrap(),
        );
        assert_eq!(
            raw.room.apply(&stale, raw.now).err(),
            Some(Refusal::WrongEpoch { at: 0, got: 5 })
        );
        for garbage in [&b""[..], b"x", &stale[..40]] {
            assert_eq!(
                raw.room.apply(garbage, raw.now).err(),
                Some(Refusal::NotThatMessage("proposal"))
            );
        }
        // A commit is no proposal.
        let (commit, _) = raw.commit(true);
        assert_eq!(
            raw.room.apply(&commit, raw.now).err(),
            Some(Refusal::NotThatMessage("proposal"))
        );
    });
}

#[test]
fn grup_11_a_checked_commit_cannot_be_merged_into_another_epoch() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let (commit, _) = raw.commit(true);
        let first = raw.room.validate_commit(&commit, None, raw.now).unwrap();
        let second = raw.room.validate_commit(&commit, None, raw.now).unwrap();
        raw.room.merge(first).unwrap();
        assert_eq!(
            raw.room.merge(second).err(),
            Some(Refusal::WrongEpoch { at: 1, got: 0 })
        );
        assert_eq!(
            raw.room.replay_commit(&commit, raw.now).err(),
            Some(Refusal::WrongEpoch { at: 1, got: 0 })
        );
    });
}

/// What becomes of a group whose context is not a room's.
fn genesis(profile: Profile, change: impl FnOnce(&Ca, &ServiceKey, UnixMillis) -> Extensions<GroupContext>) -> Refusal {
    let now = start_of_time();
    let (ca, service) = (Ca::new(now), ServiceKey::new(profile, 21));
    let alice = Outsider::new(profile, &ca, "Alice", now);
    let (_, info) = alice.group(change(&ca, &service, now));
    PublicRoom::create(&info, b"raw", &ca.root(), now).err().unwrap()
}

#[test]
fn admt_1_to_4_a_group_without_the_rooms_context_is_refused() {
    both(|profile| {
        let other = |profile| match profile {
            Profile::Standard => Profile::Fips,
            _ => Profile::Standard,
        };
        let without = |kind: ExtensionType| {
            genesis(profile, |ca, service, now| {
                let mut all = extensions(profile, ca, service, now);
                all.remove(kind);
                all
            })
        };
        assert_eq!(without(ExtensionType::Unknown(0xF0C1)), Refusal::PolicyMissing);
        assert_eq!(
            without(ExtensionType::RequiredCapabilities),
            Refusal::RequiredCapabilities
        );
        assert_eq!(without(ExtensionType::ExternalSenders), Refusal::ExternalSenders);
        // Another root's policy and service.
        let foreign = genesis(profile, |_, service, now| {
            extensions(profile, &Ca::new(now), service, now)
        });
        assert_eq!(foreign, Refusal::OtherTrustRoot);
        // A policy that names the other profile than the group's suite is.
        let mixed = genesis(profile, |ca, _, now| {
            extensions(other(profile), ca, &ServiceKey::new(other(profile), 21), now)
        });
        assert_eq!(mixed, Refusal::SuiteMismatch);
    });
}

#[test]
fn admt_4_an_external_sender_without_the_services_certificate_is_refused() {
    both(|profile| {
        let forged = genesis(profile, |ca, service, now| {
            // Right policy, but the sender is certified by somebody else's root.
            let mut all = extensions(profile, ca, service, now);
            let foreign = extensions(profile, &Ca::new(now), service, now);
            let senders = foreign
                .iter()
                .find(|e| e.extension_type() == ExtensionType::ExternalSenders);
            all.add_or_replace(senders.unwrap().clone()).unwrap();
            all
        });
        assert_eq!(forged, Refusal::Certificate(CertificateError::SignatureInvalid));
    });
}

#[test]
fn admt_2_a_member_that_cannot_do_what_the_room_requires_is_refused() {
    both(|profile| {
        let mut raw = Raw::new(profile);
        let bob = raw.bob();
        let plain = Capabilities::builder()
            .ciphersuites(vec![profile.ciphersuite()])
            .credentials(vec![openmls::prelude::CredentialType::X509])
            .build();
        let unable = bob.bundle(bob.lifetime(), plain).key_package().clone();
        // OpenMLS finds it at the commit at the latest; nobody is added.
        if raw.propose(unable).is_ok() {
            let built = raw
                .group
                .commit_builder()
                .load_psks(raw.alice.provider.storage())
                .unwrap()
                .build(
                    raw.alice.provider.rand(),
                    raw.alice.provider.crypto(),
                    &raw.alice.key,
                    |_| true,
                );
            assert!(built.is_err());
        }
        assert_eq!(raw.room.roster().len(), 1);
    });
}

#[test]
fn grup_4_nobody_lets_themselves_in_by_an_external_commit() {
    both(|profile| {
        use openmls::prelude::{MlsMessageBodyIn, MlsMessageIn};
        use tls_codec::DeserializeBytes;
        let raw = Raw::new(profile);
        let bob = raw.bob();
        let info = raw
            .group
            .export_group_info(raw.alice.provider.crypto(), &raw.alice.key, true)
            .unwrap();
        let parsed = MlsMessageIn::tls_deserialize_exact_bytes(&message(info)).unwrap();
        let MlsMessageBodyIn::GroupInfo(info) = parsed.extract() else {
            panic!("no GroupInfo")
        };
        let (_, bundle) = MlsGroup::external_commit_builder()
            .build_group(&bob.provider, info, bob.credential())
            .unwrap()
            .leaf_node_parameters(
                LeafNodeParameters::builder()
                    .with_capabilities(capabilities(profile))
                    .build(),
            )
            .load_psks(bob.provider.storage())
            .unwrap()
            .build(bob.provider.rand(), bob.provider.crypto(), &bob.key, |_| true)
            .unwrap()
            .finalize(&bob.provider)
            .unwrap();
        let commit = message(bundle.into_commit());
        assert_eq!(
            raw.room.replay_commit(&commit, raw.now).err(),
            Some(Refusal::ExternalCommit)
        );
    });
}
