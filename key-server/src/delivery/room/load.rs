//! A room from the database: its current generation, replayed (DLVR-6).

use std::collections::BTreeMap;
use std::sync::Arc;

use e2ee_core::group::delivery::Delivery;
use e2ee_core::group::{PublicRoom, Refusal};
use e2ee_core::time::UnixMillis;

use super::{Group, Room};
use crate::clock::now;
use crate::error::{Error, StorageError};
use crate::server::Shared;
use crate::store::{groups, sessions};

impl Room {
    pub(super) async fn load(shared: Arc<Shared>, id: String) -> Result<Self, Error> {
        let profile = sessions::room_profile(&mut *shared.store.read().await?, &id)
            .await?
            .ok_or(StorageError::Corrupt("a room with a task and no row"))?;
        let mut room = Self {
            id,
            profile,
            connections: BTreeMap::new(),
            group: None,
            creating: None,
            next_generation: 0,
            presence_changed: false,
            shared,
        };
        let latest = groups::latest(&mut *room.shared.store.read().await?, &room.id).await?;
        let Some(latest) = latest else { return Ok(room) };
        room.next_generation = latest.generation + 1;
        if latest.ended {
            return Ok(room);
        }
        let replayed = match &latest.genesis {
            Some(genesis) => room.replay(&latest.group_id, genesis).await?,
            // Its creator never answered.
            None => None,
        };
        match replayed {
            Some(group) => room.group = Some(group),
            None => {
                let mut db = room.shared.store.write().await?;
                groups::end_group(&mut db, &latest.group_id, now().0).await?;
                db.commit().await.map_err(StorageError::from)?;
            }
        }
        Ok(room)
    }

    /// None if the stored messages are refused now, which ends the generation: its members join anew.
    async fn replay(&self, group_id: &[u8], genesis: &groups::Genesis) -> Result<Option<Group>, Error> {
        let mut db = self.shared.store.read().await?;
        let trust = self.shared.identity.trust();
        let replay = async {
            let created = UnixMillis(genesis.created_at);
            let mut public = match PublicRoom::create(&genesis.group_info, group_id, trust, created) {
                Ok(public) => public,
                Err(refusal) => return Ok(Err(refusal)),
            };
            // When the present epoch began, and the one before.
            let mut times = (created, UnixMillis(0));
            for commit in groups::commits_from(&mut db, group_id, 0).await? {
                // Certificates were checked by the clock of then.
                let at = UnixMillis(commit.stored_at);
                times = (at, times.0);
                let proposals = groups::proposals(&mut db, group_id, commit.epoch).await?;
                if let Err(refusal) = apply(&mut public, &proposals, at).and_then(|()| {
                    let checked = public.replay_commit(&commit.message, at)?;
                    public.merge(checked).map(drop)
                }) {
                    return Ok(Err(refusal));
                }
            }
            let pending = groups::proposals(&mut db, group_id, public.epoch()).await?;
            if let Err(refusal) = apply(&mut public, &pending, now()) {
                return Ok(Err(refusal));
            }
            let delivery = Delivery::resumed(self.timing(), times.0, times.1);
            let mut group = Group::new(public, delivery);
            group.next_seq = pending.len() as u64;
            Ok::<_, Error>(Ok(group))
        };
        match replay.await? {
            Ok(group) => {
                tracing::info!(
                    epoch = group.public.epoch(),
                    members = group.public.roster().len(),
                    "a group was replayed"
                );
                Ok(Some(group))
            }
            Err(refusal) => {
                tracing::error!(%refusal, "a stored group does not replay; it is ended");
                Ok(None)
            }
        }
    }
}

fn apply(public: &mut PublicRoom, proposals: &[groups::Proposal], at: UnixMillis) -> Result<(), Refusal> {
    proposals
        .iter()
        .try_for_each(|proposal| public.apply(&proposal.message, at).map(drop))
}
