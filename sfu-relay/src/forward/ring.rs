//! The last packets of one stream, kept as they came (the payload is ciphertext to the relay).

use std::ops::Range;

use super::svc::Frame;

/// Packets kept: some three seconds of a camera at 1.5 Mbit/s.
pub(crate) const CAPACITY: usize = 512;

/// Missing packets before the first one found of a frame that are counted in.
pub(crate) const MAX_GAP: u64 = 16;

/// One packet. Slots are reused with their buffers, so a running stream allocates nothing.
#[derive(Debug, Default, Clone)]
pub(crate) struct Slot {
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    /// Nothing but padding: counts as received, is never forwarded.
    pub(crate) padding_only: bool,
    /// The frame it belongs to, where the stream has layers inside.
    pub(crate) frame: Option<Frame>,
    descriptor: Range<usize>,
    bytes: Vec<u8>,
    payload_at: usize,
}

impl Slot {
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    /// The Dependency Descriptor, empty if there is none.
    pub(crate) fn descriptor(&self) -> &[u8] {
        &self.bytes[self.descriptor.clone()]
    }
}

/// What is written into a slot.
pub(crate) struct Entry<'a> {
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) frame: Option<Frame>,
    pub(crate) descriptor: &'a [u8],
    pub(crate) payload: &'a [u8],
}

#[derive(Debug, Default)]
pub(crate) struct Ring {
    slots: Vec<Slot>,
}

impl Ring {
    /// Stores a packet. `false`: it is there already, or something newer has its place.
    pub(crate) fn insert(&mut self, entry: &Entry<'_>) -> bool {
        if self.slots.is_empty() {
            self.slots.resize_with(CAPACITY, Slot::default);
        }
        let slot = &mut self.slots[(entry.number % CAPACITY as u64) as usize];
        if slot.number >= entry.number {
            return false;
        }
        slot.number = entry.number;
        slot.timestamp = entry.timestamp;
        slot.payload_type = entry.payload_type;
        slot.marker = entry.marker;
        slot.frame = entry.frame;
        slot.padding_only = entry.payload.is_empty();
        slot.bytes.clear();
        // Exactly: doubling for a descriptor that is three bytes longer would double what a stream costs.
        slot.bytes.reserve_exact(entry.descriptor.len() + entry.payload.len());
        slot.bytes.extend_from_slice(entry.descriptor);
        slot.descriptor = 0..slot.bytes.len();
        slot.payload_at = slot.bytes.len();
        slot.bytes.extend_from_slice(entry.payload);
        true
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Slot> {
        self.slots
            .get((number % CAPACITY as u64) as usize)
            .filter(|slot| slot.number == number && number != 0)
    }

    /// The first packet of the frame with this timestamp, among those up to `highest`.
    ///
    /// If the packet before the lowest one found is missing, the missing ones may belong to the frame: they are counted in, so that a
    /// later arrival finds its place.
    pub(crate) fn first_of_frame(&self, timestamp: u32, highest: u64) -> Option<u64> {
        let oldest = highest.saturating_sub(CAPACITY as u64 - 1);
        let mut first = (oldest..=highest).find(|number| {
            self.get(*number)
                .is_some_and(|slot| slot.timestamp == timestamp && !slot.padding_only)
        })?;
        for _ in 0..MAX_GAP {
            if first <= oldest.max(1) || self.get(first - 1).is_some() {
                break;
            }
            first -= 1;
        }
        Some(first)
    }
}
