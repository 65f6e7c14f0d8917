//! Logs go to standard error, so that standard output holds what was asked for and nothing else.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// What is logged where nobody says otherwise.
pub(crate) const USUAL: &str = "info,sqlx=warn";

pub(crate) fn init(filter: Option<&str>) {
    let filter = filter.unwrap_or(USUAL);
    let (filter, wrong) = match EnvFilter::try_new(filter) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(USUAL), Some(error)),
    };
    fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .compact()
        .init();
    if let Some(error) = wrong {
        tracing::warn!(%error, "the log filter is not understood; logging at info");
    }
}
