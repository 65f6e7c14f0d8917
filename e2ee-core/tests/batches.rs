//! DLVR-4: how many arrivals become one message, and one commit.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use e2ee_core::group::batch::Batch;
use e2ee_core::group::check::Pending;
use e2ee_core::group::engine::{Input, Output};
use e2ee_core::group::{CheckedKeyPackage, MAX_KEY_PACKAGE, Profile, Refusal};
use e2ee_core::wire::delivery::MAX_FROM_SERVICE;
use simulator::ca::Ca;
use simulator::raw::Outsider;
use simulator::start_of_time;
use simulator::tape::{Lap, Taken};
use simulator::world::World;

const SECOND: Duration = Duration::from_secs(1);
const ARRIVALS: usize = 12;

/// One is in the room, and twelve ask at once; the texts of the proposals that the first was sent, and its epoch.
fn after_a_rush(profile: Profile, longest: Option<usize>) -> (Vec<usize>, Option<u64>) {
    let mut world = World::new(profile);
    world.taped = true;
    if let Some(longest) = longest {
        world.service.longest = longest;
    }
    world.join(0);
    world.run(SECOND);
    for id in 1..=ARRIVALS {
        world.join(id);
    }
    world.run(SECOND * 20);
    for (id, client) in &world.clients {
        assert_eq!(
            client.names().len(),
            ARRIVALS + 1,
            "client {id}: {:?}",
            client.warnings()
        );
        assert!(client.refusals().is_empty());
    }
    let first = &world.clients[&0];
    let texts = first.tape.iter().filter_map(|lap: &Lap| match &lap.input {
        Taken::Text(text) if lap.is("proposals") => Some(text.len()),
        _ => None,
    });
    (texts.collect(), first.engine.epoch())
}

#[test]
fn dlvr_4_no_message_is_longer_than_may_be_and_all_who_wait_are_let_in_with_the_epochs_that_follow() {
    for profile in Profile::ALL {
        let (whole, epoch) = after_a_rush(profile, None);
        assert_eq!((whole.len(), epoch), (1, Some(1)), "together they are one commit");

        let longest = whole[0] / 2;
        let (parts, epoch) = after_a_rush(profile, Some(longest));
        assert!(parts.len() >= 3 && epoch >= Some(3), "{parts:?} in {epoch:?}");
        assert!(parts.iter().all(|text| *text <= longest), "{parts:?} of {longest}");
        assert!(parts.len() < ARRIVALS, "more than one at a time");
    }
}

#[test]
fn dlvr_4_nobody_is_proposed_who_does_not_fit_and_who_does_still_is() {
    let ca = Ca::new(start_of_time());
    let package = Outsider::new(Profile::Standard, &ca, "Ada", start_of_time()).key_package();
    let der = vec![0; 600];
    let mut batch = Batch::new(20_000, &Pending::default(), 1000);
    assert!(!batch.takes(&package, &[0; 20_000]));
    let fit = (0..100).filter(|_| batch.takes(&package, &der)).count();
    assert!((3..12).contains(&fit), "{fit}");
    assert!(!Batch::new(1000, &Pending::default(), 1000).takes(&package, &der));
    // A longer log has longer proofs.
    let mut batch = Batch::new(20_000, &Pending::default(), u64::MAX);
    assert!((0..100).filter(|_| batch.takes(&package, &der)).count() < fit);
}

#[test]
fn admt_5_a_key_package_that_would_crowd_out_the_others_is_refused_unread() {
    let root = Ca::new(start_of_time()).root();
    let verdict = |bytes: usize| {
        let package = vec![0; bytes];
        CheckedKeyPackage::from_message(&package, Profile::Standard, &root, start_of_time()).map(|_| ())
    };
    assert_eq!(verdict(MAX_KEY_PACKAGE + 1), Err(Refusal::KeyPackageTooLarge));
    assert_eq!(verdict(MAX_KEY_PACKAGE), Err(Refusal::NotThatMessage("key package")));
}

#[test]
fn a_message_of_the_services_is_read_up_to_its_bound_and_no_further() {
    let mut world = World::meeting(Profile::Standard, 2);
    let now = world.now;
    let mut told = |bytes: usize| {
        // Space means nothing in JSON.
        let mut text = r#"{"type":"pong"}"#.to_owned();
        text.push_str(&" ".repeat(bytes - text.len()));
        let engine = &mut world.clients.get_mut(&0).unwrap().engine;
        let outputs = engine.handle(Input::Text(text), now);
        outputs
            .iter()
            .any(|output| matches!(output, Output::Warning(words) if words.contains("too large")))
    };
    assert!(!told(MAX_FROM_SERVICE));
    assert!(told(MAX_FROM_SERVICE + 1));
}
