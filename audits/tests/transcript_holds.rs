//! A true meeting is verified, and the report says who was in when (C7).
#![allow(clippy::unwrap_used)]

mod support;

use audits::Verdict;
use support::meeting::Meeting;
use support::{audit, failures};

#[test]
fn c7_an_honest_meeting_is_verified_and_the_report_says_who_was_in_at_which_epoch() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let report = audit(&meeting.bundle, folder.path(), &meeting.ca.hash());
    let text = report.to_text();
    assert_eq!(failures(&report), Vec::<String>::new(), "{text}");
    assert_eq!(report.verdict(), Verdict::Holds);

    let generation = &report.generations[0];
    let who: Vec<Vec<&str>> = generation
        .epochs
        .iter()
        .map(|epoch| epoch.members.iter().map(|m| m.name.as_str()).collect())
        .collect();
    assert_eq!(
        who,
        [
            vec!["Ada"],
            vec!["Ada", "Bob"],
            vec!["Ada", "Bob", "Eve"],
            vec!["Ada", "Eve"],
            vec!["Ada", "Eve"],
            // Dan takes the leaf that Bob left.
            vec!["Ada", "Dan", "Eve"],
        ]
    );
    assert_eq!(generation.epochs[3].left[0].name, "Bob");
    assert_eq!(generation.epochs[5].joined[0].person, "p-dan");
    assert!(text.contains("VERIFIED: every claim holds."));
}

#[test]
fn c7_the_report_in_json_says_the_same() {
    let meeting = Meeting::usual();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let json = audit(&meeting.bundle, folder.path(), &meeting.ca.hash()).to_json();
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["verdict"], "holds");
    let epoch = &report["generations"][0]["epochs"][1];
    assert_eq!((&epoch["epoch"], &epoch["log_index"]), (&1.into(), &5.into()));
    assert_eq!(epoch["joined"][0]["name"], "Bob");
    assert_eq!(epoch["members"][1]["device"], "d-bob");
    assert_eq!(epoch["stored_at"], meeting.bundle.generations[0].epochs[0].stored_at);
    assert!(
        report["claims"]
            .as_array()
            .unwrap()
            .iter()
            .all(|claim| claim["failed"] == 0)
    );

    let json = audit(&meeting.bundle, folder.path(), &[0; 32]).to_json();
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["verdict"], "wrong");
    assert_eq!(report["findings"][0]["claim"], "AUDT-2");
}

#[test]
fn c7_a_room_in_which_nobody_ever_met_is_an_empty_report_that_holds() {
    let meeting = Meeting::new();
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let report = audit(&meeting.bundle, folder.path(), &meeting.ca.hash());
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(
        report.notes.iter().any(|note| note.contains("no meeting")),
        "{}",
        report.to_text()
    );
}

#[test]
fn c7_ten_people_who_come_at_once_are_one_epoch_pf_35() {
    let mut meeting = Meeting::new();
    meeting.start("Ada");
    let names: Vec<String> = (0..10).map(|n| format!("P{n}")).collect();
    meeting.join(&names.iter().map(String::as_str).collect::<Vec<_>>());
    meeting.leave("P3");
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    let report = audit(&meeting.bundle, folder.path(), &meeting.ca.hash());
    assert_eq!(failures(&report), Vec::<String>::new());
    assert_eq!(report.generations[0].epochs[1].joined.len(), 10);
    assert_eq!(report.generations[0].epochs[2].members.len(), 10);
    assert!(report.to_text().contains("... (11 in all)"));
}
