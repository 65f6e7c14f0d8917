//! Who commits, and when. No randomness and no election: everybody computes the same order from the tree and from who
//! is connected, and the service takes the first valid commit of an epoch.

use std::time::Duration;

use super::committer::Epoch;

/// COMM-1: each stands by this much longer than the one before.
const STAGGER: Duration = Duration::from_millis(250);
/// COMM-4, PF-08: an epoch is ended by then, well before five minutes are over.
const REKEY_AFTER: Duration = Duration::from_secs(270);
const REKEY_STAGGER: Duration = Duration::from_secs(2);
/// COMM-5, PF-22: a member renews its own leaf by then, before thirty minutes are over.
const RENEW_AFTER: Duration = Duration::from_secs(25 * 60);
const RENEW_STAGGER: Duration = Duration::from_millis(700);
/// Nobody waits longer than this many places.
const MAX_PLACES: u32 = 100;

/// The members who may commit, in the order in which they do: those who are connected, by leaf, without those who
/// are about to be removed.
pub(super) fn place(own: u32, epoch: &impl Epoch, is_live: impl Fn(u32) -> bool) -> Option<u32> {
    if epoch.removes(own) {
        return None;
    }
    let before = epoch
        .leaves()
        .take_while(|leaf| *leaf < own)
        .filter(|leaf| is_live(*leaf) && !epoch.removes(*leaf))
        .count();
    Some(u32::try_from(before).unwrap_or(MAX_PLACES).min(MAX_PLACES))
}

/// How long after the first proposal of an epoch this place commits.
pub(super) fn commit_after(place: u32) -> Duration {
    STAGGER * place
}

/// How long an epoch may last before this place ends it.
pub(super) fn rekey_after(place: u32) -> Duration {
    REKEY_AFTER + REKEY_STAGGER * place.min(10)
}

/// How old a leaf's own key may get.
pub(super) fn renew_after(leaf: u32) -> Duration {
    RENEW_AFTER + RENEW_STAGGER * leaf.min(300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pf_08_epochs_end_within_five_minutes_and_leaves_are_renewed_within_thirty() {
        assert!(rekey_after(u32::MAX) < Duration::from_secs(300));
        assert!(renew_after(u32::MAX) < Duration::from_secs(30 * 60));
    }
}
