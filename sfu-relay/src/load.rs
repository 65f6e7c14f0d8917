//! How busy an engine's thread is, measured by the runtime that runs it: what it did not spend waiting, others' use of the core included.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::stats::Counters;

/// How often it is measured. A figure is the mean of the last few: a key frame to hundreds is no overload.
const INTERVAL: Duration = Duration::from_millis(500);

/// To be spawned on the thread's own runtime, which has one worker.
pub(crate) async fn watch(counters: Arc<Counters>) {
    let metrics = Handle::current().metrics();
    let (mut before, mut at, mut mean) = (metrics.worker_total_busy_duration(0), Instant::now(), 0.0);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (busy, now) = (metrics.worker_total_busy_duration(0), Instant::now());
        let share = busy.saturating_sub(before).as_secs_f64() / now.duration_since(at).as_secs_f64().max(1e-3);
        (before, at, mean) = (busy, now, (mean + share.min(1.0)) / 2.0);
        counters.note_busy((mean * 1_000.0) as u64);
    }
}
