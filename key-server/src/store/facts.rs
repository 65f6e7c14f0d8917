//! Facts about the installation that are written once and then hold: root certificate, log origin.

use super::Db;
use crate::error::StorageError;

/// The organisation's self-signed root, DER.
pub(crate) const TRUST_ROOT: &str = "trust-root";
/// First line of the checkpoints.
pub(crate) const LOG_ORIGIN: &str = "log-origin";
/// The latest certificate of the service's key, DER.
pub(crate) const SERVICE_CERTIFICATE: &str = "service-certificate";
/// The latest certificate of the service's key for rooms of profile `fips`, DER.
pub(crate) const SERVICE_FIPS_CERTIFICATE: &str = "service-fips-certificate";
/// The latest certificate of the log's key, DER.
pub(crate) const LOG_CERTIFICATE: &str = "log-certificate";

pub(crate) async fn fact(db: &mut Db, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
    Ok(sqlx::query_scalar("SELECT value FROM fact WHERE name = ?")
        .bind(name)
        .fetch_optional(db)
        .await?)
}

pub(crate) async fn set_fact(db: &mut Db, name: &str, value: &[u8]) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO fact (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value)
        .execute(db)
        .await?;
    Ok(())
}
