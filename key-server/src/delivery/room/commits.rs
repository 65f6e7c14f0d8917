//! Commits: checked as members check them, accepted once per epoch, stored with their entry on the log, then told.

use e2ee_core::group::check::Change;
use e2ee_core::group::delivery::{Delivery, Turn, reason_for};
use e2ee_core::log::entry::LogEntry;
use e2ee_core::wire::Bytes;
use e2ee_core::wire::delivery::{CommitRefusal, GroupEpoch, ServerMessage};

use super::{Room, Standing};
use crate::clock::{now, steady};
use crate::delivery::ConnectionId;
use crate::error::Error;
use crate::ids;
use crate::log;
use crate::store::groups::{self, NewCommit};

impl Room {
    pub(super) async fn on_commit(
        &mut self,
        id: ConnectionId,
        at: GroupEpoch,
        commit: Bytes,
        welcome: Option<Bytes>,
    ) -> Result<(), Error> {
        let refuse = |reason, detail: &str| ServerMessage::CommitRefused {
            at: at.clone(),
            reason,
            detail: detail.to_owned(),
        };
        let largest = commit
            .as_slice()
            .len()
            .max(welcome.as_ref().map_or(0, |w| w.as_slice().len()));
        if largest > self.shared.config.limits.max_handshake {
            self.send(id, &refuse(CommitRefusal::TooLarge, "commit or Welcome is too large"));
            return Ok(());
        }
        // What is looked up for a late commit is looked up for members alone.
        let leaf = self.leaf_in_group(id);
        match Delivery::turn(self.at().as_ref(), &at) {
            Turn::Late if leaf.is_none() => {
                self.send(id, &refuse(CommitRefusal::Invalid, "not a member of that group"));
                return Ok(());
            }
            Turn::Now => {}
            Turn::Late => return self.on_late_commit(id, at, &commit).await,
            Turn::Never => {
                let detail = "this is not the room's group, or it is not there yet";
                self.send(id, &refuse(CommitRefusal::WrongEpoch, detail));
                return Ok(());
            }
        }
        let Some(leaf) = leaf else {
            self.send(id, &refuse(CommitRefusal::Invalid, "not a member of that group"));
            return Ok(());
        };
        let Some(group) = &mut self.group else { return Ok(()) };
        let checked =
            match group
                .public
                .validate_commit(commit.as_slice(), welcome.as_ref().map(Bytes::as_slice), now())
            {
                Ok(checked) if checked.change().committer == leaf => checked,
                Ok(_) => {
                    self.send(id, &refuse(CommitRefusal::Invalid, "this is another member's commit"));
                    return Ok(());
                }
                Err(refusal) => {
                    let reason = reason_for(&refusal);
                    tracing::info!(epoch = at.epoch, ?reason, "a commit was refused");
                    self.send(id, &refuse(reason, &refusal.to_string()));
                    return Ok(());
                }
            };
        // EPOC-12: what nobody asked for can wait.
        if group.public.pending().is_empty() && !group.delivery.takes_unasked(steady()) {
            self.send(id, &refuse(CommitRefusal::RateLimited, "the epoch is too young"));
            return Ok(());
        }

        // DLVR-1 and DLVR-2: the entry on the log and the commit are stored together or not at all, before any answer.
        let salt = ids::random::<32>();
        let record = checked.epoch_record(&salt);
        let mut db = self.shared.store.write().await?;
        let log_index = log::append(&mut db, &LogEntry::Epoch(record)).await?;
        let new = NewCommit {
            group_id: at.group_id.as_slice(),
            epoch: at.epoch,
            message: commit.as_slice(),
            welcome: welcome.as_ref().map(Bytes::as_slice),
            log_index,
            roster_salt: &salt,
            stored_at: now().0,
        };
        if !groups::insert_commit(&mut db, &new).await? {
            // Another process was first. This task's view is old: it ends, and its clients resume with a fresh one.
            return Err(Error::Bug(
                "a commit for this epoch is stored that this room's task does not know",
            ));
        }
        db.commit().await.map_err(crate::StorageError::from)?;

        let change = group
            .public
            .merge(checked)
            .map_err(|_| Error::Bug("a checked commit could not be merged"))?;
        let newcomers = change.added.iter().map(e2ee_core::identity::Member::leaf).collect();
        group.delivery.entered(newcomers, steady());
        group.next_seq = 0;
        group.reminded.clear();
        tracing::info!(epoch = change.epoch, members = change.roster.len(), "a new epoch");
        let receipt = self.shared.log.receipt(log_index).await?;
        self.fan_out(
            &ServerMessage::Commit {
                at,
                commit,
                receipt,
                roster_salt: salt[..].into(),
            },
            None,
        );
        self.settle(&change, welcome).await
    }

    /// DLVR-3: the same bytes again get the same answer; others learn who won.
    async fn on_late_commit(&mut self, id: ConnectionId, at: GroupEpoch, commit: &Bytes) -> Result<(), Error> {
        let stored = {
            let mut db = self.shared.store.read().await?;
            groups::commit_of(&mut db, at.group_id.as_slice(), at.epoch).await?
        };
        let stored = stored.ok_or(Error::Bug("an epoch ended without a commit"))?;
        if stored.message != commit.as_slice() {
            let detail = "another commit for this epoch was first".to_owned();
            self.send(
                id,
                &ServerMessage::CommitRefused {
                    at: at.clone(),
                    reason: CommitRefusal::EpochTaken,
                    detail,
                },
            );
        }
        let message = self.commit_message(at, stored).await?;
        self.send(id, &message);
        Ok(())
    }

    pub(super) async fn commit_message(&self, at: GroupEpoch, stored: groups::Commit) -> Result<ServerMessage, Error> {
        let receipt = self.shared.log.receipt(stored.log_index).await?;
        Ok(ServerMessage::Commit {
            at,
            commit: stored.message.into(),
            receipt,
            roster_salt: stored.roster_salt.into(),
        })
    }

    /// After a merge: the removed are out, the added get their Welcome.
    async fn settle(&mut self, change: &Change, welcome: Option<Bytes>) -> Result<(), Error> {
        let Some(at) = self.at() else { return Ok(()) };
        for connection in self.connections.values_mut() {
            let is = |m: &e2ee_core::identity::Member| {
                m.person() == connection.session.participant && m.device() == connection.session.device
            };
            if matches!(connection.standing, Standing::In) && change.removed.iter().any(is) {
                connection.standing = Standing::Outside;
            }
        }
        self.tell_removals(change.removed.iter());
        let receiver = |added: &e2ee_core::identity::Member, reference: &[u8]| {
            self.connections.iter().find_map(|(id, c)| match &c.standing {
                Standing::Waiting(a)
                    if a.package.reference() == reference && added.person() == c.session.participant =>
                {
                    Some(*id)
                }
                _ => None,
            })
        };
        let joined: Vec<(u32, Option<ConnectionId>)> = change
            .added
            .iter()
            .zip(&change.added_refs)
            .map(|(m, reference)| (m.leaf(), receiver(m, reference)))
            .collect();
        self.presence_changed = true;
        if joined.is_empty() {
            return Ok(());
        }
        let (Some(group), Some(welcome)) = (&self.group, welcome) else {
            return Ok(());
        };
        let ratchet_tree = group
            .public
            .ratchet_tree()
            .map_err(|_| Error::Bug("a tree that cannot be encoded"))?;
        let receipts = self.roster_receipts(group.public.roster()).await?;
        let message = ServerMessage::Joined {
            at,
            welcome,
            ratchet_tree: ratchet_tree.into(),
            receipts,
        };
        for (leaf, id) in joined {
            match id {
                Some(id) => {
                    self.set_standing(id, Standing::In);
                    self.send(id, &message);
                }
                // Whoever went before being let in, or asks anew meanwhile, holds nothing of this leaf: removed at once.
                None => {
                    if let Some(group) = &mut self.group {
                        group.delivery.leaves(leaf, steady());
                    }
                }
            }
        }
        Ok(())
    }
}
