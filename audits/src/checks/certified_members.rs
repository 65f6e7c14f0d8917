//! AUDT-10, AUDT-11: everybody in the tree has a certificate of the pinned root that was valid at the time and stood on
//! the log for anybody to see before the epoch did.
//!
//! That a chain leads to the root, for a person, for the leaf's own key, the replay has checked when the leaf came in. What
//! is left is time and log.

use std::time::Duration;

use e2ee_core::identity::Member;

use super::replayed_handshake::{Replayed, ReplayedEpoch};
use super::signed_log::LogIndex;
use crate::report::{Claim, Place, Report};

/// How far the clocks of issuer and service may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

pub(crate) fn check(report: &mut Report, replayed: &Replayed<'_>, log: Option<&LogIndex>) {
    for epoch in &replayed.epochs {
        let place = replayed.place().epoch(epoch.epoch);
        for member in epoch.roster.iter() {
            valid_then(report, place, epoch, member);
            if let Some(log) = log {
                on_the_log(report, place, epoch, member, log);
            }
        }
    }
}

fn valid_then(report: &mut Report, place: Place, epoch: &ReplayedEpoch<'_>, member: &Member) {
    let certificate = member.certificate();
    let why = match epoch.stored_at {
        Some(at) if at + CLOCK_SKEW < certificate.not_before() => {
            "it was not valid yet when the service stored the epoch"
        }
        Some(at) if at > certificate.not_after() => "it had expired when the service stored the epoch",
        _ => return report.holds(Claim::Certificates),
    };
    report.fails(Claim::Certificates, place, what(member), why);
}

fn on_the_log(report: &mut Report, place: Place, epoch: &ReplayedEpoch<'_>, member: &Member, log: &LogIndex) {
    let record = epoch.evidence.log_index;
    let why = match log.certificate(member.fingerprint()) {
        None => "it does not stand on the log".to_owned(),
        Some(index) if index >= record => {
            format!("it came onto the log as entry {index}, after the epoch's own record ({record})")
        }
        Some(_) => return report.holds(Claim::Logged),
    };
    report.fails(Claim::Logged, place, what(member), why);
}

fn what(member: &Member) -> String {
    format!("certificate of {} (leaf {})", member.name(), member.leaf())
}
