//! Which thread has which room.
//!
//! A room is on one thread as long as anything of it is there; a new one goes where the fewest sessions are. Asked when somebody joins,
//! never for a packet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::PATIENCE;

/// A room without sessions is forgotten after this long: its last peers are gone by then, and something more.
const FORGET: Duration = PATIENCE.saturating_mul(2);

pub(crate) struct Directory {
    inner: Mutex<Inner>,
}

struct Inner {
    rooms: HashMap<String, Entry>,
    /// Sessions by thread.
    sessions: Vec<usize>,
}

struct Entry {
    thread: usize,
    sessions: usize,
    /// When the last session ended.
    empty_since: Option<Instant>,
}

impl Directory {
    pub(crate) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Directory {
            inner: Mutex::new(Inner {
                rooms: HashMap::new(),
                sessions: vec![0; threads.max(1)],
            }),
        })
    }

    /// A session's place in a room, given back when it is dropped.
    pub(crate) fn enter(self: &Arc<Self>, room: &str, now: Instant) -> Place {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.rooms.retain(|name, entry| {
            let empty = entry
                .empty_since
                .is_some_and(|at| now.saturating_duration_since(at) >= FORGET);
            name == room || !empty
        });
        let idlest = (0..inner.sessions.len())
            .min_by_key(|thread| inner.sessions[*thread])
            .unwrap_or(0);
        let forgotten = |entry: &Entry| {
            entry
                .empty_since
                .is_some_and(|at| now.saturating_duration_since(at) >= FORGET)
        };
        let entry = inner.rooms.entry(room.to_owned()).or_insert(Entry {
            thread: idlest,
            sessions: 0,
            empty_since: None,
        });
        if forgotten(entry) {
            entry.thread = idlest;
        }
        entry.sessions += 1;
        entry.empty_since = None;
        let thread = entry.thread;
        inner.sessions[thread] += 1;
        Place {
            directory: self.clone(),
            room: room.to_owned(),
            thread,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Place {
    directory: Arc<Directory>,
    room: String,
    pub(crate) thread: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.directory.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sessions[self.thread] = inner.sessions[self.thread].saturating_sub(1);
        if let Some(entry) = inner.rooms.get_mut(&self.room) {
            entry.sessions = entry.sessions.saturating_sub(1);
            if entry.sessions == 0 {
                entry.empty_since = Some(Instant::now());
            }
        }
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Directory, FORGET};
    use std::time::{Duration, Instant};

    #[test]
    fn rely_46_a_room_stays_on_its_thread_and_new_ones_go_to_the_idlest() {
        let (directory, now) = (Directory::new(3), Instant::now());
        let a: Vec<_> = (0..5).map(|_| directory.enter("a", now)).collect();
        assert!(a.iter().all(|place| place.thread == a[0].thread));
        let (b, c) = (directory.enter("b", now), directory.enter("c", now));
        let mut threads = [a[0].thread, b.thread, c.thread];
        threads.sort_unstable();
        assert_eq!(threads, [0, 1, 2]);
        let d: Vec<_> = (0..4).map(|i| directory.enter(&format!("d{i}"), now)).collect();
        assert!(d.iter().all(|place| place.thread != a[0].thread));
    }

    #[test]
    fn rely_46_an_empty_room_keeps_its_thread_until_its_last_peers_are_gone() {
        let directory = Directory::new(2);
        let first = directory.enter("a", Instant::now()).thread;
        // Whoever comes now would be sent to the other thread if the room were new.
        let other = directory.enter("b", Instant::now());
        let others: Vec<_> = (0..3).map(|_| directory.enter("b", Instant::now())).collect();
        assert_eq!(
            directory
                .enter("a", Instant::now() + FORGET - Duration::from_secs(1))
                .thread,
            first
        );
        let _crowd = (directory.enter("c", Instant::now()), others, other);
        let later = Instant::now() + 2 * FORGET;
        assert!(directory.enter("a", later).thread < 2);
        let rooms = directory
            .inner
            .lock()
            .map(|inner| inner.rooms.len())
            .unwrap_or_default();
        assert_eq!(rooms, 3, "a, b and c: nothing is kept of rooms that nobody is in");
    }
}
