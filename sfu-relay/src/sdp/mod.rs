//! Session descriptions (RFC 8866, RFC 8829): offers of browsers read into what the relay needs, answers written from that.
//!
//! The relay never offers. What an answer says is computed from the offer line by line, so there is no state to get out of step.
//!
//! Requirements held here: RELY-16.

mod answer;
mod codec;
mod lines;
mod offer;

pub use answer::{AnswerMedia, AnswerTransport, Role, Sending, write};
pub use codec::{Codec, Format, OfferedCodec};
pub use offer::{Direction, IceCredentials, Kind, Offer, OfferedMedia};

/// Larger offers are refused unread: room for some 200 m-lines of a browser.
pub const MAX_SDP: usize = 1 << 20;
const MAX_MEDIA: usize = 512;

/// Why an offer was refused. The peer is to blame in each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    #[error("the offer is too large")]
    Oversized,
    #[error("the offer is not a session description")]
    Malformed,
    #[error("an m-line has no mid, or two have the same")]
    Mid,
    #[error("the offer has no usable ICE credentials")]
    Ice,
    #[error("the offer has no SHA-256 certificate fingerprint")]
    Fingerprint,
    #[error("the offer leaves no way to be the DTLS server")]
    Setup,
    #[error("the m-lines are not all in one bundle")]
    Bundle,
}
