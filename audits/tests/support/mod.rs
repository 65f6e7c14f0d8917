//! A real meeting in a process: an organisation with its root, members on OpenMLS, a log as files, and the bundle that a
//! key server would export. Written apart from the key server, so that the two check each other.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

pub mod ca;
pub mod log;
pub mod meeting;

use std::path::Path;

use self::meeting::Meeting;
use audits::expected_root::ExpectedRoot;
use audits::log_folder::LogFolder;
use audits::report::Report;
use audits::transcript;
use e2ee_core::wire::transcript::Transcript;

/// The audit as the command runs it: bundle and log through files.
pub fn audit(bundle: &Transcript, log: &Path, root: &[u8; 32]) -> Report {
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(file.as_file(), bundle).unwrap();
    let read = transcript::read(file.path()).unwrap();
    transcript::audit(&read, &LogFolder::open(log).unwrap(), &ExpectedRoot::new(*root)).unwrap()
}

/// The audit of a meeting as its log stands.
pub fn audit_of(meeting: &Meeting) -> Report {
    let folder = tempfile::tempdir().unwrap();
    meeting.log.write(folder.path(), &meeting.log_key);
    audit(&meeting.bundle, folder.path(), &meeting.ca.hash())
}

/// The report's failures, as a reader gets them.
pub fn failures(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

/// Exactly one failure, with this text.
#[track_caller]
pub fn assert_fails(report: &Report, expected: &str) {
    assert_eq!(failures(report), [expected], "{}", report.to_text());
}
