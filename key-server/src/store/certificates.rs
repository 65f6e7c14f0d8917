//! Certificates issued, each tied to its entry on the log.

use super::{Db, signed, unsigned};
use crate::error::StorageError;

pub(crate) struct NewCertificate<'a> {
    pub(crate) fingerprint: &'a [u8; 32],
    pub(crate) der: &'a [u8],
    pub(crate) log_index: u64,
    pub(crate) session: Option<&'a [u8; 32]>,
    pub(crate) not_after: u64,
}

pub(crate) async fn insert(db: &mut Db, new: &NewCertificate<'_>) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO certificate (fingerprint, der, log_index, session, not_after) VALUES (?, ?, ?, ?, ?)")
        .bind(&new.fingerprint[..])
        .bind(new.der)
        .bind(signed(new.log_index))
        .bind(new.session.map(|s| &s[..]))
        .bind(signed(new.not_after))
        .execute(db)
        .await?;
    Ok(())
}

/// Where on the log the certificate is, and which session it was issued to.
pub(crate) async fn find(db: &mut Db, fingerprint: &[u8; 32]) -> Result<Option<(u64, Option<Vec<u8>>)>, StorageError> {
    let row: Option<(i64, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT log_index, session FROM certificate WHERE fingerprint = ?")
            .bind(&fingerprint[..])
            .fetch_optional(db)
            .await?;
    row.map(|(index, session)| Ok((unsigned(index)?, session))).transpose()
}
