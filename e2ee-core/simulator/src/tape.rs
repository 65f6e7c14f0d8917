//! What went into one engine, when, and how long each step took: to be measured, and to be played again elsewhere. An
//! engine draws all its randomness from its seed, so the same inputs lead the same engine through the same call, in a
//! browser's WebAssembly too.

use std::time::Duration;

use e2ee_core::group::engine::Input;
use e2ee_core::time::UnixMillis;

/// One step of an engine.
pub struct Lap {
    pub at: UnixMillis,
    pub input: Taken,
    pub took: Duration,
}

/// An [`Input`] in a form that can be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    Connected,
    ConnectionLost,
    Text(String),
    Tick,
    Chat(String),
    Leave,
    /// What only tests do.
    Other,
}

impl From<&Input> for Taken {
    fn from(input: &Input) -> Self {
        match input {
            Input::Connected => Self::Connected,
            Input::ConnectionLost => Self::ConnectionLost,
            Input::Text(text) => Self::Text(text.clone()),
            Input::Tick => Self::Tick,
            Input::Chat(text) => Self::Chat(text.clone()),
            Input::Leave => Self::Leave,
            _ => Self::Other,
        }
    }
}

impl Lap {
    /// Whether it is the service's message of this type.
    pub fn is(&self, kind: &str) -> bool {
        matches!(&self.input, Taken::Text(text) if text.starts_with(&format!("{{\"type\":\"{kind}\"")))
    }
}
