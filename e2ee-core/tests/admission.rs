//! What a lying service cannot do: let somebody in, or leave something out, without the members noticing.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{EndCause, Input, Output};
use e2ee_core::log::entry::LogEntry;
use e2ee_core::wire::delivery::ServerMessage;
use simulator::ca::{Ca, Request};
use simulator::service::ServiceKey;
use simulator::world::World;

const SECOND: Duration = Duration::from_secs(1);

fn both(test: impl Fn(Profile)) {
    Profile::ALL.into_iter().for_each(test);
}

/// A meeting of two into which the service tries to bring a third whose certificate it makes as told. The third one's
/// own engine is honest and would refuse the certificate, so its checks are met by being given the truth it wants: the
/// forged chain is put in at the other end, into what the members see.
fn intruder(profile: Profile, swap: impl Fn(&mut World)) -> World {
    let mut world = World::meeting(profile, 2);
    world.service.checks = false;
    swap(&mut world);
    world.join(2);
    world.run(SECOND * 5);
    world
}

fn nobody_came(world: &World, why: &str) {
    for id in 0..2 {
        let client = &world.clients[&id];
        assert_eq!(client.names(), ["Person 0", "Person 1"], "{why}");
        assert_eq!(client.engine.epoch(), Some(1), "{why}");
    }
    assert_eq!(world.service.room.as_ref().unwrap().roster().len(), 2, "{why}");
}

#[test]
fn admt_5_an_own_certificate_from_another_ca_expired_or_for_another_key_or_person_is_refused() {
    both(|profile| {
        let forgeries: Vec<(
            &str,
            Box<dyn FnMut(Request, &e2ee_core::identity::PublicKey, &Ca) -> Vec<u8>>,
        )> = vec![
            ("issuer", {
                let other = Ca::new(simulator::start_of_time());
                Box::new(move |request, key, _| other.issue(&request, key))
            }),
            (
                "expired",
                Box::new(|mut request, key, ca| {
                    request.not_after = request.not_before + SECOND;
                    ca.issue(&request, key)
                }),
            ),
            (
                "another key",
                Box::new(move |request, _, ca| ca.issue(&request, &ServiceKey::new(profile, 77).public())),
            ),
            (
                "another person",
                Box::new(|mut request, key, ca| {
                    request.uris[0] = "urn:conclave:person:mallory".into();
                    ca.issue(&request, key)
                }),
            ),
        ];
        for (what, forge) in forgeries {
            let mut world = World::meeting(profile, 1);
            world.service.checks = false;
            world.service.issue = Some(forge);
            world.join(1);
            world.run(SECOND * 5);
            assert!(!world.clients[&1].refusals().is_empty(), "{what}");
            assert!(
                world.clients[&1].ended().is_some(),
                "{what}: ends with a reason instead of looping"
            );
            assert_eq!(world.service.room.as_ref().unwrap().roster().len(), 1, "{what}");
        }
    });
}

#[test]
fn iden_1_a_server_with_another_root_than_the_links_gets_nothing() {
    let mut world = World::new(Profile::Standard);
    let now = world.now;
    world.join(0);
    world.service.ca = Ca::new(now);
    world.run(SECOND);
    let client = &world.clients[&0];
    assert!(client.refusals()[0].contains("trust root"), "{:?}", client.refusals());
    assert!(client.outputs.iter().any(|(_, output)| matches!(
        output,
        Output::Ended {
            cause: EndCause::WrongRoot,
            ..
        }
    )));
    assert!(world.service.log_certificate(&[1]) == 0, "no certificate was asked for");
}

#[test]
fn admt_8_an_add_without_a_receipt_or_with_anothers_is_refused_by_the_members() {
    both(|profile| {
        for forge in [
            |receipts: &mut Vec<e2ee_core::wire::Receipt>| receipts.clear(),
            |receipts: &mut Vec<e2ee_core::wire::Receipt>| {
                receipts[0].entry = LogEntry::Certificate { der: vec![1] }.to_bytes().unwrap().into()
            },
            |receipts: &mut Vec<e2ee_core::wire::Receipt>| receipts[0].index += 1,
            |receipts: &mut Vec<e2ee_core::wire::Receipt>| {
                receipts[0].checkpoint = receipts[0].checkpoint.replacen('\n', "\n1", 1);
            },
        ] {
            let world = intruder(profile, |world| {
                world.service.tamper = Some(Box::new(move |_, message| {
                    if let ServerMessage::Proposals { receipts, .. } = message {
                        forge(receipts);
                    }
                }));
            });
            nobody_came(&world, "receipt");
            assert!(!world.service.refused.is_empty(), "the refusal is told");
        }
    });
}

#[test]
fn admt_6_an_add_whose_certificate_is_of_another_ca_is_refused_though_the_service_lets_it_through() {
    both(|profile| {
        // The newcomer is the service's accomplice: it takes whatever certificate it is given.
        let mut world = World::meeting(profile, 2);
        let forged = simulator::raw::Outsider::new(profile, &Ca::new(world.now), "Mallory", world.now);
        let proposals = world.service.propose_unchecked(&forged.key_package());
        let index = world.service.log_certificate(&forged.der);
        let receipt = world.service.log.receipt(index);
        let at = world.service.at();
        for id in 0..2 {
            world.deliver(
                id,
                ServerMessage::Proposals {
                    at: at.clone(),
                    proposals: vec![proposals.clone().into()],
                    receipts: vec![receipt.clone()],
                },
            );
        }
        world.run(SECOND * 3);
        nobody_came(&world, "another CA");
        for id in 0..2 {
            assert!(
                world.clients[&id].refusals()[0].contains("certificate"),
                "{:?}",
                world.clients[&id].refusals()
            );
        }
        // And the call goes on.
        world.input(0, Input::Chat("still here".into()));
        world.run(SECOND);
        assert_eq!(world.clients[&1].chats().len(), 1);
    });
}

#[test]
fn pf_21_a_welcome_whose_tree_holds_somebody_unknown_or_uncertified_by_the_log_is_refused() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        world.service.tamper = Some(Box::new(|_, message| {
            if let ServerMessage::Joined { receipts, .. } = message {
                receipts.pop();
            }
        }));
        world.join(2);
        world.run(SECOND * 20);
        let client = &world.clients[&2];
        assert!(
            client.refusals().iter().any(|r| r.contains("receipt")),
            "{:?}",
            client.refusals()
        );
        assert!(client.keys().is_empty(), "no key of a refused group comes out");
        assert!(client.ended().is_some());
    });
}

#[test]
fn admt_7_a_welcome_with_another_tree_or_of_another_group_is_refused() {
    both(|profile| {
        let other = World::meeting(profile, 3);
        let other_tree = other.service.room.as_ref().unwrap().ratchet_tree().unwrap();
        let mut world = World::meeting(profile, 2);
        let mut once = true;
        world.service.tamper = Some(Box::new(move |_, message| {
            if let ServerMessage::Joined { ratchet_tree, .. } = message
                && std::mem::take(&mut once)
            {
                *ratchet_tree = other_tree.clone().into();
            }
        }));
        world.join(2);
        world.run(SECOND * 5);
        assert_eq!(world.clients[&2].refusals().len(), 1);
        // One lie, then the truth: it is in, by its second key package, in the place of its first.
        world.assert_agreed(3);
    });
}

#[test]
fn logv_6_an_epoch_that_is_not_on_the_log_as_it_is_makes_the_members_rejoin() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        let mut lies = 1;
        world.service.tamper = Some(Box::new(move |id, message| {
            if let ServerMessage::Commit { roster_salt, .. } = message
                && id == 1
                && lies > 0
            {
                lies -= 1;
                roster_salt.0[0] ^= 1;
            }
        }));
        world.join(2);
        world.run(SECOND * 6);
        assert_eq!(
            world.clients[&1].refusals().len(),
            1,
            "{:?}",
            world.clients[&1].refusals()
        );
        world.assert_agreed(3);
        assert!(world.clients[&0].refusals().is_empty());
    });
}

#[test]
fn the_same_device_in_another_tab_takes_the_place_of_the_first() {
    both(|profile| {
        let mut world = World::meeting(profile, 2);
        world.join_as(2, "Person 1", "p1", "d1", "guest");
        world.run(SECOND * 3);
        assert_eq!(world.service.room.as_ref().unwrap().roster().len(), 2);
        assert_eq!(world.clients[&0].names(), ["Person 0", "Person 1"]);
        assert_eq!(world.clients[&0].base_key(), world.clients[&2].base_key());
        assert_ne!(world.clients[&0].base_key(), world.clients[&1].base_key());
        assert_eq!(
            world.clients[&1].ended().as_deref(),
            Some("This device joined the call again from elsewhere."),
            "{:#?}",
            world.clients[&1].outputs
        );
    });
}
