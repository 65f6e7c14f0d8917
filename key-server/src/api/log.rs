//! The log, as C2SP tlog-tiles serves it. Out of the database: what a folder lost is still served.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;

use super::problem::Refused;
use crate::log::parse_path;
use crate::server::Shared;

pub(super) async fn checkpoint(State(shared): State<Arc<Shared>>) -> Result<impl IntoResponse, Refused> {
    let note = shared.log.checkpoint().await;
    if note.is_empty() {
        return Err(Refused::NotFound);
    }
    Ok((
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        note,
    ))
}

pub(super) async fn tile(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<String>,
) -> Result<impl IntoResponse, Refused> {
    let (level, n, width) = parse_path(&format!("tile/{path}")).ok_or(Refused::NotFound)?;
    let _turn = shared.store.turn().await;
    let tile = shared.log.tile(level, n, width).await?.ok_or(Refused::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        // A tile of a given width never changes.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, tile))
}
