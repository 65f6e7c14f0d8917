//! Heartbeats: each member says what epoch it is in and what of the log it saw, and the others compare (C4, PF-38).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::identity::Roster;
use crate::time::UnixMillis;

/// How often each says it.
const INTERVAL: Duration = Duration::from_secs(10);
/// How much later than that a heartbeat may be before somebody is missed: the way through the service, and a commit.
const GRACE: Duration = Duration::from_secs(4);
/// A heartbeat that has to wait for a commit is tried again after this.
const HELD_UP: Duration = Duration::from_millis(250);
/// A room carries at most so many a second.
const ROOM_CAP_PER_SECOND: u32 = 10;

/// Who was heard last when.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    heard: BTreeMap<u32, UnixMillis>,
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

    /// HEAL-5: those of `expected` who missed one, each named once until heard again. Whoever is new is given time.
    pub(super) fn missing(&mut self, roster: &Roster, expected: impl Fn(u32) -> bool, now: UnixMillis) -> Vec<u32> {
        self.heard.retain(|leaf, _| roster.contains(*leaf));
        self.warned.retain(|leaf| roster.contains(*leaf));
        let late = interval(roster.len()) + GRACE;
        let mut missing = Vec::new();
        for leaf in roster.leaves() {
            let since = *self.heard.entry(leaf).or_insert(now);
            if !expected(leaf) {
                self.heard.insert(leaf, now);
            } else if now.since(since) > late && !self.warned.contains(&leaf) {
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
