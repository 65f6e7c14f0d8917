//! Constant shells around SFrame ciphertext, for every codec, frame type and size (SHEL-5).
//!
//! A browser's packetizer parses what it sends, and its depacketizer decides from the payload what is a key frame. So
//! a whole ciphertext travels inside bytes that look like the codec's and carry nothing of the content: the same
//! bytes in every frame of a codec and a frame type (docs/decisions/0006-constant-shells.md).
//!
//! The sealer knows the codec. The opener does not: a shell starts with a byte below 0x80, while the SFrame header of
//! a video KID starts with one above (the KID is at least 16, RFC 9605 section 4.3), so the first bytes tell the
//! shell. A shell has one form only; anything else is refused before any cryptography (PF-10, PF-13), and the shell
//! that was found is in the frame's associated data, so it cannot be exchanged for another.

mod av1;
#[cfg(test)]
mod bits;
mod escape;
mod h264;
mod h265;
mod vp8;

use std::ops::Range;

use thiserror::Error;

/// The codecs that a client may seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    Vp8,
    Vp9,
    Av1,
    H264,
    /// Untested in a browser: none at hand encodes it.
    H265,
}

impl Codec {
    /// From a MIME type such as `video/VP8`, as `RTCEncodedVideoFrame.getMetadata().mimeType` and SDP write it.
    pub fn from_mime_type(mime_type: &str) -> Option<Self> {
        let known = [
            ("audio/opus", Codec::Opus),
            ("video/vp8", Codec::Vp8),
            ("video/vp9", Codec::Vp9),
            ("video/av1", Codec::Av1),
            ("video/h264", Codec::H264),
            ("video/h265", Codec::H265),
        ];
        known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(mime_type))
            .map(|(_, codec)| codec)
    }

    pub fn is_audio(self) -> bool {
        self == Codec::Opus
    }
}

/// What the encoder says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameType {
    /// Decodable by itself.
    Key,
    Delta,
}

/// A shell, by codec and frame type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shell {
    /// Opus and VP9: their packetizers do not look inside.
    None,
    Vp8(FrameType),
    Av1(FrameType),
    H264(FrameType),
    H265(FrameType),
}

/// Why a frame's shell is refused. Always the sender's or the network's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShellError {
    /// SHEL-1: the frame starts with neither a shell nor the header of a video frame.
    #[error("the frame starts like no sealed frame")]
    Unrecognised,
    /// The frame ends inside its shell.
    #[error("the frame ends inside its shell")]
    Truncated,
    /// SHEL-2: a constant is another, a number is not in its shortest form, or an escape is missing or needless.
    #[error("the shell is not in its one form")]
    NotCanonical,
    /// SHEL-3: the shell says that the frame ends before it does.
    #[error("bytes follow the sealed frame")]
    TrailingBytes,
    /// SHEL-6: no ciphertext has so many pairs of zeros.
    #[error("there are more zeros than in any ciphertext")]
    TooManyZeros,
}

impl Shell {
    /// The shell that a frame of `codec` travels in.
    pub fn of(codec: Codec, frame_type: FrameType) -> Shell {
        match codec {
            Codec::Opus | Codec::Vp9 => Shell::None,
            Codec::Vp8 => Shell::Vp8(frame_type),
            Codec::Av1 => Shell::Av1(frame_type),
            Codec::H264 => Shell::H264(frame_type),
            Codec::H265 => Shell::H265(frame_type),
        }
    }

    /// SHEL-4: what the associated data calls this shell. Published, so never renumbered.
    pub fn id(self) -> u8 {
        let (codec, frame_type) = match self {
            Shell::None => return 0,
            Shell::Vp8(frame_type) => (0x10, frame_type),
            Shell::Av1(frame_type) => (0x20, frame_type),
            Shell::H264(frame_type) => (0x30, frame_type),
            Shell::H265(frame_type) => (0x40, frame_type),
        };
        codec | u8::from(frame_type == FrameType::Delta)
    }

    /// Bytes in front of a ciphertext of `sealed_len` bytes.
    pub fn head_len(self, sealed_len: usize) -> usize {
        match self {
            Shell::None => 0,
            Shell::Vp8(frame_type) => vp8::head(frame_type).len(),
            Shell::Av1(frame_type) => av1::head_len(frame_type, sealed_len),
            Shell::H264(frame_type) => h264::head(frame_type).len(),
            Shell::H265(frame_type) => h265::head(frame_type).len(),
        }
    }

    /// Completes the shell around the ciphertext in `frame`, which leaves [`head_len`](Self::head_len) bytes of room
    /// in front of itself.
    pub fn wrap(self, frame: &mut Vec<u8>, room: usize) {
        self.wrap_from(frame, 0, room);
    }

    /// As [`wrap`](Self::wrap), with the room at `frame[start..]`; what is before that is left alone.
    #[inline]
    pub(crate) fn wrap_from(self, frame: &mut Vec<u8>, start: usize, room: usize) {
        debug_assert_eq!(room, self.head_len(frame.len() - start - room));
        let head = &mut frame[start..];
        match self {
            Shell::None => {}
            Shell::Vp8(FrameType::Key) => head[..room].copy_from_slice(&vp8::KEY),
            Shell::Vp8(FrameType::Delta) => head[..room].copy_from_slice(&vp8::DELTA),
            Shell::Av1(frame_type) => av1::write_head(frame_type, head, room),
            Shell::H264(frame_type) => wrap_nal(h264::head(frame_type), frame, start),
            Shell::H265(frame_type) => wrap_nal(h265::head(frame_type), frame, start),
        }
    }

    /// Finds the shell of a video frame and where in `frame` the SFrame bytes lie. Escapes are taken out in place, so
    /// after an error `frame` is of no more use.
    ///
    /// Audio has no shell and must not come here: an audio KID may start with any byte.
    pub fn strip(frame: &mut Vec<u8>) -> Result<(Shell, Range<usize>), ShellError> {
        Self::strip_within(frame, usize::MAX)
    }

    /// SHEL-6: as [`strip`](Self::strip), for what must be a ciphertext: with more pairs of zeros than one has, it is
    /// refused at the first too many, so that refusing never costs more than opening (PF-27).
    #[inline]
    pub(crate) fn strip_ciphertext(frame: &mut Vec<u8>) -> Result<(Shell, Range<usize>), ShellError> {
        let most_pairs = escape::most_pairs_in_ciphertext(frame.len());
        Self::strip_within(frame, most_pairs)
    }

    #[inline]
    fn strip_within(frame: &mut Vec<u8>, most_pairs: usize) -> Result<(Shell, Range<usize>), ShellError> {
        match frame.first() {
            None => Err(ShellError::Truncated),
            Some(0x80..) => Ok((Shell::None, 0..frame.len())),
            Some(&vp8::FIRST_OF_KEY | &vp8::FIRST_OF_DELTA) => vp8::strip(frame),
            Some(&av1::FIRST_OF_KEY | &av1::FIRST_OF_DELTA) => av1::strip(frame),
            Some(0x00) => strip_nal(frame, most_pairs),
            Some(_) => Err(ShellError::Unrecognised),
        }
    }
}

/// The last byte of an H.264 or H.265 shell: the stop bit of the RBSP (H.264 section 7.3.2.11), so that the NAL unit
/// does not end in a zero, which a packetizer may cut off.
const RBSP_STOP: u8 = 0x80;

fn wrap_nal(head: &[u8], frame: &mut Vec<u8>, start: usize) {
    let from = start + head.len();
    frame[start..from].copy_from_slice(head);
    escape::insert(frame, from);
    frame.push(RBSP_STOP);
}

fn strip_nal(frame: &mut Vec<u8>, most_pairs: usize) -> Result<(Shell, Range<usize>), ShellError> {
    let shells = [FrameType::Key, FrameType::Delta].into_iter().flat_map(|frame_type| {
        [
            (Shell::H264(frame_type), h264::head(frame_type)),
            (Shell::H265(frame_type), h265::head(frame_type)),
        ]
    });
    for (shell, head) in shells {
        if frame.starts_with(head) {
            if frame.len() == head.len() || frame.pop() != Some(RBSP_STOP) {
                return Err(ShellError::NotCanonical);
            }
            escape::remove(frame, head.len(), most_pairs)?;
            return Ok((shell, head.len()..frame.len()));
        }
        if head.starts_with(frame) {
            return Err(ShellError::Truncated);
        }
    }
    Err(ShellError::NotCanonical)
}
