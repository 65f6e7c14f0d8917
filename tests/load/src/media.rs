//! What publishers send: paced as browsers pace, with the time of sending in each payload.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use sfu_relay::rtp::Outgoing;

use crate::peer::Peer;
use crate::sdp::{DESCRIPTOR, Kind, LAYERS, MID, RID};

/// Browsers' pacers let packets go every 5 ms.
pub(crate) const PACE: Duration = Duration::from_millis(5);
/// A publisher of tens of thousands of packets a second stands for many cameras, which let go at different moments: for delays it sends
/// every millisecond. In bursts of 5 ms the last packet of each would leave 2.5 ms later at half load, however fast the relay.
pub(crate) const SPREAD: Duration = Duration::from_millis(1);
/// Video frames a second.
const FRAMES: u32 = 30;
/// An RTP header without extensions.
const HEADER: usize = 12;
/// What stands before the time of sending: a VP8 payload descriptor, so that a relay that looks finds one.
const BEFORE_STAMP: usize = 4;
const PREFIX: [u8; BEFORE_STAMP] = [0x10, b'c', b'l', b'd'];

/// Behind the time of sending: which part of which frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) frame: u32,
    pub(crate) index: u16,
    pub(crate) count: u16,
    pub(crate) key: bool,
}

impl Numbered {
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.frame.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.push(u8::from(self.key));
    }

    /// From a whole payload. `None`: it is none of ours.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        stamp(payload)?;
        let rest: &[u8; 9] = payload.get(BEFORE_STAMP + 8..)?.first_chunk()?;
        let [a, b, c, d, index_high, index_low, count_high, count_low, key] = *rest;
        Some(Numbered {
            frame: u32::from_be_bytes([a, b, c, d]),
            index: u16::from_be_bytes([index_high, index_low]),
            count: u16::from_be_bytes([count_high, count_low]),
            key: key == 1,
        })
    }
}

/// Key frames of what is watched are so many times as large as others.
const KEY_FRAME: u16 = 4;

/// A stream on its way out.
pub(crate) struct Stream {
    pub(crate) peer: usize,
    pub(crate) kind: Kind,
    pub(crate) ssrc: u32,
    /// Which of the simulcast layers, if it is one.
    layer: Option<usize>,
    /// Key frames that its peer was asked for when it last sent one.
    key_frames: u32,
    /// Bytes of an RTP packet without extensions.
    size: usize,
    /// Whether the relay negotiated the Dependency Descriptor.
    descriptor: bool,
    sequence: u16,
    frame: u32,
    packet_of_frame: u16,
    /// Packets of the frame that is being sent, and whether it is a key frame.
    frame_len: u16,
    key: bool,
    started: Instant,
    /// When the pacer looks next.
    next: Instant,
    /// Packets due so far, whole and part.
    due: f64,
    last: Instant,
    pub(crate) sent: u64,
    payload: Vec<u8>,
    buffer: Vec<u8>,
}

impl Stream {
    pub(crate) fn new(peer: usize, kind: Kind, ssrc: u32, size: usize, descriptor: bool) -> Self {
        let now = Instant::now();
        Stream {
            peer,
            kind,
            ssrc,
            layer: None,
            key_frames: 0,
            size,
            descriptor: descriptor && kind != Kind::Audio,
            sequence: 1,
            frame: 0,
            packet_of_frame: 0,
            frame_len: 1,
            key: false,
            started: now,
            // Publishers do not know of each other: each has its own phase.
            next: now + PACE * (ssrc.wrapping_mul(2_654_435_761) >> 22) / 1_024,
            due: 0.0,
            last: now,
            sent: 0,
            payload: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// One of three layers.
    pub(crate) fn of_layer(mut self, layer: usize) -> Self {
        self.layer = Some(layer);
        self
    }

    /// The number of the frame that is being sent.
    pub(crate) fn frame(&self) -> u32 {
        self.frame
    }

    /// Whether receivers get it: of simulcast layers, the highest alone.
    pub(crate) fn is_received(&self) -> bool {
        self.layer.is_none_or(|layer| layer + 1 == LAYERS.len())
    }

    /// Sends what is due at `rate` packets a second, looking once a `pace`. Never more than a twentieth of a second's worth after a pause.
    pub(crate) fn send(&mut self, now: Instant, (rate, pace): (f64, Duration), peer: &mut Peer) -> Result<()> {
        let rate = rate * self.layer.map_or(1.0, |layer| LAYERS[layer].1);
        if now < self.next {
            return Ok(());
        }
        self.next = (self.next + pace).max(now);
        self.due += now.saturating_duration_since(self.last).as_secs_f64().min(0.05) * rate;
        self.last = now;
        while self.due >= 1.0 {
            self.due -= 1.0;
            self.packet(now, rate, peer)?;
        }
        Ok(())
    }

    fn packet(&mut self, now: Instant, rate: f64, peer: &mut Peer) -> Result<()> {
        let first = self.packet_of_frame == 0;
        if first {
            self.key = std::mem::replace(&mut self.key_frames, peer.key_frames) != peer.key_frames;
            self.frame_len = match self.kind {
                Kind::Audio => 1,
                _ => (rate / f64::from(FRAMES)).clamp(1.0, 1_000.0) as u16,
            };
            if self.key && self.kind == Kind::Watched {
                // At once: the packets beyond those of another frame are due now.
                self.due += f64::from((KEY_FRAME - 1) * self.frame_len);
                self.frame_len *= KEY_FRAME;
            }
        }
        let last = self.packet_of_frame + 1 >= self.frame_len;
        let clock = if self.kind == Kind::Audio { 48_000.0 } else { 90_000.0 };
        let timestamp = (now.saturating_duration_since(self.started).as_secs_f64() * clock) as u32;
        let descriptor = if self.descriptor {
            descriptor(first, last, first && self.key, self.frame as u16)
        } else {
            Vec::new()
        };
        let rid = self.layer.map_or(&[][..], |layer| LAYERS[layer].0.as_bytes());
        let layered: [(u8, &[u8]); 3] = [(MID, b"0"), (RID, rid), (DESCRIPTOR, &descriptor)];
        Outgoing {
            marker: last,
            payload_type: self.kind.payload_type(),
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            extensions: if self.layer.is_some() { &layered } else { &layered[2..] },
        }
        .write(&mut self.buffer);
        self.payload.clear();
        self.payload.extend_from_slice(&PREFIX);
        self.payload.extend_from_slice(&wall_clock().to_be_bytes());
        let numbered = Numbered {
            frame: self.frame,
            index: self.packet_of_frame,
            count: self.frame_len,
            key: self.key,
        };
        numbered.write(&mut self.payload);
        self.payload.resize(self.size - HEADER, 0xC5);
        self.buffer.extend_from_slice(&self.payload);
        if let Some(srtp) = &mut peer.srtp {
            srtp.seal_rtp(&mut self.buffer)?;
            // A full socket is the generator's own limit; the packet does not count as sent.
            if peer.socket.send(&self.buffer).is_ok() {
                self.sent += 1;
            }
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packet_of_frame = if last { 0 } else { self.packet_of_frame + 1 };
        self.frame += u32::from(last);
        Ok(())
    }
}

/// When the packet with this payload was sent, by [`wall_clock`]. `None`: the payload is none of ours.
pub(crate) fn stamp(payload: &[u8]) -> Option<u64> {
    let rest = payload.strip_prefix(&PREFIX)?;
    Some(u64::from_be_bytes(*rest.first_chunk()?))
}

/// Nanoseconds since 1970: the clock by which the kernel stamps arrivals.
pub(crate) fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_nanos() as u64)
}

/// A Dependency Descriptor (AV1 RTP specification, appendix A.8.1), with a structure of one layer on key frames.
fn descriptor(first: bool, last: bool, key: bool, frame: u16) -> Vec<u8> {
    let [high, low] = frame.to_be_bytes();
    let flags = u8::from(first) << 7 | u8::from(last) << 6;
    let mut bytes = vec![flags, high, low];
    if key {
        // The structure is there; offset and targets 0; one template in one layer; a switch point; no chains, no resolutions.
        bytes.extend_from_slice(&[0b1000_0000, 0b0000_0000, 0b1110_0000]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Numbered, PREFIX, wall_clock};

    #[test]
    fn a_part_of_a_frame_is_read_as_it_was_written_and_nothing_else_is_taken_for_one() {
        let part = Numbered {
            frame: 70_000,
            index: 3,
            count: 300,
            key: true,
        };
        let mut payload = PREFIX.to_vec();
        payload.extend_from_slice(&wall_clock().to_be_bytes());
        part.write(&mut payload);
        payload.extend_from_slice(&[0xC5; 20]);
        assert_eq!(Numbered::read(&payload), Some(part));
        assert_eq!(Numbered::read(&payload[..20]), None, "cut short");
        payload[1] ^= 1;
        assert_eq!(Numbered::read(&payload), None, "not ours");
    }
}
