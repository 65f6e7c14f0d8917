//! Packet indices: guessed from sequence numbers, and those seen before.

/// Packets remembered for the replay check (RFC 3711 section 3.3.2 asks for at least 64).
const WINDOW: u64 = 128;

/// Packet indices seen on one stream, with a window behind the highest.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    highest: u64,
    window: u128,
}

impl Seen {
    pub(super) const fn first(index: u64) -> Self {
        Seen {
            highest: index,
            window: 1,
        }
    }

    /// Whether `index` was seen or is too old to tell.
    pub(super) fn contains(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => false,
            Some(age) => age >= WINDOW || self.window >> age & 1 == 1,
        }
    }

    pub(super) fn insert(&mut self, index: u64) {
        if index > self.highest {
            let shift = index - self.highest;
            self.window = if shift >= WINDOW { 0 } else { self.window << shift };
            self.window |= 1;
            self.highest = index;
        } else if self.highest - index < WINDOW {
            self.window |= 1 << (self.highest - index);
        }
    }
}

/// The 48-bit index a 16-bit sequence number most likely stands for (RFC 3711 section 3.3.1). `None`: before the first roll-over counter.
pub(super) fn estimate(seen: Option<&Seen>, sequence: u16) -> Option<u64> {
    let Some(seen) = seen else {
        return Some(u64::from(sequence));
    };
    let base = seen.highest as i64;
    let delta = i64::from(sequence.wrapping_sub(seen.highest as u16) as i16);
    u64::try_from(base + delta).ok().filter(|index| *index < 1 << 48)
}
