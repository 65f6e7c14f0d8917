//! The SFrame header (RFC 9605 section 4.3): a config byte, then KID and CTR in as few bytes as they need.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+------------+------------+
//! |X|  K  |Y|  C  |   KID...   |   CTR...   |
//! +-+-+-+-+-+-+-+-+------------+------------+
//! ```
//! X = 0: K is the KID itself (0..7). X = 1: K + 1 is the number of KID bytes. Y and C say the same of the counter.

use thiserror::Error;

/// The longest header: the config byte and two 64-bit numbers.
pub const MAX_HEADER_LEN: usize = 17;

/// The two numbers of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Names exactly one key.
    pub key_id: u64,
    /// Never repeats under a key.
    pub counter: u64,
}

/// Why bytes are no header. Always the sender's or the network's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The frame ends inside the header.
    #[error("the frame ends inside its SFrame header")]
    Truncated,
    /// SFRM-2: a number takes more bytes than it needs, so the same frame could be written in two ways.
    #[error("a number in the SFrame header is not in its shortest form")]
    NotMinimal,
}

/// A header as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedHeader {
    bytes: [u8; MAX_HEADER_LEN],
    len: u8,
}

impl EncodedHeader {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// With zeros behind the end: a copy of a fixed length is a few instructions, one of another is a call.
    pub(super) fn padded(&self) -> &[u8; MAX_HEADER_LEN] {
        &self.bytes
    }
}

impl Header {
    /// The shortest form, which is the only one.
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        let mut bytes = [0; MAX_HEADER_LEN];
        let mut len = 1;
        bytes[0] = put(self.key_id, &mut bytes, &mut len) << 4;
        bytes[0] |= put(self.counter, &mut bytes, &mut len);
        EncodedHeader { bytes, len: len as u8 }
    }

    /// How many bytes [`encode`](Self::encode) yields.
    pub fn encoded_len(&self) -> usize {
        1 + extra_len(self.key_id) + extra_len(self.counter)
    }

    /// Reads the header at the start of `frame`; also returns its length.
    #[inline]
    pub fn decode(frame: &[u8]) -> Result<(Header, usize), HeaderError> {
        let (&config, _) = frame.split_first().ok_or(HeaderError::Truncated)?;
        let mut at = 1;
        let key_id = take(config >> 4, frame, &mut at)?;
        let counter = take(config & 0x0f, frame, &mut at)?;
        Ok((Header { key_id, counter }, at))
    }
}

/// Bytes of `value` behind the config byte: none up to 7.
fn extra_len(value: u64) -> usize {
    if value < 8 { 0 } else { value.ilog2() as usize / 8 + 1 }
}

/// Appends `value`'s bytes, if any, and returns its four bits of the config byte.
fn put(value: u64, bytes: &mut [u8; MAX_HEADER_LEN], len: &mut usize) -> u8 {
    let extra = extra_len(value);
    if extra == 0 {
        return value as u8;
    }
    // All eight bytes, the needed ones first: what comes next overwrites the rest, and there is room behind the last.
    let aligned = value << (u64::BITS as usize - 8 * extra);
    bytes[*len..*len + 8].copy_from_slice(&aligned.to_be_bytes());
    *len += extra;
    0x08 | (extra as u8 - 1)
}

/// Reads the number that the four bits `code` describe.
fn take(code: u8, frame: &[u8], at: &mut usize) -> Result<u64, HeaderError> {
    if code & 0x08 == 0 {
        return Ok(u64::from(code));
    }
    let len = usize::from(code & 0x07) + 1;
    let rest = frame.get(*at..).unwrap_or_default();
    let value = match rest.first_chunk() {
        // As it nearly always is: the field and what follows it fill eight bytes.
        Some(bytes) => u64::from_be_bytes(*bytes) >> (u64::BITS as usize - 8 * len),
        None => {
            let field = rest.get(..len).ok_or(HeaderError::Truncated)?;
            field.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
        }
    };
    *at += len;
    // SFRM-2. One byte must exceed what the config byte can hold; more bytes must not begin with a zero.
    if extra_len(value) != len {
        Err(HeaderError::NotMinimal)
    } else {
        Ok(value)
    }
}
