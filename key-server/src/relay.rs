//! Tokens for the relay, signed by a key in the token that serves for nothing else.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2ee_core::time::UnixMillis;
use hsm_adapter::{KeyKind, KeyLabel, Keystore};
use relay_token::{Claims, Rights, Source, encode};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::store::sessions::Session;

const RELAY_KEY: KeyLabel = KeyLabel::from_static("relay-token");

/// Issues tokens.
pub(crate) struct RelayTokens {
    keystore: Arc<dyn Keystore>,
    public_key: [u8; 32],
    lifetime: u64,
}

impl RelayTokens {
    pub(crate) async fn open(keystore: Arc<dyn Keystore>, lifetime: Duration) -> Result<Self, Error> {
        let key = {
            let keystore = keystore.clone();
            blocking(move || Ok(keystore.ensure_key(&RELAY_KEY, KeyKind::Ed25519)?)).await?
        };
        let public_key = key
            .as_bytes()
            .try_into()
            .map_err(|_| Error::Bug("an Ed25519 key of another length"))?;
        Ok(Self {
            keystore,
            public_key,
            lifetime: lifetime.as_secs().clamp(1, relay_token::MAX_LIFETIME),
        })
    }

    /// What the relay verifies with.
    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// Seconds that a token lives.
    pub(crate) fn lifetime(&self) -> u64 {
        self.lifetime
    }

    /// Opaque ids only: the relay learns no name. DLVR-14: who is not in the group may connect to the relay, and neither give nor get.
    pub(crate) async fn issue(&self, session: &Session, is_member: bool, now: UnixMillis) -> Result<String, Error> {
        let rights = if is_member {
            Rights {
                publish: vec![Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio],
                subscribe: true,
            }
        } else {
            Rights::default()
        };
        let claims = Claims {
            room: relay_room(&session.room),
            participant: session.participant.clone(),
            rights,
            nbf: now.as_secs(),
            exp: now.as_secs() + self.lifetime,
            jti: crate::ids::random_id(),
        };
        let keystore = self.keystore.clone();
        blocking(move || {
            encode(&claims, |bytes| {
                keystore.sign(&RELAY_KEY, bytes).map(|s| s.raw().to_vec())
            })
            .map_err(|error| match error {
                relay_token::EncodeError::Sign(error) => Error::Keystore(error),
                _ => Error::Bug("claims that are no token"),
            })
        })
        .await
    }
}

/// A room's id lets people ask to be let in, so the relay gets another name for it.
pub(crate) fn relay_room(room: &str) -> String {
    URL_SAFE_NO_PAD.encode(
        &Sha256::new()
            .chain_update(b"Conclave 1.0 Relay Room")
            .chain_update(room)
            .finalize()[..16],
    )
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Bug("a blocking task panicked"))?
}
