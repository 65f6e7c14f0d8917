//! The audit of a log by itself: no meeting, no names, only whether the files are what the log's key signed.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2ee_core::log::LogKey;
use e2ee_core::wire::transcript::Transcript;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::checks::{certified_services, pinned_root, signed_log};
use crate::expected_root::ExpectedRoot;
use crate::log_folder::LogFolder;
use crate::report::Report;

/// The type byte of Ed25519 in a verifier key (C2SP signed-note).
const TYPE_ED25519: u8 = 1;

/// By the log's key, known from elsewhere.
pub fn by_key(folder: &LogFolder, key: &LogKey) -> Result<Report, Error> {
    let mut report = Report::new(format!("log {}", key.origin()));
    audit(&mut report, folder, key)?;
    Ok(report)
}

/// By the key that a bundle's certificates name, under the root that the auditor names.
pub fn by_bundle(folder: &LogFolder, bundle: &Transcript, expected: &ExpectedRoot) -> Result<Report, Error> {
    let mut report = Report::new(format!("log {}", bundle.log_origin));
    let Some(root) = pinned_root::check(&mut report, bundle, expected) else {
        return Ok(report);
    };
    report.fact("trust root", format!("{} (the one you named)", expected.to_base64()));
    if let Some((_, key)) = certified_services::log_key(&mut report, bundle, &root) {
        audit(&mut report, folder, &key)?;
    }
    Ok(report)
}

fn audit(report: &mut Report, folder: &LogFolder, key: &LogKey) -> Result<(), Error> {
    let Some(log) = signed_log::check(report, folder, key, &BTreeSet::new())? else {
        return Ok(());
    };
    report.fact("root hash", STANDARD.encode(log.checkpoint.root()));
    report.fact("certificates", log.certificates().to_string());
    report.fact("groups", log.groups().count().to_string());
    Ok(())
}

/// A C2SP verifier key: `<origin>+<8 hex digits>+<base64 of 0x01 || key>`.
pub fn parse_key(text: &str) -> Result<LogKey, Error> {
    let malformed = Error::LogKey;
    // The key is base64, which may hold a plus; the origin may not.
    let mut parts = text.splitn(3, '+');
    let (Some(origin), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("it has not three parts"));
    };
    let bytes = STANDARD.decode(key).map_err(|_| malformed("the key is not base64"))?;
    let Some((&TYPE_ED25519, key)) = bytes.split_first() else {
        return Err(malformed("the key is of another type"));
    };
    let raw: &[u8; 32] = key.try_into().map_err(|_| malformed("the key has not 32 bytes"))?;
    let key = LogKey::new(raw, origin).map_err(|_| malformed("no such origin or key is possible"))?;
    if id == key_id(origin, raw) {
        Ok(key)
    } else {
        Err(malformed("the key id is of another key"))
    }
}

/// `SHA-256(name || 0x0A || type || key)[..4]`, in hex: it guards against mistyping, the key itself decides.
fn key_id(origin: &str, key: &[u8; 32]) -> String {
    let hash = Sha256::new()
        .chain_update(origin)
        .chain_update([0x0A, TYPE_ED25519])
        .chain_update(key)
        .finalize();
    hex::encode(&hash[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_key_is_read_and_a_mistyped_one_refused() {
        let known = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        assert_eq!(parse_key(known).unwrap().origin(), "example.com/foo");
        for bad in [
            "example.com/foo",
            "example.com/foo+530d903a",
            "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv",
            "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ] {
            assert!(matches!(parse_key(bad), Err(Error::LogKey(_))), "{bad}");
        }
    }
}
