//! One client of the world: an engine, its line, its media, and everything it ever said.

use e2ee_core::group::engine::{Engine, EpochKeys, Output, RosterView};
use e2ee_core::time::UnixMillis;

use crate::tape::Lap;
use crate::voice::Voice;

pub struct Client {
    pub engine: Engine,
    pub person: String,
    pub device: String,
    pub connected: bool,
    /// Crashed clients neither hear nor act.
    pub crashed: bool,
    pub wake: Option<UnixMillis>,
    /// Everything that came out, in order, with its time.
    pub outputs: Vec<(UnixMillis, Output)>,
    pub voice: Voice,
    /// Every step, where the world's steps are timed.
    pub tape: Vec<Lap>,
    pub(crate) link: u64,
    pub(crate) up_at: UnixMillis,
    pub(crate) down_at: UnixMillis,
}

impl Client {
    fn all<'a, T: 'a>(&'a self, of: impl Fn(&'a Output) -> Option<T> + 'a) -> Vec<T> {
        self.outputs.iter().filter_map(|(_, output)| of(output)).collect()
    }

    pub fn roster(&self) -> Option<&RosterView> {
        self.outputs.iter().rev().find_map(|(_, output)| match output {
            Output::Roster(view) => Some(view),
            _ => None,
        })
    }

    pub fn names(&self) -> Vec<String> {
        self.roster()
            .map(|view| view.members.iter().map(|m| m.name.clone()).collect())
            .unwrap_or_default()
    }

    pub fn keys(&self) -> Vec<&EpochKeys> {
        self.all(|output| match output {
            Output::Epoch(keys) => Some(keys),
            _ => None,
        })
    }

    pub fn base_key(&self) -> Vec<u8> {
        self.keys().last().unwrap().media.base_key.expose().to_vec()
    }

    pub fn code(&self) -> String {
        self.outputs
            .iter()
            .rev()
            .find_map(|(_, output)| match output {
                Output::MeetingCode { code, .. } => Some(code.clone()),
                _ => None,
            })
            .unwrap()
    }

    pub fn chats(&self) -> Vec<(String, String)> {
        self.all(|output| match output {
            Output::Chat(chat) => Some((chat.name.clone(), chat.text.clone())),
            _ => None,
        })
    }

    pub fn refusals(&self) -> Vec<String> {
        self.all(|output| match output {
            Output::Refused { reason } => Some(reason.clone()),
            _ => None,
        })
    }

    /// What it did and said last before then, for whoever looks for the cause of a failure.
    pub fn story(&self, until: UnixMillis) -> Vec<String> {
        const LINES: usize = 24;
        let said = self.outputs.iter().filter(|(at, _)| *at <= until);
        let lines = said.map(|(at, output)| {
            let words: String = format!("{output:?}").chars().take(160).collect();
            format!("{:?} before: {words}", until.since(*at))
        });
        let lines: Vec<String> = lines.collect();
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    }

    /// Up to its first refusal.
    pub fn story_of_a_refusal(&self) -> Vec<String> {
        let refused = self
            .outputs
            .iter()
            .find(|(_, output)| matches!(output, Output::Refused { .. }));
        self.story(refused.map_or(UnixMillis(0), |(at, _)| *at))
    }

    pub fn warnings(&self) -> Vec<String> {
        self.all(|output| match output {
            Output::Warning(words) => Some(words.clone()),
            _ => None,
        })
    }

    pub fn ended(&self) -> Option<String> {
        self.outputs.iter().find_map(|(_, output)| match output {
            Output::Ended { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    }

    /// Connected, running, and not at the end of its call.
    pub fn takes_part(&self) -> bool {
        self.connected && !self.crashed && !self.engine.is_over()
    }

    pub fn switches(&self) -> Vec<(UnixMillis, u64, bool)> {
        self.outputs
            .iter()
            .filter_map(|(at, output)| match output {
                Output::SwitchSender { epoch, key_frame } => Some((*at, *epoch, *key_frame)),
                _ => None,
            })
            .collect()
    }
}
