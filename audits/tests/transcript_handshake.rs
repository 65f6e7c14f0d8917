//! A bundle whose handshake was changed is refused, with the generation, the epoch and what is wrong (C7).
#![allow(clippy::unwrap_used)]

mod support;

use audits::Verdict;
use audits::report::Claim;
use support::ca::{Ca, Key};
use support::meeting::Meeting;
use support::{assert_fails, audit_of, failures};

#[test]
fn audt_9_no_byte_of_any_commit_can_be_changed() {
    let mut meeting = Meeting::usual();
    for at in 0..meeting.generation().epochs.len() {
        let original = meeting.generation().epochs[at].commit.clone();
        let length = original.0.len();
        // Every part of the message, and every byte of the tags at its end.
        for byte in (0..length).step_by(23).chain(length - 40..length) {
            meeting.generation().epochs[at].commit.0[byte] ^= 1 << (byte % 8);
            let report = audit_of(&meeting);
            assert_eq!(report.verdict(), Verdict::Wrong, "commit {at}, byte {byte}");
            let place = report.findings[0].place;
            let context = format!("commit {at}, byte {byte}: {}", report.to_text());
            assert_eq!(
                (place.generation, place.epoch),
                (Some(1), Some(at as u64 + 1)),
                "{context}"
            );
            meeting.generation().epochs[at].commit = original.clone();
        }
    }
    assert_eq!(audit_of(&meeting).verdict(), Verdict::Holds);
}

#[test]
fn audt_8_no_byte_of_any_proposal_can_be_changed() {
    let mut meeting = Meeting::usual();
    for at in 0..meeting.generation().epochs.len() {
        if meeting.generation().epochs[at].proposals.is_empty() {
            continue;
        }
        let original = meeting.generation().epochs[at].proposals[0].clone();
        for byte in (0..original.0.len()).step_by(17) {
            meeting.generation().epochs[at].proposals[0].0[byte] ^= 1 << (byte % 8);
            let report = audit_of(&meeting);
            let finding = &report.findings[0];
            assert_eq!(
                finding.claim,
                Claim::Proposals,
                "proposal of {at}, byte {byte}: {}",
                report.to_text()
            );
            assert_eq!(finding.what, "proposal 1 of 1");
            assert_eq!(finding.place.epoch, Some(at as u64 + 1));
            meeting.generation().epochs[at].proposals[0] = original.clone();
        }
    }
}

#[test]
fn audt_9_a_commit_with_a_wrong_signature_is_named_with_its_epoch_and_what_follows_is_not_judged() {
    let mut meeting = Meeting::usual();
    let commit = &mut meeting.generation().epochs[2].commit.0;
    let middle = commit.len() / 2;
    commit[middle] ^= 1;
    let report = audit_of(&meeting);
    let lines = failures(&report);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("FAILED commit in generation 1, epoch 3: OpenMLS refuses the commit"),
        "{lines:?}"
    );
    assert_eq!(report.generations[0].epochs.len(), 3);
    assert_eq!(report.generations[0].not_replayed, 3);
    assert!(
        report
            .to_text()
            .contains("3 more epochs in the bundle could not be replayed.")
    );
}

#[test]
fn audt_13_an_epoch_left_out_in_the_middle_is_missed() {
    let mut meeting = Meeting::usual();
    meeting.generation().epochs.remove(2);
    let report = audit_of(&meeting);
    assert_eq!(
        failures(&report),
        [
            "FAILED epoch in generation 1, epoch 3: the bundle leaves it out and goes on with epoch 4",
            "FAILED epoch in generation 1, epoch 3: the log has its record (entry 8), and the bundle leaves it out \
             (if the meeting was still going on, export the bundle again)",
        ]
    );
}

#[test]
fn audt_13_epochs_left_out_at_the_end_are_missed_because_the_log_has_them() {
    let mut meeting = Meeting::usual();
    meeting.generation().epochs.truncate(3);
    let report = audit_of(&meeting);
    let lines = failures(&report);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("FAILED epoch in generation 1, epoch 4: the log has its record (entry 9)"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("FAILED epoch in generation 1, epoch 5: the log has its record (entry 11)"),
        "{lines:?}"
    );
}

#[test]
fn audt_9_an_epoch_left_out_and_the_rest_renumbered_is_refused_by_the_messages_themselves() {
    let mut meeting = Meeting::usual();
    let epochs = &mut meeting.generation().epochs;
    epochs.remove(2);
    for (number, epoch) in (1..).zip(epochs) {
        epoch.epoch = number;
    }
    let report = audit_of(&meeting);
    assert_eq!(
        failures(&report)[0],
        "FAILED commit in generation 1, epoch 3: the message is for epoch 3, the group is at epoch 2"
    );
}

#[test]
fn audt_15_swapped_epochs_are_told_from_missing_ones() {
    let mut meeting = Meeting::usual();
    meeting.generation().epochs.swap(1, 2);
    assert_fails(
        &audit_of(&meeting),
        "FAILED order of epochs in generation 1, epoch 2: the bundle gives epoch 3 in its place",
    );
}

#[test]
fn audt_8_a_proposal_of_somebody_who_is_not_the_service_is_refused() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    let bob = meeting.invite("Bob");
    let service = std::mem::replace(&mut meeting.service, Key::new(99));
    let forged = meeting.propose_add(bob);
    meeting.service = service;
    let honest = meeting.propose_add(bob);
    meeting.commit(vec![honest], &[bob]);
    meeting.generation().epochs[0].proposals[0] = forged.into();
    let report = audit_of(&meeting);
    assert_eq!(report.findings[0].claim, Claim::Proposals, "{}", report.to_text());
    assert!(
        failures(&report)[0]
            .starts_with("FAILED proposal 1 of 1 in generation 1, epoch 1: OpenMLS refuses the proposal")
    );
}

#[test]
fn audt_8_somebody_certified_by_another_root_is_refused_even_if_the_members_let_them_in() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    let other = std::mem::replace(&mut meeting.ca, Ca::new("Clinic root"));
    let mallory = meeting.invite("Mallory");
    meeting.ca = other;
    meeting.admit(&[mallory]);
    assert_fails(
        &audit_of(&meeting),
        "FAILED proposal 1 of 1 in generation 1, epoch 1: somebody's certificate is refused: \
         the issuer's signature on the certificate is wrong",
    );
}

#[test]
fn audt_9_grup_6_a_commit_that_leaves_out_a_proposal_sent_before_it_is_refused() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    meeting.join(&["Bob"]);
    let remove = meeting.propose_remove("Bob");
    meeting.rekey();
    // The service had asked for Bob's removal, and the commit passed over it.
    meeting.generation().epochs[1].proposals.push(remove.into());
    assert_fails(
        &audit_of(&meeting),
        "FAILED commit in generation 1, epoch 2: the commit leaves out a pending proposal",
    );
}

#[test]
fn audt_9_pf_22_a_commit_without_a_path_is_refused() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    let bob = meeting.invite("Bob");
    let proposal = meeting.propose_add(bob);
    meeting.with_path = false;
    meeting.commit(vec![proposal], &[bob]);
    assert_fails(
        &audit_of(&meeting),
        "FAILED commit in generation 1, epoch 1: the commit has no update path",
    );
}

#[test]
fn audt_9_pf_14_a_commit_with_an_inline_proposal_is_refused() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    meeting.join(&["Bob"]);
    meeting.remove_inline("Bob");
    assert_fails(
        &audit_of(&meeting),
        "FAILED commit in generation 1, epoch 2: the commit holds a proposal inline",
    );
}

#[test]
fn audt_7_no_byte_of_the_group_s_making_can_be_changed() {
    let mut meeting = Meeting::usual();
    let original = meeting.generation().group_info.clone();
    for byte in (0..original.0.len()).step_by(29) {
        meeting.generation().group_info.0[byte] ^= 1 << (byte % 8);
        let report = audit_of(&meeting);
        assert_eq!(report.verdict(), Verdict::Wrong, "byte {byte}");
        let finding = &report.findings[0];
        assert_eq!(finding.place.epoch, Some(0), "byte {byte}: {}", report.to_text());
        meeting.generation().group_info = original.clone();
    }
}

#[test]
fn audt_7_a_group_whose_policy_names_another_root_is_refused() {
    let mut meeting = Meeting::new();
    meeting.policy_root = Some([7; 32]);
    meeting.start("Ada");
    assert_fails(
        &audit_of(&meeting),
        "FAILED group's making in generation 1, epoch 0: the group's trust root is not the pinned one",
    );
}

#[test]
fn audt_15_one_group_cannot_be_two_generations() {
    let mut meeting = Meeting::usual();
    let again = meeting.bundle.generations[0].clone();
    meeting.bundle.generations.push(again);
    let lines = failures(&audit_of(&meeting));
    assert!(
        lines.contains(&"FAILED group in generation 2: it is the group of generation 1 again".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn audt_13_a_generation_left_out_as_a_whole_is_missed_because_its_id_is_the_room_s() {
    let mut meeting = Meeting::usual();
    meeting.end();
    meeting.start("Zoe");
    meeting.join(&["Yan"]);
    meeting.bundle.generations.pop();
    assert_fails(
        &audit_of(&meeting),
        "FAILED group: the log has a group of this room, its number 1, from entry 13 on, and the bundle leaves it out",
    );
}

#[test]
fn audt_13_groups_of_other_rooms_are_nobody_s_business_and_ids_of_another_making_are_mentioned() {
    let mut meeting = Meeting::usual();
    meeting.end();
    meeting.group_id = Some(b"a group of another room".to_vec());
    meeting.start("Zoe");
    let other = meeting.bundle.generations.pop().unwrap();
    let report = audit_of(&meeting);
    assert_eq!(report.verdict(), Verdict::Holds, "{}", report.to_text());
    assert!(
        !report
            .notes
            .iter()
            .any(|note| note.contains("not derived from the room"))
    );

    meeting.bundle.generations.push(other);
    let report = audit_of(&meeting);
    assert_eq!(report.verdict(), Verdict::Holds, "{}", report.to_text());
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("not derived from the room"))
    );
}

#[test]
fn c7_each_generation_of_a_room_is_judged_by_itself() {
    let mut meeting = Meeting::usual();
    meeting.end();
    meeting.start("Zoe");
    meeting.join(&["Yan"]);
    assert_eq!(audit_of(&meeting).verdict(), Verdict::Holds);

    let commit = &mut meeting.bundle.generations[0].epochs[0].commit.0;
    let middle = commit.len() / 2;
    commit[middle] ^= 1;
    let report = audit_of(&meeting);
    assert_eq!(failures(&report).len(), 1);
    assert_eq!(report.generations[0].epochs.len(), 1);
    assert_eq!(report.generations[1].epochs.len(), 2, "{}", report.to_text());
}
