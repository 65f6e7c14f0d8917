//! AUDT-3: the key that signs checkpoints and the key that proposes are certified for that by the pinned root.
//!
//! When a checkpoint was signed, nobody but the log can say. So the chains are judged as of their own beginning, and the
//! report gives the certificates' validity for the reader to compare.

use e2ee_core::identity::{CheckedCertificate, TrustRoot, Use};
use e2ee_core::log::LogKey;
use e2ee_core::wire::Bytes;
use e2ee_core::wire::transcript::Transcript;

use crate::issued::issued_at;
use crate::report::{Claim, Place, Report};

/// What a bundle names as service and log, certified.
pub(crate) struct Services {
    pub(crate) service: Option<CheckedCertificate>,
    pub(crate) log: Option<(CheckedCertificate, LogKey)>,
}

pub(crate) fn check(report: &mut Report, bundle: &Transcript, root: &TrustRoot) -> Services {
    let service = certified(
        report,
        root,
        &bundle.service_chain,
        Use::DeliveryService,
        "delivery service's certificate",
    );
    let log = log_key(report, bundle, root);
    Services { service, log }
}

/// The log's key alone.
pub(crate) fn log_key(
    report: &mut Report,
    bundle: &Transcript,
    root: &TrustRoot,
) -> Option<(CheckedCertificate, LogKey)> {
    let certificate = certified(
        report,
        root,
        &bundle.log_chain,
        Use::TransparencyLog,
        "log's certificate",
    )?;
    let key = LogKey::from_certificate(&certificate, &bundle.log_origin);
    let key = report.judge(Claim::Services, Place::WHOLE, "log's certificate", key)?;
    Some((certificate, key))
}

fn certified(
    report: &mut Report,
    root: &TrustRoot,
    chain: &[Bytes],
    purpose: Use,
    what: &'static str,
) -> Option<CheckedCertificate> {
    let now = chain
        .first()
        .and_then(|leaf| issued_at(leaf.as_slice()))
        .unwrap_or_default();
    report.judge(Claim::Services, Place::WHOLE, what, root.check(chain, purpose, now))
}
