//! Rooms and the sessions of those who signed in to them.

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

pub(crate) async fn insert_room(db: &mut Db, id: &str, now: u64) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO room (id, created_at) VALUES (?, ?)")
        .bind(id)
        .bind(signed(now))
        .execute(db)
        .await?;
    Ok(())
}

pub(crate) async fn room_exists(db: &mut Db, id: &str) -> Result<bool, StorageError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM room WHERE id = ?")
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(found.is_some())
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
