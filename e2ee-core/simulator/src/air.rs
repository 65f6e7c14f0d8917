//! Frames on their way through a relay that drops, delays, doubles and reorders: sealed and opened with the keys that
//! the engines gave out.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use e2ee_core::media::{Codec, DropReason, FrameType, Opened, StreamKind};
use e2ee_core::time::UnixMillis;

use crate::client::Client;
use crate::dice::Dice;
use crate::ledger::{KeyNumber, Ledger};
use crate::service::{Id, Removal};
use crate::voice::Heard;

/// A sealed frame and the truth about it.
#[derive(Clone)]
pub struct Frame {
    pub from: Id,
    pub number: u64,
    /// Who that is, by certificate.
    pub device: Rc<(String, String)>,
    pub key: KeyNumber,
    pub epoch: u64,
    pub sealed_at: UnixMillis,
    pub bytes: Rc<[u8]>,
}

/// What the relay and the network do.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// On the way for so many milliseconds, each frame by itself: so they overtake each other.
    pub delay: (u32, u32),
    /// Of a thousand.
    pub lost: u32,
    pub doubled: u32,
    pub forged: u32,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub sealed: u64,
    pub opened: u64,
    pub waited: u64,
    /// Frames that a member should have been able to open: who, why, and how late.
    pub lost_to_keys: Vec<String>,
    /// Frames that came when three newer epochs had taken the place of theirs (EPOC-2).
    pub outrun: u64,
    /// The longest time from a removal to a frame that the removed could still open.
    pub openable_after_removal: Duration,
}

/// Keys of a past epoch live so long (EPOC-2), and frames wait so long for their epoch (EPOC-7).
const OVERLAP: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(2);
/// EPOC-2: so many epochs' keys are held, the newest included.
const EPOCHS_HELD: u64 = 3;
/// Whoever went still gets everything for so long.
const CURIOUS_FOR: Duration = Duration::from_secs(15);

pub struct Air {
    pub weather: Weather,
    pub tally: Tally,
    every: Duration,
    next: UnixMillis,
    dice: Dice,
    flying: BTreeMap<(UnixMillis, u64), (Id, Frame)>,
    numbered: u64,
    gone: BTreeMap<Id, UnixMillis>,
}

impl Air {
    pub fn new(weather: Weather, every: Duration, dice: Dice, now: UnixMillis) -> Self {
        Self {
            weather,
            tally: Tally::default(),
            every,
            next: now + every,
            dice,
            flying: BTreeMap::new(),
            numbered: 0,
            gone: BTreeMap::new(),
        }
    }

    pub fn next_event(&self) -> UnixMillis {
        self.flying
            .first_key_value()
            .map_or(self.next, |((at, _), _)| self.next.min(*at))
    }

    pub fn step(&mut self, clients: &mut BTreeMap<Id, Client>, ledger: &Ledger, removed: &[Removal], now: UnixMillis) {
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, frame) = entry.remove();
            if let Some(client) = clients.get_mut(&to) {
                self.arrive(to, client, &frame, ledger, now);
            }
        }
        if now >= self.next {
            self.next = now + self.every;
            for (id, client) in clients.iter_mut() {
                for (frame, heard) in client.voice.released(now) {
                    self.judge(*id, client, &frame, heard, ledger, now);
                }
            }
            self.talk(clients, ledger, removed, now);
        }
    }

    fn talk(&mut self, clients: &mut BTreeMap<Id, Client>, ledger: &Ledger, removed: &[Removal], now: UnixMillis) {
        let mut frames = Vec::new();
        for (id, client) in clients.iter_mut() {
            if client.crashed || client.engine.is_over() {
                self.gone.entry(*id).or_insert(now);
                continue;
            }
            let Some(media) = client.voice.seals() else { continue };
            self.numbered += 1;
            let mut bytes = content(*id, self.numbered);
            let sealed = media
                .seal(StreamKind::Camera, Codec::Vp8, FrameType::Delta, &mut bytes, now)
                .unwrap();
            self.tally.sealed += 1;
            let late = client.voice.moved_on_from(sealed.epoch).map(|at| now.since(at));
            assert!(
                late <= Some(Duration::from_secs(1)),
                "client {id} seals in epoch {} {late:?} after it got a newer one",
                sealed.epoch
            );
            let key = client.voice.number_of(sealed.epoch).expect("a key that was noted");
            self.note_removals(ledger, key, removed, now);
            frames.push(Frame {
                from: *id,
                number: self.numbered,
                device: Rc::new((client.person.clone(), client.device.clone())),
                key,
                epoch: sealed.epoch,
                sealed_at: now,
                bytes: bytes.into(),
            });
        }
        for frame in frames {
            for id in clients.keys().copied() {
                let long_gone = self.gone.get(&id).is_some_and(|at| now.since(*at) > CURIOUS_FOR);
                if id != frame.from && !long_gone {
                    self.launch(id, &frame, now);
                }
            }
        }
    }

    fn launch(&mut self, to: Id, frame: &Frame, now: UnixMillis) {
        let Weather {
            delay,
            lost,
            doubled,
            forged,
        } = self.weather;
        if self.dice.per_mille(lost) {
            return;
        }
        let copies = 1 + u32::from(self.dice.per_mille(doubled));
        for _ in 0..copies {
            let at = now + self.dice.millis(delay.0, delay.1);
            self.numbered += 1;
            self.flying.insert((at, self.numbered), (to, frame.clone()));
        }
        if self.dice.per_mille(forged) {
            let mut bytes = frame.bytes.to_vec();
            let at = self.dice.index(bytes.len());
            bytes[at] ^= 1 << self.dice.below(8);
            self.numbered += 1;
            let forgery = Frame {
                // The truth about it: nobody sealed this.
                number: 0,
                bytes: bytes.into(),
                ..frame.clone()
            };
            self.flying.insert((now, self.numbered), (to, forgery));
        }
    }

    fn arrive(&mut self, id: Id, client: &mut Client, frame: &Frame, ledger: &Ledger, now: UnixMillis) {
        if client.crashed || client.engine.is_over() {
            // Whoever was removed, left or was thrown out tries everything it ever had.
            let may = ledger.key(frame.key).holders.contains(&id);
            assert!(
                may || !client.voice.pry(frame, now),
                "client {id} opened a frame of epoch {} whose key it was never given",
                frame.epoch
            );
            return;
        }
        let heard = client.voice.hear(frame, now);
        self.judge(id, client, frame, heard, ledger, now);
    }

    fn judge(&mut self, id: Id, client: &Client, frame: &Frame, heard: Heard, ledger: &Ledger, now: UnixMillis) {
        let key = ledger.key(frame.key);
        match heard {
            Heard::Opened(opened, bytes) => {
                assert_ne!(frame.number, 0, "client {id} opened a forged frame");
                assert_eq!(
                    bytes,
                    content(frame.from, frame.number),
                    "client {id} opened what was sealed"
                );
                check_sender(id, &opened, frame, ledger);
                self.tally.opened += 1;
            }
            Heard::Later => self.tally.waited += 1,
            Heard::Dropped(DropReason::Replayed) => {}
            Heard::Dropped(reason) => {
                let in_time = || {
                    let early = client
                        .voice
                        .installed_at(frame.epoch)
                        .is_some_and(|at| at <= frame.sealed_at + PATIENCE);
                    let late = client
                        .voice
                        .moved_on_from(frame.epoch)
                        .is_none_or(|at| now < at + OVERLAP);
                    early && late
                };
                let outrun = client
                    .voice
                    .newest()
                    .is_some_and(|newest| newest >= frame.epoch + EPOCHS_HELD);
                let lost = frame.number != 0 && key.holders.contains(&id) && client.voice.holds(frame.key) && in_time();
                if lost && outrun {
                    self.tally.outrun += 1;
                } else if lost {
                    self.tally.lost_to_keys.push(format!(
                        "client {id}: {reason}, a frame of client {} of epoch {}, {:?} after it was sealed, installed {:?} later",
                        frame.from,
                        frame.epoch,
                        now.since(frame.sealed_at),
                        client.voice.installed_at(frame.epoch).map(|at| at.since(frame.sealed_at)),
                    ));
                }
            }
        }
    }

    /// C5: for how long after its removal somebody could still open what is sealed.
    fn note_removals(&mut self, ledger: &Ledger, key: KeyNumber, removed: &[Removal], now: UnixMillis) {
        let key = ledger.key(key);
        let first = removed
            .iter()
            .rev()
            .take_while(|removal| now.since(removal.at) < Duration::from_secs(60))
            .filter(|removal| removal.group_id == key.group_id && removal.epoch > key.epoch)
            .filter(|removal| key.seats.contains_key(&removal.leaf))
            .last();
        if let Some(removal) = first {
            let open = now.since(removal.at);
            self.tally.openable_after_removal = self.tally.openable_after_removal.max(open);
        }
    }
}

/// A frame is attributed to whoever sealed it, by the roster of its epoch.
fn check_sender(id: Id, opened: &Opened, frame: &Frame, ledger: &Ledger) {
    let key = ledger.key(frame.key);
    assert_eq!(opened.epoch, frame.epoch);
    assert!(
        key.holders.contains(&id),
        "client {id} opened with a key that it was never given"
    );
    assert_eq!(
        key.seats.get(&opened.leaf),
        Some(&*frame.device),
        "client {id} hears whoever it is shown at leaf {}",
        opened.leaf
    );
}

fn content(from: Id, number: u64) -> Vec<u8> {
    let mut bytes = (from as u64).to_be_bytes().to_vec();
    bytes.extend(number.to_be_bytes());
    bytes
}
