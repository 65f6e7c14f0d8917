//! AUDT-1, AUDT-2: the bundle is of a version we read, and its trust root is the one that the auditor named.

use e2ee_core::identity::TrustRoot;
use e2ee_core::wire::transcript::{TRANSCRIPT_VERSION, Transcript};

use crate::expected_root::ExpectedRoot;
use crate::report::{Claim, Place, Report};

/// The pinned root, or nothing that could be believed.
pub(crate) fn check(report: &mut Report, bundle: &Transcript, expected: &ExpectedRoot) -> Option<TrustRoot> {
    if bundle.version != TRANSCRIPT_VERSION {
        let why = format!(
            "it has version {}, and this software reads version {TRANSCRIPT_VERSION}",
            bundle.version
        );
        report.fails(Claim::Version, Place::WHOLE, "bundle", why);
        return None;
    }
    report.holds(Claim::Version);

    // The room in a link is what the person who hands it over means; the root says only which organisation.
    if let Some(room) = &expected.room
        && *room != bundle.room
    {
        let why = format!("it is of room {}, and the link is of room {room}", bundle.room);
        report.fails(Claim::Root, Place::WHOLE, "bundle", why);
    }
    let pinned = TrustRoot::pin(bundle.trust_root.as_slice(), &expected.hash);
    report.judge(Claim::Root, Place::WHOLE, "trust root", pinned)
}
