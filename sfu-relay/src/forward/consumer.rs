//! A consumer: one participant's view of one producer.
//!
//! Requirements held here: RELY-13, RELY-15.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::layer::Arrival;
use super::producer::Producer;
use super::rewrite::Rewriter;
use super::ring::Slot;
use super::svc::Selection;
use crate::arena::Key;
use crate::peer::Peer;
use crate::rtp::Outgoing;
use crate::rtp::extension::ExtensionIds;
use crate::sdp::{Format, OfferedMedia};

/// Where nothing tells key frames apart, a consumer that has waited this long gets the stream as it is: its decoder finds the key frame.
const BLIND_START: Duration = Duration::from_millis(1_000);
/// Sent packets that can be repeated: as many as a layer keeps.
const SENT: usize = super::ring::CAPACITY;
/// A packet is repeated at most once in this many milliseconds, however often it is asked for.
const REPEAT_MS: u32 = 20;

pub(crate) struct Consumer {
    pub(crate) peer: Key<Peer>,
    pub(crate) producer: Key<Producer>,
    pub(crate) mid: String,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) max_layer: Option<u8>,
    /// Comes before others where there is not room for all.
    pub(crate) pinned: bool,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    formats: Vec<(Format, u8, Option<u8>)>,
    ids: ExtensionIds,
    audio: bool,
    paused: bool,
    spared: Spared,
    flow: Flow,
    rewriter: Rewriter,
    selection: Selection,
    began: Instant,
    /// Empty if this leg cannot repeat.
    sent: Vec<Sent>,
    rtx_sequence: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Waiting { since: Instant },
    On { layer: usize },
}

/// What is left out where the relay has no time for all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spared {
    #[default]
    Nothing,
    HighLayers,
    Video,
}

/// A sent packet, kept small: there are hundreds of them for each consumer, and one is touched for each packet.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// Its number in the layer.
    number: u64,
    /// The low half of its number outside. Zero: nothing was sent.
    out: u32,
    timestamp: u32,
    /// When it was repeated, in milliseconds since the consumer began. Zero: it was not.
    repeated: u32,
    layer: u8,
    marker: bool,
}

impl Consumer {
    pub(crate) fn new(
        peer: Key<Peer>,
        producer: Key<Producer>,
        audio: bool,
        media: &OfferedMedia,
        ssrcs: (u32, Option<u32>),
        first_sequences: (u16, u16),
        now: Instant,
    ) -> Self {
        let mut consumer = Consumer {
            peer,
            producer,
            mid: media.mid.clone(),
            ssrc: ssrcs.0,
            rtx_ssrc: ssrcs.1,
            max_layer: None,
            pinned: false,
            packets: 0,
            octets: 0,
            formats: Vec::new(),
            ids: ExtensionIds::default(),
            audio,
            paused: false,
            spared: Spared::Nothing,
            flow: Flow::Waiting { since: now },
            rewriter: Rewriter::new(first_sequences.0, if audio { 48_000 } else { 90_000 }),
            selection: Selection::default(),
            began: now,
            sent: vec![Sent::default(); if ssrcs.1.is_some() { SENT } else { 0 }],
            rtx_sequence: first_sequences.1,
        };
        consumer.negotiate(media);
        consumer
    }

    pub(crate) fn negotiate(&mut self, media: &OfferedMedia) {
        self.formats = media
            .codecs
            .iter()
            .map(|codec| (codec.format, codec.payload_type, codec.rtx))
            .collect();
        self.ids = ExtensionIds::default();
        for (id, extension) in &media.extensions {
            self.ids.set(*extension, *id);
        }
    }

    /// The layer that flows now.
    pub(crate) fn layer(&self) -> Option<usize> {
        match self.flow {
            Flow::On { layer } => Some(layer),
            Flow::Waiting { .. } => None,
        }
    }

    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.rewriter.timestamp_offset()
    }

    pub(crate) fn pause(&mut self, paused: bool, now: Instant) {
        if self.paused != paused {
            self.paused = paused;
            self.restart(now);
        }
    }

    /// Does without what is spared. Sound is not.
    pub(crate) fn spare(&mut self, spared: Spared, now: Instant) {
        if self.audio || self.spared == spared {
            return;
        }
        self.spared = spared;
        if spared == Spared::Video {
            self.restart(now);
        }
    }

    /// Nothing of it is to go out.
    fn rests(&self) -> bool {
        self.paused || self.spared == Spared::Video
    }

    /// The highest layer that is wanted and that there is time for.
    pub(crate) fn limit(&self) -> Option<u8> {
        match self.spared {
            Spared::Nothing => self.max_layer,
            Spared::HighLayers | Spared::Video => Some(0),
        }
    }

    /// The source was interrupted: video starts anew with a key frame.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.flow = Flow::Waiting { since: now };
    }

    /// The layer this consumer would like of `count`, awake or not. `None`: none.
    pub(crate) fn target(&self, count: usize) -> Option<usize> {
        let top = count.checked_sub(1).filter(|_| !self.rests())?;
        Some(self.limit().map_or(top, |max| usize::from(max).min(top)))
    }

    /// The layer this consumer waits for, if it waits.
    pub(crate) fn wants(&self, producer: &Producer, now: Instant) -> Option<usize> {
        if self.audio || self.rests() || producer.paused {
            return None;
        }
        let best = producer.best_layer(self.limit(), now);
        (self.layer() != Some(best)).then_some(best)
    }

    /// The highest spatial layer wanted of a stream that has several inside. With simulcast the limit is on streams instead.
    fn limit_inside(&self, producer: &Producer) -> Option<u8> {
        // RELY-63: without a descriptor a receiver cannot tell layers apart, and takes those of one moment for one frame (AV1).
        let blind = (self.ids.dependency_descriptor == 0).then_some(0);
        blind.or(self.limit()).filter(|_| producer.layers.len() == 1)
    }

    /// Whether the layers wanted inside the stream that flows can begin at a key frame only.
    pub(crate) fn needs_key_frame(&self, producer: &Producer) -> bool {
        let layer = self.layer().and_then(|layer| producer.layers.get(layer));
        let scheme = layer.and_then(|layer| layer.scheme.as_ref());
        !self.rests()
            && !producer.paused
            && scheme.is_some_and(|scheme| self.selection.needs_key_frame(scheme, self.limit_inside(producer)))
    }

    /// Which packets of `layer` are due because `arrival` came.
    pub(crate) fn due(
        &mut self,
        producer: &Producer,
        layer: usize,
        arrival: Arrival,
        now: Instant,
    ) -> Option<RangeInclusive<u64>> {
        if self.rests() || producer.paused {
            return None;
        }
        if self.audio {
            if self.layer().is_none() {
                self.start(producer, layer, arrival.number, now);
            }
            return Some(arrival.number..=arrival.number);
        }
        if self.layer() == Some(layer) {
            return Some(arrival.number..=arrival.number);
        }
        if let Some(first) = arrival.key_frame {
            return self.key_frame(producer, layer, first, now);
        }
        if let Flow::Waiting { since } = self.flow
            && !producer.layers[layer].key_frames_known()
            && now.saturating_duration_since(since) >= BLIND_START
            && self.wants(producer, now) == Some(layer)
        {
            self.start(producer, layer, arrival.number, now);
            return Some(arrival.number..=arrival.number);
        }
        None
    }

    /// A key frame of `layer` starts at `first`: switches to it if that is the layer waited for, and says what is due at once.
    pub(crate) fn key_frame(
        &mut self,
        producer: &Producer,
        layer: usize,
        first: u64,
        now: Instant,
    ) -> Option<RangeInclusive<u64>> {
        if self.wants(producer, now) != Some(layer) {
            return None;
        }
        let highest = producer.layers[layer].highest()?;
        self.start(producer, layer, first, now);
        Some(first..=highest)
    }

    fn start(&mut self, producer: &Producer, layer: usize, first: u64, now: Instant) {
        let slots = (first..first + 16).find_map(|number| producer.layers[layer].ring.get(number));
        let Some(timestamp) = slots.map(|slot| slot.timestamp) else {
            return;
        };
        let offset = self
            .layer()
            .filter(|old| *old != layer)
            .and_then(|old| self.offset_by_reports(producer, old, layer));
        self.rewriter.start(first, timestamp, offset, now);
        self.selection.reset();
        self.flow = Flow::On { layer };
    }

    /// The two layers' clocks are related by the sender's reports: each maps its RTP clock to the same wall clock.
    fn offset_by_reports(&self, producer: &Producer, old: usize, new: usize) -> Option<u32> {
        let offset = self.rewriter.timestamp_offset()?;
        let old = producer.layers.get(old)?.reception.last_sender_report()?;
        let new = producer.layers.get(new)?.reception.last_sender_report()?;
        let apart = new.ntp.wrapping_sub(old.ntp) as i64;
        let ticks = (i128::from(apart) * 90_000) >> 32;
        let old_at_new = old.rtp.wrapping_add(ticks as u32);
        Some(old_at_new.wrapping_add(offset).wrapping_sub(new.rtp))
    }

    /// Appends the packet of `slot` to `out` as this consumer gets it. `None`: it gets no such packet.
    pub(crate) fn write(
        &mut self,
        producer: &Producer,
        layer: usize,
        slot: &Slot,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        if slot.padding_only {
            self.rewriter.leave_out(slot.number);
            return None;
        }
        let Some(payload_type) = self.payload_type(producer, slot.payload_type) else {
            self.rewriter.leave_out(slot.number);
            return None;
        };
        let mut marker = slot.marker;
        if let (Some(frame), Some(scheme)) = (&slot.frame, &producer.layers.get(layer)?.scheme) {
            let limit = self.limit_inside(producer);
            if !self.selection.takes(scheme, frame, limit) {
                self.rewriter.leave_out(slot.number);
                return None;
            }
            marker |= self.selection.ends_moment(scheme, frame);
        }
        let (number, timestamp) = self.rewriter.map(slot.number, slot.timestamp, now)?;
        if let Some(sent) = self.sent.get_mut((number % SENT as u64) as usize) {
            *sent = Sent {
                number: slot.number,
                out: number as u32,
                timestamp,
                repeated: 0,
                layer: layer as u8,
                marker,
            };
        }
        self.header(payload_type.0, number as u16, timestamp, self.ssrc, (slot, marker), out);
        out.extend_from_slice(slot.payload());
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(slot.payload().len() as u32);
        Some(())
    }

    /// Appends the packet with the outside `sequence` once more, by RTX (RFC 4588). Never on the stream's own SSRC: see `net::srtp`.
    pub(crate) fn repeat(&mut self, producer: &Producer, sequence: u16, now: Instant, out: &mut Vec<u8>) -> Option<()> {
        let rtx_ssrc = self.rtx_ssrc?;
        let sent = self.sent.get_mut(usize::from(sequence) % SENT)?;
        if sent.out as u16 != sequence || sent.out == 0 {
            return None;
        }
        let passed = now.saturating_duration_since(self.began).as_millis() as u32 + 1;
        if sent.repeated != 0 && passed.wrapping_sub(sent.repeated) < REPEAT_MS {
            return None;
        }
        sent.repeated = passed;
        let sent = *sent;
        let slot = producer.layers.get(usize::from(sent.layer))?.ring.get(sent.number)?;
        let rtx_type = self.payload_type(producer, slot.payload_type)?.1?;
        let marked = (slot, sent.marker);
        self.header(rtx_type, self.rtx_sequence, sent.timestamp, rtx_ssrc, marked, out);
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        out.extend_from_slice(&sequence.to_be_bytes());
        out.extend_from_slice(slot.payload());
        Some(())
    }

    fn header(
        &self,
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
        (slot, marker): (&Slot, bool),
        out: &mut Vec<u8>,
    ) {
        let extensions = [(self.ids.dependency_descriptor, slot.descriptor())];
        Outgoing {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
            extensions: &extensions,
        }
        .append(out);
    }

    /// This leg's payload types, media and RTX, for what the producer's leg calls `payload_type`.
    fn payload_type(&self, producer: &Producer, payload_type: u8) -> Option<(u8, Option<u8>)> {
        let format = producer.codec(payload_type)?.format;
        self.formats
            .iter()
            .find(|(known, ..)| *known == format)
            .map(|(_, media, rtx)| (*media, *rtx))
    }
}
