//! The key server, alone or with the relay in the same process.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::serve::ListenerExt as _;
use callers::Proxies;
use key_server::{Config, KeyServer, Removal, Turn};
use sfu_relay::Relay;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::cli::{KeyServerArgs, ServiceArgs, UpArgs};
use crate::{keystore, relay, sfu, stop, turn};

/// `conclave up`.
pub(crate) fn run(args: UpArgs) -> Result<()> {
    if args.fresh {
        keystore::clear(&args.service.data)?;
    }
    let turn = turn::configured(&args.turn)?;
    let drain = Duration::from_secs(args.media.drain.0);
    serve(&args.service, sfu_relay::PATH.to_owned(), turn, drain, |key_server| {
        let proxies = trusted_proxies(&args.service);
        relay::start(&relay::configured(&args.media, proxies, key_server.relay_token_key())).map(Some)
    })
}

/// `conclave key-server`.
pub(crate) fn key_server(args: KeyServerArgs) -> Result<()> {
    let url = &args.relay_url;
    ensure!(
        url.starts_with("ws://") || url.starts_with("wss://") || url.starts_with('/'),
        "--relay-url is {url:?}; it must start with ws://, wss:// or / (a path on this origin)"
    );
    let turn = turn::configured(&args.turn)?;
    serve(&args.service, args.relay_url, turn, Duration::ZERO, |_| Ok(None))
}

fn serve(
    args: &ServiceArgs,
    relay_url: String,
    turn: Option<Turn>,
    drain: Duration,
    start_relay: impl FnOnce(&KeyServer) -> Result<Option<Relay>>,
) -> Result<()> {
    let index = args.web.join("index.html");
    ensure!(
        index.is_file(),
        "there is no web app in {} (no index.html); build it or give --web",
        args.web.display()
    );
    // Before any other thread runs: SoftHSM2 is told of its folder by environment.
    let keystore = keystore::open(args)?;
    let (keys, warning) = keystore::describe(keystore.as_ref());

    tokio::runtime::Runtime::new()?.block_on(async {
        // First of all the port: nothing is made or changed when another one already runs here.
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}; does another one run there?", args.listen))?;
        let address = listener.local_addr()?;

        let mut config = Config::new(args.data.clone());
        config.web = Some(args.web.clone());
        config.org.clone_from(&args.org);
        config.relay_url = relay_url;
        config.turn = turn;
        config.trusted_proxies = trusted_proxies(args);
        let key_server = key_server::start(config, keystore)
            .await
            .context("the key server cannot start")?;
        let relay = start_relay(&key_server)?;

        banner(&key_server, relay.as_ref(), args, address, &keys, warning);
        let mut router = key_server.router();
        if let Some(relay) = &relay {
            router = router.merge(sfu_relay::router(relay.clone()));
            tokio::spawn(put_out_the_removed(key_server.removals(), relay.clone()));
        }
        serve_until_stopped(listener, router, &key_server, relay.as_ref(), drain).await
    })
}

fn trusted_proxies(args: &ServiceArgs) -> Proxies {
    args.trusted_proxies.iter().map(|network| network.0).collect()
}

/// Who is no longer in the group gets no more ciphertext either. Where the relay is another process, its tokens run out instead, and it gets
/// none with rights any more (DLVR-14).
async fn put_out_the_removed(mut removals: broadcast::Receiver<Removal>, relay: Relay) {
    loop {
        match removals.recv().await {
            Ok(Removal { room, participant }) => relay.disconnect(&room, &participant).await,
            // Hundreds at once: those that were missed keep what they have until their tokens run out, and can open none of it.
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "removals were not told to the relay"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn serve_until_stopped(
    listener: TcpListener,
    router: Router,
    key_server: &KeyServer,
    relay: Option<&Relay>,
    drain: Duration,
) -> Result<()> {
    let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(
        listener.tap_io(relay::send_at_once),
        router.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut server = tokio::spawn(async move { server.await });
    tokio::select! {
        ended = &mut server => return ended?.context("the HTTP server stopped"),
        () = stop::requested() => {}
    }
    eprintln!("Stopping. What was stored is kept.");
    if let Some(relay) = relay {
        // While people finish, everything is served: without it they could not go on.
        sfu::drained(relay, drain).await;
        relay.shutdown().await;
    }
    let _ = stopping.send(());
    key_server.shutdown().await;
    sfu::ended_soon(server).await
}

fn banner(
    key_server: &KeyServer,
    relay: Option<&Relay>,
    args: &ServiceArgs,
    address: SocketAddr,
    keys: &str,
    warning: Option<&str>,
) {
    let host = if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    eprintln!();
    eprintln!("  Conclave is up:  http://{host}/");
    eprintln!();
    eprintln!("  keys    {keys}");
    eprintln!("  root    {}", hex::encode(key_server.trust_root_hash()));
    eprintln!(
        "  log     {} in {}",
        key_server.log_origin(),
        args.data.join("log").display()
    );
    if cfg!(feature = "pq") {
        eprintln!(
            "  pq      rooms of the experimental profile pq may be asked for: a draft's algorithms, for trying out only"
        );
    }
    match relay {
        Some(relay) => {
            let tcp = relay
                .tcp_port()
                .map_or_else(String::new, |port| format!(" and TCP {port}"));
            eprintln!("  relay   media on UDP {}{tcp}", relay.port());
        }
        None => eprintln!(
            "  relay   elsewhere; its --token-key is {}",
            hex::encode(key_server.relay_token_key())
        ),
    }
    eprintln!("  data    {}", args.data.display());
    eprintln!("  stop    Ctrl-C");
    eprintln!();
    if let Some(warning) = warning {
        eprintln!("  !! {warning}");
        eprintln!();
    }
}
