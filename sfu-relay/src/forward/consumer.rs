//! A consumer: one participant's view of one producer.
//!
//! Requirements held here: RELY-13, RELY-63.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::layer::Arrival;
use super::producer::Producer;
use super::repeat::{SENT, SENT_SOUND, Sent};
use super::rewrite::Rewriter;
use super::ring::{MAX_GAP, Slot};
use super::svc::Selection;
use crate::arena::Key;
use crate::congestion::allocation::Share;
use crate::peer::Peer;
use crate::rtp::Outgoing;
use crate::rtp::extension::ExtensionIds;
use crate::sdp::{Format, OfferedMedia};

/// Where nothing tells key frames apart, a consumer that has waited this long gets the stream as it is: its decoder finds the key frame.
const BLIND_START: Duration = Duration::from_millis(1_000);
pub(crate) struct Consumer {
    pub(crate) peer: Key<Peer>,
    pub(crate) producer: Key<Producer>,
    pub(crate) mid: String,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) max_layer: Option<u8>,
    /// Comes before others where there is not room for all.
    pub(crate) pinned: bool,
    /// What there is room for on the way to this receiver.
    pub(crate) share: Share,
    /// Packets carry transport-wide numbers, and the receiver reports on them.
    pub(crate) measured: bool,
    /// Sent so far, without repetitions: packets, and bytes of payload.
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(super) formats: Vec<(Format, u8, Option<u8>)>,
    ids: ExtensionIds,
    audio: bool,
    /// Sound that its receiver asks for again: without RTX, so byte for byte as it was sent, and therefore without transport-wide numbers.
    pub(super) repeats_sound: bool,
    paused: bool,
    /// RELY-74: its peer is not in the meeting yet.
    held: bool,
    spared: Spared,
    flow: Flow,
    rewriter: Rewriter,
    selection: Selection,
    pub(super) began: Instant,
    /// Empty if this leg cannot repeat.
    pub(super) sent: Vec<Sent>,
    pub(super) rtx_sequence: u16,
    /// The number outside of the newest packet sent, and how far back the last padding was.
    pub(super) newest_sent: u64,
    pub(super) padded_back: u64,
}

/// How a consumer's packets go out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// With transport-wide numbers.
    pub(crate) measured: bool,
    /// They may go out once more as they are.
    pub(crate) repeatable: bool,
}

/// A packet that this consumer gets, with its number outside. It need not be written at once, but once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted {
    /// Where it is: the layer and its number there.
    pub(crate) layer: u8,
    pub(crate) number: u64,
    pub(crate) len: u16,
    outside: u64,
    timestamp: u32,
    payload_type: u8,
    marker: bool,
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
            share: Share::default(),
            measured: false,
            packets: 0,
            octets: 0,
            formats: Vec::new(),
            ids: ExtensionIds::default(),
            audio,
            repeats_sound: false,
            paused: false,
            held: false,
            spared: Spared::Nothing,
            flow: Flow::Waiting { since: now },
            rewriter: Rewriter::new(first_sequences.0, if audio { 48_000 } else { 90_000 }),
            selection: Selection::default(),
            began: now,
            sent: vec![Sent::default(); if ssrcs.1.is_some() { SENT } else { 0 }],
            rtx_sequence: first_sequences.1,
            newest_sent: 0,
            padded_back: 0,
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
        let agreed = |feedback| media.codecs.iter().any(|codec| codec.feedback.contains(&feedback));
        self.repeats_sound = media.repeats_sound();
        self.measured = self.ids.transport_cc != 0 && agreed("transport-cc") && !self.repeats_sound;
        if self.repeats_sound && self.sent.is_empty() {
            self.sent = vec![Sent::default(); SENT_SOUND];
        }
    }

    pub(crate) fn manner(&self) -> Manner {
        Manner {
            measured: self.measured,
            repeatable: self.repeats_sound,
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

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    pub(crate) fn hold(&mut self, held: bool, now: Instant) {
        if self.held != held {
            self.held = held;
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
    pub(crate) fn rests(&self) -> bool {
        self.paused || self.held || self.spared == Spared::Video
    }

    /// The highest layer that is wanted and that there is time for.
    pub(crate) fn wanted(&self) -> Option<u8> {
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
        Some(self.wanted().map_or(top, |max| usize::from(max).min(top)))
    }

    /// The layer this consumer waits for, if it waits.
    pub(crate) fn wants(&self, producer: &Producer, now: Instant) -> Option<usize> {
        if self.audio || self.rests() || producer.paused || self.is_starved() {
            return None;
        }
        let best = producer.best_layer(self.limit(), now);
        (self.layer() != Some(best)).then_some(best)
    }

    /// There is no room for this layer on the way to this receiver.
    pub(crate) fn is_tight(&self, layer: usize) -> bool {
        self.share.layer.is_none_or(|room| usize::from(room) < layer)
    }

    /// There is no room for any layer.
    pub(crate) fn is_starved(&self) -> bool {
        self.share.layer.is_none()
    }

    /// Sound does not wait.
    pub(crate) fn can_wait(&self) -> bool {
        !self.audio && self.measured
    }

    pub(crate) fn can_pad(&self) -> bool {
        self.rtx_ssrc.is_some() && self.measured
    }

    /// The highest layer that is wanted and that there is room for.
    pub(crate) fn limit(&self) -> Option<u8> {
        let room = self.share.layer.filter(|layer| *layer != u8::MAX);
        match (self.wanted(), room) {
            (Some(wanted), Some(room)) => Some(wanted.min(room)),
            (wanted, room) => wanted.or(room),
        }
    }

    /// The highest spatial layer wanted of a stream that has several inside. With simulcast the limit is on streams instead.
    ///
    /// RELY-63: whether this leg has the descriptor is no matter. Receivers without it tell layers apart by VP9's payload descriptor, and by our
    /// shells, of which each is one OBU (AV1); that a moment is over they see by the marker.
    fn limit_inside(&self, producer: &Producer) -> Option<u8> {
        self.limit().filter(|_| producer.layers.len() == 1)
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
        if self.rests() || producer.paused || self.is_starved() {
            return None;
        }
        if self.audio {
            let flows = self.layer().is_some() || self.start(producer, layer, arrival.number, now);
            return flows.then_some(arrival.number..=arrival.number);
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
            let flows = self.start(producer, layer, arrival.number, now);
            return flows.then_some(arrival.number..=arrival.number);
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
        // RELY-13: at a key frame only, and only to the layer that is waited for.
        if self.wants(producer, now) != Some(layer) {
            return None;
        }
        let highest = producer.layers[layer].highest()?;
        self.start(producer, layer, first, now).then_some(first..=highest)
    }

    /// `false`: nothing of what begins there is here.
    fn start(&mut self, producer: &Producer, layer: usize, first: u64, now: Instant) -> bool {
        let first_here = (first..=first + MAX_GAP).find_map(|number| producer.layers[layer].ring.get(number));
        let Some(timestamp) = first_here.map(|slot| slot.timestamp) else {
            return false;
        };
        let offset = self
            .layer()
            .filter(|old| *old != layer)
            .and_then(|old| self.offset_by_reports(producer, old, layer));
        self.rewriter.start(first, timestamp, offset, now);
        self.selection.reset();
        self.flow = Flow::On { layer };
        true
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

    /// Gives the packet of `slot` its number outside. `None`: this consumer gets no such packet.
    pub(crate) fn admit(&mut self, producer: &Producer, layer: usize, slot: &Slot, now: Instant) -> Option<Admitted> {
        if slot.padding_only {
            self.rewriter.leave_out(slot.number);
            return None;
        }
        let Some((payload_type, _)) = self.payload_type(producer, slot.payload_type) else {
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
        let (outside, timestamp) = self.rewriter.map(slot.number, slot.timestamp, now)?;
        Some(Admitted {
            layer: layer as u8,
            number: slot.number,
            len: slot.payload().len() as u16,
            outside,
            timestamp,
            payload_type,
            marker,
        })
    }

    /// Appends an admitted packet, found in `slot`, to `out`. `transport`: its transport-wide number.
    pub(crate) fn write(&mut self, admitted: &Admitted, slot: &Slot, transport: Option<u16>, out: &mut Vec<u8>) {
        let (outside, timestamp, marker) = (admitted.outside, admitted.timestamp, admitted.marker);
        let kept = self.sent.len().max(1) as u64;
        if let Some(sent) = self.sent.get_mut((outside % kept) as usize) {
            *sent = Sent {
                number: admitted.number,
                out: outside as u32,
                timestamp,
                repeated: 0,
                layer: admitted.layer,
                marker,
            };
            self.newest_sent = self.newest_sent.max(outside);
        }
        let name = (admitted.payload_type, outside as u16, timestamp, self.ssrc);
        self.header(name, (slot.descriptor(), marker), transport, out);
        out.extend_from_slice(slot.payload());
        self.packets += 1;
        self.octets += slot.payload().len() as u64;
    }

    pub(super) fn header(
        &self,
        (payload_type, sequence, timestamp, ssrc): (u8, u16, u32, u32),
        (descriptor, marker): (&[u8], bool),
        transport: Option<u16>,
        out: &mut Vec<u8>,
    ) {
        let number = transport.map(u16::to_be_bytes);
        let extensions = [
            (self.ids.transport_cc, number.as_ref().map_or(&[][..], |number| number)),
            (self.ids.dependency_descriptor, descriptor),
        ];
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
    pub(super) fn payload_type(&self, producer: &Producer, payload_type: u8) -> Option<(u8, Option<u8>)> {
        let format = producer.codec(payload_type)?.format;
        self.formats
            .iter()
            .find(|(known, ..)| *known == format)
            .map(|(_, media, rtx)| (*media, *rtx))
    }
}
