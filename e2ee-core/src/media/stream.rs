//! The streams of a member, and what a frame's metadata says.

use crate::shell::Shell;

/// A member's stream. Its number is the context id in the KID (RFC 9605 section 5.2), so each has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum StreamKind {
    Microphone = 0,
    Camera = 1,
    ScreenVideo = 2,
    ScreenAudio = 3,
}

/// What a receiver's track plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Audio,
    Video,
}

impl StreamKind {
    pub const ALL: [StreamKind; 4] = [
        StreamKind::Microphone,
        StreamKind::Camera,
        StreamKind::ScreenVideo,
        StreamKind::ScreenAudio,
    ];

    pub fn media_kind(self) -> MediaKind {
        match self {
            StreamKind::Microphone | StreamKind::ScreenAudio => MediaKind::Audio,
            StreamKind::Camera | StreamKind::ScreenVideo => MediaKind::Video,
        }
    }

    /// The context id of the KID.
    pub fn context(self) -> u64 {
        u64::from(self as u8)
    }

    pub(crate) fn from_context(context: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.context() == context)
    }
}

/// The version of everything that the associated data covers beyond RFC 9605.
const FORMAT_VERSION: u8 = 1;

/// SHEL-4: the metadata of every frame, by which the shell it was sealed in is authenticated. The sender, the stream
/// and the epoch are in the KID already.
pub(crate) fn metadata(shell: Shell) -> [u8; 2] {
    [FORMAT_VERSION, shell.id()]
}
