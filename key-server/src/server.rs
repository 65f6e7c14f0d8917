//! Putting it together: what is opened in which order, and how it is stopped.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use callers::{Bucket, PerKey};
use hsm_adapter::Keystore;
use tokio::sync::broadcast;

use crate::config::Config;
use crate::delivery::Rooms;
use crate::error::{Error, SetupError};
use crate::identity::{Identity, Root};
use crate::limits::SessionBuckets;
use crate::log::Log;
use crate::relay::RelayTokens;
use crate::store::{Store, facts};
use crate::{api, clock, purge};

/// Somebody was removed from a room and is not connected: the relay need not carry their media any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The room as relay tokens name it.
    pub room: String,
    /// The participant as relay tokens name them.
    pub participant: String,
}

/// Removals that may wait for a slow reader.
const REMOVALS: usize = 256;

/// What every request and every room's task works with.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) log: Arc<Log>,
    pub(crate) identity: Identity,
    pub(crate) keystore: Arc<dyn Keystore>,
    pub(crate) relay: RelayTokens,
    pub(crate) rooms: Rooms,
    pub(crate) removals: broadcast::Sender<Removal>,
    pub(crate) session_limits: PerKey<[u8; 32], SessionBuckets>,
    pub(crate) sign_in_limits: PerKey<Option<IpAddr>, Bucket>,
}

/// A running key server. Serve its [`router`](Self::router); [`shutdown`](Self::shutdown) when done.
#[derive(Clone)]
pub struct KeyServer {
    shared: Arc<Shared>,
}

/// Opens database, token keys, root certificate and log, in that order, making at the first start what is missing.
pub async fn start(config: Config, keystore: Arc<dyn Keystore>) -> Result<KeyServer, Error> {
    let data = &config.data;
    std::fs::create_dir_all(data).map_err(|source| SetupError::Folder {
        path: data.clone(),
        source,
    })?;
    let store = Store::open(&data.join("conclave.sqlite")).await?;
    let now = clock::now();
    let root = Root::ensure(&store, &keystore, &config.org, now).await?;
    let origin = log_origin(&store, config.log_origin.as_deref(), &root).await?;
    let log = Arc::new(Log::open(store.clone(), keystore.clone(), &origin, &data.join("log")).await?);
    let lifetime = config.certificate_lifetime;
    let identity = Identity::open(store.clone(), keystore.clone(), log.clone(), root, lifetime, now).await?;
    let relay = RelayTokens::open(keystore.clone(), config.timing.relay_token * 2).await?;
    log.publish().await?;
    let shared = Shared {
        config,
        store,
        log,
        identity,
        keystore,
        relay,
        rooms: Rooms::new(),
        removals: broadcast::Sender::new(REMOVALS),
        session_limits: PerKey::new(),
        sign_in_limits: PerKey::new(),
    };
    let shared = Arc::new(shared);
    tokio::spawn(purge::run(Arc::downgrade(&shared)));
    Ok(KeyServer { shared })
}

impl KeyServer {
    /// Everything that is served: `/api`, `/log`, `/healthz`, and the web app with `/m/{room}`. Merge it with other
    /// routers; serve it `into_make_service_with_connect_info::<SocketAddr>()` for limits per address.
    pub fn router(&self) -> Router {
        api::router(self.shared.clone())
    }

    /// What the relay verifies tokens with (Ed25519).
    #[must_use]
    pub fn relay_token_key(&self) -> [u8; 32] {
        self.shared.relay.public_key()
    }

    /// SHA-256 of the organisation's root certificate, as it stands in links.
    #[must_use]
    pub fn trust_root_hash(&self) -> [u8; 32] {
        self.shared.identity.root().hash
    }

    /// First line of the log's checkpoints.
    #[must_use]
    pub fn log_origin(&self) -> &str {
        self.shared.log.origin()
    }

    /// Told once for each member who was removed and is not connected, for the relay's `disconnect`. A convenience: that
    /// the removed can open nothing any more is the group's doing, not the relay's.
    #[must_use]
    pub fn removals(&self) -> broadcast::Receiver<Removal> {
        self.shared.removals.subscribe()
    }

    /// Ends every connection, lets every room finish the command that it is at, and closes the database.
    pub async fn shutdown(&self) {
        self.shared.rooms.stop().await;
        self.shared.store.close().await;
    }
}

/// The log's name never changes: checkpoints under two names would be two logs.
async fn log_origin(store: &Store, wished: Option<&str>, root: &Root) -> Result<String, Error> {
    let mut db = store.write().await?;
    if let Some(origin) = facts::fact(&mut db, facts::LOG_ORIGIN).await? {
        return String::from_utf8(origin).map_err(|_| crate::StorageError::Corrupt("the log's origin").into());
    }
    let origin = wished.map_or_else(
        || format!("conclave.local/{}", hex::encode(&root.hash[..8])),
        str::to_owned,
    );
    if !signed_note::is_key_name_valid(&origin) {
        return Err(SetupError::LogOrigin(origin).into());
    }
    facts::set_fact(&mut db, facts::LOG_ORIGIN, origin.as_bytes()).await?;
    db.commit().await?;
    Ok(origin)
}
