//! Maps by SSRC, looked into for every packet.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// SSRCs are random or few: of those a peer chooses, the number per map is bounded, so that collisions made on purpose cost it nothing worse
/// than a short scan. The standard hasher would take longer than the look-up.
pub(crate) type SsrcMap<V> = HashMap<u32, V, BuildHasherDefault<SsrcHasher>>;

#[derive(Default)]
pub(crate) struct SsrcHasher(u64);

impl Hasher for SsrcHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        // Fibonacci hashing, folded: the map takes its bucket from the low bits and its tag from the high ones.
        let product = (self.0 ^ u64::from(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::SsrcMap;

    #[test]
    fn neighbouring_and_distant_ssrcs_are_told_apart() {
        let mut map = SsrcMap::default();
        let ssrcs: Vec<u32> = (0..1_000)
            .chain((0..32).map(|bit| 1 << bit))
            .chain([u32::MAX])
            .collect();
        for ssrc in &ssrcs {
            map.insert(*ssrc, !*ssrc);
        }
        assert!(ssrcs.iter().all(|ssrc| map.get(ssrc) == Some(&!*ssrc)));
        assert_eq!(map.get(&5_000), None);
    }
}
