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
    /// The first 16 bytes once more, as a big-endian number with zeros behind the end. What is put together in registers
    /// costs next to nothing; bytes that are written one by one and read back at once stall the processor.
    first: u128,
}

impl EncodedHeader {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The header and `tail` behind it, where both together fit into 16 bytes.
    #[inline]
    pub(super) fn followed_by(&self, tail: &[u8]) -> Option<[u8; 16]> {
        (self.len() + tail.len() <= 16).then(|| joined(self.first, self.len(), tail))
    }

    /// Writes the header so that it ends before `frame[end]`.
    #[inline]
    pub(super) fn put_before(&self, frame: &mut [u8], end: usize) {
        let place = end.checked_sub(16).and_then(|start| frame.get_mut(start..end));
        match place.and_then(|place| <&mut [u8; 16]>::try_from(place).ok()) {
            // A fixed number of bytes is one instruction, any other a call. What was in front of the header stays.
            Some(place) if self.len() < 16 => {
                let kept = u128::from_be_bytes(*place) & u128::MAX << (8 * self.len());
                *place = (kept | self.first >> (128 - 8 * self.len())).to_be_bytes();
            }
            _ => frame[end - self.len()..end].copy_from_slice(self.as_bytes()),
        }
    }
}

/// The first `len` bytes of 16, and `tail` behind them, which must fit. Zeros fill the rest.
#[inline]
pub(super) fn joined(first: u128, len: usize, tail: &[u8]) -> [u8; 16] {
    debug_assert!(len + tail.len() <= 16);
    let head = first & !u128::MAX.checked_shr(8 * len as u32).unwrap_or(0);
    let places = (len..16).map(|place| 120 - 8 * place);
    let tail = places
        .zip(tail)
        .fold(0, |tail, (shift, byte)| tail | u128::from(*byte) << shift);
    (head | tail).to_be_bytes()
}

impl Header {
    /// The shortest form, which is the only one.
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        let (kid_len, counter_len) = (extra_len(self.key_id), extra_len(self.counter));
        let config = code(self.key_id, kid_len) << 4 | code(self.counter, counter_len);
        let len = 1 + kid_len + counter_len;
        let [kid, counter] = [(self.key_id, kid_len), (self.counter, counter_len)]
            .map(|(value, extra)| if extra == 0 { 0 } else { u128::from(value) });
        let numbers = kid << (8 * counter_len) | counter;
        // Sixteen bytes of numbers leave no room for the config byte, which then goes in front of the last.
        let first = if len == MAX_HEADER_LEN {
            u128::from(config) << 120 | numbers >> 8
        } else {
            (u128::from(config) << (8 * (len - 1)) | numbers) << (128 - 8 * len)
        };
        let mut bytes = [0; MAX_HEADER_LEN];
        bytes[..16].copy_from_slice(&first.to_be_bytes());
        if len == MAX_HEADER_LEN {
            bytes[16] = counter as u8;
        }
        EncodedHeader {
            bytes,
            len: len as u8,
            first,
        }
    }

    /// How many bytes [`encode`](Self::encode) yields.
    pub fn encoded_len(&self) -> usize {
        1 + extra_len(self.key_id) + extra_len(self.counter)
    }

    /// How long a header is that begins with this config byte.
    #[inline]
    pub(super) fn len_by(config: u8) -> usize {
        let extra = |code: u8| usize::from((code & 0x07) + 1) * usize::from(code >> 3);
        1 + extra(config >> 4) + extra(config & 0x0f)
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

/// The four bits of the config byte that say `value`, or that `extra` bytes of it follow.
fn code(value: u64, extra: usize) -> u8 {
    if extra == 0 {
        value as u8
    } else {
        0x08 | (extra as u8 - 1)
    }
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
