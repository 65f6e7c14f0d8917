//! A running relay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_token::Verifier;
use tokio::sync::mpsc;

use crate::config::{Config, default_addresses};
use crate::engine::{Command, Engine, EngineConfig, Event, SessionId};
use crate::load;
use crate::net::dtls::{DtlsError, Identity};
use crate::net::socket::{self, Input, Sockets};
use crate::stats::{Counters, RelayStats};

/// Commands that may wait for the engine. A session that would exceed this waits.
const QUEUE: usize = 4096;

/// How often a draining relay looks whether everybody has left.
const LOOK: Duration = Duration::from_millis(100);

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("the UDP port could not be bound: {0}")]
    Bind(#[source] std::io::Error),
    #[error("the engine's thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    #[error(transparent)]
    Identity(#[from] DtlsError),
    #[error("none of the public addresses is of a family the relay is bound to")]
    NoAddress,
}

/// A handle on a running relay. Clones are the same relay; it runs until [`Relay::shutdown`] or until all clones are gone.
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    inputs: mpsc::Sender<Input>,
    verifier: Verifier,
    counters: Arc<Counters>,
    next_session: AtomicU64,
    port: u16,
    draining: AtomicBool,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// Binds the port and starts the engine on a thread of its own.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let sockets = Sockets::bind(config.listen).map_err(StartError::Bind)?;
        let port = sockets.port;
        let addresses = match config.public_addresses.as_slice() {
            [] if config.listen.ip().is_unspecified() => default_addresses(),
            [] => vec![config.listen.ip()],
            given => given.to_vec(),
        };
        let candidates: Vec<SocketAddr> = addresses
            .into_iter()
            .filter(|ip| {
                if ip.is_ipv4() {
                    sockets.has_v4()
                } else {
                    sockets.has_v6()
                }
            })
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        if candidates.is_empty() {
            return Err(StartError::NoAddress);
        }
        let counters = Counters::shared();
        let engine = Engine::new(EngineConfig {
            identity: Identity::generate()?,
            candidates,
            limits: config.limits,
            rng: StdRng::from_os_rng(),
            counters: counters.clone(),
        });
        let (inputs, receiver) = mpsc::channel(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(StartError::Thread)?;
        let for_thread = counters.clone();
        let thread = std::thread::Builder::new()
            .name("relay".into())
            .spawn(move || {
                runtime.spawn(load::watch(for_thread.clone()));
                runtime.block_on(socket::run(engine, sockets, receiver, for_thread));
            })
            .map_err(StartError::Thread)?;
        tracing::info!(port, "the relay listens");
        Ok(Relay {
            inner: Arc::new(Inner {
                inputs,
                verifier: Verifier::new(config.token_key),
                counters,
                next_session: AtomicU64::new(1),
                port,
                draining: AtomicBool::new(false),
                thread: std::sync::Mutex::new(Some(thread)),
            }),
        })
    }

    /// The UDP port all media goes through.
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// What was counted so far.
    pub fn stats(&self) -> RelayStats {
        self.inner.counters.snapshot()
    }

    /// Puts a participant out at once and refuses the tokens it holds: for the key server's side, when somebody was removed.
    pub async fn disconnect(&self, room: &str, participant: &str) {
        self.command(Command::Disconnect {
            room: room.to_owned(),
            participant: participant.to_owned(),
            at: unix_now(),
        })
        .await;
    }

    /// Lets those who are here finish, for `at_most` this long, while nobody new is let in; then ends the relay.
    pub async fn drain(&self, at_most: Duration) {
        self.inner.draining.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + at_most;
        while self.is_alive() && self.stats().peers > 0 && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
        self.shutdown().await;
    }

    /// Whether nobody new is let in any more.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// Whether the engine runs.
    pub fn is_alive(&self) -> bool {
        !self.inner.inputs.is_closed()
    }

    /// Ends the relay: sessions are told, the socket is closed. Returns when the engine's thread has ended.
    pub async fn shutdown(&self) {
        // If the engine is gone already, there is nothing to tell it.
        let _ = self.inner.inputs.send(Input::Shutdown).await;
        let thread = self.inner.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.inner.verifier
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Registers a session. `None`: the engine is gone.
    pub(crate) async fn open(&self, outbox: mpsc::Sender<Event>) -> Option<SessionId> {
        let session = SessionId(self.inner.next_session.fetch_add(1, Ordering::Relaxed));
        self.inner.inputs.send(Input::Open { session, outbox }).await.ok()?;
        Some(session)
    }

    pub(crate) async fn command(&self, command: Command) {
        // An engine that is gone has closed all outboxes: the session ends by itself.
        let _ = self.inner.inputs.send(Input::Command(command)).await;
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |passed| passed.as_secs())
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("port", &self.inner.port)
            .finish_non_exhaustive()
    }
}
