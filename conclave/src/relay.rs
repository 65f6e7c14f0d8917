//! The relay, alone or beside the key server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::serve::ListenerExt as _;
use sfu_relay::{Config, Relay};
use tokio::net::{TcpListener, TcpStream};

use crate::cli::{MediaArgs, SfuArgs};
use crate::stop;

pub(crate) fn start(media: &MediaArgs, token_key: [u8; 32]) -> Result<Relay> {
    let mut config = Config::new(media.media, token_key);
    config.public_addresses.clone_from(&media.public_ip);
    Relay::start(&config).with_context(|| format!("the relay cannot use UDP {}", media.media))
}

/// `conclave sfu`.
pub(crate) fn run(args: SfuArgs) -> Result<()> {
    let token_key = token_key(&args.token_key)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let relay = start(&args.media, token_key)?;
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("the relay's signalling cannot listen on {}", args.listen))?;
        eprintln!(
            "Relay: signalling at ws://{}{}, media on UDP {}",
            args.listen,
            sfu_relay::PATH,
            relay.port()
        );
        if let Some(address) = args.operations {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("figures and health cannot be served on {address}"))?;
            eprintln!("Relay: /metrics and /health at http://{address}");
            let operations = sfu_relay::operations(relay.clone());
            tokio::spawn(async move { axum::serve(listener, operations).await });
        }
        let served = axum::serve(listener.tap_io(send_at_once), sfu_relay::router(relay.clone()))
            .with_graceful_shutdown(drained(relay.clone(), Duration::from_secs(args.drain)))
            .await;
        relay.shutdown().await;
        served.context("the relay's signalling stopped")
    })
}

/// Completes when somebody asked for the end and everybody has left, or the time for that is over, or they ask again.
async fn drained(relay: Relay, at_most: Duration) {
    stop::requested().await;
    if !at_most.is_zero() {
        eprintln!(
            "Nobody new is let in. Waiting up to {} s for those who are here; asking again ends it now.",
            at_most.as_secs()
        );
    }
    tokio::select! {
        () = relay.drain(at_most) => {}
        () = stop::requested() => {}
    }
}

/// Signalling is a few small messages that answer each other: held back to be sent together, each would wait for the other end's
/// delayed acknowledgement.
pub(crate) fn send_at_once(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
}

fn token_key(text: &str) -> Result<[u8; 32]> {
    ensure!(
        text.len() == 64,
        "--token-key has {} characters, it must be 64 hex digits",
        text.len()
    );
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).context("--token-key must be 64 hex digits")?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::token_key;

    #[test]
    fn a_token_key_is_64_hex_digits_and_nothing_else() {
        assert_eq!(token_key(&"0a".repeat(32)).unwrap(), [10; 32]);
        for wrong in ["", "0a", &"0a".repeat(33), &"zz".repeat(32), &"é".repeat(32)] {
            assert!(token_key(wrong).is_err(), "{wrong}");
        }
    }
}
