//! Inputs for the tests.

/// Pseudo-random bytes for the tests; 0 to 255 of them.
pub fn seeded(seed: u64) -> Vec<u8> {
    let mut dice = simulator::dice::Dice::new(seed);
    let len = dice.below(256);
    (0..len).map(|_| u8::try_from(dice.below(256)).unwrap()).collect()
}
