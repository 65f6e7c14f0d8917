//! A running relay.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use callers::{Bucket, PerKey, Proxies};
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_token::Verifier;
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, default_addresses, thread_count};
use crate::directory::{Directory, Place};
use crate::engine::{Command, Engine, EngineConfig, Event, RoomFigures, SessionId};
use crate::load;
use crate::net::dtls::{DtlsError, Identity};
use crate::net::handover::Mailbox;
use crate::net::socket::{self, Bound};
use crate::net::thread::{self, Input, Parts};
use crate::stats::{Counters, RelayStats};

/// Commands that may wait for the engine. A session that would exceed this waits.
const QUEUE: usize = 4096;

/// How long whoever asks for figures waits for a thread.
const FIGURES: Duration = Duration::from_secs(1);

/// How often a draining relay looks whether everybody has left.
const LOOK: Duration = Duration::from_millis(100);

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("the UDP port could not be bound: {0}")]
    Bind(#[source] std::io::Error),
    #[error("the TCP port could not be bound: {0}")]
    BindTcp(#[source] std::io::Error),
    #[error("a thread could not be started: {0}")]
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
    threads: Vec<Thread>,
    directory: Arc<Directory>,
    verifier: Verifier,
    /// What is counted by no thread: signalling.
    counters: Arc<Counters>,
    next_session: AtomicU64,
    port: u16,
    tcp_port: Option<u16>,
    draining: AtomicBool,
    trusted_proxies: Proxies,
    connects: (u32, f64),
    callers: PerKey<IpAddr, Bucket>,
}

struct Thread {
    inputs: mpsc::Sender<Input>,
    counters: Arc<Counters>,
    handle: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// A session's way to the thread that has its room. Dropped when the session ends.
pub(crate) struct Seat {
    pub(crate) session: SessionId,
    inputs: mpsc::Sender<Input>,
    _place: Place,
}

impl Seat {
    pub(crate) async fn command(&self, command: Command) {
        // An engine that is gone has closed all outboxes: the session ends by itself.
        let _ = self.inputs.send(Input::Command(command)).await;
    }
}

impl Relay {
    /// Binds the ports and starts the threads, each with an engine of its own.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let count = thread_count(config);
        let bound = Bound::udp(config.listen, count).map_err(StartError::Bind)?;
        let listeners = config
            .listen_tcp
            .map_or_else(|| Ok(Vec::new()), socket::tcp)
            .map_err(StartError::BindTcp)?;
        let tcp_port = listeners
            .first()
            .and_then(|listener| Some(listener.local_addr().ok()?.port()));
        let port = bound.port;
        let addresses = match config.public_addresses.as_slice() {
            [] if config.listen.ip().is_unspecified() => default_addresses(),
            [] => vec![config.listen.ip()],
            given => given.to_vec(),
        };
        let at = |port| addresses.iter().map(move |ip| SocketAddr::new(*ip, port));
        let candidates: Vec<SocketAddr> = at(port).filter(|address| bound.reaches(address)).collect();
        if candidates.is_empty() {
            return Err(StartError::NoAddress);
        }
        let listens = |address: &SocketAddr| {
            let families = listeners.iter().filter_map(|listener| listener.local_addr().ok());
            families.into_iter().any(|local| local.is_ipv4() == address.is_ipv4())
        };
        let tcp_candidates: Vec<SocketAddr> = tcp_port
            .into_iter()
            .flat_map(|port| addresses.iter().map(move |ip| SocketAddr::new(*ip, port)))
            .filter(listens)
            .collect();

        let identity = Identity::generate()?;
        let mailboxes: Arc<[Mailbox]> = (0..count).map(|_| Mailbox::default()).collect();
        let (inputs, mut receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(QUEUE)).unzip();
        // Weak: a relay that nobody holds any more ends, and a thread's own way to itself would keep it.
        let ways: Vec<_> = inputs.iter().map(mpsc::Sender::downgrade).collect();
        let mut listeners = listeners;
        let population = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for (index, (sockets, receiver)) in bound.threads.into_iter().zip(receivers.drain(..)).enumerate() {
            let counters = Counters::shared();
            let engine = Engine::new(EngineConfig {
                identity: identity.clone(),
                candidates: candidates.clone(),
                limits: config.limits,
                rng: StdRng::from_os_rng(),
                counters: counters.clone(),
            });
            let engine = engine
                .with_tcp(tcp_candidates.clone())
                .with_population(population.clone());
            let parts = Parts {
                index,
                engine: if count > 1 { engine.sharded(index) } else { engine },
                sockets,
                inputs: receiver,
                counters: counters.clone(),
                mailboxes: mailboxes.clone(),
                listeners: std::mem::take(&mut listeners),
                threads: ways.clone(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()
                .map_err(StartError::Thread)?;
            let for_load = counters.clone();
            let handle = std::thread::Builder::new()
                .name(format!("relay-{index}"))
                .spawn(move || {
                    runtime.spawn(load::watch(for_load));
                    runtime.block_on(thread::run(parts));
                })
                .map_err(StartError::Thread)?;
            threads.push(Thread {
                inputs: inputs[index].clone(),
                counters,
                handle: std::sync::Mutex::new(Some(handle)),
            });
        }
        tracing::info!(port, ?tcp_port, threads = count, "the relay listens");
        Ok(Relay {
            inner: Arc::new(Inner {
                threads,
                directory: Directory::new(count),
                verifier: Verifier::new(config.token_key),
                counters: Counters::shared(),
                next_session: AtomicU64::new(1),
                port,
                tcp_port,
                draining: AtomicBool::new(false),
                trusted_proxies: config.trusted_proxies.clone(),
                connects: config.connects,
                callers: PerKey::new(),
            }),
        })
    }

    /// The UDP port all media goes through.
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The TCP port for those whom UDP does not reach.
    pub fn tcp_port(&self) -> Option<u16> {
        self.inner.tcp_port
    }

    /// How many threads forward.
    pub fn threads(&self) -> usize {
        self.inner.threads.len()
    }

    /// What was counted so far.
    pub fn stats(&self) -> RelayStats {
        let threads = self.inner.threads.iter().map(|thread| thread.counters.snapshot());
        threads.fold(self.inner.counters.snapshot(), RelayStats::plus)
    }

    /// Each thread's rooms, and how busy it is, of a thousand parts of its time. A thread that does not answer in time has none.
    pub(crate) async fn figures(&self) -> Vec<(u64, Vec<RoomFigures>)> {
        let mut answers = Vec::new();
        for thread in &self.inner.threads {
            let (asked, answer) = oneshot::channel();
            let _ = thread.inputs.try_send(Input::Figures(asked));
            answers.push((thread.counters.snapshot().busy_permille, answer));
        }
        let deadline = tokio::time::Instant::now() + FIGURES;
        let mut figures = Vec::new();
        for (busy, answer) in answers {
            let rooms = tokio::time::timeout_at(deadline, answer).await;
            figures.push((busy, rooms.ok().and_then(Result::ok).unwrap_or_default()));
        }
        figures
    }

    /// Puts a participant out at once and refuses the tokens it holds: for the key server's side, when somebody was removed.
    pub async fn disconnect(&self, room: &str, participant: &str) {
        // To all: the one that has the room now, and those that may have it when the participant comes back.
        for thread in &self.inner.threads {
            let command = Command::Disconnect {
                room: room.to_owned(),
                participant: participant.to_owned(),
                at: unix_now(),
            };
            // A thread that is gone has nobody.
            let _ = thread.inputs.send(Input::Command(command)).await;
        }
    }

    /// Tells everybody to find another relay and lets them finish, for `at_most` this long, while nobody new is let in; then ends the relay.
    pub async fn drain(&self, at_most: Duration) {
        self.inner.draining.store(true, Ordering::Relaxed);
        self.tell_all(|| Input::Farewell).await;
        let deadline = Instant::now() + at_most;
        while self.is_any_alive() && self.stats().peers > 0 && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
        self.shutdown().await;
    }

    /// Whether nobody new is let in any more.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn trusted_proxies(&self) -> &Proxies {
        &self.inner.trusted_proxies
    }

    /// RELY-75.
    pub(crate) fn may_connect(&self, caller: IpAddr) -> bool {
        let inner = &self.inner;
        inner.callers.take(caller, inner.connects, Instant::now())
    }

    fn is_any_alive(&self) -> bool {
        self.inner.threads.iter().any(|thread| !thread.inputs.is_closed())
    }

    /// Whether all threads run.
    pub fn is_alive(&self) -> bool {
        self.inner.threads.iter().all(|thread| !thread.inputs.is_closed())
    }

    /// Ends the relay: sessions are told, the sockets are closed. Returns when the threads have ended.
    pub async fn shutdown(&self) {
        self.tell_all(|| Input::Shutdown).await;
        for thread in &self.inner.threads {
            let handle = thread.handle.lock().ok().and_then(|mut handle| handle.take());
            if let Some(handle) = handle {
                let _ = tokio::task::spawn_blocking(move || handle.join()).await;
            }
        }
    }

    async fn tell_all(&self, input: impl Fn() -> Input) {
        for thread in &self.inner.threads {
            // If a thread is gone already, there is nothing to tell it.
            let _ = thread.inputs.send(input()).await;
        }
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.inner.verifier
    }

    /// For what sessions count.
    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Registers a session in a room. `None`: its thread is gone.
    pub(crate) async fn open(&self, room: &str, outbox: mpsc::Sender<Event>) -> Option<Seat> {
        let session = SessionId(self.inner.next_session.fetch_add(1, Ordering::Relaxed));
        let place = self.inner.directory.enter(room, Instant::now());
        let inputs = self.inner.threads.get(place.thread)?.inputs.clone();
        inputs.send(Input::Open { session, outbox }).await.ok()?;
        Some(Seat {
            session,
            inputs,
            _place: place,
        })
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
