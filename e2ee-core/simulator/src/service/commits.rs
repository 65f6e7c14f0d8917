//! One commit an epoch: checked, stored, told.

use e2ee_core::group::delivery::{Delivery, Turn, reason_for};
use e2ee_core::group::{PublicRoom, Refusal};
use e2ee_core::log::entry::LogEntry;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::Bytes;
use e2ee_core::wire::delivery::{CommitRefusal, GroupEpoch, ServerMessage};

use super::{Id, Removal, SALT, Service};

impl Service {
    pub(super) fn on_commit(
        &mut self,
        id: Id,
        at: &GroupEpoch,
        commit: &Bytes,
        welcome: Option<&Bytes>,
        now: UnixMillis,
    ) {
        let known = self.room.as_ref().map(PublicRoom::group_id) == Some(at.group_id.as_slice());
        if !known {
            self.send(
                id,
                ServerMessage::CommitRefused {
                    at: at.clone(),
                    reason: CommitRefusal::WrongEpoch,
                    detail: "this is not the room's group".to_owned(),
                },
            );
            return;
        }
        let verdict = self.try_commit(at, commit, welcome, now);
        let ended = at.epoch;
        match verdict {
            Ok(()) => self.commits.push((id, ended, Ok(()))),
            Err((reason, detail)) => {
                // A retry of what was accepted is answered by the acceptance.
                let again = self.history.iter().find(|(of, message)| {
                    of == at && matches!(message, ServerMessage::Commit { commit: known, .. } if known == commit)
                });
                if let Some((_, message)) = again {
                    let message = message.clone();
                    self.send(id, message);
                    return;
                }
                self.commits.push((id, ended, Err(reason)));
                self.send(
                    id,
                    ServerMessage::CommitRefused {
                        at: at.clone(),
                        reason,
                        detail,
                    },
                );
                // DLVR-3: whoever lost learns who won.
                let won = self.history.iter().find(|(of, _)| of == at);
                if let Some((_, message)) = won.filter(|_| reason == CommitRefusal::EpochTaken) {
                    let message = message.clone();
                    self.send(id, message);
                }
            }
        }
    }

    fn try_commit(
        &mut self,
        at: &GroupEpoch,
        commit: &Bytes,
        welcome: Option<&Bytes>,
        now: UnixMillis,
    ) -> Result<(), (CommitRefusal, String)> {
        let mut room = self.room.take().unwrap();
        let current = GroupEpoch {
            group_id: room.group_id().into(),
            epoch: room.epoch(),
        };
        let turn = Delivery::turn(Some(&current), at);
        let checked = if turn == Turn::Now {
            room.validate_commit(commit.as_slice(), welcome.map(Bytes::as_slice), now)
        } else {
            Err(Refusal::WrongEpoch {
                at: room.epoch(),
                got: at.epoch,
            })
        };
        let checked = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                self.room = Some(room);
                let reason = match turn {
                    Turn::Late => CommitRefusal::EpochTaken,
                    _ => reason_for(&refusal),
                };
                return Err((reason, refusal.to_string()));
            }
        };
        if room.pending().is_empty() && !self.delivery.takes_unasked(now) {
            self.room = Some(room);
            return Err((CommitRefusal::RateLimited, "the epoch is too young".to_owned()));
        }
        let index = self.log.append(&LogEntry::Epoch(checked.epoch_record(&SALT)));
        let change = room.merge(checked).unwrap();
        self.delivery
            .entered(change.added.iter().map(|member| member.leaf()).collect(), now);
        let tree = room.ratchet_tree().unwrap();
        let ders: Vec<Vec<u8>> = room.roster().iter().map(|m| m.certificate().der().to_vec()).collect();
        self.room = Some(room);
        let message = ServerMessage::Commit {
            at: at.clone(),
            commit: commit.clone(),
            receipt: self.log.receipt(index),
            roster_salt: SALT.to_vec().into(),
        };
        self.history.push((at.clone(), message.clone()));
        self.committed.push(ServerMessage::Proposals {
            at: at.clone(),
            proposals: self.delivered.clone(),
            receipts: self.delivered_receipts.clone(),
        });
        self.note_roster();
        let group_id = at.group_id.0.clone();
        self.removed.extend(change.removed.iter().map(|member| Removal {
            at: now,
            group_id: group_id.clone(),
            epoch: change.epoch,
            leaf: member.leaf(),
            person: member.person().to_owned(),
            device: member.device().to_owned(),
        }));
        let to: Vec<Id> = self.members();
        for removed in &change.removed {
            for session in self.sessions.values_mut() {
                if session.leaf == Some(removed.leaf()) {
                    session.leaf = None;
                }
            }
        }
        self.delivered.clear();
        self.delivered_receipts.clear();
        self.stored();
        let mut forked = message.clone();
        if let (Some((_, fork)), ServerMessage::Commit { receipt, .. }) = (&mut self.fork, &mut forked) {
            let entry = LogEntry::from_bytes(receipt.entry.as_slice()).unwrap();
            let index = fork.append(&entry);
            *receipt = fork.receipt(index);
        }
        for id in to {
            let shown = self.fork.as_ref().is_some_and(|(to, _)| *to == id);
            self.send(id, if shown { forked.clone() } else { message.clone() });
        }
        for (member, reference) in change.added.iter().zip(&change.added_refs) {
            let Some(waiting) = self.waiting.iter().position(|w| &w.reference == reference) else {
                // Whoever went before being let in, or was forgotten by a restart, holds nothing of this leaf.
                self.delivery.leaves(member.leaf(), now);
                continue;
            };
            let waiting = self.waiting.remove(waiting);
            self.sessions.get_mut(&waiting.id).unwrap().leaf = Some(member.leaf());
            let joined = ServerMessage::Joined {
                at: self.at(),
                welcome: welcome.unwrap().clone(),
                ratchet_tree: tree.clone().into(),
                receipts: ders.iter().map(|der| self.receipt_for(der)).collect(),
            };
            self.send(waiting.id, joined);
        }
        self.presence();
        for waiting in &mut self.waiting {
            waiting.proposed = false;
        }
        Ok(())
    }
}
