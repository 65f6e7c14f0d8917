//! Making a room, signing in to it, and the way to its delivery service.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, FromRequestParts, Path, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use e2ee_core::group::Profile;
use e2ee_core::wire::delivery::MAX_MESSAGE;
use e2ee_core::wire::http::{RoomCreated, RoomRequest, SessionCreated, SessionRequest};

use super::problem::Refused;
use crate::clock::now;
use crate::delivery;
use crate::identity::check_guest_name;
use crate::ids;
use crate::server::Shared;
use crate::store::sessions::{self, Session};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whom a request is of, as limits count it, where the server was started so that it knows.
pub(super) struct Caller(Option<IpAddr>);

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let lines = parts.headers.get_all(FORWARDED_FOR).iter();
        // A line that is no text ends what is believed, as one that is no address does.
        let lines = lines.map(|line| line.to_str().unwrap_or_default());
        Ok(Self(peer.map(|ConnectInfo(peer)| {
            callers::one_client(shared.config.trusted_proxies.client(peer.ip(), lines))
        })))
    }
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    body: axum::body::Bytes,
) -> Result<(StatusCode, Json<RoomCreated>), Refused> {
    limit(&shared, &caller)?;
    let profile = wished_profile(&body)?;
    let room = ids::random_id();
    let mut db = shared.store.write().await?;
    sessions::insert_room(&mut db, &room, profile, now().0).await?;
    db.commit().await.map_err(crate::StorageError::from)?;
    if profile.is_experimental() {
        tracing::warn!(profile = profile.name(), "a room of an experimental profile was made");
    } else {
        tracing::info!("a room was made");
    }
    let trust_root = shared.identity.root().der.clone().into();
    Ok((StatusCode::CREATED, Json(RoomCreated { room, trust_root })))
}

/// Without a body, a room is of profile `standard`.
fn wished_profile(body: &[u8]) -> Result<Profile, Refused> {
    if body.is_empty() {
        return Ok(Profile::Standard);
    }
    let RoomRequest { profile } = serde_json::from_slice(body).map_err(|e| Refused::Malformed(e.to_string()))?;
    match profile {
        None => Ok(Profile::Standard),
        Some(name) => Profile::from_name(&name).map_err(|e| Refused::Malformed(e.to_string())),
    }
}

/// A guest's session: the link is the invitation. Who comes in that way is called a guest in the certificate.
pub(super) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(room): Path<String>,
    body: Result<Json<SessionRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<SessionCreated>), Refused> {
    limit(&shared, &caller)?;
    let Json(request) = body.map_err(|e| Refused::Malformed(e.body_text()))?;
    check_guest_name(&request.name).map_err(|e| Refused::NameInvalid(e.to_string()))?;
    if !ids::is_id(&room) {
        return Err(Refused::RoomNotFound);
    }
    let token = ids::random_token();
    let session = Session {
        token_hash: ids::token_hash(&token),
        room: room.clone(),
        participant: ids::random_id(),
        device: ids::random_id(),
        name: request.name,
        role: "guest".to_owned(),
        expires_at: (now() + shared.config.session_lifetime).0,
    };
    let mut db = shared.store.write().await?;
    if sessions::room_profile(&mut db, &room).await?.is_none() {
        return Err(Refused::RoomNotFound);
    }
    sessions::insert(&mut db, &session).await?;
    db.commit().await.map_err(crate::StorageError::from)?;
    let expires_in = shared.config.session_lifetime.as_secs();
    Ok((
        StatusCode::CREATED,
        Json(SessionCreated {
            session: token,
            expires_in,
        }),
    ))
}

pub(super) async fn delivery(
    State(shared): State<Arc<Shared>>,
    Path(room): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refused> {
    let known = ids::is_id(&room)
        && sessions::room_profile(&mut *shared.store.read().await?, &room)
            .await?
            .is_some();
    if !known {
        return Err(Refused::RoomNotFound);
    }
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| delivery::serve(shared, room, socket)))
}

fn limit(shared: &Shared, Caller(address): &Caller) -> Result<(), Refused> {
    let limit = shared.config.limits.sign_ins;
    if shared.sign_in_limits.take(*address, limit, Instant::now()) {
        Ok(())
    } else {
        Err(Refused::RateLimited)
    }
}
