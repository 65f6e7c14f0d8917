//! AUDT-12, AUDT-15: what the replay gives is what stands on the log, field by field, and in the order of events.

use e2ee_core::log::entry::{EpochRecord, LogEntry};

use super::replayed_handshake::{Replayed, ReplayedEpoch};
use super::signed_log::LogIndex;
use crate::report::{Claim, Report};

/// Generations in order.
pub(crate) fn check(report: &mut Report, generations: &[Replayed<'_>], log: &LogIndex) {
    let mut before = None;
    for replayed in generations {
        for epoch in &replayed.epochs {
            let place = replayed.place().epoch(epoch.epoch);
            let compared = compare(epoch, log);
            report.judge(Claim::Record, place, "record on the log", compared);
            let index = epoch.evidence.log_index;
            match before {
                Some(before) if index <= before => {
                    let why = format!("it is log entry {index}, and the epoch before it is entry {before}");
                    report.fails(Claim::Order, place, "order on the log", why);
                }
                _ => report.holds(Claim::Order),
            }
            before = Some(index);
        }
    }
}

fn compare(epoch: &ReplayedEpoch<'_>, log: &LogIndex) -> Result<(), String> {
    let salt = epoch.evidence.roster_salt.as_slice().len();
    let expected = epoch
        .record
        .as_ref()
        .ok_or_else(|| format!("the bundle's salt for the roster has {salt} bytes instead of 32"))?;
    let index = epoch.evidence.log_index;
    if index >= log.size() {
        return Err(format!(
            "the bundle says log entry {index}, and the checkpoint covers only {} entries \
             (if the log's folder was copied before the bundle was exported, copy it again)",
            log.size()
        ));
    }
    match log.entry(index) {
        None => Err(format!("log entry {index} cannot be read")),
        Some(LogEntry::Certificate { .. }) => Err(format!("log entry {index} is a certificate")),
        Some(LogEntry::Epoch(found)) => match difference(expected, found) {
            None => Ok(()),
            Some(what) => Err(format!("log entry {index} has another {what} than the replay gives")),
        },
    }
}

fn difference(expected: &EpochRecord, found: &EpochRecord) -> Option<&'static str> {
    let fields = [
        (expected.group_id == found.group_id, "group"),
        (expected.epoch == found.epoch, "epoch"),
        (expected.commit_hash == found.commit_hash, "commit hash"),
        (
            expected.confirmed_transcript_hash == found.confirmed_transcript_hash,
            "confirmed transcript hash",
        ),
        (expected.tree_hash == found.tree_hash, "tree hash"),
        (
            expected.roster_commitment == found.roster_commitment,
            "roster commitment",
        ),
    ];
    fields.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}
