//! What a hostile server or line does to each message of the signalling: late, twice, out of order, never, altered, or
//! one that nobody sent.

use std::time::Duration;

use e2ee_core::wire::Bytes;
use e2ee_core::wire::delivery::{ClientMessage, CommitRefusal, EndReason, GroupEpoch, ServerMessage};

use crate::dice::Dice;
use crate::service::Id;

/// How often what happens, of a thousand messages each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Malice {
    /// Later than the latency by up to so many milliseconds, in order.
    pub jitter: u32,
    /// A line that stands still, and for how many milliseconds.
    pub stalled: u32,
    pub stall: (u32, u32),
    pub withheld: u32,
    pub doubled: u32,
    pub overtaken: u32,
    pub altered: u32,
    pub replayed: u32,
    pub invented: u32,
}

impl Malice {
    /// Of a network: TCP keeps order and content.
    pub const ROUGH: Self = Self {
        jitter: 150,
        stalled: 10,
        stall: (1000, 3000),
        withheld: 0,
        doubled: 0,
        overtaken: 0,
        altered: 0,
        replayed: 0,
        invented: 0,
    };

    /// Of a server that does what it likes.
    pub const LYING: Self = Self {
        jitter: 150,
        stalled: 10,
        stall: (1000, 3000),
        withheld: 30,
        doubled: 30,
        overtaken: 40,
        altered: 25,
        replayed: 25,
        invented: 15,
    };
}

pub struct Delivery<M> {
    pub delay: Duration,
    /// Behind what was sent before.
    pub in_order: bool,
    pub message: M,
}

pub struct Storm {
    pub malice: Malice,
    dice: Dice,
    /// What went by, to be shown again, to anybody.
    seen: Vec<ServerMessage>,
}

impl Storm {
    pub fn new(malice: Malice, dice: Dice) -> Self {
        Self {
            malice,
            dice,
            seen: Vec::new(),
        }
    }

    pub fn up(&mut self, message: ClientMessage) -> Vec<Delivery<ClientMessage>> {
        // Without the first and the last word there is no session to be lied to in.
        let sacred = matches!(message, ClientMessage::Hello { .. } | ClientMessage::Leave {});
        self.carry(message, sacred)
    }

    pub fn down(&mut self, _to: Id, message: ServerMessage) -> Vec<Delivery<ServerMessage>> {
        let sacred = matches!(message, ServerMessage::Ready(_) | ServerMessage::Pong {});
        let mut out = self.carry(message.clone(), sacred);
        if !sacred {
            if self.dice.per_mille(self.malice.altered) {
                for delivery in &mut out {
                    self.alter(&mut delivery.message);
                }
            }
            if self.malice.replayed > 0 {
                self.seen.push(message.clone());
            }
            if self.dice.per_mille(self.malice.replayed)
                && let Some(message) = self.dice.pick(&self.seen)
            {
                out.push(self.now_and_then(message));
            }
            if self.dice.per_mille(self.malice.invented)
                && let Some(message) = self.invent(&message)
            {
                out.push(self.now_and_then(message));
            }
        }
        out
    }

    fn carry<M: Clone>(&mut self, message: M, sacred: bool) -> Vec<Delivery<M>> {
        let mut delay = self.dice.millis(0, self.malice.jitter);
        if self.dice.per_mille(self.malice.stalled) {
            delay += self.dice.millis(self.malice.stall.0, self.malice.stall.1);
        }
        let (withheld, doubled, overtaken) = (
            self.dice.per_mille(self.malice.withheld),
            self.dice.per_mille(self.malice.doubled),
            self.dice.per_mille(self.malice.overtaken),
        );
        let first = Delivery {
            delay,
            in_order: sacred || !overtaken,
            message: message.clone(),
        };
        match (sacred, withheld, doubled) {
            (false, true, _) => Vec::new(),
            (false, false, true) => vec![first, self.now_and_then(message)],
            _ => vec![first],
        }
    }

    fn now_and_then<M>(&mut self, message: M) -> Delivery<M> {
        Delivery {
            delay: self.dice.millis(0, 2000),
            in_order: false,
            message,
        }
    }

    fn alter(&mut self, message: &mut ServerMessage) {
        match message {
            ServerMessage::Commit {
                at,
                commit,
                receipt,
                roster_salt,
            } => match self.dice.below(5) {
                0 => self.shift(at),
                1 => self.flip(roster_salt),
                2 => self.flip(&mut receipt.entry),
                3 => receipt.index ^= 1 << self.dice.below(5),
                _ => self.flip(commit),
            },
            ServerMessage::Proposals {
                at,
                proposals,
                receipts,
            } => match self.dice.below(5) {
                0 => self.shift(at),
                1 => drop(proposals.pop()),
                2 => receipts.reverse(),
                3 => receipts.clear(),
                _ => {
                    let which = self.dice.index(proposals.len());
                    if let Some(proposal) = proposals.get_mut(which) {
                        self.flip(proposal);
                    }
                }
            },
            ServerMessage::Joined {
                at,
                welcome,
                ratchet_tree,
                receipts,
            } => match self.dice.below(4) {
                0 => self.shift(at),
                1 => self.flip(welcome),
                2 => self.flip(ratchet_tree),
                _ => drop(receipts.pop()),
            },
            ServerMessage::Ack { leaf, .. } => *leaf = self.dice.below(9),
            ServerMessage::Presence { live, .. } => *live = self.leaves(),
            ServerMessage::Application { at, message } => match self.dice.below(3) {
                0 => self.shift(at),
                _ => self.flip(message),
            },
            ServerMessage::CreateAccepted { roster_salt, .. } => self.flip(roster_salt),
            ServerMessage::Certificate { receipt, .. } => self.flip(&mut receipt.entry),
            _ => {}
        }
    }

    /// Something of the same group that nobody sent.
    fn invent(&mut self, like: &ServerMessage) -> Option<ServerMessage> {
        let at = epoch_of(like)?;
        Some(match self.dice.below(8) {
            0 => ServerMessage::CommitRefused {
                at,
                reason: CommitRefusal::EpochTaken,
                detail: "invented".into(),
            },
            1 => ServerMessage::CommitRefused {
                at,
                reason: CommitRefusal::ProposalsMissing,
                detail: "invented".into(),
            },
            2 => ServerMessage::Ended {
                group_id: at.group_id,
                reason: EndReason::Abandoned,
            },
            3 => ServerMessage::Create {
                group_id: Bytes(b"invented".to_vec()),
            },
            4 => ServerMessage::Proposals {
                at,
                proposals: vec![Bytes(vec![7; 40])],
                receipts: Vec::new(),
            },
            5 => ServerMessage::Ack {
                at,
                leaf: self.dice.below(9),
            },
            _ => ServerMessage::Presence {
                at,
                live: self.leaves(),
            },
        })
    }

    fn leaves(&mut self) -> Vec<u32> {
        let bits = self.dice.below(256);
        (0..8).filter(|leaf| bits & (1 << leaf) != 0).collect()
    }

    fn shift(&mut self, at: &mut GroupEpoch) {
        at.epoch = match self.dice.below(3) {
            0 => at.epoch.wrapping_sub(1),
            1 => at.epoch + 1,
            _ => at.epoch + 7,
        };
    }

    fn flip(&mut self, bytes: &mut Bytes) {
        let at = self.dice.index(bytes.0.len());
        let bit = 1 << self.dice.below(8);
        if let Some(byte) = bytes.0.get_mut(at) {
            *byte ^= bit;
        }
    }
}

fn epoch_of(message: &ServerMessage) -> Option<GroupEpoch> {
    match message {
        ServerMessage::Joined { at, .. }
        | ServerMessage::Proposals { at, .. }
        | ServerMessage::Commit { at, .. }
        | ServerMessage::Ack { at, .. }
        | ServerMessage::Presence { at, .. }
        | ServerMessage::Application { at, .. } => Some(at.clone()),
        _ => None,
    }
}
