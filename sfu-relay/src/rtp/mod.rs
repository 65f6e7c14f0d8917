//! RTP headers (RFC 3550, RFC 8285) read in place. The payload is never looked at: [`Packet`] gives its range and nothing else.

pub mod extension;
pub mod rtcp;
pub mod sequence;
pub(crate) mod ssrc;
pub mod twcc;

use std::ops::Range;

pub use extension::Extension;

const FIXED: usize = 12;
const ONE_BYTE: u16 = 0xBEDE;

/// Whether a datagram of media is RTCP rather than RTP (RFC 5761 section 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|byte| (64..96).contains(&(byte & 0x7F)))
}

/// Length of the header with CSRCs and extension; `None` if it is malformed or longer than the packet.
pub fn header_len(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    if packet.len() < FIXED || first >> 6 != 2 {
        return None;
    }
    let mut len = FIXED + 4 * usize::from(first & 0x0F);
    if first & 0x10 != 0 {
        let words = packet.get(len + 2..len + 4)?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (len <= packet.len()).then_some(len)
}

/// A decrypted RTP packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    extension: (usize, usize, u16),
    payload: (usize, usize),
}

impl<'a> Packet<'a> {
    /// Reads the header and strips padding (RFC 3550 section 5.1).
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let start = header_len(bytes)?;
        let mut end = bytes.len();
        if bytes[0] & 0x20 != 0 {
            let padding = usize::from(*bytes.last()?);
            end = end.checked_sub(padding).filter(|end| padding > 0 && *end >= start)?;
        }
        let mut extension = (0, 0, 0);
        if bytes[0] & 0x10 != 0 {
            let at = FIXED + 4 * usize::from(bytes[0] & 0x0F);
            extension = (at + 4, start, u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        }
        Some(Packet {
            bytes,
            extension,
            payload: (start, end),
        })
    }

    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7F
    }

    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }

    /// Where the payload lies, without padding.
    pub fn payload(&self) -> Range<usize> {
        self.payload.0..self.payload.1
    }

    /// The value of the header extension with this id, and where it lies.
    pub fn extension(&self, id: u8) -> Option<(&'a [u8], usize)> {
        let (mut at, end, profile) = self.extension;
        if id == 0 {
            return None;
        }
        while at < end {
            let head = self.bytes[at];
            if head == 0 {
                at += 1; // padding between elements
                continue;
            }
            let (found, len, value_at) = if profile == ONE_BYTE {
                if head >> 4 == 15 {
                    return None; // RFC 8285 section 4.2: stop
                }
                (head >> 4, usize::from(head & 0x0F) + 1, at + 1)
            } else if profile & 0xFFF0 == 0x1000 {
                if at + 2 > end {
                    return None;
                }
                (head, usize::from(self.bytes[at + 1]), at + 2)
            } else {
                return None;
            };
            let value_end = value_at + len;
            if value_end > end {
                return None;
            }
            if found == id {
                return Some((&self.bytes[value_at..value_end], value_at));
            }
            at = value_end;
        }
        None
    }
}

/// What goes into the header of a forwarded packet.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// The extensions this leg negotiated: id and value. Empty values cannot be written in the one-byte form and are left out.
    pub extensions: &'a [(u8, &'a [u8])],
}

impl Outgoing<'_> {
    /// Writes the header to `out`, which is cleared first.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        self.append(out);
    }

    /// Writes the header after what is in `out`.
    pub fn append(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let used = || {
            self.extensions
                .iter()
                .filter(|(id, value)| *id != 0 && !value.is_empty() && value.len() < 256)
        };
        let extended = used().next().is_some();
        out.push(if extended { 0x90 } else { 0x80 });
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7F);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if !extended {
            return;
        }
        let one_byte = used().all(|(id, value)| *id < 15 && value.len() <= 16);
        let at = out.len();
        out.extend_from_slice(&if one_byte { ONE_BYTE } else { 0x1000 }.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        for (id, value) in used() {
            if one_byte {
                out.push(id << 4 | (value.len() - 1) as u8);
            } else {
                out.extend_from_slice(&[*id, value.len() as u8]);
            }
            out.extend_from_slice(value);
        }
        out.resize(start + (out.len() - start).next_multiple_of(4), 0);
        let words = ((out.len() - at - 4) / 4) as u16;
        out[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
    }
}
