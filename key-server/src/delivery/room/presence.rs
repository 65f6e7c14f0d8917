//! Who is connected, who acknowledged, and what members say to each other.

use std::collections::BTreeSet;

use e2ee_core::identity::Member;
use e2ee_core::wire::Bytes;
use e2ee_core::wire::delivery::{ErrorCode, GroupEpoch, MAX_APPLICATION, ServerMessage};

use super::{Room, Standing};
use crate::delivery::{ConnectionId, error};
use crate::relay::relay_room;
use crate::server::Removal;

impl Room {
    /// Leaves whose holders are connected and hold the group.
    pub(super) fn live(&self) -> BTreeSet<u32> {
        let holders = self.connections.values().filter(|c| matches!(c.standing, Standing::In));
        holders.filter_map(|c| self.leaf_of(&c.session)).collect()
    }

    pub(super) fn tell_presence(&mut self) {
        if !std::mem::take(&mut self.presence_changed) {
            return;
        }
        if let Some(at) = self.at() {
            let live = self.live().into_iter().collect();
            self.fan_out(&ServerMessage::Presence { at, live }, None);
        }
    }

    pub(super) fn on_ack(&mut self, id: ConnectionId, at: &GroupEpoch) {
        let Some(leaf) = self.leaf_in_group(id) else { return };
        // Of another epoch: late, and of no use to anybody.
        if self.at().as_ref() != Some(at) {
            return;
        }
        if let Some(group) = &mut self.group
            && group.delivery.acked(leaf)
        {
            self.fan_out(&ServerMessage::Ack { at: at.clone(), leaf }, Some(id));
        }
    }

    /// DLVR-8: chat and heartbeats go to all others as they are. The epoch they name is the sender's affair: members hold
    /// the keys of the epoch before for a while.
    pub(super) fn on_application(&mut self, id: ConnectionId, at: GroupEpoch, message: Bytes) {
        if message.as_slice().len() > MAX_APPLICATION {
            return self.send(id, &error(ErrorCode::TooLarge, "the message is too large", false));
        }
        let same_group = self.at().is_some_and(|own| own.group_id == at.group_id);
        if self.leaf_in_group(id).is_none() || !same_group {
            return self.send(
                id,
                &error(ErrorCode::UnexpectedMessage, "not a member of that group", false),
            );
        }
        self.fan_out(&ServerMessage::Application { at, message }, Some(id));
    }

    /// Tells whoever runs the relay that these members are gone, unless they are back already.
    pub(super) fn tell_removals<'a>(&self, removed: impl Iterator<Item = &'a Member>) {
        for member in removed {
            if !self
                .connections
                .values()
                .any(|c| c.session.participant == member.person())
            {
                let removal = Removal {
                    room: relay_room(&self.id),
                    participant: member.person().to_owned(),
                };
                // Nobody listens where the relay is another process.
                let _ = self.shared.removals.send(removal);
            }
        }
    }

    /// The leaf of a connection that holds the group.
    pub(super) fn leaf_in_group(&self, id: ConnectionId) -> Option<u32> {
        let connection = self.connections.get(&id)?;
        match connection.standing {
            Standing::In => self.leaf_of(&connection.session),
            _ => None,
        }
    }
}
