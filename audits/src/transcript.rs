//! The audit of a meeting: its exported handshake, the log's folder, and the root that the auditor names.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2ee_core::group::MAX_KEY_PACKAGE_LIFETIME_SECS;
use e2ee_core::identity::{CheckedCertificate, Member};
use e2ee_core::wire::transcript::Transcript;

use crate::Error;
use crate::checks::replayed_handshake::{Replayed, ReplayedEpoch};
use crate::checks::signed_log::LogIndex;
use crate::checks::{
    certified_members, certified_services, logged_epochs, nothing_withheld, pinned_root, replayed_handshake, signed_log,
};
use crate::expected_root::ExpectedRoot;
use crate::files::read_bounded;
use crate::log_folder::LogFolder;
use crate::report::{Claim, EpochView, GenerationView, MemberView, Place, Report};

/// The largest bundle read. A commit in a group of 1,000 is about 3 kB, a thousand joins at once 300 kB.
pub const MAX_BUNDLE: u64 = 256 * 1024 * 1024;

/// Reads a bundle from a file. Whether it is true is another question.
pub fn read(path: &Path) -> Result<Transcript, Error> {
    let bytes = read_bounded(path, "transcript", MAX_BUNDLE)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::NotATranscript {
        path: path.to_owned(),
        source,
    })
}

/// Every check there is, as far as the evidence carries. Fails only where the log's folder cannot be read.
pub fn audit(bundle: &Transcript, folder: &LogFolder, expected: &ExpectedRoot) -> Result<Report, Error> {
    let mut report = Report::new(format!("transcript of room {}", bundle.room));
    let Some(root) = pinned_root::check(&mut report, bundle, expected) else {
        report.note("Nothing else was looked at: without its root no certificate means anything.");
        return Ok(report);
    };
    report.fact("trust root", format!("{} (the one you named)", expected.to_base64()));

    let services = certified_services::check(&mut report, bundle, &root);
    let log = match &services.log {
        Some((_, key)) => signed_log::check(&mut report, folder, key, &indices(bundle))?,
        None => None,
    };
    if log.is_none() {
        report.note("What stands on the log was not looked at: its checkpoint is not signed by a key of this root.");
    }

    let numbered = (1..).zip(&bundle.generations);
    let generations: Vec<Replayed<'_>> = numbered
        .map(|(number, generation)| replayed_handshake::check(&mut report, number, generation, &root, expected.profile))
        .collect();
    for replayed in &generations {
        certified_members::check(&mut report, replayed, log.as_ref());
    }
    if let Some(log) = &log {
        logged_epochs::check(&mut report, &generations, log);
        nothing_withheld::check(&mut report, bundle, log);
        let own = services
            .service
            .iter()
            .chain(services.log.iter().map(|(certificate, _)| certificate));
        for certificate in own {
            service_on_the_log(&mut report, certificate, log);
        }
    }
    report.generations = generations.iter().map(view).collect();
    report.order_findings();
    if bundle.generations.is_empty() {
        report.note("The bundle holds no meeting.");
    }
    if is_old(bundle) {
        report.note(
            "This meeting is more than 84 days old. OpenMLS compares the key packages in it with this machine's clock and \
             refuses them as expired: set the clock back (`faketime`) to replay it.",
        );
    }
    report.note("Times are the service's word: the log proves an order of events, not their hours.");
    report.note("Membership and confirmation tags need the group's secrets: members check them, an auditor cannot.");
    Ok(report)
}

/// Whether the lifetimes that members state for their key packages have passed since.
fn is_old(bundle: &Transcript) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let limit = Duration::from_secs(MAX_KEY_PACKAGE_LIFETIME_SECS);
    let mut epochs = bundle.generations.iter().flat_map(|generation| &generation.epochs);
    epochs.any(|epoch| Duration::from_millis(epoch.stored_at) + limit < now)
}

/// Everything that the bundle refers to on the log.
fn indices(bundle: &Transcript) -> BTreeSet<u64> {
    let generations = bundle.generations.iter();
    generations
        .flat_map(|g| g.epochs.iter().map(|epoch| &epoch.evidence).chain([&g.genesis]))
        .map(|evidence| evidence.log_index)
        .collect()
}

fn service_on_the_log(report: &mut Report, certificate: &CheckedCertificate, log: &LogIndex) {
    match log.certificate(certificate.fingerprint()) {
        Some(_) => report.holds(Claim::Logged),
        None => {
            let what = format!("certificate of the {}", certificate.role().as_str());
            report.fails(Claim::Logged, Place::WHOLE, what, "it does not stand on the log");
        }
    }
}

fn view(replayed: &Replayed<'_>) -> GenerationView {
    GenerationView {
        number: replayed.number,
        group_id: hex::encode(replayed.generation.group_id.as_slice()),
        epochs: replayed.epochs.iter().map(epoch_view).collect(),
        not_replayed: replayed.not_replayed(),
    }
}

fn epoch_view(epoch: &ReplayedEpoch<'_>) -> EpochView {
    EpochView {
        epoch: epoch.epoch,
        stored_at: epoch.stored_at,
        committed_by: epoch.committer.clone(),
        log_index: epoch.evidence.log_index,
        joined: epoch.joined.iter().map(member_view).collect(),
        left: epoch.left.iter().map(member_view).collect(),
        members: epoch.roster.iter().map(member_view).collect(),
    }
}

fn member_view(member: &Member) -> MemberView {
    MemberView {
        leaf: member.leaf(),
        name: member.name().to_owned(),
        org: member.org().to_owned(),
        role: member.role().as_str().to_owned(),
        person: member.person().to_owned(),
        device: member.device().to_owned(),
        certificate: hex::encode(member.fingerprint().0),
    }
}
