//! Who somebody is: X.509 certificates that the organisation's key issued, checked against one pinned root.
//!
//! # The certificate profile (IDEN-1 ff.)
//! Everything is DER, version 3, signed with ECDSA on P-256 and SHA-256. Unknown critical extensions are refused.
//!
//! | | root | a person's leaf | a service's leaf |
//! |---|---|---|---|
//! | subject | anything | one CN (the name shown), one O (the organisation) | one CN, one O |
//! | public key | P-256 | the MLS signature key: Ed25519 or P-256 | Ed25519 or P-256 |
//! | basic constraints (critical) | CA:TRUE | CA:FALSE | CA:FALSE |
//! | key usage (critical) | keyCertSign | digitalSignature | digitalSignature |
//! | subject alternative name | - | exactly the three URIs `urn:conclave:person:<id>`, `urn:conclave:device:<id>`, `urn:conclave:role:<guest, member or host>` | exactly `urn:conclave:role:<delivery-service or transparency-log>` |
//! | lives | - | at most 24 h | - |
//!
//! The root is never sent inside a chain: it is pinned by the SHA-256 of its DER, which travels in the room's link.

mod authorities;
mod certificate;
mod chain;
mod credential;
mod key;
mod name;
mod roster;

pub use certificate::{CertificateError, Role};
pub use chain::{CheckedCertificate, MAX_INTERMEDIATES, MAX_MEMBER_LIFETIME, TrustRoot, Use};
pub use credential::{decode_chain, encode_chain};
pub use key::PublicKey;
pub use name::{MAX_NAME, NameError, check_name};
pub(crate) use roster::code_of;
pub use roster::{Fingerprint, Member, Roster};
