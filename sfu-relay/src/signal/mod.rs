//! Signalling: one WebSocket per participant, translated to commands for the engine and back.
//!
//! Requirements held here: RELY-75.

pub mod message;
mod session;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use crate::Relay;
use crate::sdp::MAX_SDP;
use crate::stats::Counters;

/// The path clients connect to.
pub const PATH: &str = "/relay/v1";
/// An offer, JSON-escaped, with its lists.
const MAX_MESSAGE: usize = MAX_SDP + (MAX_SDP / 4);
/// What is read at once. The usual 128 KiB would be most of what a quiet participant costs in memory.
const READ: usize = 8 << 10;

/// The relay's only route: `GET /relay/v1`, a WebSocket. Serve it `into_make_service_with_connect_info::<SocketAddr>()` for limits per
/// address.
pub fn router(relay: Relay) -> Router {
    Router::new().route(PATH, any(upgrade)).with_state(relay)
}

/// Whom a connection is of, as limits count it, where the server was started so that it knows.
struct Caller(Option<IpAddr>);

impl FromRequestParts<Relay> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let lines = parts.headers.get_all("x-forwarded-for").iter();
        // A line that is no text ends what is believed, as one that is no address does.
        let lines = lines.map(|line| line.to_str().unwrap_or_default());
        Ok(Caller(peer.map(|ConnectInfo(peer)| {
            callers::one_client(relay.trusted_proxies().client(peer.ip(), lines))
        })))
    }
}

async fn upgrade(State(relay): State<Relay>, Caller(caller): Caller, upgrade: WebSocketUpgrade) -> Response {
    // RELY-75: before a task and buffers are spent on it.
    if caller.is_some_and(|caller| !relay.may_connect(caller)) {
        Counters::one(&relay.counters().signals_refused);
        return (StatusCode::TOO_MANY_REQUESTS, "too many connections; wait a little").into_response();
    }
    upgrade
        .read_buffer_size(READ)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| session::run(socket, relay))
}
