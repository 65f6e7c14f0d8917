//! The machine's clock, read here and nowhere else.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use e2ee_core::time::UnixMillis;
use tokio::time::Instant;

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// For waiting times: starts at the machine's time and then only goes forward, however that is set meanwhile.
pub(crate) fn steady() -> UnixMillis {
    let (start, began) = anchor();
    *start + began.elapsed()
}

/// When a steady time is due.
pub(crate) fn instant_of(time: UnixMillis) -> Instant {
    let (start, began) = anchor();
    *began + time.since(*start)
}

/// The steady time of a moment.
pub(crate) fn steady_at(instant: Instant) -> UnixMillis {
    steady() - instant.elapsed()
}

fn anchor() -> &'static (UnixMillis, Instant) {
    static ANCHOR: OnceLock<(UnixMillis, Instant)> = OnceLock::new();
    ANCHOR.get_or_init(|| (now(), Instant::now()))
}
