//! What whoever runs the relay asks it: how it is, and its figures in Prometheus' text format (version 0.0.4).
//!
//! Numbers only. The routes belong on an address that clients do not reach.
//!
//! Requirements held here: RELY-53.

mod exposition;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use self::exposition::Exposition;
use crate::Relay;

/// `GET /metrics`, and `GET /health`: 200 while new participants are welcome, 503 while the relay drains or when its engine is gone.
pub fn operations(relay: Relay) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .with_state(relay)
}

async fn metrics(State(relay): State<Relay>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    let mut text = Exposition::default();
    text.relay(&relay.stats(), relay.is_draining());
    text.process();
    text.rooms(&relay.figures().await);
    (kind, text.finish())
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
