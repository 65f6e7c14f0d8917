//! What the service has stored, and its death at any step of storing: what was not stored is forgotten, what was not
//! sent is not heard.

use std::collections::BTreeMap;

use e2ee_core::group::PublicRoom;
use e2ee_core::group::delivery::Delivery;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{GroupEpoch, ServerMessage};
use e2ee_core::wire::{Bytes, Receipt};

use super::{Removal, Seats, Service};
use crate::log::TestLog;

/// Die at the so-many-th time that something is stored, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    pub store: u64,
    pub dies: Dies,
}

/// On which side of storing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dies {
    /// It is not stored, and nothing of it was sent.
    Before,
    /// It is stored, and nothing of it was sent.
    After,
    /// It is stored, and the first so many messages were sent.
    Having(usize),
}

/// Everything that outlives the process.
#[derive(Clone)]
struct Image {
    room: Option<Vec<u8>>,
    log: TestLog,
    history: Vec<(GroupEpoch, ServerMessage)>,
    committed: Vec<ServerMessage>,
    delivered: Vec<Bytes>,
    delivered_receipts: Vec<Receipt>,
    logged: BTreeMap<Vec<u8>, u64>,
    rosters: BTreeMap<(Vec<u8>, u64), Seats>,
    removed: Vec<Removal>,
    generation: u64,
    /// When the present epoch began, and the one before.
    times: (UnixMillis, UnixMillis),
}

pub(super) struct Disk {
    last: Image,
    stores: u64,
    death: Option<Death>,
    dying: Option<(Image, usize)>,
}

impl Service {
    /// From now on every step of storing is counted, and one may be the last.
    pub fn mortal(&mut self, death: Option<Death>) {
        let (last, stores) = (self.image(), self.stores());
        self.disk = Some(Disk {
            last,
            stores,
            death,
            dying: None,
        });
    }

    /// It will not die any more.
    pub fn immortal(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.death = None;
        }
    }

    pub fn awaits_death(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.death.is_some())
    }

    /// How often something was stored since the service is mortal.
    pub fn stores(&self) -> u64 {
        self.disk.as_ref().map_or(0, |disk| disk.stores)
    }

    /// It died in what it did last, and does nothing more.
    pub(super) fn is_dying(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.dying.is_some())
    }

    /// Whether the service died in what it did last. What it still had sent is in `out`; whoever was connected is not
    /// any more.
    pub fn died(&mut self, now: UnixMillis) -> bool {
        let Some((image, sent)) = self.disk.as_mut().and_then(|disk| disk.dying.take()) else {
            return false;
        };
        self.out.truncate(sent);
        self.load(image, now);
        true
    }

    pub(super) fn stored(&mut self) {
        if self.disk.is_none() {
            return;
        }
        let (image, sent) = (self.image(), self.out.len());
        let Some(disk) = &mut self.disk else { return };
        disk.stores += 1;
        if let Some(Death { store, dies }) = disk.death
            && store == disk.stores
        {
            disk.death = None;
            disk.dying = Some(match dies {
                Dies::Before => (disk.last.clone(), sent),
                Dies::After => (image.clone(), sent),
                Dies::Having(messages) => (image.clone(), sent + messages),
            });
        }
        disk.last = image;
    }

    pub(super) fn note_roster(&mut self) {
        let Some(room) = &self.room else { return };
        let seats = room
            .roster()
            .iter()
            .map(|m| (m.leaf(), (m.person().to_owned(), m.device().to_owned())))
            .collect();
        let known = self.rosters.insert((room.group_id().to_vec(), room.epoch()), seats);
        assert!(known.is_none(), "one commit an epoch");
    }

    fn image(&self) -> Image {
        Image {
            room: self.room.as_ref().map(|room| room.snapshot().unwrap()),
            log: self.log.clone(),
            history: self.history.clone(),
            committed: self.committed.clone(),
            delivered: self.delivered.clone(),
            delivered_receipts: self.delivered_receipts.clone(),
            logged: self.logged.clone(),
            rosters: self.rosters.clone(),
            removed: self.removed.clone(),
            generation: self.generation,
            times: self.delivery.times(),
        }
    }

    /// A new process on an old disk.
    fn load(&mut self, image: Image, now: UnixMillis) {
        let root = self.ca.root();
        self.room = image
            .room
            .as_ref()
            .map(|bytes| PublicRoom::restore(bytes, &root, now).unwrap());
        for session in self.sessions.values_mut() {
            session.connected = false;
            session.heard = now;
            session.leaf = self
                .room
                .as_ref()
                .and_then(|room| room.roster().leaf_of(&session.person, &session.device));
        }
        self.creator = None;
        self.waiting.clear();
        self.delivery = Delivery::resumed(self.timing, image.times.0, image.times.1);
        self.log = image.log.clone();
        self.history.clone_from(&image.history);
        self.committed.clone_from(&image.committed);
        self.delivered.clone_from(&image.delivered);
        self.delivered_receipts.clone_from(&image.delivered_receipts);
        self.logged.clone_from(&image.logged);
        self.rosters.clone_from(&image.rosters);
        self.removed.clone_from(&image.removed);
        self.generation = image.generation;
        if let Some(disk) = &mut self.disk {
            disk.last = image;
        }
    }

    /// A second service that knows what the first knows: how a server shows two stories.
    pub fn twin(&self, now: UnixMillis) -> Self {
        let mut twin = Self::new(self.profile, now);
        twin.ca = self.ca.clone();
        twin.timing = self.timing;
        twin.signer = self.signer.clone();
        twin.service_chain.clone_from(&self.service_chain);
        twin.log_chain.clone_from(&self.log_chain);
        twin.load(self.image(), now);
        twin.sessions.clone_from(&self.sessions);
        twin
    }
}
