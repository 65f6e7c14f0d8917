//! SFrame, RFC 9605: the frame format and its keys, for any transport and any key management.
//!
//! | section | where |
//! |---|---|
//! | 4.2, 4.3 header | [`header`] |
//! | 4.4.2 key derivation | [`keys`] |
//! | 4.4.3, 4.4.4 encryption, decryption | [`FrameKey`]; where somebody else runs the AEAD, [`FrameSalt`] |
//! | 4.5 cipher suites | [`suite`] |
//! | 5.1 sender keys with a ratchet | [`ratchet`] |
//! | 5.2 MLS | [`mls`] |
//!
//! A [`FrameKey`] is bound to one KID. It seals and opens in place and keeps no counter and no replay state: those
//! belong to [`crate::media`], which is what a client uses.

mod call;
mod frame;
pub mod header;
pub mod keys;
pub mod mls;
pub mod ratchet;
pub mod suite;

pub use call::{AeadCall, FrameSalt};
pub(crate) use frame::put_header;
pub use frame::{FrameKey, OpenError, SealError};
pub use header::{Header, HeaderError};
pub use keys::{BaseKey, Secret, WrongKeyLength};
pub use mls::KidLayout;
pub use suite::CipherSuite;
