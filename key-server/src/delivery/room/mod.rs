//! One room's task. Level-triggered: a command changes who is connected, what is wished or what is committed, and
//! [`Room::step`] then does whatever follows from the state as it is.

mod commits;
mod evidence;
mod genesis;
mod load;
mod presence;
mod proposals;
mod resume;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use e2ee_core::group::delivery::{Delivery, Timing};
use e2ee_core::group::{CheckedKeyPackage, Profile, PublicRoom};
use e2ee_core::wire::delivery::{ClientMessage, EndReason, ErrorCode, GroupEpoch, ServerMessage};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::rooms::stopped;
use super::{Command, ConnectionId, encode, error};
use crate::clock::{instant_of, now, steady, steady_at};
use crate::error::Error;
use crate::server::Shared;
use crate::store::groups;
use crate::store::sessions::Session;

pub(super) struct Room {
    shared: Arc<Shared>,
    id: String,
    profile: Profile,
    connections: BTreeMap<ConnectionId, Connection>,
    group: Option<Group>,
    creating: Option<Creating>,
    next_generation: u64,
    presence_changed: bool,
}

struct Connection {
    session: Session,
    out: mpsc::Sender<Utf8Bytes>,
    /// DLVR-14.
    member: watch::Sender<bool>,
    standing: Standing,
    /// It did not read what it was sent; it is dropped at the end of the step.
    overrun: bool,
}

enum Standing {
    /// Signed in, and neither in the group nor asking for it.
    Outside,
    /// Asking to be let in.
    Waiting(Box<Arrival>),
    /// Holds the group.
    In,
}

struct Arrival {
    package: CheckedKeyPackage,
    /// Where the certificate in it stands on the log.
    certificate_index: u64,
}

/// The current generation.
struct Group {
    public: PublicRoom,
    /// What is decided and when: the same code runs in the simulator and in the model.
    delivery: Delivery,
    /// The next proposal's number in this epoch.
    next_seq: u64,
    /// Members who refused something in this epoch and were sent its proposals again.
    reminded: BTreeSet<u32>,
}

/// Somebody was asked to make the group.
struct Creating {
    by: ConnectionId,
    group_id: Vec<u8>,
    until: Instant,
}

impl Room {
    /// Runs until nobody is left to serve, something fails, or the server stops.
    pub(super) async fn run(
        shared: Arc<Shared>,
        id: String,
        mut commands: mpsc::Receiver<Command>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut room = match Self::load(shared.clone(), id).await {
            Ok(room) => room,
            Err(error) => {
                // Dropping the receiver closes the sockets that wait.
                tracing::error!(%error, "a room could not be loaded");
                return;
            }
        };
        loop {
            let due = room.next_due();
            let command = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => Some(command),
                    None => return,
                },
                () = sleep_until(due) => None,
                () = stopped(&mut stop) => return,
            };
            if let Err(error) = room.turn(command).await {
                // What is stored is right; what is in memory may not be. Clients resume with a fresh task.
                tracing::error!(%error, "a room's task failed; its clients are disconnected and resume");
                return;
            }
            if room.is_idle() && shared.rooms.retire(&room.id, &mut commands) {
                tracing::debug!("a room is empty");
                return;
            }
        }
    }

    async fn turn(&mut self, command: Option<Command>) -> Result<(), Error> {
        match command {
            Some(Command::Connect {
                id,
                session,
                out,
                member,
                resume,
            }) => self.on_connect(id, *session, (out, member), resume).await?,
            Some(Command::Message { id, message }) => self.on_message(id, *message).await?,
            Some(Command::Disconnect { id, heard }) => self.on_disconnect(id, heard),
            None => {}
        }
        self.step().await
    }

    async fn on_connect(
        &mut self,
        id: ConnectionId,
        session: Session,
        (out, member): (mpsc::Sender<Utf8Bytes>, watch::Sender<bool>),
        resume: Option<GroupEpoch>,
    ) -> Result<(), Error> {
        // DLVR-12: one connection per device; a new one means that the old one is dead, whatever TCP says.
        self.connections
            .retain(|_, old| old.session.token_hash != session.token_hash);
        self.connections.insert(
            id,
            Connection {
                session,
                out,
                member,
                standing: Standing::Outside,
                overrun: false,
            },
        );
        self.presence_changed = true;
        match resume {
            Some(at) => self.resume(id, &at).await,
            None => Ok(()),
        }
    }

    fn on_disconnect(&mut self, id: ConnectionId, heard: Instant) {
        let Some(gone) = self.connections.remove(&id) else {
            return;
        };
        if let (Standing::In, Some(leaf)) = (&gone.standing, self.leaf_of(&gone.session))
            && let Some(group) = &mut self.group
        {
            group.delivery.lost(leaf, steady_at(heard));
        }
        self.presence_changed = true;
    }

    async fn on_message(&mut self, id: ConnectionId, message: ClientMessage) -> Result<(), Error> {
        // The socket may have been replaced meanwhile.
        if !self.connections.contains_key(&id) {
            return Ok(());
        }
        match message {
            ClientMessage::Join { key_package, replaces } => self.on_join(id, key_package.as_slice(), replaces).await?,
            ClientMessage::Created { group_id, group_info } => {
                self.on_created(id, group_id.as_slice(), group_info.as_slice()).await?;
            }
            ClientMessage::Commit { at, commit, welcome } => self.on_commit(id, at, commit, welcome).await?,
            ClientMessage::Ack { at } => self.on_ack(id, &at),
            ClientMessage::Application { at, message } => self.on_application(id, at, message),
            ClientMessage::Refused { at, reason } => {
                // Its words may quote names out of certificates: the log gets their length.
                tracing::warn!(
                    epoch = at.epoch,
                    words = reason.len(),
                    "a client refused what it was sent"
                );
                self.on_refused(id, &at).await?;
            }
            ClientMessage::Leave {} => self.on_leave(id),
            ClientMessage::Hello { .. } | ClientMessage::CertificateRequest { .. } | ClientMessage::Ping {} => {
                self.send(
                    id,
                    &error(ErrorCode::UnexpectedMessage, "this does not belong here", false),
                );
            }
        }
        Ok(())
    }

    /// Everything that follows from the state.
    async fn step(&mut self) -> Result<(), Error> {
        if self.is_abandoned() {
            self.end_group().await?;
        }
        self.propose_if_due().await?;
        self.create_if_needed().await?;
        self.tell_presence();
        self.tell_membership();
        self.drop_overrun();
        Ok(())
    }

    fn on_leave(&mut self, id: ConnectionId) {
        let Some(gone) = self.connections.remove(&id) else {
            return;
        };
        let leaf = self.leaf_of(&gone.session);
        if let (Some(leaf), Some(group)) = (leaf, &mut self.group) {
            group.delivery.leaves(leaf, steady());
        }
        self.presence_changed = true;
    }

    /// DLVR-9, after a look at who is there.
    fn is_abandoned(&mut self) -> bool {
        let live = self.live();
        let Some(group) = &mut self.group else { return false };
        let now = steady();
        group.delivery.look(&group.public, &live, now);
        group.delivery.is_over(&group.public, &live, now)
    }

    async fn end_group(&mut self) -> Result<(), Error> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut db = self.shared.store.write().await?;
        groups::end_group(&mut db, group.public.group_id(), now().0).await?;
        db.commit().await.map_err(crate::StorageError::from)?;
        self.tell_removals(group.public.roster().iter());
        let message = ended(group.public.group_id(), EndReason::Abandoned);
        let still_in = |c: &Connection| matches!(c.standing, Standing::In);
        let members: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, c)| still_in(c))
            .map(|(id, _)| *id)
            .collect();
        for id in members {
            self.send(id, &message);
            self.set_standing(id, Standing::Outside);
        }
        tracing::info!(
            epoch = group.public.epoch(),
            "a group ended: nobody was left who could commit"
        );
        Ok(())
    }

    /// DLVR-14: each socket knows whether its client may have the relay's media.
    fn tell_membership(&self) {
        for connection in self.connections.values() {
            let is_in = matches!(connection.standing, Standing::In) && self.leaf_of(&connection.session).is_some();
            connection
                .member
                .send_if_modified(|member| std::mem::replace(member, is_in) != is_in);
        }
    }

    fn somebody_is_in(&self) -> bool {
        self.connections.values().any(|c| matches!(c.standing, Standing::In))
    }

    /// The leaf that a session's device holds.
    fn leaf_of(&self, session: &Session) -> Option<u32> {
        self.group
            .as_ref()?
            .public
            .roster()
            .leaf_of(&session.participant, &session.device)
    }

    fn at(&self) -> Option<GroupEpoch> {
        let public = &self.group.as_ref()?.public;
        Some(GroupEpoch {
            group_id: public.group_id().into(),
            epoch: public.epoch(),
        })
    }

    fn is_idle(&self) -> bool {
        self.connections.is_empty() && self.group.is_none()
    }

    /// When to look again although nothing comes in.
    fn next_due(&self) -> Instant {
        let now = Instant::now();
        let delivery = self.group.as_ref().and_then(|g| g.delivery.next(steady()));
        let creating = self.creating.as_ref().map(|c| c.until);
        let far = now + std::time::Duration::from_secs(60);
        delivery
            .map(instant_of)
            .into_iter()
            .chain(creating)
            .filter(|at| *at > now)
            .min()
            .unwrap_or(far)
    }

    fn timing(&self) -> Timing {
        let timing = &self.shared.config.timing;
        Timing {
            gather: timing.gather,
            gone: timing.gone,
            settle: timing.settle,
            ..Timing::default()
        }
    }

    fn send(&mut self, id: ConnectionId, message: &ServerMessage) {
        self.send_text(id, encode(message));
    }

    fn send_text(&mut self, id: ConnectionId, text: Utf8Bytes) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send(text);
        }
    }

    /// To everybody in the group but one, in the order of calls.
    fn fan_out(&mut self, message: &ServerMessage, except: Option<ConnectionId>) {
        let text = encode(message);
        for (id, connection) in &mut self.connections {
            if matches!(connection.standing, Standing::In) && Some(*id) != except {
                connection.send(text.clone());
            }
        }
    }

    fn drop_overrun(&mut self) {
        let slow: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, c)| c.overrun)
            .map(|(id, _)| *id)
            .collect();
        for id in slow {
            tracing::info!("a client does not read fast enough; it is disconnected and may resume");
            self.on_disconnect(id, Instant::now());
        }
    }
}

impl Connection {
    fn send(&mut self, text: Utf8Bytes) {
        // A message is never left out of the order: who cannot take one is disconnected.
        if self.overrun || self.out.try_send(text).is_err() {
            self.overrun = true;
        }
    }
}

/// For a generation that is over.
fn ended(group_id: &[u8], reason: EndReason) -> ServerMessage {
    ServerMessage::Ended {
        group_id: group_id.into(),
        reason,
    }
}
