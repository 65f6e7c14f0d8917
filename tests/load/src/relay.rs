//! Our relay alone in a process, for the side-by-side runs.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use axum::serve::ListenerExt;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sfu_relay::{Config, Relay};

use crate::target::TOKEN_SEED;

/// Serves until it is killed.
pub(crate) fn run(signalling: SocketAddr, threads: NonZeroUsize) -> Result<()> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&TOKEN_SEED)
        .ok()
        .context("the key")?;
    let mut token_key = [0; 32];
    token_key.copy_from_slice(pair.public_key().as_ref());
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut config = Config::new((signalling.ip(), 0).into(), token_key);
        config.threads = Some(threads);
        let relay = Relay::start(&config)?;
        // Otherwise the second message of a session waits 40 ms for the acknowledgement of the first.
        let listener = tokio::net::TcpListener::bind(signalling)
            .await?
            .tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(listener, sfu_relay::router(relay)).await?;
        Ok(())
    })
}
