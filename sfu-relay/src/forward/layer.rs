//! One stream of a producer: a simulcast layer, or all there is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::keyframe::KeyFrameRequests;
use super::loss::Missing;
use super::reception::Reception;
use super::ring::{Entry, Ring};
use super::svc::{Frame, Scheme};
use crate::congestion::{Meter, Rate};
use crate::dd::Descriptor;
use crate::rtp::sequence::Unwrapper;

/// A layer without packets for this long is asleep: nobody is switched to it.
const ASLEEP: Duration = Duration::from_millis(800);
/// A key frame this old is still good to start with; an older one would only be a burst of the past.
const FRESH: Duration = Duration::from_millis(300);
/// Key frames announced before their packets came.
const MAX_ANNOUNCED: usize = 8;
/// Spatial layers inside a stream whose rates are told apart.
const MAX_SPATIAL: usize = 3;
/// What a packet is on a receiver's line beyond its payload: RTP header and extensions, tag, UDP and IP.
const OVERHEAD: usize = 24 + 16 + 28;
const RATE_US: u64 = 900_000;

pub(crate) struct Layer {
    pub(crate) rid: Option<String>,
    pub(crate) ssrc: Option<u32>,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) ring: Ring,
    pub(crate) requests: KeyFrameRequests,
    pub(crate) missing: Missing,
    pub(crate) reception: Reception,
    /// When the sender's report went on last.
    pub(crate) reported: Option<Instant>,
    /// The layers inside this stream, if there are several.
    pub(crate) scheme: Option<Box<Scheme>>,
    /// The most spatial layers that were ever in this stream: a sender who is told that nobody wants the upper ones stops making them.
    most_spatial: usize,
    clock_rate: u32,
    start: Option<Instant>,
    sequence: Unwrapper,
    last_packet: Option<Instant>,
    /// Packets and bytes of payload so far.
    taken_in: (u64, u64),
    announced: VecDeque<u32>,
    /// First packet and time of arrival of the newest key frame.
    key_frame: Option<(u64, Instant)>,
    /// Something here tells which frames are key frames: the descriptor or the sender's word.
    key_frames_known: bool,
    /// What a receiver gets who wants no spatial layer above each of these; without layers inside there is but one.
    meters: Vec<Meter>,
    /// What they said last while packets came.
    rates: [Rate; MAX_SPATIAL],
}

/// What a packet's arrival means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    /// The packet made a key frame known that starts there.
    pub(crate) key_frame: Option<u64>,
    /// The gap before this packet is too wide to be filled.
    pub(crate) torn: bool,
}

impl Layer {
    pub(crate) fn new(rid: Option<String>, clock_rate: u32) -> Self {
        Layer {
            rid,
            ssrc: None,
            rtx_ssrc: None,
            ring: Ring::default(),
            requests: KeyFrameRequests::default(),
            missing: Missing::default(),
            reception: Reception::default(),
            reported: None,
            scheme: None,
            most_spatial: 1,
            clock_rate,
            start: None,
            sequence: Unwrapper::default(),
            last_packet: None,
            taken_in: (0, 0),
            announced: VecDeque::new(),
            key_frame: None,
            key_frames_known: false,
            meters: vec![Meter::default()],
            rates: [Rate::ZERO; MAX_SPATIAL],
        }
    }

    /// Takes a packet in. `None`: it was there already, or is too old.
    pub(crate) fn receive(&mut self, packet: Received<'_>, now: Instant) -> Option<Arrival> {
        let before = self.sequence.highest();
        let number = self.sequence.unwrap(packet.sequence);
        let in_force = self.scheme.as_ref().map(|scheme| scheme.structure());
        let descriptor = Descriptor::parse_under(packet.descriptor, in_force);
        let frame = descriptor.as_ref().and_then(|descriptor| {
            self.follow_scheme(descriptor);
            self.scheme.as_ref()?.frame(descriptor)
        });
        let stored = self.ring.insert(&Entry {
            number,
            timestamp: packet.timestamp,
            payload_type: packet.payload_type,
            marker: packet.marker,
            frame,
            descriptor: packet.descriptor,
            payload: packet.payload,
        });
        if !stored {
            return None;
        }
        self.missing.arrived(number);
        self.taken_in.0 += 1;
        self.taken_in.1 += packet.payload.len() as u64;
        self.measure(frame.as_ref(), packet.payload.len(), now);
        if !packet.recovered {
            let start = *self.start.get_or_insert(now);
            let arrival = now.saturating_duration_since(start).as_micros() * u128::from(self.clock_rate) / 1_000_000;
            self.reception.packet(number, packet.timestamp, arrival as u32);
            self.last_packet = Some(now);
        }
        let torn = match before {
            Some(highest) if number > highest + 1 => !self.missing.add(highest + 1, number, now),
            _ => false,
        };
        let key_frame = self.key_frame_of(&packet, descriptor.as_ref(), number);
        if let Some(first) = key_frame {
            self.known_key_frame(first, now);
        }
        Some(Arrival {
            number,
            key_frame,
            torn,
        })
    }

    fn measure(&mut self, frame: Option<&Frame>, payload: usize, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let at = now.saturating_duration_since(start).as_micros() as u64;
        for (limit, meter) in (0_u8..).zip(&mut self.meters) {
            let taken = match (frame, &self.scheme) {
                (Some(frame), Some(scheme)) => scheme.gives(frame, limit),
                _ => true,
            };
            if taken && payload > 0 {
                meter.add(at, payload + OVERHEAD);
            }
        }
    }

    /// Looks how fast packets come, while they do.
    pub(crate) fn update_rates(&mut self, now: Instant) {
        let Some(start) = self.start.filter(|_| self.is_awake(now)) else {
            return;
        };
        let at = now.saturating_duration_since(start).as_micros() as u64;
        for (rate, meter) in self.rates.iter_mut().zip(&self.meters) {
            *rate = meter.rate(at, RATE_US);
        }
    }

    /// What each limit on spatial layers costs a receiver's line; one without layers inside.
    pub(crate) fn rates(&self) -> &[Rate] {
        &self.rates[..self.meters.len().min(MAX_SPATIAL)]
    }

    /// A key frame's structure takes the place of the one before; any packet may say which targets are still produced.
    fn follow_scheme(&mut self, descriptor: &Descriptor) {
        match (
            &descriptor.structure,
            descriptor.active_decode_targets,
            &mut self.scheme,
        ) {
            (Some(structure), active, scheme) => {
                *scheme = Scheme::new(structure, active).map(Box::new);
                let limits = scheme.as_ref().map_or(1, |scheme| scheme.spatial_layers());
                self.most_spatial = self.most_spatial.max(limits.min(MAX_SPATIAL));
                self.meters.resize_with(limits.clamp(1, MAX_SPATIAL), Meter::default);
            }
            (None, Some(active), Some(scheme)) => scheme.set_active(active),
            _ => {}
        }
    }

    fn key_frame_of(&mut self, packet: &Received<'_>, descriptor: Option<&Descriptor>, number: u64) -> Option<u64> {
        if packet.payload.is_empty() {
            return None;
        }
        let highest = self.sequence.highest()?;
        if let Some(descriptor) = descriptor {
            self.key_frames_known = true;
            return descriptor.starts_key_frame().then_some(number);
        }
        let at = self
            .announced
            .iter()
            .position(|timestamp| *timestamp == packet.timestamp)?;
        self.announced.remove(at);
        self.ring.first_of_frame(packet.timestamp, highest)
    }

    fn known_key_frame(&mut self, first: u64, now: Instant) {
        if self.key_frame.is_none_or(|(newest, _)| first > newest) {
            self.key_frame = Some((first, now));
            self.requests.satisfied();
        }
    }

    /// The sender says that the frame with this timestamp is a key frame. Returns its first packet if it is here.
    pub(crate) fn announce_key_frame(&mut self, timestamp: u32, now: Instant) -> Option<u64> {
        self.key_frames_known = true;
        let highest = self.sequence.highest();
        match highest.and_then(|highest| self.ring.first_of_frame(timestamp, highest)) {
            Some(first) => {
                self.known_key_frame(first, now);
                Some(first)
            }
            None => {
                if self.announced.len() == MAX_ANNOUNCED {
                    self.announced.pop_front();
                }
                self.announced.push_back(timestamp);
                None
            }
        }
    }

    /// The first packet of a key frame that is recent enough to start with.
    pub(crate) fn fresh_key_frame(&self, now: Instant) -> Option<u64> {
        let (first, at) = self.key_frame?;
        (now.saturating_duration_since(at) <= FRESH && self.ring.get(first).is_some()).then_some(first)
    }

    /// Packets and bytes of payload so far, each once.
    pub(crate) fn taken_in(&self) -> (u64, u64) {
        self.taken_in
    }

    pub(crate) fn key_frames_known(&self) -> bool {
        self.key_frames_known
    }

    pub(crate) fn most_spatial(&self) -> usize {
        self.most_spatial
    }

    pub(crate) fn highest(&self) -> Option<u64> {
        self.sequence.highest()
    }

    pub(crate) fn is_awake(&self, now: Instant) -> bool {
        self.last_packet
            .is_some_and(|last| now.saturating_duration_since(last) < ASLEEP)
    }

    pub(crate) fn last_packet(&self) -> Option<Instant> {
        self.last_packet
    }

    /// The unwrapped number of a retransmitted packet.
    pub(crate) fn is_known(&self, sequence: u16) -> bool {
        self.sequence
            .peek(sequence)
            .is_some_and(|number| self.ring.get(number).is_some())
    }
}

/// A packet as it came, of this layer for certain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) descriptor: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// It came by retransmission.
    pub(crate) recovered: bool,
}
