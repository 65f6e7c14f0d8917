//! HTTP: the few plain calls, the log, and the web app.

mod log;
mod problem;
mod rooms;
mod transcript;
mod web;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::server::Shared;

/// The largest body of any request; nobody has to say much here.
const MAX_BODY: usize = 4 * 1024;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/api/rooms", post(rooms::create))
        .route("/api/rooms/{room}/sessions", post(rooms::sign_in))
        .route("/api/rooms/{room}/delivery", get(rooms::delivery))
        .route("/api/rooms/{room}/transcript", get(transcript::export))
        .route("/log/checkpoint", get(log::checkpoint))
        .route("/log/tile/{*path}", get(log::tile))
        .route("/healthz", get(healthz))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(web::api_headers))
        .with_state(shared.clone());
    api.merge(web::router(&shared.config))
}

async fn healthz() -> &'static str {
    "ok\n"
}
