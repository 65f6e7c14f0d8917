//! `conclave sfu`: the relay alone.
//!
//! Requirements held here: RELY-51, RELY-52.

mod settings;
pub(crate) mod values;

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::serve::ListenerExt as _;
use sfu_relay::Relay;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::settings::Settings;
use crate::cli::SfuArgs;
use crate::{logging, relay, stop};

/// Connections that do not end by themselves are cut after this long.
const STOP_WITHIN: Duration = Duration::from_secs(4);

pub(crate) fn run(args: &SfuArgs) -> Result<()> {
    let settings = Settings::gather(args)?;
    if args.check {
        std::io::stdout()
            .lock()
            .write_all(settings.shown().as_bytes())
            .context("the configuration cannot be written to standard output")?;
        return Ok(());
    }
    logging::init(settings.log());
    tokio::runtime::Runtime::new()?.block_on(serve(&settings))
}

async fn serve(settings: &Settings) -> Result<()> {
    let relay = relay::start(&settings.relay())?;
    let listen = settings.listen();
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("the relay's signalling cannot listen on {listen}"))?;
    let tcp = relay
        .tcp_port()
        .map_or_else(String::new, |port| format!(" and TCP {port}"));
    eprintln!(
        "Relay: signalling at ws://{listen}{}, media on UDP {}{tcp}, {} threads",
        sfu_relay::PATH,
        relay.port(),
        relay.threads()
    );
    if let Some(address) = settings.operations() {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("figures and health cannot be served on {address}"))?;
        eprintln!("Relay: /metrics and /health at http://{address}");
        let operations = sfu_relay::operations(relay.clone());
        tokio::spawn(async move { axum::serve(listener, operations).await });
    }
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(
        listener.tap_io(relay::send_at_once),
        sfu_relay::router(relay.clone()).into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut server = tokio::spawn(async move { server.await });
    tokio::select! {
        ended = &mut server => return ended?.context("the relay's signalling stopped"),
        () = stop::requested() => {}
    }
    // While people finish, signalling is served: without it they could not go on.
    drained(&relay, settings.drain()).await;
    relay.shutdown().await;
    let _ = stopping.send(());
    ended_soon(server).await
}

/// A connection that never says what it wants keeps the server from its end: it is cut.
pub(crate) async fn ended_soon(server: JoinHandle<std::io::Result<()>>) -> Result<()> {
    tokio::select! {
        ended = server => ended?.context("the HTTP server stopped badly"),
        () = tokio::time::sleep(STOP_WITHIN) => Ok(()),
        () = stop::requested() => Ok(()),
    }
}

/// RELY-52: everybody is told to find another relay, and may stay until then, for so long. Whoever asks for the end again gets it at once.
pub(crate) async fn drained(relay: &Relay, at_most: Duration) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_connection_that_never_says_what_it_wants_does_not_keep_the_server_from_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = axum::serve(listener, axum::Router::new()).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let server = tokio::spawn(async move { server.await });
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        // Whoever is answered came after it.
        let mut whole = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        whole.write_all(request).await.unwrap();
        let mut answer = String::new();
        whole.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        stopping.send(()).unwrap();
        let ended = tokio::time::timeout(STOP_WITHIN * 5, ended_soon(server)).await;
        ended.unwrap().unwrap();
    }
}
