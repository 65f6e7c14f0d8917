//! The report for programs.

use e2ee_core::time::UnixMillis;
use serde::{Serialize, Serializer};

use super::{Claim, Finding, GenerationView, Report, Tally, Verdict};

#[derive(Serialize)]
struct Document<'a> {
    /// Of this form of report.
    version: u16,
    title: &'a str,
    verdict: Verdict,
    facts: Vec<Fact<'a>>,
    claims: Vec<Line>,
    findings: &'a [Finding],
    notes: &'a [String],
    generations: &'a [GenerationView],
}

#[derive(Serialize)]
struct Fact<'a> {
    label: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct Line {
    id: Claim,
    claim: &'static str,
    #[serde(flatten)]
    tally: Tally,
}

pub(super) fn render(report: &Report) -> String {
    let document = Document {
        version: 1,
        title: &report.title,
        verdict: report.verdict(),
        facts: report.facts.iter().map(|(label, text)| Fact { label, text }).collect(),
        claims: report
            .claims
            .iter()
            .map(|(claim, tally)| Line {
                id: *claim,
                claim: claim.text(),
                tally: *tally,
            })
            .collect(),
        findings: &report.findings,
        notes: &report.notes,
        generations: &report.generations,
    };
    // Strings, numbers and lists only: nothing in it can fail to be written.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Unix milliseconds.
pub(super) fn time<S: Serializer>(at: &Option<UnixMillis>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.0).serialize(serializer)
}
