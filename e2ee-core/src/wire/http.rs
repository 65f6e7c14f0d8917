//! The few plain HTTP calls before the WebSocket: making a room and signing in to it.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;

/// Body of `POST /api/rooms`; an empty one wishes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomRequest {
    /// `standard` or `fips`; `standard` where it is left out. The link has to say the same (CLNT-8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// Answer to `POST /api/rooms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCreated {
    pub room: String,
    /// Root certificate, DER. Its SHA-256 goes into the link's fragment, which no server sees.
    pub trust_root: Bytes,
}

/// Body of `POST /api/rooms/{room}/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The name a guest goes by, 1 to 64 characters, no control characters. It enters the certificate, marked as a guest's.
    pub name: String,
}

/// Answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionCreated {
    /// Bearer token for the delivery WebSocket's `hello` and for `GET /api/rooms/{room}/transcript`.
    pub session: String,
    /// Seconds until the token expires, used or not.
    pub expires_in: u64,
}

/// Body of every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Machine-readable, kebab-case: `room-not-found`, `name-invalid`, `session-invalid`, `rate-limited`, ...
    pub code: String,
    /// For people: what was wrong and what to do.
    pub message: String,
}
