//! Bits, most significant first.

pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    /// At most 32 bits.
    pub(super) fn read(&mut self, count: u8) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// The AV1 specification's ns(n): a value below `n` in as few bits as it takes.
    pub(super) fn non_symmetric(&mut self, n: u32) -> Option<u32> {
        let width = (32 - n.leading_zeros()) as u8;
        if width == 0 {
            return None;
        }
        let short = (1 << width) - n;
        let value = self.read(width - 1)?;
        if value < short {
            return Some(value);
        }
        Some((value << 1) - short + self.read(1)?)
    }
}
