//! A log's folder is what its key signed, byte for byte, in every form that a tile log takes (C2SP tlog-tiles).
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use audits::log_folder::LogFolder;
use audits::{Error, Verdict, log_audit};
use e2ee_core::log::entry::LogEntry;
use support::ca::Key;
use support::failures;
use support::log::{TestLog, verifier_key};

fn log_of(entries: u32) -> TestLog {
    let mut log = TestLog::default();
    for number in 0..entries {
        log.append(&LogEntry::Certificate {
            der: number.to_be_bytes().to_vec(),
        });
    }
    log
}

fn audit(folder: &Path, key: &Key) -> audits::report::Report {
    let key = log_audit::parse_key(&verifier_key(key)).unwrap();
    log_audit::by_key(&LogFolder::open(folder).unwrap(), &key).unwrap()
}

fn written(entries: u32) -> (tempfile::TempDir, Key) {
    let (folder, key) = (tempfile::tempdir().unwrap(), Key::new(2));
    log_of(entries).write(folder.path(), &key);
    (folder, key)
}

fn flip(folder: &Path, path: &str, at: usize) {
    let path = folder.join(path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn audt_5_logs_of_every_shape_of_tree_are_verified() {
    for entries in [0, 1, 2, 255, 256, 257, 512, 700] {
        let (folder, key) = written(entries);
        let report = audit(folder.path(), &key);
        assert_eq!(
            report.verdict(),
            Verdict::Holds,
            "{entries} entries: {}",
            report.to_text()
        );
        assert_eq!(report.claims[&audits::report::Claim::LogTree].held, 1);
    }
}

#[test]
fn audt_5_a_log_with_three_levels_of_tiles_is_verified_and_each_level_is_compared() {
    let (folder, key) = written(65_536 + 3);
    assert_eq!(audit(folder.path(), &key).verdict(), Verdict::Holds);
    for (path, position) in [("tile/1/000", 255), ("tile/2/000.p/1", 0)] {
        flip(folder.path(), path, position * 32);
        assert_eq!(
            failures(&audit(folder.path(), &key)),
            [format!(
                "FAILED log: hash {position} in {path} is not that of the tree below it"
            )]
        );
        flip(folder.path(), path, position * 32);
    }
}

#[test]
fn audt_5_an_altered_entry_and_an_altered_tile_are_told_apart() {
    let (folder, key) = written(700);
    // Entry 300 is the 45th of the second bundle; each takes 2 + 7 bytes or so: its last byte.
    let path = "tile/entries/001";
    let each = fs::read(folder.path().join(path)).unwrap().len() / 256;
    flip(folder.path(), path, 45 * each - 1);
    assert_eq!(
        failures(&audit(folder.path(), &key)),
        [
            "FAILED log: entry 300 in tile/entries/001 does not have the hash that stands in tile/0/001: the entry was altered"
        ]
    );
    flip(folder.path(), path, 45 * each - 1);

    flip(folder.path(), "tile/0/001", 44 * 32);
    assert_eq!(
        failures(&audit(folder.path(), &key)),
        [
            "FAILED log: entry 300 in tile/entries/001 does not have the hash that stands in tile/0/001: the tile was altered"
        ]
    );
}

#[test]
fn audt_5_entries_and_tiles_altered_together_do_not_lead_to_the_signed_root() {
    let (folder, key) = written(20);
    let mut other = log_of(20);
    other.entries[7] = other.entries[8].clone();
    let signed = fs::read(folder.path().join("checkpoint")).unwrap();
    other.write(folder.path(), &key);
    fs::write(folder.path().join("checkpoint"), signed).unwrap();
    let lines = failures(&audit(folder.path(), &key));
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("FAILED log: the entries make a tree with the root "),
        "{lines:?}"
    );
}

#[test]
fn audt_5_missing_files_are_named() {
    for (path, count) in [("tile/0/002.p/188", 1), ("tile/entries/000", 1), ("tile/1/000.p/2", 1)] {
        let (folder, key) = written(700);
        fs::remove_file(folder.path().join(path)).unwrap();
        let lines = failures(&audit(folder.path(), &key));
        assert_eq!(lines.len(), count, "{lines:?}");
        assert_eq!(
            lines[0],
            format!("FAILED log: {path} is missing, though the checkpoint says that the log has 700 entries")
        );
    }
}

#[test]
fn audt_5_a_cut_tile_and_a_cut_bundle_are_named() {
    let (folder, key) = written(40);
    for path in ["tile/0/000.p/40", "tile/entries/000.p/40"] {
        let whole = fs::read(folder.path().join(path)).unwrap();
        fs::write(folder.path().join(path), &whole[..whole.len() - 1]).unwrap();
        let lines = failures(&audit(folder.path(), &key));
        assert!(
            lines[0].starts_with(&format!("FAILED log: {path} cannot be read: it ")),
            "{lines:?}"
        );
        fs::write(folder.path().join(path), whole).unwrap();
    }
}

#[test]
fn audt_5_older_partial_tiles_may_stay_if_they_are_prefixes_and_wider_ones_may_stand_in() {
    let (folder, key) = (tempfile::tempdir().unwrap(), Key::new(2));
    let log = log_of(300);
    for size in [3, 40, 256, 300] {
        log.write_of_size(folder.path(), &key, size);
    }
    assert_eq!(audit(folder.path(), &key).verdict(), Verdict::Holds);

    // A reader may have an older checkpoint than the tiles.
    let older = tempfile::tempdir().unwrap();
    log.write_of_size(older.path(), &key, 280);
    let checkpoint = fs::read(older.path().join("checkpoint")).unwrap();
    fs::write(folder.path().join("checkpoint"), checkpoint).unwrap();
    assert_eq!(audit(folder.path(), &key).verdict(), Verdict::Holds);

    flip(folder.path(), "tile/0/000.p/40", 39 * 32);
    assert_eq!(
        failures(&audit(folder.path(), &key)),
        ["FAILED log: hash 39 in tile/0/000.p/40 is not that of the tree below it"]
    );
}

#[test]
fn files_that_are_no_tiles_are_mentioned_and_change_nothing() {
    let (folder, key) = written(3);
    fs::write(folder.path().join("tile/0/0"), b"?").unwrap();
    fs::write(folder.path().join("tile/notes.txt"), b"?").unwrap();
    let report = audit(folder.path(), &key);
    assert_eq!(report.verdict(), Verdict::Holds);
    let notes = report.notes.join("\n");
    assert!(
        notes.contains("tile/0/0 ") && notes.contains("tile/notes.txt "),
        "{notes}"
    );
}

#[test]
fn what_is_no_log_cannot_be_audited() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(LogFolder::open(folder.path()), Err(Error::NotALog { .. })));
    assert!(matches!(
        LogFolder::open(&folder.path().join("none")),
        Err(Error::Read { .. })
    ));
    fs::write(folder.path().join("checkpoint"), vec![b'a'; 100_000]).unwrap();
    assert!(matches!(LogFolder::open(folder.path()), Err(Error::TooLarge { .. })));
    fs::write(folder.path().join("checkpoint"), [0xff, 0xfe]).unwrap();
    assert!(matches!(LogFolder::open(folder.path()), Err(Error::NotALog { .. })));
}
