//! A bit writer for the tests, which build every constant from the fields of its specification.

#[derive(Default)]
pub(super) struct Bits(Vec<bool>);

impl Bits {
    /// `value` in `count` bits.
    pub(super) fn u(&mut self, count: u32, value: u64) -> &mut Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    /// `value` in Exp-Golomb code. A signed 0 is written as an unsigned one.
    pub(super) fn ue(&mut self, value: u64) -> &mut Self {
        let count = (value + 1).ilog2() + 1;
        self.u(count - 1, 0).u(count, value + 1)
    }

    /// A one, and zeros up to the end of the byte.
    pub(super) fn with_trailing_bits(&mut self) -> Vec<u8> {
        self.u(1, 1);
        let rest = self.0.len().next_multiple_of(8) - self.0.len();
        self.u(rest as u32, 0);
        self.0
            .chunks(8)
            .map(|byte| byte.iter().fold(0, |value, &bit| value << 1 | u8::from(bit)))
            .collect()
    }

    /// As a NAL unit: start code, and the content escaped.
    pub(super) fn into_nal_unit(mut self) -> Vec<u8> {
        let mut unit = vec![0, 0, 0, 1];
        unit.extend(self.with_trailing_bits());
        super::escape::insert(&mut unit, 4);
        unit
    }
}
