//! Signalling: one WebSocket per participant, translated to commands for the engine and back.

pub mod message;
mod session;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::any;

use crate::Relay;
use crate::sdp::MAX_SDP;

/// The path clients connect to.
pub const PATH: &str = "/relay/v1";
/// An offer, JSON-escaped, with its lists.
const MAX_MESSAGE: usize = MAX_SDP + (MAX_SDP / 4);
/// What is read at once. The usual 128 KiB would be most of what a quiet participant costs in memory.
const READ: usize = 8 << 10;

/// The relay's only route: `GET /relay/v1`, a WebSocket.
pub fn router(relay: Relay) -> Router {
    Router::new().route(PATH, any(upgrade)).with_state(relay)
}

async fn upgrade(State(relay): State<Relay>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(READ)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| session::run(socket, relay))
}
