//! Heartbeats: each member says what epoch it is in and what of the log it saw, and the others compare (C4, PF-38).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::identity::Roster;
use crate::time::UnixMillis;
use crate::wire::delivery::GONE_SECONDS;

/// How often each says it.
const INTERVAL: Duration = Duration::from_secs(10);
/// How much later than that a heartbeat may be before somebody is missed: the way through the service, and a commit.
const GRACE: Duration = Duration::from_secs(4);
/// How long a member whose connection is lost stays in the tree of an honest service: until it counts as gone, and some commits
/// more, since one that is being removed may have to wait for an epoch's turn.
const REMOVED_WITHIN: Duration = Duration::from_secs(GONE_SECONDS + 30);
/// A heartbeat that has to wait for a commit is tried again after this.
const HELD_UP: Duration = Duration::from_millis(250);
/// A room carries at most so many a second.
const ROOM_CAP_PER_SECOND: u32 = 10;

/// Who was heard last when.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    heard: BTreeMap<u32, UnixMillis>,
    /// Who was not connected when, by the service's word.
    excused: BTreeMap<u32, UnixMillis>,
    warned: Vec<u32>,
    next: Option<UnixMillis>,
}

/// HEAL-4: ten seconds, stretched so that all together stay under the room's cap.
pub(super) fn interval(members: usize) -> Duration {
    let stretched = Duration::from_secs(1) * u32::try_from(members).unwrap_or(u32::MAX) / ROOM_CAP_PER_SECOND;
    INTERVAL.max(stretched)
}

impl Heartbeats {
    pub(super) fn start(&mut self, now: UnixMillis, members: usize) {
        if self.next.is_none() {
            self.next = Some(now + interval(members));
        }
    }

    pub(super) fn next(&self) -> Option<UnixMillis> {
        self.next
    }

    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        self.next.is_some_and(|next| now >= next)
    }

    pub(super) fn sent(&mut self, now: UnixMillis, members: usize) {
        self.next = Some(now + interval(members));
    }

    /// Nothing may be said at the moment.
    pub(super) fn held_up(&mut self, now: UnixMillis) {
        self.next = Some(now + HELD_UP);
    }

    pub(super) fn heard(&mut self, leaf: u32, now: UnixMillis) {
        self.heard.insert(leaf, now);
        self.warned.retain(|warned| *warned != leaf);
    }

    /// HEAL-5: those who missed one, each named once until heard again. Whoever is new is given time, and so is whoever is not
    /// connected; but no longer than an honest service leaves such a member in the tree, for its word on who is connected may
    /// be a lie that hides one half of a call from the other.
    pub(super) fn missing(
        &mut self,
        roster: &Roster,
        is_own: impl Fn(u32) -> bool,
        expected: impl Fn(u32) -> bool,
        now: UnixMillis,
    ) -> Vec<u32> {
        self.heard.retain(|leaf, _| roster.contains(*leaf));
        self.excused.retain(|leaf, _| roster.contains(*leaf));
        self.warned.retain(|leaf| roster.contains(*leaf));
        let late = interval(roster.len()) + GRACE;
        let mut missing = Vec::new();
        for leaf in roster.leaves().filter(|leaf| !is_own(*leaf)) {
            let heard = *self.heard.entry(leaf).or_insert(now);
            if !expected(leaf) {
                self.excused.insert(leaf, now);
            }
            let since = self.excused.get(&leaf).map_or(heard, |excused| heard.max(*excused));
            let is_late = now.since(since) > late || now.since(heard) > late + REMOVED_WITHIN;
            if is_late && !self.warned.contains(&leaf) {
                self.warned.push(leaf);
                missing.push(leaf);
            }
        }
        missing
    }

    /// After this client itself was away it cannot blame the others for silence.
    pub(super) fn forgive(&mut self, now: UnixMillis) {
        self.heard.values_mut().for_each(|heard| *heard = now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heal_4_a_room_of_any_size_carries_at_most_ten_heartbeats_a_second() {
        for members in [1, 2, 99, 100, 101, 1000, 5000] {
            let per_second = members as f64 / interval(members).as_secs_f64();
            assert!(per_second <= 10.0, "{members} members: {per_second}/s");
            assert!(interval(members) >= INTERVAL);
        }
    }
}
