//! What the encoders made, dumped by a test build of the worker before it sealed them. A sequence of records, big endian:
//!
//! ```text
//! u32 len   u8 stream   u8 codec   u8 key   u32 RTP timestamp   len bytes of the frame
//! ```

use std::path::Path;

use crate::Error;
use crate::files::read_bounded;

/// The largest dump read, in bytes.
const MAX_DUMP: u64 = 1024 * 1024 * 1024;
/// The largest frame, in bytes.
const MAX_FRAME: usize = 16 * 1024 * 1024;
const HEADER: usize = 11;

/// Which of a sender's streams: the SFrame context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    Microphone,
    Camera,
    ScreenVideo,
    ScreenAudio,
}

impl Stream {
    const ALL: [Self; 4] = [Self::Microphone, Self::Camera, Self::ScreenVideo, Self::ScreenAudio];

    pub fn name(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::Camera => "camera",
            Self::ScreenVideo => "screen",
            Self::ScreenAudio => "screen's sound",
        }
    }
}

/// The codec of a dumped frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameCodec {
    Opus,
    Vp8,
    Vp9,
    Av1,
    H264,
}

impl FrameCodec {
    /// In the order of their numbers in the dump.
    pub const ALL: [Self; 5] = [Self::Opus, Self::Vp8, Self::Vp9, Self::Av1, Self::H264];

    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "Opus",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::H264 => "H.264",
        }
    }

    /// Opus and VP9 travel without one.
    pub fn has_shell(self) -> bool {
        matches!(self, Self::Vp8 | Self::Av1 | Self::H264)
    }
}

/// One output of an encoder.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// From 1, in its dump.
    pub(super) number: u64,
    pub(super) stream: Stream,
    pub(super) codec: FrameCodec,
    pub(super) key: bool,
    /// 0 where the browser did not tell.
    pub(super) timestamp: u32,
    pub(super) bytes: Vec<u8>,
}

/// Appends the dump's frames. A dump that is not whole is refused: the missing frame might be the one that leaked.
pub(super) fn read(path: &Path, into: &mut Vec<Frame>) -> Result<(), Error> {
    let bytes = read_bounded(path, "dump of frames", MAX_DUMP)?;
    let mut rest = bytes.as_slice();
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let malformed = |why| Error::Capture {
            path: path.to_owned(),
            record: number,
            offset: (bytes.len() - rest.len()) as u64,
            why,
        };
        let (header, after) = rest
            .split_first_chunk::<HEADER>()
            .ok_or_else(|| malformed("the dump ends within a record's header"))?;
        let [l0, l1, l2, l3, stream, codec, key, t0, t1, t2, t3] = *header;
        let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if len > MAX_FRAME {
            return Err(malformed("the frame is larger than 16 MiB"));
        }
        let (frame, after) = after
            .split_at_checked(len)
            .ok_or_else(|| malformed("the dump ends within a frame"))?;
        into.push(Frame {
            number,
            stream: *Stream::ALL
                .get(usize::from(stream))
                .ok_or_else(|| malformed("unknown stream"))?,
            codec: *FrameCodec::ALL
                .get(usize::from(codec))
                .ok_or_else(|| malformed("unknown codec"))?,
            key: match key {
                0 => false,
                1 => true,
                _ => return Err(malformed("the key flag is neither 0 nor 1")),
            },
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            bytes: frame.to_vec(),
        });
        rest = after;
    }
    Ok(())
}
