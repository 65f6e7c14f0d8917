//! A relay by itself, for developing against it: `cargo run -p sfu-relay --example standalone -- [http address] [folder]`.
//!
//! Serves the signalling route, the files of `folder` if one is given, and `GET /token?room=R&participant=P`, which hands out tokens to
//! anybody: the token key is a constant. Never run this where others can reach it.
#![allow(clippy::print_stdout)]

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use relay_token::{Claims, Rights, Source, encode};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Deserialize;
use sfu_relay::{Config, Relay};

const SEED: [u8; 32] = *b"conclave-standalone-example-key!";

#[derive(Deserialize)]
struct Who {
    room: String,
    participant: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let mut arguments = std::env::args().skip(1);
    let http = arguments.next().unwrap_or_else(|| "127.0.0.1:8790".into());
    let folder = arguments.next().map(PathBuf::from);

    let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).map_err(|error| error.to_string())?;
    let mut token_key = [0; 32];
    token_key.copy_from_slice(pair.public_key().as_ref());
    let relay = Relay::start(&Config::new("0.0.0.0:0".parse()?, token_key))?;

    let for_stats = relay.clone();
    let mut app = sfu_relay::router(relay.clone())
        .route("/token", get(token))
        .route("/stats", get(async move || format!("{:#?}\n", for_stats.stats())));
    if let Some(folder) = folder {
        app = app.merge(axum::Router::new().route("/{file}", get(file)).with_state(folder));
    }
    let listener = tokio::net::TcpListener::bind(&http).await?;
    println!("http://{http}  media on UDP {}", relay.port());
    axum::serve(listener, app)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    relay.shutdown().await;
    Ok(())
}

async fn token(Query(who): Query<Who>) -> Response {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs());
    let claims = Claims {
        room: who.room,
        participant: who.participant,
        rights: Rights {
            publish: vec![Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio],
            subscribe: true,
        },
        nbf: now,
        exp: now + 60,
        jti: format!("{now}"),
    };
    let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&SEED) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match encode(&claims, |bytes| Ok::<_, Infallible>(pair.sign(bytes).as_ref().to_vec())) {
        Ok(token) => token.into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn file(State(folder): State<PathBuf>, Path(name): Path<String>) -> Response {
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match std::fs::read(folder.join(name)) {
        Ok(bytes) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
