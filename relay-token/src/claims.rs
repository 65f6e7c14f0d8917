//! What a token says.

use serde::{Deserialize, Serialize};

/// The payload of a token. Room and participant are opaque to the relay: it compares them and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The room at the relay. 1 to 128 bytes.
    pub room: String,
    /// The participant within that room. 1 to 128 bytes; the same id on a later token means the same participant came back.
    pub participant: String,
    /// What the participant may do there.
    pub rights: Rights,
    /// Not before, in seconds since 1970.
    pub nbf: u64,
    /// Expiry, in seconds since 1970; the token is invalid from this second on.
    pub exp: u64,
    /// A unique id of this token, for the key server's own records. 1 to 128 bytes.
    pub jti: String,
}

/// What a participant may do in the room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// The sources that may be published.
    pub publish: Vec<Source>,
    /// Whether the others' media may be received.
    pub subscribe: bool,
}

impl Rights {
    /// Nothing at all: whoever has such a token is not in the meeting yet, and may prepare to be.
    pub fn is_empty(&self) -> bool {
        self.publish.is_empty() && !self.subscribe
    }
}

/// Where a stream comes from. The numbers are the SFrame contexts of the protocol, so the two lists cannot drift apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Microphone = 0,
    Camera = 1,
    Screen = 2,
    ScreenAudio = 3,
}

impl Source {
    /// Whether the source carries audio.
    pub const fn is_audio(self) -> bool {
        matches!(self, Source::Microphone | Source::ScreenAudio)
    }
}
