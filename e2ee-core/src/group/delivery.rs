//! What a delivery service decides: when it proposes and whom, whose commit it looks at, when a group is over.
//!
//! Times, leaves and words, without sockets, stores and keys. The key server, the service of the simulator and the
//! model in `audits/model` ask this very code; what each adds is how it hears, stores and tells. Level-triggered:
//! [`Delivery::look`] takes the state as it is, whatever led there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Refusal;
use super::engine::committer::Epoch;
use super::pace::{Pace, Spacing};
use crate::time::UnixMillis;
use crate::wire::delivery::{CommitRefusal, GONE_SECONDS, GroupEpoch};

/// Waiting times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Arrivals and departures are gathered this long into one batch of proposals (DLVR-4).
    pub gather: Duration,
    /// A member whose connection is lost or silent for this long is removed (DLVR-9).
    pub gone: Duration,
    /// Proposals that nobody has committed hold later ones back for this long (DLVR-4).
    pub settle: Duration,
    /// How soon epochs may follow each other (EPOC-12).
    pub spacing: Spacing,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(150),
            gone: Duration::from_secs(GONE_SECONDS),
            settle: Duration::from_millis(1500),
            spacing: Spacing::default(),
        }
    }
}

/// The state of one generation, as far as the service's decisions depend on it. See the [module's
/// documentation](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    timing: Timing,
    pace: Pace,
    /// Members that hold this epoch's keys.
    acks: BTreeSet<u32>,
    /// Members of this epoch that were not in the one before.
    newcomers: BTreeSet<u32>,
    /// Members without a connection, and since when.
    absent: BTreeMap<u32, UnixMillis>,
    /// Members that said that they go, or that ask to be let in anew.
    leaving: BTreeSet<u32>,
    /// Since when something waits to be proposed.
    gathering: Option<UnixMillis>,
    /// When something was proposed in this epoch last.
    proposed: Option<UnixMillis>,
}

/// Where a commit belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It would end the present epoch.
    Now,
    /// That epoch has ended: its own commit is the answer (DLVR-3).
    Late,
    /// Another group's, or of an epoch that is not there yet.
    Never,
}

impl Delivery {
    /// A generation begins.
    pub fn new(timing: Timing, now: UnixMillis) -> Self {
        Self::paced(timing, Pace::new(timing.spacing, now))
    }

    /// After a restart: when the present epoch began and the one before it. Nobody is connected yet.
    pub fn resumed(timing: Timing, began: UnixMillis, before: UnixMillis) -> Self {
        Self::paced(timing, Pace::resumed(timing.spacing, began, before))
    }

    fn paced(timing: Timing, pace: Pace) -> Self {
        Self {
            timing,
            pace,
            acks: BTreeSet::new(),
            newcomers: BTreeSet::new(),
            absent: BTreeMap::new(),
            leaving: BTreeSet::new(),
            gathering: None,
            proposed: None,
        }
    }

    /// Members without a connection are absent, from now on unless it is known since when; others are not.
    pub fn look(&mut self, epoch: &impl Epoch, live: &BTreeSet<u32>, now: UnixMillis) {
        let roster: BTreeSet<u32> = epoch.leaves().collect();
        let away = |leaf: &u32| roster.contains(leaf) && !live.contains(leaf);
        self.absent.retain(|leaf, _| away(leaf));
        self.leaving.retain(away);
        for leaf in roster.iter().filter(|leaf| away(leaf)) {
            self.absent.entry(*leaf).or_insert(now);
        }
        // Newcomers never sealed in an older epoch, and whoever is cut off for longer than the bound is outside of it.
        let waits_for = |leaf: &u32| {
            let cut_off = self
                .absent
                .get(leaf)
                .is_some_and(|since| now.since(*since) >= self.timing.spacing.ways);
            !self.acks.contains(leaf) && !self.newcomers.contains(leaf) && !self.leaving.contains(leaf) && !cut_off
        };
        if !roster.iter().any(waits_for) {
            self.pace.all_hold(now);
        }
    }

    /// A member's connection is lost; it was heard last at `since`.
    pub fn lost(&mut self, leaf: u32, since: UnixMillis) {
        self.absent.insert(leaf, since);
    }

    /// A member goes, or has no use of its leaf any more. Who leaves is not kept waiting for company.
    pub fn leaves(&mut self, leaf: u32, now: UnixMillis) {
        self.leaving.insert(leaf);
        self.gathering.get_or_insert(now);
    }

    /// A member says that it holds the present epoch's keys. False if it said so before.
    pub fn acked(&mut self, leaf: u32) -> bool {
        self.acks.insert(leaf)
    }

    pub fn acks(&self) -> impl Iterator<Item = u32> {
        self.acks.iter().copied()
    }

    /// DLVR-9: it left, or is silent for too long.
    pub fn is_gone(&self, leaf: u32, now: UnixMillis) -> bool {
        self.leaving.contains(&leaf)
            || self
                .absent
                .get(&leaf)
                .is_some_and(|since| now.since(*since) >= self.timing.gone)
    }

    /// DLVR-9: nobody is left who could commit, or is expected back. Whoever is being removed may be connected again, but
    /// cannot commit its own Remove (RFC 9420 section 12.2).
    pub fn is_over(&self, epoch: &impl Epoch, live: &BTreeSet<u32>, now: UnixMillis) -> bool {
        let stays = |leaf: u32| !epoch.removes(leaf) && (live.contains(&leaf) || !self.is_gone(leaf, now));
        !epoch.leaves().any(stays)
    }

    /// DLVR-9: whom to propose to remove: the gone, and the leaves of those who ask to be let in anew.
    pub fn removals(&self, epoch: &impl Epoch, replaced: &BTreeSet<u32>, now: UnixMillis) -> Vec<u32> {
        epoch
            .leaves()
            .filter(|leaf| (self.is_gone(*leaf, now) || replaced.contains(leaf)) && !epoch.removes(*leaf))
            .collect()
    }

    /// Whether what is due is proposed now. DLVR-4: gathered for a moment, so that k arrivals are one commit (PF-35); held
    /// back while earlier proposals of this epoch are being committed, so that a commit under way is not made invalid by
    /// each newcomer. EPOC-12: and not so soon that the commit would outrun frames.
    pub fn proposes(&mut self, anything_due: bool, now: UnixMillis) -> bool {
        if !anything_due {
            self.gathering = None;
            return false;
        }
        let gathered = *self.gathering.get_or_insert(now) + self.timing.gather;
        let settled = self.proposed.map_or(now, |at| at + self.timing.settle);
        if now < gathered || now < settled || now < self.pace.next_epoch_from() {
            return false;
        }
        self.gathering = None;
        true
    }

    /// Something was proposed, and is stored.
    pub fn proposed(&mut self, now: UnixMillis) {
        self.proposed = Some(now);
    }

    /// DLVR-1: the compare of compare-and-set; the store sets, once for each epoch.
    pub fn turn(own: Option<&GroupEpoch>, at: &GroupEpoch) -> Turn {
        match own {
            Some(own) if own.group_id != at.group_id => Turn::Never,
            Some(own) if at.epoch < own.epoch => Turn::Late,
            Some(own) if at.epoch == own.epoch => Turn::Now,
            _ => Turn::Never,
        }
    }

    /// EPOC-12: a commit that no proposal asked for must not come too soon either.
    pub fn takes_unasked(&self, now: UnixMillis) -> bool {
        now >= self.pace.next_epoch_from()
    }

    /// A commit was stored: there is another epoch.
    pub fn entered(&mut self, newcomers: BTreeSet<u32>, now: UnixMillis) {
        self.pace.entered(now);
        self.acks.clear();
        self.proposed = None;
        self.newcomers = newcomers;
    }

    /// When the present epoch began, and the one before: to be stored.
    pub fn times(&self) -> (UnixMillis, UnixMillis) {
        self.pace.times()
    }

    /// When to look again although nothing comes in.
    pub fn next(&self, now: UnixMillis) -> Option<UnixMillis> {
        let absences = self
            .absent
            .values()
            .flat_map(|since| [*since + self.timing.gone, *since + self.timing.spacing.ways]);
        let waits = self.gathering.map(|since| {
            let settled = self.proposed.map_or(now, |at| at + self.timing.settle);
            (since + self.timing.gather)
                .max(settled)
                .max(self.pace.next_epoch_from())
        });
        absences.chain(waits).filter(|at| *at > now).min()
    }
}

/// What a refused commit's sender is told.
pub fn reason_for(refusal: &Refusal) -> CommitRefusal {
    match refusal {
        // PF-05: a commit that adds brings the Welcome for exactly those whom it adds.
        Refusal::WelcomeMissing | Refusal::WelcomeSurplus => CommitRefusal::WelcomeMissing,
        Refusal::ProposalLeftOut => CommitRefusal::ProposalsMissing,
        Refusal::WrongEpoch { .. } => CommitRefusal::WrongEpoch,
        _ => CommitRefusal::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_000_000);

    struct Scene {
        leaves: Vec<u32>,
        removed: Vec<u32>,
    }

    impl Epoch for Scene {
        fn leaves(&self) -> impl Iterator<Item = u32> {
            self.leaves.iter().copied()
        }
        fn removes(&self, leaf: u32) -> bool {
            self.removed.contains(&leaf)
        }
        fn waits(&self) -> bool {
            !self.removed.is_empty()
        }
    }

    fn scene(leaves: &[u32], removed: &[u32]) -> Scene {
        Scene {
            leaves: leaves.to_vec(),
            removed: removed.to_vec(),
        }
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn dlvr_4_what_comes_within_a_moment_is_proposed_together_and_later_ones_wait_for_the_commit() {
        let mut delivery = Delivery::new(Timing::default(), START);
        assert!(!delivery.proposes(true, START));
        assert_eq!(delivery.next(START), Some(START + millis(150)));
        assert!(!delivery.proposes(true, START + millis(149)));
        assert!(delivery.proposes(true, START + millis(150)));
        delivery.proposed(START + millis(150));
        // Somebody else comes while that is being committed.
        assert!(!delivery.proposes(true, START + millis(200)));
        assert!(!delivery.proposes(true, START + millis(1649)));
        assert!(delivery.proposes(true, START + millis(1650)));
        // What nobody waits for any more is forgotten.
        assert!(!delivery.proposes(false, START + millis(1700)));
        assert_eq!(delivery.next(START + millis(1700)), None);
    }

    #[test]
    fn epoc_12_a_third_batch_waits_until_all_hold_the_epoch_and_a_silent_one_delays_it_by_a_second_at_most() {
        let live = BTreeSet::from([0, 1, 2]);
        for silent in [false, true] {
            let mut delivery = Delivery::new(Timing::default(), START);
            let at = START + Duration::from_secs(60);
            delivery.entered(BTreeSet::from([2]), at);
            assert!(delivery.takes_unasked(at), "the call was quiet before");
            delivery.entered(BTreeSet::new(), at + millis(300));
            assert!(!delivery.takes_unasked(at + millis(300)));
            assert!(!delivery.proposes(true, at + millis(300)));
            for leaf in if silent { 0..2 } else { 0..3 } {
                assert!(delivery.acked(leaf));
            }
            delivery.look(&scene(&[0, 1, 2], &[]), &live, at + millis(350));
            let goes = if silent { 1300 } else { 650 };
            assert!(!delivery.proposes(true, at + millis(goes - 1)));
            assert_eq!(delivery.next(at + millis(goes - 1)), Some(at + millis(goes)));
            assert!(delivery.proposes(true, at + millis(goes)));
        }
    }

    #[test]
    fn epoc_12_a_newcomer_and_whoever_leaves_or_is_cut_off_are_not_waited_for() {
        let mut delivery = Delivery::new(Timing::default(), START);
        let at = START + Duration::from_secs(60);
        delivery.entered(BTreeSet::new(), at);
        delivery.entered(BTreeSet::from([3]), at);
        delivery.acked(0);
        delivery.leaves(1, at);
        delivery.lost(2, at - Duration::from_secs(3));
        let room = scene(&[0, 1, 2, 3], &[]);
        delivery.look(&room, &BTreeSet::from([0, 3]), at + millis(10));
        assert!(!delivery.takes_unasked(at + millis(309)));
        assert!(delivery.takes_unasked(at + millis(310)));
    }

    #[test]
    fn dlvr_9_the_silent_and_the_leaving_are_removed_once() {
        let mut delivery = Delivery::new(Timing::default(), START);
        let live = BTreeSet::from([0]);
        delivery.look(&scene(&[0, 1, 2], &[]), &live, START);
        delivery.leaves(2, START);
        let none = BTreeSet::new();
        assert_eq!(delivery.removals(&scene(&[0, 1, 2], &[]), &none, START), [2]);
        let later = START + Duration::from_secs(GONE_SECONDS);
        assert_eq!(delivery.removals(&scene(&[0, 1, 2], &[2]), &none, later), [1]);
        assert_eq!(delivery.removals(&scene(&[0, 1, 2], &[1, 2]), &none, later), [0; 0]);
        assert_eq!(
            delivery.removals(&scene(&[0, 1, 2], &[1, 2]), &BTreeSet::from([0]), later),
            [0],
            "it asks to be let in anew"
        );
        // Back in time.
        delivery.look(&scene(&[0, 1, 2], &[]), &BTreeSet::from([0, 1]), later);
        assert!(!delivery.is_gone(1, later));
    }

    #[test]
    fn dlvr_9_a_group_is_over_when_nobody_is_left_who_could_commit() {
        let mut delivery = Delivery::new(Timing::default(), START);
        let (both, one, none) = (BTreeSet::from([0, 1]), BTreeSet::from([1]), BTreeSet::new());
        let is_over =
            |d: &Delivery, removed: &[u32], live: &BTreeSet<u32>, at| d.is_over(&scene(&[0, 1], removed), live, at);
        delivery.look(&scene(&[0, 1], &[]), &none, START);
        let later = START + Duration::from_secs(GONE_SECONDS);
        assert!(!is_over(&delivery, &[], &none, START), "they may come back");
        assert!(is_over(&delivery, &[], &none, later));
        assert!(!is_over(&delivery, &[0], &one, later), "1 commits the Remove of 0");
        assert!(
            is_over(&delivery, &[0, 1], &both, later),
            "both are here, and neither may commit"
        );
    }

    #[test]
    fn dlvr_1_a_commit_belongs_to_the_present_epoch_or_has_its_answer() {
        let at = |group: u8, epoch| GroupEpoch {
            group_id: vec![group].into(),
            epoch,
        };
        let own = at(1, 5);
        for (commit, turn) in [
            (at(1, 5), Turn::Now),
            (at(1, 4), Turn::Late),
            (at(1, 6), Turn::Never),
            (at(2, 5), Turn::Never),
        ] {
            assert_eq!(Delivery::turn(Some(&own), &commit), turn);
            assert_eq!(Delivery::turn(None, &commit), Turn::Never);
        }
    }
}
