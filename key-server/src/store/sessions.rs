//! Rooms and the sessions of those who signed in to them.

use e2ee_core::group::Profile;

use super::{Db, signed, unsigned};
use crate::error::StorageError;

#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) token_hash: [u8; 32],
    pub(crate) room: String,
    pub(crate) participant: String,
    pub(crate) device: String,
    pub(crate) name: String,
    pub(crate) role: String,
    /// Unix milliseconds.
    pub(crate) expires_at: u64,
}

pub(crate) async fn insert_room(db: &mut Db, id: &str, profile: Profile, now: u64) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO room (id, profile, created_at) VALUES (?, ?, ?)")
        .bind(id)
        .bind(profile.name())
        .bind(signed(now))
        .execute(db)
        .await?;
    Ok(())
}

/// None where there is no such room.
pub(crate) async fn room_profile(db: &mut Db, id: &str) -> Result<Option<Profile>, StorageError> {
    let found: Option<String> = sqlx::query_scalar("SELECT profile FROM room WHERE id = ?")
        .bind(id)
        .fetch_optional(db)
        .await?;
    found
        .map(|name| Profile::from_name(&name).map_err(|_| StorageError::Corrupt("a room's profile")))
        .transpose()
}

pub(crate) async fn insert(db: &mut Db, session: &Session) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO session (token_hash, room, participant, device, name, role, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&session.token_hash[..])
    .bind(&session.room)
    .bind(&session.participant)
    .bind(&session.device)
    .bind(&session.name)
    .bind(&session.role)
    .bind(signed(session.expires_at))
    .execute(db)
    .await?;
    Ok(())
}

/// The session of that token in that room, if it has not expired.
pub(crate) async fn find(
    db: &mut Db,
    token_hash: &[u8; 32],
    room: &str,
    now: u64,
) -> Result<Option<Session>, StorageError> {
    let row: Option<(String, String, String, String, i64)> = sqlx::query_as(
        "SELECT participant, device, name, role, expires_at FROM session WHERE token_hash = ? AND room = ? AND expires_at > ?",
    )
    .bind(&token_hash[..])
    .bind(room)
    .bind(signed(now))
    .fetch_optional(db)
    .await?;
    row.map(|(participant, device, name, role, expires_at)| {
        let expires_at = unsigned(expires_at)?;
        Ok(Session {
            token_hash: *token_hash,
            room: room.to_owned(),
            participant,
            device,
            name,
            role,
            expires_at,
        })
    })
    .transpose()
}

/// Forgets up to so many sessions that were over before `before` and that no certificate refers to, and says how many there were. Whose
/// certificate stands on the log stays: it says for whom that was issued.
pub(crate) async fn purge(db: &mut Db, before: u64, at_most: u32) -> Result<u64, StorageError> {
    let gone = sqlx::query(
        "DELETE FROM session WHERE token_hash IN (SELECT token_hash FROM session WHERE expires_at < ? \
         AND NOT EXISTS (SELECT 1 FROM certificate WHERE certificate.session = session.token_hash) LIMIT ?)",
    )
    .bind(signed(before))
    .bind(i64::from(at_most))
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}
