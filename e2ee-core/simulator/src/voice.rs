//! A client's media: what it seals and opens with, and for how long after it was told to go.

use std::collections::BTreeMap;

use e2ee_core::group::engine::{Output, Phase};
use e2ee_core::media::{DropReason, EarlyTicket, MediaKeys, MediaKind, Opened, Outcome};
use e2ee_core::time::UnixMillis;

use crate::air::Frame;
use crate::ledger::KeyNumber;

#[derive(Default)]
pub struct Voice {
    keys: Option<MediaKeys>,
    /// Of groups that this client was in before. A curious one forgets nothing.
    former: Vec<MediaKeys>,
    seals: bool,
    /// Keys of the present group by epoch, and when each was installed.
    installed: BTreeMap<u64, (KeyNumber, UnixMillis)>,
    waiting: BTreeMap<EarlyTicket, Frame>,
}

/// What became of a frame.
pub enum Heard {
    Opened(Opened, Vec<u8>),
    Later,
    Dropped(DropReason),
}

impl Voice {
    /// As the worker of a real client does it: keys in, the sender switched, nothing sealed while joining again
    /// (CLNT-12).
    pub fn follow(&mut self, output: &Output, number: Option<KeyNumber>, now: UnixMillis) {
        match output {
            Output::Epoch(keys) => {
                if keys.fresh || self.keys.is_none() {
                    self.seals = false;
                    self.installed.clear();
                    self.waiting.clear();
                    self.former
                        .extend(self.keys.replace(MediaKeys::new(keys.suite).unwrap()));
                }
                if let (Some(media), Some(number)) = (&mut self.keys, number) {
                    media.install_epoch(keys.media.clone(), now).unwrap();
                    self.installed.insert(keys.media.epoch, (number, now));
                }
            }
            Output::SwitchSender { epoch, .. } => {
                let media = self.keys.as_mut().unwrap();
                // Sealing goes on by itself where the engine is late, so the epoch may be behind already.
                assert!(media.switch_sender(*epoch).is_ok() || media.sending_epoch() > Some(*epoch));
                self.seals = true;
            }
            Output::Status(status) if matches!(status.state, Phase::Rejoining | Phase::Ended) => self.seals = false,
            _ => {}
        }
    }

    pub fn seals(&mut self) -> Option<&mut MediaKeys> {
        self.keys.as_mut().filter(|_| self.seals)
    }

    pub fn number_of(&self, epoch: u64) -> Option<KeyNumber> {
        self.installed.get(&epoch).map(|(number, _)| *number)
    }

    /// When this client got the first epoch after this one.
    pub fn moved_on_from(&self, epoch: u64) -> Option<UnixMillis> {
        self.installed.range(epoch + 1..).next().map(|(_, (_, at))| *at)
    }

    pub fn holds(&self, number: KeyNumber) -> bool {
        self.installed.values().any(|(known, _)| *known == number)
    }

    pub fn newest(&self) -> Option<u64> {
        self.installed.keys().next_back().copied()
    }

    pub fn installed_at(&self, epoch: u64) -> Option<UnixMillis> {
        self.installed.get(&epoch).map(|(_, at)| *at)
    }

    pub fn hear(&mut self, frame: &Frame, now: UnixMillis) -> Heard {
        let Some(media) = &mut self.keys else {
            return Heard::Dropped(DropReason::EpochOver);
        };
        let mut bytes = frame.bytes.to_vec();
        match media.open(MediaKind::Video, &mut bytes, now) {
            Outcome::Opened(opened) => Heard::Opened(opened, bytes),
            Outcome::Early(ticket) => {
                self.waiting.insert(ticket, frame.clone());
                Heard::Later
            }
            Outcome::Dropped(reason) => Heard::Dropped(reason),
        }
    }

    /// What waited and waits no longer.
    pub fn released(&mut self, now: UnixMillis) -> Vec<(Frame, Heard)> {
        let Some(media) = &mut self.keys else { return Vec::new() };
        media.tick(now);
        media
            .take_released()
            .into_iter()
            .filter_map(|released| {
                let frame = self.waiting.remove(&released.ticket)?;
                Some(match released.outcome {
                    Ok(opened) => (frame, Heard::Opened(opened, released.frame)),
                    Err(reason) => (frame, Heard::Dropped(reason)),
                })
            })
            .collect()
    }

    /// Tries everything that this client was ever given on a frame.
    pub fn pry(&mut self, frame: &Frame, now: UnixMillis) -> bool {
        self.former.iter_mut().chain(&mut self.keys).any(|media| {
            let mut bytes = frame.bytes.to_vec();
            matches!(media.open(MediaKind::Video, &mut bytes, now), Outcome::Opened(_))
        })
    }
}
