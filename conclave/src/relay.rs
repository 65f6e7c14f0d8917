//! The relay, alone or beside the key server.

use anyhow::{Context, Result, ensure};
use sfu_relay::{Config, Relay};
use tokio::net::TcpListener;

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
        let served = axum::serve(listener, sfu_relay::router(relay.clone()))
            .with_graceful_shutdown(stop::requested())
            .await;
        relay.shutdown().await;
        served.context("the relay's signalling stopped")
    })
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
