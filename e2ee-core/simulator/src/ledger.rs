//! Who holds which key, and whether that is who is shown (C2): looked at after every step of every client.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use e2ee_core::group::engine::{EpochKeys, Output};
use e2ee_core::wire::delivery::ClientMessage;

use crate::service::{Id, Seats};

/// A base key's number in the ledger.
pub type KeyNumber = usize;

/// One epoch's key.
pub struct Key {
    pub group_id: Vec<u8>,
    pub epoch: u64,
    /// Who is in, as every holder was shown it.
    pub seats: Seats,
    /// Clients that were ever given it.
    pub holders: BTreeSet<Id>,
}

#[derive(Default)]
pub struct Ledger {
    keys: Vec<Key>,
    numbers: HashMap<Vec<u8>, KeyNumber>,
    shown: BTreeMap<Id, (u64, Seats)>,
    newest: BTreeMap<Id, KeyNumber>,
    /// Keys by group and epoch: more than one where a server forks.
    by_epoch: BTreeMap<(Vec<u8>, u64), BTreeSet<KeyNumber>>,
}

impl Ledger {
    pub fn key(&self, number: KeyNumber) -> &Key {
        &self.keys[number]
    }

    pub fn newest_of(&self, id: Id) -> Option<KeyNumber> {
        self.newest.get(&id).copied()
    }

    /// The keys that clients hold for one epoch of one group.
    pub fn keys_of(&self, group_id: &[u8], epoch: u64) -> usize {
        self.by_epoch.get(&(group_id.to_vec(), epoch)).map_or(0, BTreeSet::len)
    }

    /// Checks and notes what a client said. `device` is who the client is.
    pub fn note(&mut self, id: Id, device: &(String, String), output: &Output) -> Option<KeyNumber> {
        match output {
            Output::Roster(view) => {
                let seats = view
                    .members
                    .iter()
                    .map(|m| (m.leaf, (m.person.clone(), m.device.clone())))
                    .collect();
                self.shown.insert(id, (view.epoch, seats));
                None
            }
            Output::Epoch(keys) => Some(self.note_key(id, device, keys)),
            Output::SwitchSender { epoch, .. } => {
                let shown = self.shown.get(&id).map(|(epoch, _)| *epoch);
                assert!(
                    shown >= Some(*epoch),
                    "client {id} seals in an epoch whose roster it was not shown"
                );
                None
            }
            Output::Send(ClientMessage::Ack { at }) => {
                if let Some(number) = self.newest_of(id) {
                    let key = &mut self.keys[number];
                    assert_eq!(key.epoch, at.epoch, "client {id} acknowledges the epoch it entered");
                    assert!(key.group_id.is_empty() || key.group_id == at.group_id.0);
                    key.group_id.clone_from(&at.group_id.0);
                    self.by_epoch
                        .entry((at.group_id.0.clone(), at.epoch))
                        .or_default()
                        .insert(number);
                }
                None
            }
            _ => None,
        }
    }

    fn note_key(&mut self, id: Id, device: &(String, String), keys: &EpochKeys) -> KeyNumber {
        let epoch = keys.media.epoch;
        let (shown_epoch, shown) = self.shown.get(&id).expect("a roster is shown before its keys");
        assert_eq!(*shown_epoch, epoch, "client {id} was shown the roster of this epoch");
        for leaf in 0..keys.media.leaf_count {
            assert_eq!(
                keys.media.members.contains(leaf),
                shown.contains_key(&leaf),
                "client {id}: who is heard is who is shown, leaf {leaf}"
            );
        }
        assert_eq!(
            shown.get(&keys.media.own_leaf),
            Some(device),
            "client {id} is where it is shown"
        );
        let secret = keys.media.base_key.expose().to_vec();
        let number = *self.numbers.entry(secret).or_insert_with(|| {
            self.keys.push(Key {
                group_id: Vec::new(),
                epoch,
                seats: shown.clone(),
                holders: BTreeSet::new(),
            });
            self.keys.len() - 1
        });
        let key = &mut self.keys[number];
        assert_eq!(
            (&key.seats, key.epoch),
            (shown, epoch),
            "one key, one epoch, one roster"
        );
        key.holders.insert(id);
        self.newest.insert(id, number);
        number
    }

    /// Nobody holds a key of an epoch in which it has no leaf.
    pub fn check_holders(&self, who: impl Fn(Id) -> (String, String)) {
        for (number, key) in self.keys.iter().enumerate() {
            for id in &key.holders {
                let device = who(*id);
                assert!(
                    key.seats.values().any(|seat| *seat == device),
                    "client {id} holds key {number} of epoch {}, in which it has no leaf",
                    key.epoch
                );
            }
        }
    }

    /// One key for each epoch of each group, and its roster is the tree that the service keeps.
    pub fn check_one_story(&self, trees: &BTreeMap<(Vec<u8>, u64), Seats>) {
        for (at, numbers) in &self.by_epoch {
            assert_eq!(numbers.len(), 1, "one key an epoch: {at:?}");
            for number in numbers {
                assert_eq!(trees.get(at), Some(&self.keys[*number].seats), "roster = tree: {at:?}");
            }
        }
    }
}
