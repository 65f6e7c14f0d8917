//! Token buckets (PF-01): what one member does too much of costs that member, and nobody else.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::config::Limits;

/// So many at once, so many a second.
#[derive(Debug)]
pub(crate) struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new((capacity, per_second): (u32, f64), now: Instant) -> Self {
        let capacity = f64::from(capacity);
        Self {
            capacity,
            per_second,
            level: capacity,
            at: now,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + elapsed * self.per_second).min(self.capacity);
        if self.level < 1.0 {
            return false;
        }
        self.level -= 1.0;
        true
    }

    fn is_full(&self, now: Instant) -> bool {
        self.level + now.saturating_duration_since(self.at).as_secs_f64() * self.per_second >= self.capacity
    }
}

/// The buckets of one session. They outlive its connections, so that reconnecting does not refill them.
#[derive(Debug)]
pub(crate) struct SessionBuckets {
    pub(crate) messages: Bucket,
    pub(crate) hellos: Bucket,
    pub(crate) transcripts: Bucket,
    pub(crate) commits: Bucket,
    pub(crate) applications: Bucket,
    pub(crate) joins: Bucket,
    pub(crate) certificates: Bucket,
}

impl SessionBuckets {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            messages: Bucket::new(limits.messages, now),
            hellos: Bucket::new(limits.hellos, now),
            transcripts: Bucket::new(limits.transcripts, now),
            commits: Bucket::new(limits.commits, now),
            applications: Bucket::new(limits.applications, now),
            joins: Bucket::new(limits.joins, now),
            certificates: Bucket::new(limits.certificates, now),
        }
    }

    fn is_full(&self, now: Instant) -> bool {
        [
            &self.messages,
            &self.hellos,
            &self.transcripts,
            &self.commits,
            &self.applications,
            &self.joins,
            &self.certificates,
        ]
        .iter()
        .all(|b| b.is_full(now))
    }
}

/// Something that can be forgotten once it no longer limits anybody.
pub(crate) trait Forgettable {
    fn is_full(&self, now: Instant) -> bool;
}

impl Forgettable for Bucket {
    fn is_full(&self, now: Instant) -> bool {
        Bucket::is_full(self, now)
    }
}

impl Forgettable for SessionBuckets {
    fn is_full(&self, now: Instant) -> bool {
        SessionBuckets::is_full(self, now)
    }
}

/// One `B` for each key; forgets those that are full again when there are many.
pub(crate) struct PerKey<K, B> {
    map: Mutex<HashMap<K, Arc<Mutex<B>>>>,
}

const FORGET_ABOVE: usize = 4096;

impl<K: Eq + Hash, B: Forgettable> PerKey<K, B> {
    pub(crate) fn new() -> Self {
        Self { map: Mutex::default() }
    }

    pub(crate) fn of(&self, key: K, now: Instant, make: impl FnOnce() -> B) -> Arc<Mutex<B>> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= FORGET_ABOVE {
            map.retain(|_, b| {
                Arc::strong_count(b) > 1 || !b.lock().unwrap_or_else(PoisonError::into_inner).is_full(now)
            });
        }
        map.entry(key).or_insert_with(|| Arc::new(Mutex::new(make()))).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn pf_01_a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new((3, 2.0), start);
        assert_eq!((0..5).filter(|_| bucket.take(start)).count(), 3);
        let later = start + Duration::from_millis(1100);
        assert_eq!((0..5).filter(|_| bucket.take(later)).count(), 2);
        let much_later = later + Duration::from_secs(3600);
        assert_eq!(
            (0..5).filter(|_| bucket.take(much_later)).count(),
            3,
            "never above the burst"
        );
    }

    #[test]
    fn full_buckets_are_forgotten_and_others_kept() {
        let start = Instant::now();
        let map = PerKey::new();
        for key in 0..FORGET_ABOVE {
            let bucket = map.of(key, start, || Bucket::new((1, 1.0), start));
            if key == 7 {
                assert!(bucket.lock().unwrap().take(start));
            }
        }
        let kept = map.of(FORGET_ABOVE, start, || Bucket::new((1, 1.0), start));
        assert_eq!(map.map.lock().unwrap().len(), 2, "the one in use and the new one");
        assert!(kept.lock().unwrap().take(start));
        assert!(
            !map.of(7, start, || Bucket::new((1, 1.0), start))
                .lock()
                .unwrap()
                .take(start),
            "still empty"
        );
    }
}
