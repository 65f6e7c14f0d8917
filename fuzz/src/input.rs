//! The fuzzer's bytes, read as choices; and alterations made by them.

/// Choices, one after the other. When the bytes are used up, everything is zero.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *first
    }

    pub fn number(&mut self) -> usize {
        (usize::from(self.byte()) << 8) | usize::from(self.byte())
    }

    /// Below `n`, or zero.
    pub fn below(&mut self, n: usize) -> usize {
        self.number().checked_rem(n).unwrap_or(0)
    }

    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(most.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Alters bytes in one of the ways that break parsers.
    pub fn alter(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        match self.byte() % 8 {
            0 => {
                let bit = 1 << (self.byte() % 8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
            1 => {
                let value = [0x00, 0x01, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFF][usize::from(self.byte() % 8)];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            2 => bytes.truncate(at),
            3 => {
                let inserted = self.byte();
                bytes.insert(at, inserted);
            }
            4 => {
                if at < bytes.len() {
                    bytes.remove(at);
                }
            }
            5 => {
                let end = (at + 1 + self.below(32)).min(bytes.len());
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.extend(piece);
            }
            6 => {
                let end = (at + self.below(32)).min(bytes.len());
                bytes.drain(at..end.max(at));
            }
            _ => {
                let count = usize::from(self.byte() % 16);
                let piece = self.take(count);
                drop(bytes.splice(at..at, piece.iter().copied()));
            }
        }
    }
}
