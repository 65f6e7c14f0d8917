//! What whoever runs the relay asks it: how it is, and its figures in Prometheus' text format (version 0.0.4).
//!
//! Numbers only. The routes belong on an address that clients do not reach.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::Relay;
use crate::stats::{Kind, RelayStats};

/// `GET /metrics`, and `GET /health`: 200 while new participants are welcome, 503 while the relay drains or when its engine is gone.
pub fn operations(relay: Relay) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .with_state(relay)
}

async fn metrics(State(relay): State<Relay>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, exposition(&relay.stats(), relay.is_draining()))
}

async fn health(State(relay): State<Relay>) -> (StatusCode, &'static str) {
    if !relay.is_alive() {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine is gone\n")
    } else if relay.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

fn exposition(stats: &RelayStats, draining: bool) -> String {
    let mut text = String::new();
    for (name, kind, value) in stats.fields() {
        let (suffix, kind) = match kind {
            Kind::Now | Kind::Worst => ("", "gauge"),
            Kind::SoFar => ("_total", "counter"),
        };
        let _ = writeln!(
            text,
            "# TYPE conclave_relay_{name}{suffix} {kind}\nconclave_relay_{name}{suffix} {value}"
        );
    }
    let _ = writeln!(
        text,
        "# TYPE conclave_relay_draining gauge\nconclave_relay_draining {}",
        u8::from(draining)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::exposition;
    use crate::stats::RelayStats;

    #[test]
    fn each_figure_stands_once_with_its_type() {
        let stats = RelayStats {
            peers: 3,
            rtp_forwarded: 70,
            ..RelayStats::default()
        };
        let text = exposition(&stats, true);
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "# TYPE conclave_relay_peers gauge",
            "conclave_relay_peers 3",
            "# TYPE conclave_relay_rtp_forwarded_total counter",
            "conclave_relay_rtp_forwarded_total 70",
            "conclave_relay_draining 1",
        ] {
            assert_eq!(lines.iter().filter(|other| **other == line).count(), 1, "{line}");
        }
        let names: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(names.len() * 2, lines.len());
    }
}
