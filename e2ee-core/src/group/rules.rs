//! What a commit must hold and where it puts people, as arithmetic on leaves: the rules of [`super::check`] without
//! certificates and keys, so that the model in `audits/model` applies the same ones.

use std::collections::BTreeSet;

/// What a proposal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wish {
    Add,
    Remove(u32),
    Update(u32),
}

/// GRUP-6: every pending proposal is committed. Only what another committed one makes pointless may be left out: an
/// Update or a second Remove of somebody who is removed.
pub fn leaves_out(pending: impl Iterator<Item = (Wish, bool)> + Clone) -> bool {
    let removed = |leaf: u32| pending.clone().any(|(wish, taken)| taken && wish == Wish::Remove(leaf));
    pending.clone().any(|(wish, taken)| {
        let pointless = match wish {
            Wish::Add => false,
            Wish::Remove(leaf) | Wish::Update(leaf) => removed(leaf),
        };
        !taken && !pointless
    })
}

/// RFC 9420 section 12.3: Removes first, then each Add, in order, at the leftmost free leaf. Gives the leaves of the
/// added.
pub fn reseat(seats: &mut BTreeSet<u32>, wishes: impl Iterator<Item = Wish> + Clone) -> Vec<u32> {
    for wish in wishes.clone() {
        if let Wish::Remove(leaf) = wish {
            seats.remove(&leaf);
        }
    }
    let mut added = Vec::new();
    let mut free = 0;
    for _ in wishes.filter(|wish| *wish == Wish::Add) {
        while seats.contains(&free) {
            free += 1;
        }
        seats.insert(free);
        added.push(free);
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grup_6_nothing_is_left_out_but_what_a_committed_remove_makes_pointless() {
        let remove = |leaf, taken| (Wish::Remove(leaf), taken);
        for (pending, out) in [
            (vec![], false),
            (vec![(Wish::Add, true), remove(3, true)], false),
            (vec![(Wish::Add, true), remove(3, false)], true),
            (vec![(Wish::Add, false)], true),
            (vec![remove(3, true), remove(3, false)], false),
            (vec![remove(3, true), (Wish::Update(3), false)], false),
            (vec![remove(4, true), (Wish::Update(3), false)], true),
            (vec![(Wish::Update(3), true), remove(3, false)], true),
        ] {
            assert_eq!(leaves_out(pending.iter().copied()), out, "{pending:?}");
        }
    }

    #[test]
    fn a_leaf_that_is_freed_is_filled_by_the_same_commit() {
        let mut seats = BTreeSet::from([0, 1, 3]);
        let wishes = [Wish::Add, Wish::Remove(1), Wish::Add, Wish::Update(3), Wish::Add];
        assert_eq!(reseat(&mut seats, wishes.into_iter()), [1, 2, 4]);
        assert_eq!(seats, BTreeSet::from([0, 1, 2, 3, 4]));
    }
}
