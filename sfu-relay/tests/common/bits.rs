//! Bits written one after the other, most significant first.

#[derive(Default)]
pub struct Bits(Vec<bool>);

impl Bits {
    pub fn put(mut self, value: u32, count: u32) -> Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|byte| byte.iter().enumerate().map(|(i, bit)| u8::from(*bit) << (7 - i)).sum())
            .collect()
    }
}
