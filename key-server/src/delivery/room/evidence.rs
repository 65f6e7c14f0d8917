//! What stands on the log about this room, and its receipts.

use e2ee_core::group::CheckedKeyPackage;
use e2ee_core::identity::Roster;
use e2ee_core::wire::Receipt;

use super::Room;
use crate::error::Error;
use crate::store::certificates;
use crate::store::sessions::Session;

impl Room {
    /// ADMT-10: the certificate in a key package is one that was issued to this very session, and is on the log.
    pub(super) async fn certificate_index(
        &self,
        package: &CheckedKeyPackage,
        session: &Session,
    ) -> Result<Option<u64>, Error> {
        let fingerprint = package.certificate().fingerprint().0;
        self.certificate_of(&fingerprint, Some(session)).await
    }

    pub(super) async fn certificate_of(
        &self,
        fingerprint: &[u8; 32],
        session: Option<&Session>,
    ) -> Result<Option<u64>, Error> {
        let mut db = self.shared.store.read().await?;
        let found = certificates::find(&mut db, fingerprint).await?;
        Ok(found
            .filter(|(_, holder)| session.is_none_or(|s| holder.as_deref() == Some(&s.token_hash[..])))
            .map(|(index, _)| index))
    }

    /// For each leaf in order, the log's receipt for its certificate.
    pub(super) async fn roster_receipts(&self, roster: &Roster) -> Result<Vec<Receipt>, Error> {
        let mut receipts = Vec::with_capacity(roster.len());
        for member in roster.iter() {
            let index = self.certificate_of(&member.fingerprint().0, None).await?;
            let index = index.ok_or(Error::Bug("a member whose certificate was not issued here"))?;
            receipts.push(self.shared.log.receipt(index).await?);
        }
        Ok(receipts)
    }

    pub(super) async fn receipts(&self, indices: impl Iterator<Item = u64>) -> Result<Vec<Receipt>, Error> {
        let mut receipts = Vec::new();
        for index in indices {
            receipts.push(self.shared.log.receipt(index).await?);
        }
        Ok(receipts)
    }
}
