//! The machine's clock, read here and nowhere else.

use std::time::{SystemTime, UNIX_EPOCH};

use e2ee_core::time::UnixMillis;

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
