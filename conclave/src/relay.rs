//! The relay, alone or beside the key server.

use anyhow::{Context, Result};
use callers::Proxies;
use sfu_relay::{Config, Relay};
use tokio::net::TcpStream;

use crate::cli::MediaArgs;
use crate::sfu::values::Tcp;

/// As `conclave up` has it.
pub(crate) fn configured(media: &MediaArgs, trusted_proxies: Proxies, token_key: [u8; 32]) -> Config {
    let mut config = Config::new(media.media.0, token_key);
    config.public_addresses.clone_from(&media.public_ip);
    config.listen_tcp = match media.media_tcp.unwrap_or(Tcp::At(media.media.0)) {
        Tcp::Off => None,
        Tcp::At(address) => Some(address),
    };
    config.threads = media.threads.0;
    config.trusted_proxies = trusted_proxies;
    config
}

pub(crate) fn start(config: &Config) -> Result<Relay> {
    Relay::start(config).with_context(|| {
        let tcp = config
            .listen_tcp
            .map_or_else(String::new, |tcp| format!(" and TCP {tcp}"));
        format!(
            "the relay cannot use UDP {}{tcp}; does another one run there?",
            config.listen
        )
    })
}

/// Signalling is a few small messages that answer each other: held back to be sent together, each would wait for the other end's
/// delayed acknowledgement.
pub(crate) fn send_at_once(stream: &mut TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
}
