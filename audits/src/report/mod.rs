//! What an audit found: claims with how often each held, every failure with its place, and who was in when.

mod claim;
mod json;
mod text;
mod time;

use std::collections::BTreeMap;
use std::fmt;

use e2ee_core::time::UnixMillis;
use serde::Serialize;

pub use claim::Claim;

/// The outcome of an audit that could be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every claim that was checked holds.
    Holds,
    /// The evidence is wrong, or not all there.
    Wrong,
}

/// How many failures of one claim are spelled out: a log of a million wrong entries needs no million lines.
const MAX_FINDINGS: u64 = 40;

/// Where in the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Counted from 1, as people do.
    pub generation: Option<usize>,
    pub epoch: Option<u64>,
    pub log_index: Option<u64>,
}

impl Place {
    /// Of no particular generation: the bundle or the log as a whole.
    pub const WHOLE: Self = Self {
        generation: None,
        epoch: None,
        log_index: None,
    };

    pub fn generation(generation: usize) -> Self {
        Self {
            generation: Some(generation),
            ..Self::WHOLE
        }
    }

    pub fn epoch(self, epoch: u64) -> Self {
        Self {
            epoch: Some(epoch),
            ..self
        }
    }

    pub fn entry(log_index: u64) -> Self {
        Self {
            log_index: Some(log_index),
            ..Self::WHOLE
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.generation.map(|n| format!("generation {n}")),
            self.epoch.map(|n| format!("epoch {n}")),
            self.log_index.map(|n| format!("log entry {n}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// One failure. Its text is `FAILED <what> in generation g, epoch e: <why>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub claim: Claim,
    /// The thing that is wrong: "commit", "certificate of leaf 3", "tile/0/000".
    pub what: String,
    pub place: Place,
    pub why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FAILED {}", self.what)?;
        if self.place != Place::WHOLE {
            write!(f, " in {}", self.place)?;
        }
        write!(f, ": {}", self.why)
    }
}

/// How often a claim held, and how often it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub held: u64,
    pub failed: u64,
}

/// Somebody who was in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberView {
    pub leaf: u32,
    pub name: String,
    pub org: String,
    pub role: String,
    pub person: String,
    pub device: String,
    /// SHA-256 of the leaf certificate, hex.
    pub certificate: String,
}

/// An epoch that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpochView {
    pub epoch: u64,
    /// The service's word on when it stored the commit; none for epoch 0.
    #[serde(serialize_with = "json::time")]
    pub stored_at: Option<UnixMillis>,
    pub committed_by: String,
    pub log_index: u64,
    pub joined: Vec<MemberView>,
    pub left: Vec<MemberView>,
    pub members: Vec<MemberView>,
}

/// A group that the room has had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GenerationView {
    /// From 1.
    pub number: usize,
    /// Hex.
    pub group_id: String,
    /// Epochs that could be replayed, in order.
    pub epochs: Vec<EpochView>,
    /// Epochs in the bundle after the last that could be replayed.
    pub not_replayed: usize,
}

/// All that an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub title: String,
    /// Label and text, for the head of the report.
    pub facts: Vec<(&'static str, String)>,
    pub generations: Vec<GenerationView>,
    pub claims: BTreeMap<Claim, Tally>,
    pub findings: Vec<Finding>,
    /// What a reader should know and what is not a failure.
    pub notes: Vec<String>,
}

impl Report {
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            facts: Vec::new(),
            generations: Vec::new(),
            claims: BTreeMap::new(),
            findings: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub fn fact(&mut self, label: &'static str, text: impl Into<String>) {
        self.facts.push((label, printable(&text.into())));
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(printable(&text.into()));
    }

    /// The claim was checked once more, and held.
    pub fn holds(&mut self, claim: Claim) {
        self.claims.entry(claim).or_default().held += 1;
    }

    /// The claim was checked once more, and did not hold.
    pub fn fails(&mut self, claim: Claim, place: Place, what: impl Into<String>, why: impl fmt::Display) {
        let tally = self.claims.entry(claim).or_default();
        tally.failed += 1;
        if tally.failed > MAX_FINDINGS {
            return;
        }
        self.findings.push(Finding {
            claim,
            what: printable(&what.into()),
            place,
            why: printable(&why.to_string()),
        });
    }

    /// Takes down the outcome of a check and hands its value on.
    pub fn judge<T, E: fmt::Display>(
        &mut self,
        claim: Claim,
        place: Place,
        what: impl Into<String>,
        outcome: Result<T, E>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.holds(claim);
                Some(value)
            }
            Err(why) => {
                self.fails(claim, place, what, why);
                None
            }
        }
    }

    /// A claim that nothing was checked for is not a failure: a room of one generation has no second.
    pub fn verdict(&self) -> Verdict {
        if self.failures() == 0 {
            Verdict::Holds
        } else {
            Verdict::Wrong
        }
    }

    /// Failures in the order of the meeting: the first is the one that explains those after it.
    pub fn order_findings(&mut self) {
        self.findings
            .sort_by_key(|finding| (finding.place.generation, finding.place.epoch));
    }

    /// Failures in all, those not spelled out too.
    pub fn failures(&self) -> u64 {
        self.claims.values().map(|tally| tally.failed).sum()
    }

    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// One JSON document, with a newline at its end.
    pub fn to_json(&self) -> String {
        json::render(self)
    }
}

/// Evidence is text by strangers, and a terminal obeys control characters.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' || is_directional(c) {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}

fn is_directional(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_what_where_and_why() {
        let mut report = Report::new("t");
        report.fails(
            Claim::Commit,
            Place::generation(2).epoch(7),
            "commit",
            "the signature is wrong",
        );
        report.fails(Claim::Root, Place::WHOLE, "trust root", "another one");
        report.fails(
            Claim::Record,
            Place::generation(1).epoch(3),
            "log record",
            "no\u{1b}[2J",
        );
        let lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "FAILED commit in generation 2, epoch 7: the signature is wrong",
                "FAILED trust root: another one",
                "FAILED log record in generation 1, epoch 3: no\u{FFFD}[2J",
            ]
        );
        assert_eq!(report.verdict(), Verdict::Wrong);
    }

    #[test]
    fn a_report_without_findings_holds() {
        let mut report = Report::new("t");
        report.holds(Claim::Root);
        assert_eq!(report.verdict(), Verdict::Holds);
        assert!(report.to_text().contains("VERIFIED"));
    }
}
