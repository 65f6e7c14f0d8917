//! Arrivals and departures become proposals: gathered, stored, sent to all, and proposed again in the next epoch
//! when no commit took them up.

use std::collections::BTreeSet;

use e2ee_core::group::batch::Batch;
use e2ee_core::group::{CheckedKeyPackage, Refusal};
use e2ee_core::wire::delivery::{EndReason, ErrorCode, GroupEpoch, MAX_MESSAGE, ServerMessage};

use super::{Arrival, Room, Standing, ended};
use crate::clock::{now, steady};
use crate::delivery::signer::{self, Wish};
use crate::delivery::{ConnectionId, error};
use crate::error::Error;
use crate::store::groups::{self, Proposal};

/// One proposal to be made, and the connection that it is for.
struct Due {
    wish: Wish,
    certificate_index: Option<u64>,
    for_whom: Option<ConnectionId>,
}

impl Room {
    /// A request to be let in. Whoever asks with a good key package does not hold the group, whatever was before.
    pub(super) async fn on_join(
        &mut self,
        id: ConnectionId,
        key_package: &[u8],
        replaces: Option<GroupEpoch>,
    ) -> Result<(), Error> {
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        let checked = CheckedKeyPackage::from_message(key_package, self.profile, self.shared.identity.trust(), now());
        let package = match checked {
            Ok(package) => package,
            Err(refusal) => {
                // CLNT-8: a link that pins other algorithms stays so; asking again would not change it.
                let fatal = refusal == Refusal::KeyPackageSuite;
                self.send(id, &error(ErrorCode::KeyPackageRefused, &refusal.to_string(), fatal));
                return Ok(());
            }
        };
        let Some(certificate_index) = self.certificate_index(&package, &connection.session).await? else {
            self.send(
                id,
                &error(
                    ErrorCode::KeyPackageRefused,
                    "the certificate was not issued to this session",
                    false,
                ),
            );
            return Ok(());
        };
        let waiting = self
            .connections
            .values()
            .filter(|c| matches!(c.standing, Standing::Waiting(_)))
            .count();
        let members = self.group.as_ref().map_or(0, |g| g.public.roster().len());
        if waiting + members >= self.shared.config.limits.max_members {
            self.send(id, &error(ErrorCode::RateLimited, "the room is full", false));
            return Ok(());
        }
        // A client that replaces itself in a generation that is over has nothing to replace.
        if let Some(at) = replaces
            && self.at().is_none_or(|own| own.group_id != at.group_id)
        {
            self.send(id, &ended(at.group_id.as_slice(), EndReason::Abandoned));
        }
        // Whoever asks anew holds nothing of the leaf that it had.
        let leaf = self.connections.get(&id).and_then(|c| self.leaf_of(&c.session));
        if let (Some(leaf), Some(group)) = (leaf, &mut self.group) {
            group.delivery.leaves(leaf, steady());
        }
        self.set_standing(
            id,
            Standing::Waiting(Box::new(Arrival {
                package,
                certificate_index,
            })),
        );
        Ok(())
    }

    pub(super) async fn propose_if_due(&mut self) -> Result<(), Error> {
        let due = if self.somebody_is_in() { self.due() } else { Vec::new() };
        let Some(group) = &mut self.group else { return Ok(()) };
        if group.delivery.proposes(!due.is_empty(), steady()) {
            self.propose(due).await?;
        }
        Ok(())
    }

    /// What the state asks for and is not pending yet: Removes of the gone and of leaves that are being replaced, Adds of
    /// the waiting.
    fn due(&self) -> Vec<Due> {
        let Some(group) = &self.group else { return Vec::new() };
        let pending = group.public.pending();
        let waiting: Vec<_> = self
            .connections
            .iter()
            .filter_map(|(id, c)| match &c.standing {
                Standing::Waiting(arrival) => Some((*id, &c.session, arrival)),
                _ => None,
            })
            .collect();
        let replaced: BTreeSet<u32> = waiting
            .iter()
            .filter_map(|(_, session, _)| self.leaf_of(session))
            .collect();
        let mut due: Vec<Due> = group
            .delivery
            .removals(&group.public, &replaced, steady())
            .into_iter()
            .map(|leaf| Due {
                wish: Wish::Remove(leaf),
                certificate_index: None,
                for_whom: None,
            })
            .collect();
        // The newest certificates are nearly the newest entries.
        let entries = waiting.iter().map(|(_, _, arrival)| arrival.certificate_index).max();
        let mut batch = Batch::new(MAX_MESSAGE, pending, entries.unwrap_or_default());
        for (id, session, arrival) in waiting {
            // One Add per device and epoch: a newer request waits for the next epoch.
            let asked = pending.adds(&session.participant, &session.device);
            let package = &arrival.package;
            if !asked && batch.takes(package.key_package(), package.certificate().der()) {
                due.push(Due {
                    wish: Wish::Add(Box::new(package.key_package().clone())),
                    certificate_index: Some(arrival.certificate_index),
                    for_whom: Some(id),
                });
            }
        }
        due
    }

    async fn propose(&mut self, due: Vec<Due>) -> Result<(), Error> {
        let Some(at) = self.at() else { return Ok(()) };
        let (wishes, about): (Vec<_>, Vec<_>) = due
            .into_iter()
            .map(|d| (d.wish, (d.certificate_index, d.for_whom)))
            .unzip();
        let service = self.shared.identity.service(self.profile).clone();
        let signed = signer::sign(
            self.shared.keystore.clone(),
            service,
            at.group_id.as_slice(),
            at.epoch,
            wishes,
        )
        .await?;

        let mut accepted = Vec::new();
        for (message, (certificate_index, for_whom)) in signed.into_iter().zip(about) {
            let Some(group) = &mut self.group else { return Ok(()) };
            match group.public.apply(&message, now()) {
                Ok(_) => accepted.push(Proposal {
                    message,
                    certificate_index,
                }),
                // Its certificate or key package ran out while it waited, or the like: its own affair.
                Err(refusal) => match for_whom {
                    Some(id) => {
                        self.send(id, &error(ErrorCode::KeyPackageRefused, &refusal.to_string(), false));
                        self.set_standing(id, Standing::Outside);
                    }
                    None => return Err(Error::Bug("a Remove of a member was refused")),
                },
            }
        }
        if accepted.is_empty() {
            return Ok(());
        }
        // DLVR-5: stored before it is sent, or a restart would have members commit what the service does not know.
        let mut db = self.shared.store.write().await?;
        let Some(group) = &mut self.group else { return Ok(()) };
        for proposal in &accepted {
            groups::insert_proposal(&mut db, at.group_id.as_slice(), at.epoch, group.next_seq, proposal).await?;
            group.next_seq += 1;
        }
        db.commit().await.map_err(crate::StorageError::from)?;
        group.delivery.proposed(steady());
        tracing::debug!(epoch = at.epoch, proposals = accepted.len(), "proposed");
        let message = self.proposals_message(at, accepted).await?;
        self.fan_out(&message, None);
        Ok(())
    }

    pub(super) async fn proposals_message(
        &self,
        at: GroupEpoch,
        proposals: Vec<Proposal>,
    ) -> Result<ServerMessage, Error> {
        let receipts = self
            .receipts(proposals.iter().filter_map(|p| p.certificate_index))
            .await?;
        let proposals = proposals.into_iter().map(|p| p.message.into()).collect();
        Ok(ServerMessage::Proposals {
            at,
            proposals,
            receipts,
        })
    }
}
