//! Handshake, certificates and log must tell one story, under the auditor's own root (C7, C3, C4).
#![allow(clippy::unwrap_used)]

mod support;

use audits::report::Claim;
use audits::{Error, Verdict, transcript};
use e2ee_core::log::entry::{EpochRecord, LogEntry};
use support::ca::{Ca, Key};
use support::log::checkpoint;
use support::meeting::Meeting;
use support::{assert_fails, audit, audit_of, failures};

/// The record of an epoch on the log, changed and signed anew: what a server that controls the log's key could do.
fn alter_record(meeting: &mut Meeting, epoch: usize, change: impl FnOnce(&mut EpochRecord)) {
    let index = meeting.generation().epochs[epoch - 1].evidence.log_index as usize;
    let LogEntry::Epoch(mut record) = LogEntry::from_bytes(&meeting.log.entries[index]).unwrap() else {
        panic!("not an epoch");
    };
    change(&mut record);
    meeting.log.entries[index] = LogEntry::Epoch(record).to_bytes().unwrap();
}

#[test]
fn audt_2_another_root_than_the_auditor_s_ends_the_audit() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let report = audit(&meeting.bundle, folder.path(), &[7; 32]);
    assert_fails(
        &report,
        "FAILED trust root: the trust root is not the one in the room's link",
    );
    assert!(report.generations.is_empty());
}

#[test]
fn audt_2_a_whole_meeting_under_a_root_of_the_server_s_own_making_is_refused() {
    let honest = Ca::new("Clinic root");
    let forged = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    forged.log.write(folder.path(), &forged.log_key);
    assert_eq!(
        audit(&forged.bundle, folder.path(), &honest.hash()).verdict(),
        Verdict::Wrong
    );
}

#[test]
fn audt_2_a_link_of_another_room_is_noticed() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let log = audits::log_folder::LogFolder::open(folder.path()).unwrap();
    let link = |room: &str| {
        format!("https://meet.example/m/{room}#{}", hex::encode(meeting.ca.hash()))
            .parse()
            .unwrap()
    };
    let report = transcript::audit(&meeting.bundle, &log, &link("r-2")).unwrap();
    assert_fails(&report, "FAILED bundle: it is of room r-1, and the link is of room r-2");
    let report = transcript::audit(&meeting.bundle, &log, &link("r-1")).unwrap();
    assert_eq!(report.verdict(), Verdict::Holds);
}

#[test]
fn audt_3_the_service_s_key_must_be_certified_as_the_service_s_and_the_log_s_as_the_log_s() {
    let mut meeting = Meeting::usual();
    std::mem::swap(&mut meeting.bundle.service_chain, &mut meeting.bundle.log_chain);
    let lines = failures(&audit_of(&meeting));
    assert_eq!(
        lines[0],
        "FAILED delivery service's certificate: the certificate is for the role \"transparency-log\", \
         which is not the one needed here"
    );
    assert!(lines[1].starts_with("FAILED log's certificate: the certificate is for the role \"delivery-service\""));
}

#[test]
fn audt_4_a_checkpoint_by_another_key_is_refused_and_the_handshake_is_still_replayed() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &Key::new(77));
    let report = audit(&meeting.bundle, folder.path(), &meeting.ca.hash());
    assert_fails(
        &report,
        "FAILED checkpoint: the checkpoint is not signed by the log's key",
    );
    assert_eq!(report.generations[0].epochs.len(), 6);
}

#[test]
fn audt_4_a_changed_checkpoint_is_refused() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let file = folder.path().join("checkpoint");
    let text = std::fs::read_to_string(&file).unwrap().replace("\n12\n", "\n11\n");
    std::fs::write(&file, text).unwrap();
    let report = audit(&meeting.bundle, folder.path(), &meeting.ca.hash());
    assert_fails(&report, "FAILED checkpoint: the signature on the checkpoint is wrong");
}

#[test]
fn audt_12_a_checkpoint_older_than_the_records_does_not_vouch_for_them() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write_of_size(folder.path(), &meeting.log_key, 9);
    let report = audit(&meeting.bundle, folder.path(), &meeting.ca.hash());
    let lines = failures(&report);
    let record = "FAILED record on the log in generation 1, epoch 4: the bundle says log entry 9, \
                  and the checkpoint covers only 9 entries";
    assert!(lines.iter().any(|line| line.starts_with(record)), "{lines:#?}");
    // Dan's certificate came later than the checkpoint, too.
    let dan = "FAILED certificate of Dan (leaf 1) in generation 1, epoch 5: it does not stand on the log";
    assert!(lines.iter().any(|line| line == dan), "{lines:#?}");
}

#[test]
fn audt_12_no_field_of_a_record_on_the_log_can_differ_from_the_replay() {
    type Change = fn(&mut EpochRecord);
    let changes: [(Change, &str); 4] = [
        (|record| record.commit_hash[0] ^= 1, "commit hash"),
        (
            |record| record.confirmed_transcript_hash = vec![0; 32].into(),
            "confirmed transcript hash",
        ),
        (|record| record.tree_hash = vec![0; 32].into(), "tree hash"),
        (|record| record.roster_commitment[31] ^= 1, "roster commitment"),
    ];
    for (change, what) in changes {
        let mut meeting = Meeting::usual();
        alter_record(&mut meeting, 3, change);
        let expected = format!(
            "FAILED record on the log in generation 1, epoch 3: log entry 8 has another {what} than the replay gives"
        );
        assert_fails(&audit_of(&meeting), &expected);
    }
}

#[test]
fn audt_12_audt_13_a_record_of_another_epoch_or_group_in_its_place_is_refused() {
    let mut meeting = Meeting::usual();
    alter_record(&mut meeting, 3, |record| record.epoch = 9);
    let lines = failures(&audit_of(&meeting));
    assert_eq!(
        lines[0],
        "FAILED record on the log in generation 1, epoch 3: log entry 8 has another epoch than the replay gives"
    );
    assert!(
        lines[1].starts_with("FAILED epoch in generation 1, epoch 9: the log has its record (entry 8)"),
        "{lines:?}"
    );

    let mut meeting = Meeting::usual();
    meeting.generation().epochs[2].evidence.log_index = 6;
    let lines = failures(&audit_of(&meeting));
    assert!(
        lines.contains(&"FAILED record on the log in generation 1, epoch 3: log entry 6 is a certificate".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("FAILED order on the log in generation 1, epoch 3")),
        "{lines:?}"
    );
}

#[test]
fn audt_12_a_wrong_salt_does_not_open_the_roster_s_commitment() {
    let mut meeting = Meeting::usual();
    meeting.generation().epochs[1].evidence.roster_salt.0[5] ^= 1;
    assert_fails(
        &audit_of(&meeting),
        "FAILED record on the log in generation 1, epoch 2: log entry 7 has another roster commitment than the replay gives",
    );
    meeting.generation().epochs[1].evidence.roster_salt.0.pop();
    assert_fails(
        &audit_of(&meeting),
        "FAILED record on the log in generation 1, epoch 2: the bundle's salt for the roster has 31 bytes instead of 32",
    );
}

#[test]
fn audt_14_c4_a_second_record_of_an_epoch_is_a_fork() {
    let mut meeting = Meeting::usual();
    let salt = [1; 32];
    let mut other = meeting.epoch_record(b"another commit", &salt);
    other.epoch = 5;
    meeting.log.append(&LogEntry::Epoch(other));
    assert_fails(
        &audit_of(&meeting),
        "FAILED log in generation 1, epoch 5: entry 11 records this epoch, and entry 12 is a record with another commit: \
         the group was forked",
    );
}

#[test]
fn audt_14_the_same_record_twice_is_noticed() {
    let mut meeting = Meeting::usual();
    let again = meeting.log.entries[9].clone();
    meeting.log.entries.push(again);
    assert_fails(
        &audit_of(&meeting),
        "FAILED log in generation 1, epoch 4: entry 9 records this epoch, and entry 12 is the same once more",
    );
}

#[test]
fn audt_13_an_epoch_that_only_the_log_knows_is_reported() {
    let mut meeting = Meeting::usual();
    let mut hidden = meeting.epoch_record(b"a commit nobody was shown", &[1; 32]);
    hidden.epoch = 6;
    meeting.log.append(&LogEntry::Epoch(hidden));
    let lines = failures(&audit_of(&meeting));
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("FAILED epoch in generation 1, epoch 6: the log has its record (entry 12)"),
        "{lines:?}"
    );
}

#[test]
fn audt_11_c3_somebody_whose_certificate_is_not_on_the_log_is_named_in_every_epoch() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    let mallory = meeting.stranger("Mallory", 60, 3600);
    meeting.admit(&[mallory]);
    meeting.rekey();
    assert_eq!(
        failures(&audit_of(&meeting)),
        [
            "FAILED certificate of Mallory (leaf 1) in generation 1, epoch 1: it does not stand on the log",
            "FAILED certificate of Mallory (leaf 1) in generation 1, epoch 2: it does not stand on the log",
        ]
    );
}

#[test]
fn audt_11_a_certificate_logged_after_the_epoch_it_let_somebody_into_is_noticed() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    let late = meeting.stranger("Late", 60, 3600);
    meeting.admit(&[late]);
    let der = meeting.people[late].certificate.clone();
    meeting.log.append(&LogEntry::Certificate { der });
    assert_fails(
        &audit_of(&meeting),
        "FAILED certificate of Late (leaf 1) in generation 1, epoch 1: it came onto the log as entry 5, \
         after the epoch's own record (4)",
    );
}

#[test]
fn audt_11_the_services_certificates_must_be_on_the_log_too() {
    let mut meeting = Meeting::usual();
    let der = vec![0x30; 40];
    meeting.log.entries[0] = LogEntry::Certificate { der }.to_bytes().unwrap();
    assert_fails(
        &audit_of(&meeting),
        "FAILED certificate of the delivery-service: it does not stand on the log",
    );
}

#[test]
fn audt_10_a_certificate_must_have_been_valid_when_the_service_says_it_stored_the_epoch() {
    let mut meeting = Meeting::usual();
    let last = meeting.generation().epochs.len() - 1;
    // Nine hours later: the certificates live for eight. Nobody comes in then.
    meeting.generation().epochs.truncate(last);
    meeting.log.entries.truncate(10);
    meeting.generation().epochs[last - 1].stored_at += 9 * 3600 * 1000;
    assert_eq!(
        failures(&audit_of(&meeting)),
        [
            "FAILED certificate of Ada (leaf 0) in generation 1, epoch 4: it had expired when the service stored the epoch",
            "FAILED certificate of Eve (leaf 2) in generation 1, epoch 4: it had expired when the service stored the epoch",
        ]
    );
    // Five minutes earlier: Bob's certificate is one minute old.
    meeting.generation().epochs[0].stored_at -= 300_000;
    let lines = failures(&audit_of(&meeting));
    assert!(lines[0].contains("the certificate is not valid yet"), "{lines:?}");
}

#[test]
fn audt_6_an_entry_that_is_no_record_is_named() {
    let mut meeting = Meeting::usual();
    meeting.log.entries.push(vec![1, 9, 0]);
    meeting.log.entries.push(vec![]);
    let lines = failures(&audit_of(&meeting));
    assert_eq!(lines[0], "FAILED entry in log entry 12: log entry has unknown type 9");
    assert!(
        lines[1].starts_with("FAILED entry in log entry 13: log entry is malformed"),
        "{lines:?}"
    );
}

#[test]
fn audt_4_a_checkpoint_over_more_than_is_there_is_a_failure_not_a_hang() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let text = checkpoint(u64::MAX, &[3; 32], &meeting.log_key);
    std::fs::write(folder.path().join("checkpoint"), text).unwrap();
    let report = audit(&meeting.bundle, folder.path(), &meeting.ca.hash());
    assert!(
        report.findings.iter().any(|finding| finding.claim == Claim::LogTree),
        "{}",
        report.to_text()
    );
}

#[test]
fn audt_1_a_bundle_of_another_version_is_not_read_further() {
    let mut meeting = Meeting::usual();
    meeting.bundle.version = 2;
    assert_fails(
        &audit_of(&meeting),
        "FAILED bundle: it has version 2, and this software reads version 1",
    );
}

#[test]
fn a_bundle_that_is_cut_short_oversized_or_of_another_form_cannot_be_audited() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.json");
    let json = serde_json::to_string(&meeting.bundle).unwrap();
    for text in [
        &json[..json.len() / 2],
        &json[..json.len() - 1],
        "",
        "[]",
        &json.replacen("\"room\"", "\"extra\":1,\"room\"", 1),
        &json.replacen("\"commit\":\"", "\"commit\":\"=", 1),
    ] {
        std::fs::write(&file, text).unwrap();
        assert!(matches!(transcript::read(&file), Err(Error::NotATranscript { .. })));
    }
    std::fs::write(&file, &json).unwrap();
    assert_eq!(transcript::read(&file).unwrap(), meeting.bundle);
    // Sparse: nothing is read of it.
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(transcript::MAX_BUNDLE + 1)
        .unwrap();
    assert!(matches!(transcript::read(&file), Err(Error::TooLarge { .. })));
}

#[test]
fn c7_no_certificate_salt_or_index_in_the_bundle_can_be_changed() {
    type Field = fn(&mut e2ee_core::wire::transcript::Transcript) -> &mut Vec<u8>;
    let fields: [(&str, Field); 6] = [
        ("trust root", |bundle| &mut bundle.trust_root.0),
        ("service", |bundle| &mut bundle.service_chain[0].0),
        ("log", |bundle| &mut bundle.log_chain[0].0),
        ("group id", |bundle| &mut bundle.generations[0].group_id.0),
        ("genesis salt", |bundle| {
            &mut bundle.generations[0].genesis.roster_salt.0
        }),
        ("salt", |bundle| {
            &mut bundle.generations[0].epochs[4].evidence.roster_salt.0
        }),
    ];
    let mut meeting = Meeting::usual();
    for (name, field) in fields {
        let original = field(&mut meeting.bundle).clone();
        for at in (0..original.len()).step_by(11) {
            field(&mut meeting.bundle)[at] ^= 1 << (at % 8);
            let report = audit_of(&meeting);
            assert_eq!(report.verdict(), Verdict::Wrong, "{name}, byte {at}");
            *field(&mut meeting.bundle) = original.clone();
        }
        field(&mut meeting.bundle).clear();
        assert_eq!(audit_of(&meeting).verdict(), Verdict::Wrong, "{name}, empty");
        *field(&mut meeting.bundle) = original;
    }
    for index in [0, 2, 4, 6, 12, u64::MAX] {
        let evidence = &mut meeting.bundle.generations[0].epochs[1].evidence;
        let original = std::mem::replace(&mut evidence.log_index, index);
        assert_eq!(audit_of(&meeting).verdict(), Verdict::Wrong, "index {index}");
        meeting.bundle.generations[0].epochs[1].evidence.log_index = original;
    }
    for origin in ["", "log.example/2", "log example", "log.example/1\n"] {
        let original = std::mem::replace(&mut meeting.bundle.log_origin, origin.to_owned());
        assert_eq!(audit_of(&meeting).verdict(), Verdict::Wrong, "origin {origin:?}");
        meeting.bundle.log_origin = original;
    }
    assert_eq!(audit_of(&meeting).verdict(), Verdict::Holds);
}
