//! What a consumer was sent, once more: for whoever missed it, and to fill a probe.
//!
//! Requirements held here: RELY-15, RELY-23.

use std::time::Instant;

use super::consumer::Consumer;
use super::producer::Producer;

/// Sent packets that can be repeated: as many as a layer keeps.
pub(super) const SENT: usize = super::ring::CAPACITY;
/// The same of sound, which is repeated while somebody still waits to hear it.
pub(super) const SENT_SOUND: usize = 32;
/// A packet is repeated at most once in this many milliseconds, however often it is asked for.
const REPEAT_MS: u32 = 20;
/// To fill a probe, so many of the last packets are repeated in turn, if they are at least this long.
const PADDING_BACK: u64 = 24;
const PADDING_LEAST: usize = 300;
/// Where there is nothing to repeat: all that one byte can say, rounded down to words.
const PADDING_ONLY: u8 = 252;

/// A sent packet, kept small: there are hundreds of them for each consumer, and one is touched for each packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    /// Its number in the layer.
    pub(super) number: u64,
    /// The low half of its number outside. Zero: nothing was sent.
    pub(super) out: u32,
    pub(super) timestamp: u32,
    /// When it was repeated, in milliseconds since the consumer began. Zero: it was not.
    pub(super) repeated: u32,
    pub(super) layer: u8,
    pub(super) marker: bool,
}

impl Consumer {
    /// Appends the packet with the outside `sequence` once more: by RTX (RFC 4588), or sound as it was. Nothing else goes out again on a
    /// stream's own SSRC: see `net::srtp`.
    pub(crate) fn repeat(
        &mut self,
        producer: &Producer,
        sequence: u16,
        now: Instant,
        transport: Option<u16>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let kept = self.sent.len().max(1);
        let sent = self.sent.get_mut(usize::from(sequence) % kept)?;
        if sent.out as u16 != sequence || sent.out == 0 {
            return None;
        }
        let passed = now.saturating_duration_since(self.began).as_millis() as u32 + 1;
        if sent.repeated != 0 && passed.wrapping_sub(sent.repeated) < REPEAT_MS {
            return None;
        }
        sent.repeated = passed;
        let sent = *sent;
        if self.repeats_sound {
            let slot = producer.layers.get(usize::from(sent.layer))?.ring.get(sent.number)?;
            let name = (
                self.payload_type(producer, slot.payload_type)?.0,
                sequence,
                sent.timestamp,
                self.ssrc,
            );
            self.header(name, (slot.descriptor(), sent.marker), None, out);
            out.extend_from_slice(slot.payload());
            return Some(());
        }
        self.write_again(producer, sent, 0, transport, out)
    }

    /// Appends a packet of no use by itself, to see whether it arrives: one of the last ones once more, by RTX, or nothing but padding.
    ///
    /// RELY-23: on the SSRC of retransmissions, each with a number of its own. Receivers know both from each other.
    pub(crate) fn pad(&mut self, producer: &Producer, transport: Option<u16>, out: &mut Vec<u8>) -> Option<()> {
        self.padded_back = (self.padded_back + 1) % PADDING_BACK;
        let outside = self.newest_sent.saturating_sub(self.padded_back);
        let kept = self.sent.len().max(1) as u64;
        let sent = self.sent.get((outside % kept) as usize).copied();
        if let Some(sent) = sent.filter(|sent| sent.out == outside as u32 && sent.out != 0 && !self.is_starved())
            && self
                .write_again(producer, sent, PADDING_LEAST, transport, out)
                .is_some()
        {
            return Some(());
        }
        let rtx_type = self.formats.iter().find_map(|(.., rtx)| *rtx)?;
        let start = out.len();
        let timestamp = sent.map_or(0, |sent| sent.timestamp);
        let name = (rtx_type, self.rtx_sequence, timestamp, self.rtx_ssrc?);
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        self.header(name, (&[], false), transport, out);
        out[start] |= 0x20;
        out.resize(out.len() + usize::from(PADDING_ONLY) - 1, 0);
        out.push(PADDING_ONLY);
        Some(())
    }

    /// By RTX (RFC 4588), if its payload is at least so long.
    fn write_again(
        &mut self,
        producer: &Producer,
        sent: Sent,
        least: usize,
        transport: Option<u16>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        // RELY-15: on an SSRC of its own, or not at all.
        let rtx_ssrc = self.rtx_ssrc?;
        let slot = producer.layers.get(usize::from(sent.layer))?.ring.get(sent.number)?;
        let rtx_type = self.payload_type(producer, slot.payload_type)?.1?;
        if slot.payload().len() < least {
            return None;
        }
        let name = (rtx_type, self.rtx_sequence, sent.timestamp, rtx_ssrc);
        self.header(name, (slot.descriptor(), sent.marker), transport, out);
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        out.extend_from_slice(&(sent.out as u16).to_be_bytes());
        out.extend_from_slice(slot.payload());
        Some(())
    }
}
