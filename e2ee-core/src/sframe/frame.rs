//! Sealing and opening one frame in place (RFC 9605 sections 4.4.3 and 4.4.4).

use std::fmt;
use std::ops::Range;

use thiserror::Error;
use zeroize::Zeroize;

use super::call::FrameSalt;
use super::header::{EncodedHeader, Header, joined};
use super::keys::DerivedKey;
use super::suite::CipherSuite;
use crate::aead::{AeadFailure, FrameCipher, MAX_TAG_LEN};

/// The key and the salt of one KID, ready to use.
pub struct FrameKey {
    salt: FrameSalt,
    cipher: FrameCipher,
}

/// A frame could not be sealed: it is longer than the cipher takes (64 GiB). A local fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the frame is longer than the cipher takes")]
pub struct SealError;

/// A frame could not be opened. Always the sender's or the network's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Fewer bytes than a tag behind the header.
    #[error("the frame ends before its tag")]
    Truncated,
    /// The key is of another KID than the header names. The caller looked the wrong key up.
    #[error("the header names another key")]
    WrongKey,
    /// The tag does not verify: forged, changed, or sealed under another key or other metadata.
    #[error("the authentication tag does not verify")]
    NotAuthentic,
}

impl FrameKey {
    /// Sets the cipher up for `derived`.
    pub fn new(derived: &DerivedKey) -> Self {
        let cipher = FrameCipher::new(derived.suite.algorithm(), derived.expose_key());
        let Ok(cipher) = cipher else {
            unreachable!("derivation yields Nk bytes, which is what the suite's cipher takes")
        };
        FrameKey {
            salt: FrameSalt::new(derived),
            cipher,
        }
    }

    pub fn suite(&self) -> CipherSuite {
        self.salt.suite()
    }

    pub fn key_id(&self) -> u64 {
        self.salt.key_id()
    }

    /// What of this key is no key.
    pub(crate) fn salt(&self) -> &FrameSalt {
        &self.salt
    }

    /// How many bytes sealing adds to a plaintext, header and tag together.
    pub fn overhead(&self, counter: u64) -> usize {
        let header = Header {
            key_id: self.key_id(),
            counter,
        };
        header.encoded_len() + self.suite().tag_len()
    }

    /// Turns the plaintext in `frame` into `room` bytes of anything, then header, ciphertext and tag.
    ///
    /// The room is for what the caller puts around the frame. The caller must never repeat a counter under this key:
    /// two frames with one counter give their contents away (RFC 9605 section 9.1).
    pub fn seal(&self, counter: u64, metadata: &[u8], frame: &mut Vec<u8>, room: usize) -> Result<(), SealError> {
        self.seal_from(counter, metadata, frame, 0, |_| room).map(|_| ())
    }

    /// As [`seal`](Self::seal), with the plaintext at `frame[text_at..]`, and with as much room as `room` says that a
    /// frame of so many sealed bytes needs. Answers where the room begins and how much it is: right before the
    /// plaintext where that leaves space enough, so that nothing has to be moved, else at the front.
    #[inline]
    pub(crate) fn seal_from(
        &self,
        counter: u64,
        metadata: &[u8],
        frame: &mut Vec<u8>,
        text_at: usize,
        room: impl FnOnce(usize) -> usize,
    ) -> Result<(usize, usize), SealError> {
        let header = self.salt.header(counter);
        let tag_len = self.suite().tag_len();
        let (start, room) = put_header(&header, frame, text_at, tag_len, room);
        let text_at = start + room + header.len();
        let aad = AssociatedData::new(&header, metadata);
        let nonce = self.salt.nonce(counter);
        match self.cipher.seal(&nonce, aad.as_bytes(), &mut frame[text_at..]) {
            Ok(tag) => {
                let end = frame.len() + tag_len;
                frame.extend_from_slice(&tag);
                frame.truncate(end);
                Ok((start, room))
            }
            Err(AeadFailure) => {
                // Never leave a half-sealed frame where somebody could send it.
                frame.zeroize();
                Err(SealError)
            }
        }
    }

    /// Opens the SFrame bytes at `at` in `frame`, whose decoded header is `header`, and leaves the plaintext alone in
    /// `frame`. On failure `frame` is emptied, so that nothing unauthenticated can be played by mistake.
    #[inline]
    pub fn open(
        &self,
        header: &Header,
        metadata: &[u8],
        frame: &mut Vec<u8>,
        at: Range<usize>,
    ) -> Result<(), OpenError> {
        let opened = self.open_to_front(header, metadata, frame, at);
        frame.truncate(opened.unwrap_or(0));
        opened.map(|_| ())
    }

    /// Answers the length of the plaintext.
    #[inline]
    fn open_to_front(
        &self,
        header: &Header,
        metadata: &[u8],
        frame: &mut [u8],
        at: Range<usize>,
    ) -> Result<usize, OpenError> {
        if header.key_id != self.key_id() {
            return Err(OpenError::WrongKey);
        }
        let head = frame.get(at.clone()).ok_or(OpenError::Truncated)?;
        // The header is authenticated as it stands there, which is as it was decoded: decoding takes the shortest form only.
        let (aad, header_len) = AssociatedData::in_front(head, metadata).ok_or(OpenError::Truncated)?;
        let start = at.start + header_len;
        let end = at.end.checked_sub(self.suite().tag_len()).ok_or(OpenError::Truncated)?;
        if start > end {
            return Err(OpenError::Truncated);
        }
        let sealed = frame.get_mut(..at.end).ok_or(OpenError::Truncated)?;
        let (buffer, tag) = sealed.split_at_mut(end);
        self.cipher
            .open(&self.salt.nonce(header.counter), aad.as_bytes(), buffer, start, tag)
            .map_err(|AeadFailure| OpenError::NotAuthentic)?;
        Ok(end - start)
    }
}

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameKey")
            .field("suite", &self.suite())
            .field("key_id", &self.key_id())
            .finish_non_exhaustive()
    }
}

/// Writes `header` in front of the text at `frame[text_at..]`, behind as much room as `room` says that a frame of so many
/// sealed bytes needs; `to_come` bytes will follow the text. Answers where the room begins and how much it is.
#[inline]
pub(crate) fn put_header(
    header: &EncodedHeader,
    frame: &mut Vec<u8>,
    text_at: usize,
    to_come: usize,
    room: impl FnOnce(usize) -> usize,
) -> (usize, usize) {
    let room = room(header.len() + frame.len().saturating_sub(text_at) + to_come);
    let text_at = make_room(frame, text_at, room + header.len());
    header.put_before(frame, text_at);
    (text_at - header.len() - room, room)
}

/// Makes `head` bytes of space before the text at `frame[text_at..]`; answers where the text is then. What is in the
/// space is not said. There is capacity for a tag and a shell's end afterwards.
#[inline]
fn make_room(frame: &mut Vec<u8>, text_at: usize, head: usize) -> usize {
    let text_end = frame.len();
    let text_at = text_at.min(text_end);
    if head <= text_at {
        return text_at;
    }
    let needed = head + (text_end - text_at);
    if needed + SPARE <= frame.capacity() {
        if head <= SPARE {
            // A fixed number of bytes is a few instructions, any other a call.
            frame.extend_from_slice(&[0; SPARE]);
            frame.truncate(needed);
        } else {
            frame.resize(needed, 0);
        }
        frame.copy_within(text_at..text_end, head);
    } else {
        // Growing would move the text, and making room would move it again.
        let mut grown = Vec::with_capacity(needed + SPARE);
        grown.resize(head, 0);
        grown.extend_from_slice(&frame[text_at..]);
        *frame = grown;
    }
    head
}

/// A tag, and what a shell may put behind it: an escape or two and an end.
const SPARE: usize = MAX_TAG_LEN + 16;

/// SFRM-7: `aad = header || metadata`. On the stack for what clients use; more than that pays for an allocation.
enum AssociatedData {
    Short { bytes: [u8; 16], len: usize },
    Long(Vec<u8>),
}

impl AssociatedData {
    #[inline]
    fn new(header: &EncodedHeader, metadata: &[u8]) -> Self {
        match header.followed_by(metadata) {
            Some(bytes) => AssociatedData::Short {
                bytes,
                len: header.len() + metadata.len(),
            },
            None => AssociatedData::Long([header.as_bytes(), metadata].concat()),
        }
    }

    /// With the header that `frame` begins with, and how long that is. `None` where the frame ends inside it.
    #[inline]
    fn in_front(frame: &[u8], metadata: &[u8]) -> Option<(Self, usize)> {
        let header_len = Header::len_by(*frame.first()?);
        let len = header_len + metadata.len();
        let aad = match frame.first_chunk() {
            Some(first) if len <= first.len() => AssociatedData::Short {
                bytes: joined(u128::from_be_bytes(*first), header_len, metadata),
                len,
            },
            _ => AssociatedData::Long([frame.get(..header_len)?, metadata].concat()),
        };
        Some((aad, header_len))
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            AssociatedData::Short { bytes, len } => &bytes[..*len],
            AssociatedData::Long(bytes) => bytes,
        }
    }
}
