//! Token buckets, one for each of many keys.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// So many at once, so many a second.
#[derive(Debug)]
pub struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new((capacity, per_second): (u32, f64), now: Instant) -> Self {
        let capacity = f64::from(capacity);
        Self {
            capacity,
            per_second,
            level: capacity,
            at: now,
        }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + elapsed * self.per_second).min(self.capacity);
        if self.level < 1.0 {
            return false;
        }
        self.level -= 1.0;
        true
    }

    /// Whether it limits nobody now.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.level + now.saturating_duration_since(self.at).as_secs_f64() * self.per_second >= self.capacity
    }
}

/// Something that can be forgotten once it no longer limits anybody.
pub trait Forgettable {
    /// Whether it limits nobody now.
    fn is_full(&self, now: Instant) -> bool;
}

impl Forgettable for Bucket {
    fn is_full(&self, now: Instant) -> bool {
        Bucket::is_full(self, now)
    }
}

/// One `B` for each key; forgets those that are full again when there are many.
#[derive(Debug)]
pub struct PerKey<K, B> {
    map: Mutex<HashMap<K, Arc<Mutex<B>>>>,
}

/// Keys from which on it is looked whom to forget.
const FORGET_ABOVE: usize = 4096;

impl<K: Eq + Hash, B: Forgettable> PerKey<K, B> {
    /// With nobody known.
    #[must_use]
    pub fn new() -> Self {
        Self { map: Mutex::default() }
    }

    /// The one of `key`, made where there is none.
    pub fn of(&self, key: K, now: Instant, make: impl FnOnce() -> B) -> Arc<Mutex<B>> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= FORGET_ABOVE {
            map.retain(|_, b| {
                Arc::strong_count(b) > 1 || !b.lock().unwrap_or_else(PoisonError::into_inner).is_full(now)
            });
        }
        map.entry(key).or_insert_with(|| Arc::new(Mutex::new(make()))).clone()
    }
}

impl<K: Eq + Hash, B: Forgettable> Default for PerKey<K, B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash> PerKey<K, Bucket> {
    /// Takes one from the bucket of `key`, if there is one.
    pub fn take(&self, key: K, limit: (u32, f64), now: Instant) -> bool {
        let bucket = self.of(key, now, || Bucket::new(limit, now));
        bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
