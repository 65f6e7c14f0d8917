//! Sequence numbers of 16 bits made into numbers that only grow.

/// Unwraps one stream's sequence numbers. The first one gets a full cycle below it, so that older packets have a place too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwrapper {
    highest: Option<u64>,
}

impl Unwrapper {
    /// The unwrapped number nearest to the highest so far, which it may raise.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = (1 << 16) + u64::from(sequence);
            self.highest = Some(first);
            return first;
        };
        let number = self.near(highest, sequence);
        self.highest = Some(highest.max(number));
        number
    }

    /// The same without raising anything: for numbers that somebody else reports.
    pub fn peek(&self, sequence: u16) -> Option<u64> {
        self.highest.map(|highest| self.near(highest, sequence))
    }

    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    fn near(&self, highest: u64, sequence: u16) -> u64 {
        let delta = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        highest.saturating_add_signed(delta)
    }
}
