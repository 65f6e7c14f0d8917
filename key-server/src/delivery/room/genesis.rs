//! The first member makes the group: asked for once per generation, accepted once.

use e2ee_core::group::PublicRoom;
use e2ee_core::group::delivery::Delivery;
use e2ee_core::log::entry::LogEntry;
use e2ee_core::wire::delivery::{EndReason, ErrorCode, GroupEpoch, ServerMessage};
use e2ee_core::wire::transcript;
use tokio::time::Instant;

use super::{Creating, Group, Room, Standing, ended};
use crate::clock::{now, steady};
use crate::delivery::{ConnectionId, error};
use crate::error::Error;
use crate::ids;
use crate::log;
use crate::store::groups;

impl Room {
    /// Asks the first who waits to make the group, if there is none.
    pub(super) async fn create_if_needed(&mut self) -> Result<(), Error> {
        if self.group.is_some() {
            return Ok(());
        }
        if let Some(creating) = &self.creating {
            let waits = self.connections.contains_key(&creating.by);
            if waits && Instant::now() < creating.until {
                return Ok(());
            }
            let (by, group_id) = (creating.by, creating.group_id.clone());
            self.creating = None;
            self.abandon(&group_id).await?;
            if waits {
                // It may ask again; the others do not wait for it.
                self.send(by, &ended(&group_id, EndReason::Abandoned));
                self.set_standing(by, Standing::Outside);
            }
        }
        let waiting = self
            .connections
            .iter()
            .find(|(_, c)| matches!(c.standing, Standing::Waiting(_)));
        let Some(by) = waiting.map(|(id, _)| *id) else {
            return Ok(());
        };
        let group_id = self.group_id();
        let mut db = self.shared.store.write().await?;
        groups::open_group(&mut db, &group_id, &self.id, self.next_generation).await?;
        db.commit().await.map_err(crate::StorageError::from)?;
        self.next_generation += 1;
        self.send(
            by,
            &ServerMessage::Create {
                group_id: group_id.as_slice().into(),
            },
        );
        let until = Instant::now() + self.shared.config.timing.create;
        self.creating = Some(Creating { by, group_id, until });
        Ok(())
    }

    /// Derived, so that an auditor who knows the room misses a generation that a transcript leaves out (AUDT-13).
    fn group_id(&self) -> Vec<u8> {
        // A room of 2^32 generations would take four centuries at one a second.
        transcript::group_id(&self.id, self.next_generation as u32).to_vec()
    }

    async fn abandon(&self, group_id: &[u8]) -> Result<(), Error> {
        let mut db = self.shared.store.write().await?;
        groups::end_group(&mut db, group_id, now().0).await?;
        db.commit().await.map_err(crate::StorageError::from)?;
        Ok(())
    }

    /// DLVR-10: the genesis of the generation asked for, from whom it was asked, once.
    pub(super) async fn on_created(
        &mut self,
        id: ConnectionId,
        group_id: &[u8],
        group_info: &[u8],
    ) -> Result<(), Error> {
        if !self
            .creating
            .as_ref()
            .is_some_and(|c| c.by == id && c.group_id == group_id)
        {
            self.send(id, &ended(group_id, EndReason::Abandoned));
            return Ok(());
        }
        let public = match self.check_genesis(id, group_id, group_info).await? {
            Ok(public) => public,
            Err(why) => {
                tracing::warn!("a new group was refused");
                self.send(id, &error(ErrorCode::KeyPackageRefused, &why, false));
                // Somebody else is asked; this client may join what they make.
                if let Some(creating) = &mut self.creating {
                    creating.until = Instant::now();
                }
                return Ok(());
            }
        };
        let salt = ids::random::<32>();
        let record = public.epoch_record(&salt);
        let mut db = self.shared.store.write().await?;
        let log_index = log::append(&mut db, &LogEntry::Epoch(record)).await?;
        if !groups::set_genesis(&mut db, group_id, group_info, log_index, &salt, now().0).await? {
            drop(db);
            self.send(id, &ended(group_id, EndReason::Abandoned));
            self.set_standing(id, Standing::Outside);
            self.creating = None;
            return Ok(());
        }
        db.commit().await.map_err(crate::StorageError::from)?;
        self.group = Some(Group::new(public, Delivery::new(self.timing(), steady())));
        self.creating = None;
        let receipt = self.shared.log.receipt(log_index).await?;
        let at = GroupEpoch {
            group_id: group_id.into(),
            epoch: 0,
        };
        self.send(
            id,
            &ServerMessage::CreateAccepted {
                at,
                receipt,
                roster_salt: salt[..].into(),
            },
        );
        self.set_standing(id, Standing::In);
        tracing::info!("a group was made");
        Ok(())
    }

    async fn check_genesis(
        &self,
        id: ConnectionId,
        group_id: &[u8],
        group_info: &[u8],
    ) -> Result<Result<PublicRoom, String>, Error> {
        if group_info.len() > self.shared.config.limits.max_handshake {
            return Ok(Err("the group is too large".to_owned()));
        }
        let public = match PublicRoom::create(group_info, group_id, self.shared.identity.trust(), now()) {
            Ok(public) => public,
            Err(refusal) => return Ok(Err(refusal.to_string())),
        };
        // Whoever makes the group cannot make it another than the room's link says.
        if public.policy().profile() != self.profile {
            return Ok(Err(format!("the room's profile is {}", self.profile.name())));
        }
        let service = self.shared.identity.service(self.profile);
        if public.context().service().key().as_mls_bytes() != service.key.as_bytes() {
            return Ok(Err("the group names another delivery service".to_owned()));
        }
        let Some(connection) = self.connections.get(&id) else {
            return Ok(Err("not connected".to_owned()));
        };
        let Some(member) = public.roster().get(0) else {
            return Ok(Err("the group is empty".to_owned()));
        };
        let fingerprint = member.fingerprint().0;
        let known = self.certificate_of(&fingerprint, Some(&connection.session)).await?;
        Ok(if known.is_some() {
            Ok(public)
        } else {
            Err("the certificate was not issued to this session".to_owned())
        })
    }

    pub(super) fn set_standing(&mut self, id: ConnectionId, standing: Standing) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.standing = standing;
        }
        self.presence_changed = true;
    }
}

impl Group {
    pub(super) fn new(public: PublicRoom, delivery: Delivery) -> Self {
        Self {
            public,
            delivery,
            next_seq: 0,
            reminded: Default::default(),
        }
    }
}
