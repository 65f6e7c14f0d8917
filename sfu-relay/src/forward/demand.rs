//! Which layers of a producer are worth sending: those that somebody wants, and what its sender was told of that.
//!
//! More is told at once, less only when nobody wanted it for a while: whoever scrolls does not make an encoder stop and start, and whoever
//! means harm makes it do so once in that while at most.
//!
//! Requirements held here: RELY-61.

use std::time::{Duration, Instant};

/// A layer is given up when nobody wanted it for this long.
pub(crate) const LINGER: Duration = Duration::from_secs(3);
/// More than any producer has.
const MAX_LAYERS: usize = 8;

/// A set of layers; bit 0 is the lowest.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layers(u8);

impl Layers {
    /// All of a producer with `count` layers.
    pub(crate) fn all(count: usize) -> Self {
        (0..count).fold(Layers::default(), Layers::with)
    }

    pub(crate) fn with(self, layer: usize) -> Self {
        Layers(self.0 | u8::try_from(1_u32 << layer.min(MAX_LAYERS - 1)).unwrap_or(0))
    }

    fn has(self, layer: usize) -> bool {
        self.0 >> layer & 1 == 1
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..MAX_LAYERS as u8).filter(move |layer| self.has(usize::from(*layer)))
    }
}

#[derive(Debug)]
pub(crate) struct Demand {
    told: Layers,
    count: usize,
    /// It is to be told again, changed or not.
    again: bool,
    /// Since when nobody wants a layer that the sender was told to send.
    unwanted: [Option<Instant>; MAX_LAYERS],
}

impl Demand {
    /// Who was told nothing sends all `count` layers there are.
    pub(crate) fn new(count: usize) -> Self {
        Demand {
            told: Layers::all(count),
            count,
            again: false,
            unwanted: [None; MAX_LAYERS],
        }
    }

    /// There are more layers than was known: the sender sends them.
    pub(crate) fn widen(&mut self, count: usize) {
        if count > self.count {
            self.told = (self.count..count).fold(self.told, Layers::with);
            self.count = count;
        }
    }

    /// Whoever was told does not know it any more.
    pub(crate) fn again(&mut self) {
        self.again = true;
    }

    /// What the sender is to be told now, if anything.
    pub(crate) fn update(&mut self, wanted: Layers, now: Instant) -> Option<Layers> {
        let mut next = Layers(self.told.0 | wanted.0);
        for layer in 0..MAX_LAYERS {
            let unwanted = &mut self.unwanted[layer];
            if wanted.has(layer) || !next.has(layer) {
                *unwanted = None;
            } else if now.saturating_duration_since(*unwanted.get_or_insert(now)) >= LINGER {
                *unwanted = None;
                next.0 &= !(1 << layer);
            }
        }
        let again = std::mem::take(&mut self.again);
        (std::mem::replace(&mut self.told, next) != next || again).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::{Demand, LINGER, Layers};
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    fn set(layers: &[usize]) -> Layers {
        layers.iter().fold(Layers::default(), |all, layer| all.with(*layer))
    }

    #[test]
    fn rely_61_less_is_told_after_a_while_and_more_at_once() {
        let (mut demand, start) = (Demand::new(3), Instant::now());
        assert_eq!(demand.update(set(&[0, 1]), start), None);
        assert_eq!(demand.update(set(&[0, 1]), start + LINGER - MS), None);
        assert_eq!(demand.update(set(&[0, 1]), start + LINGER), Some(set(&[0, 1])));
        assert_eq!(demand.update(set(&[0, 2]), start + LINGER + MS), Some(set(&[0, 1, 2])));
        assert_eq!(demand.update(set(&[]), start + LINGER + 2 * MS), None);
        assert_eq!(demand.update(set(&[]), start + 3 * LINGER), Some(set(&[])));
        assert_eq!(demand.update(set(&[1]), start + 3 * LINGER), Some(set(&[1])));
    }

    #[test]
    fn rely_61_layers_that_become_known_are_those_that_are_sent_and_a_new_session_is_told_again() {
        let (mut demand, start) = (Demand::new(1), Instant::now());
        assert_eq!(demand.update(set(&[0]), start), None);
        demand.widen(3);
        assert_eq!(demand.update(set(&[0, 2]), start), None);
        assert_eq!(demand.update(set(&[0]), start + MS), None);
        assert_eq!(demand.update(set(&[0]), start + 2 * LINGER), Some(set(&[0])));
        demand.widen(1);
        demand.widen(3);
        assert_eq!(demand.update(set(&[0]), start + 2 * LINGER), None);
        demand.again();
        assert_eq!(demand.update(set(&[0]), start + 2 * LINGER), Some(set(&[0])));
        assert_eq!(demand.update(set(&[0]), start + 2 * LINGER), None);
        assert_eq!(demand.update(set(&[0, 2]), start + 2 * LINGER), Some(set(&[0, 2])));
    }

    #[test]
    fn rely_61_a_wish_that_comes_and_goes_changes_nothing_for_the_sender() {
        let (mut demand, start) = (Demand::new(3), Instant::now());
        for step in 0..1_000 {
            let wanted = if step % 2 == 0 { set(&[0]) } else { set(&[0, 1, 2]) };
            assert_eq!(demand.update(wanted, start + step * 50 * MS), None);
        }
    }

    #[test]
    fn rely_61_however_wishes_change_a_layer_goes_once_in_three_seconds_at_most() {
        let (mut demand, start) = (Demand::new(3), Instant::now());
        let mut told = 0;
        // The worst there is: gone as soon as it is given up, wanted again at once.
        let mut wanted = set(&[]);
        for step in 0..3_000 {
            if let Some(now) = demand.update(wanted, start + step * 20 * MS) {
                told += 1;
                wanted = if now == set(&[]) { set(&[0, 1, 2]) } else { set(&[]) };
            }
        }
        assert!(told <= 2 * 60 / 3, "{told} in a minute");
    }
}
