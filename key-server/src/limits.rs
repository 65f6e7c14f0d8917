//! Token buckets (PF-01): what one member does too much of costs that member, and nobody else.

use std::time::Instant;

use callers::{Bucket, Forgettable};

use crate::config::Limits;

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

impl Forgettable for SessionBuckets {
    fn is_full(&self, now: Instant) -> bool {
        SessionBuckets::is_full(self, now)
    }
}
