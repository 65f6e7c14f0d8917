//! A client comes back with the epoch that it has: it gets what it missed, in order.

use e2ee_core::wire::delivery::{EndReason, GroupEpoch, ServerMessage};

use super::{Room, Standing, ended};
use crate::delivery::ConnectionId;
use crate::error::Error;
use crate::store::groups;

/// More missed epochs than this are not replayed: joining anew is cheaper for everybody.
const MAX_MISSED: u64 = 200;

impl Room {
    /// DLVR-7. A group that is over, or that goes on without this device, is said to have ended; the client joins anew.
    pub(super) async fn resume(&mut self, id: ConnectionId, at: &GroupEpoch) -> Result<(), Error> {
        let group_id = at.group_id.as_slice().to_vec();
        let Some(own) = self
            .at()
            .filter(|own| own.group_id == at.group_id && own.epoch >= at.epoch)
        else {
            self.send(id, &ended(&group_id, EndReason::Abandoned));
            return Ok(());
        };
        let leaf = self.connections.get(&id).and_then(|c| self.leaf_of(&c.session));
        if leaf.is_none() || own.epoch - at.epoch > MAX_MISSED {
            self.send(id, &ended(&group_id, EndReason::Removed));
            return Ok(());
        }
        let (missed, mut proposals) = {
            let mut db = self.shared.store.read().await?;
            let missed = groups::commits_from(&mut db, &group_id, at.epoch).await?;
            let mut proposals = Vec::new();
            for epoch in at.epoch..=own.epoch {
                proposals.push(groups::proposals(&mut db, &group_id, epoch).await?);
            }
            (missed, proposals.into_iter())
        };
        let in_epoch = |epoch| GroupEpoch {
            group_id: at.group_id.clone(),
            epoch,
        };
        for commit in missed {
            // A commit refers to proposals, of which the client may have missed some; twice does no harm.
            self.resend_proposals(id, in_epoch(commit.epoch), proposals.next().unwrap_or_default())
                .await?;
            let message = self.commit_message(in_epoch(commit.epoch), commit).await?;
            self.send(id, &message);
        }
        self.resend_proposals(id, own.clone(), proposals.next().unwrap_or_default())
            .await?;
        let acks: Vec<u32> = self.group.iter().flat_map(|g| g.delivery.acks()).collect();
        for leaf in acks {
            self.send(id, &ServerMessage::Ack { at: own.clone(), leaf });
        }
        self.set_standing(id, Standing::In);
        tracing::debug!(from = at.epoch, to = own.epoch, "a client resumed");
        Ok(())
    }

    /// DLVR-13: who refused a proposal does not hold it, and can neither make a commit with it nor take one. If what was
    /// refused came to harm on the way, the same again helps; if not, it is refused again, and once is enough.
    pub(super) async fn on_refused(&mut self, id: ConnectionId, at: &GroupEpoch) -> Result<(), Error> {
        let (Some(own), Some(leaf)) = (self.at(), self.leaf_in_group(id)) else {
            return Ok(());
        };
        if own != *at || !self.group.as_mut().is_some_and(|group| group.reminded.insert(leaf)) {
            return Ok(());
        }
        let mut db = self.shared.store.read().await?;
        let pending = groups::proposals(&mut db, own.group_id.as_slice(), own.epoch).await?;
        drop(db);
        self.resend_proposals(id, own, pending).await
    }

    async fn resend_proposals(
        &mut self,
        id: ConnectionId,
        at: GroupEpoch,
        proposals: Vec<groups::Proposal>,
    ) -> Result<(), Error> {
        if !proposals.is_empty() {
            let message = self.proposals_message(at, proposals).await?;
            self.send(id, &message);
        }
        Ok(())
    }
}
