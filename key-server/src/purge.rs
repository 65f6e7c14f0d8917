//! What is over and of no more use is deleted: sessions, while the server runs.
//!
//! Requirements held here: DLVR-16.

use std::sync::Weak;
use std::time::Duration;

use crate::clock;
use crate::error::Error;
use crate::server::Shared;
use crate::store::{Store, sessions};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(3600);
/// A session that ended this long ago is of no more use to anybody, whatever the clocks say.
const KEPT: Duration = Duration::from_secs(3600);
/// Deleted in one go; others may write in between.
const BATCH: u32 = 500;

/// Looks at once and then every hour, until the server is gone.
pub(crate) async fn run(shared: Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let mut stopping = shared.rooms.stopping();
        match old_sessions(&shared.store, clock::now() - KEPT).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "sessions that were over were forgotten"),
            Err(error) => tracing::warn!(%error, "old sessions could not be forgotten"),
        }
        drop(shared);
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

async fn old_sessions(store: &Store, before: e2ee_core::time::UnixMillis) -> Result<u64, Error> {
    let mut all = 0;
    loop {
        let mut db = store.write().await?;
        let gone = sessions::purge(&mut db, before.0, BATCH).await?;
        db.commit().await.map_err(crate::StorageError::from)?;
        all += gone;
        if gone < u64::from(BATCH) {
            return Ok(all);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use e2ee_core::group::Profile;
    use e2ee_core::time::UnixMillis;

    use super::*;
    use crate::store::sessions::Session;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[tokio::test]
    async fn dlvr_16_sessions_that_are_over_are_forgotten_unless_a_certificate_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).await.unwrap();
        let mut db = store.write().await.unwrap();
        sessions::insert_room(&mut db, "room", Profile::Standard, NOW.0)
            .await
            .unwrap();
        let session = |number: u16, expires_at: u64| {
            let mut token_hash = [0; 32];
            token_hash[..2].copy_from_slice(&number.to_be_bytes());
            Session {
                token_hash,
                room: "room".to_owned(),
                participant: format!("p-{number}"),
                device: "d".to_owned(),
                name: "Ada".to_owned(),
                role: "guest".to_owned(),
                expires_at,
            }
        };
        // More than go at once; the first has a certificate.
        for number in 0..1_200 {
            sessions::insert(&mut db, &session(number, NOW.0 - 1)).await.unwrap();
        }
        sessions::insert(&mut db, &session(2_000, NOW.0)).await.unwrap();
        sqlx::query("INSERT INTO log_entry (idx, entry) VALUES (0, x'00')")
            .execute(&mut *db)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO certificate (fingerprint, der, log_index, session, not_after) VALUES (x'01', x'02', 0, ?, 0)",
        )
        .bind(&session(0, 0).token_hash[..])
        .execute(&mut *db)
        .await
        .unwrap();
        db.commit().await.unwrap();

        assert_eq!(old_sessions(&store, NOW).await.unwrap(), 1_199);
        let mut db = store.read().await.unwrap();
        let left: Vec<String> = sqlx::query_scalar("SELECT participant FROM session ORDER BY participant")
            .fetch_all(&mut *db)
            .await
            .unwrap();
        assert_eq!(left, ["p-0", "p-2000"]);
        drop(db);
        assert_eq!(old_sessions(&store, NOW).await.unwrap(), 0, "and again nothing");
    }
}
