//! Who runs the AEAD of a call's frames: this crate at once, or the caller with an engine of its own (a browser's
//! WebCrypto, which answers later).

use crate::sframe::keys::DerivedKey;
use crate::sframe::{CipherSuite, FrameKey, FrameSalt};

/// Which engines a call's frames may go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    /// This crate's, and no other: no key can be asked for.
    Own,
    /// This crate's or the caller's, frame by frame.
    Either,
    /// ENGN-1: the caller's only. No cipher is set up here, so that there is none to fall back to.
    Caller,
}

/// A stream's key, as its engines need it.
#[derive(Debug)]
pub(super) enum StreamKey {
    Here(FrameKey),
    Caller(FrameSalt),
}

impl Engines {
    /// Whether the caller may have keys and frames to work on.
    pub(super) fn lets_caller(self) -> bool {
        self != Engines::Own
    }

    pub(super) fn set_up(self, derived: &DerivedKey) -> StreamKey {
        match self {
            Engines::Own | Engines::Either => StreamKey::Here(FrameKey::new(derived)),
            Engines::Caller => StreamKey::Caller(FrameSalt::new(derived)),
        }
    }
}

impl StreamKey {
    /// The cipher, where there is one.
    #[inline]
    pub(super) fn here(&self) -> Option<&FrameKey> {
        match self {
            StreamKey::Here(key) => Some(key),
            StreamKey::Caller(_) => None,
        }
    }

    #[inline]
    pub(super) fn salt(&self) -> &FrameSalt {
        match self {
            StreamKey::Here(key) => key.salt(),
            StreamKey::Caller(salt) => salt,
        }
    }

    pub(super) fn suite(&self) -> CipherSuite {
        self.salt().suite()
    }
}
