//! The auditor: what an outsider can verify with evidence alone, offline, trusting neither server nor operator.
//!
//! | command | evidence | what is proven |
//! |---|---|---|
//! | `conclave audit transcript` | a meeting's exported handshake, the log's folder, the root's hash | who could decrypt at which epoch (C7) |
//! | `conclave audit log` | the log's folder, the log's key | every entry and tile is what the checkpoint signs |
//! | `conclave audit blindness` | frames before sealing, payloads as the relay saw them | nothing of a codec's output left in clear (C1) |
//!
//! The rules are not written twice: the handshake is replayed with the checks that members and key server apply
//! ([`e2ee_core::group::PublicRoom`]). Evidence that is wrong is a line in the [`report`], never an error; an
//! [`Error`] means that the audit could not be run.
#![forbid(unsafe_code)]

pub mod blindness;
mod checks;
pub mod cli;
mod error;
pub mod expected_root;
mod files;
mod issued;
pub mod log_audit;
pub mod log_folder;
pub mod report;
pub mod transcript;

pub use error::Error;
pub use report::Verdict;
