//! The report for people: plain text, narrow tables, the verdict last, where the eye is when a command ends.

use std::fmt::Write as _;

use super::time::utc;
use super::{EpochView, GenerationView, MemberView, Report, Tally, Verdict};

/// Names in a cell.
const MOST_NAMES: usize = 8;

pub(super) fn render(report: &Report) -> String {
    let mut out = format!("Conclave audit: {}\n\n", super::printable(&report.title));
    let width = report.facts.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    for (label, text) in &report.facts {
        let _ = writeln!(out, "  {label:width$}  {text}");
    }
    for generation in &report.generations {
        out.push_str(&render_generation(generation));
    }
    out.push_str("\nClaims\n");
    for (claim, tally) in &report.claims {
        let (word, count) = match *tally {
            Tally { held, failed: 0 } => ("holds ", times(held)),
            Tally { held, failed } => ("FAILED", format!("{failed} of {}", held + failed)),
        };
        let _ = writeln!(out, "  {word}  {:8} {} ({count})", claim.id(), claim.text());
    }
    if !report.notes.is_empty() {
        out.push_str("\nTo know\n");
        for note in &report.notes {
            let _ = writeln!(out, "  - {note}");
        }
    }
    out.push('\n');
    for finding in &report.findings {
        let _ = writeln!(out, "{finding}");
    }
    let unsaid = report.failures() - report.findings.len() as u64;
    if unsaid > 0 {
        let _ = writeln!(out, "... and {unsaid} more of the same kinds");
    }
    let _ = match (report.verdict(), report.failures()) {
        (Verdict::Holds, _) => writeln!(out, "VERIFIED: every claim holds."),
        (Verdict::Wrong, 1) => writeln!(out, "\nNOT VERIFIED: 1 failure."),
        (Verdict::Wrong, n) => writeln!(out, "\nNOT VERIFIED: {n} failures."),
    };
    out
}

fn times(n: u64) -> String {
    if n == 1 {
        "once".to_owned()
    } else {
        format!("{n} times")
    }
}

fn render_generation(generation: &GenerationView) -> String {
    let mut out = format!("\nGeneration {}   group {}\n", generation.number, generation.group_id);
    if !generation.epochs.is_empty() {
        out.push('\n');
        out.push_str(&epochs(&generation.epochs));
        out.push('\n');
        out.push_str(&people(&generation.epochs));
    }
    match generation.not_replayed {
        0 => {}
        1 => out.push_str("\n  One more epoch in the bundle could not be replayed.\n"),
        n => {
            let _ = writeln!(out, "\n  {n} more epochs in the bundle could not be replayed.");
        }
    }
    out
}

fn epochs(epochs: &[EpochView]) -> String {
    let rows = epochs.iter().map(|epoch| {
        [
            epoch.epoch.to_string(),
            epoch.stored_at.map_or_else(|| "-".to_owned(), utc),
            epoch.log_index.to_string(),
            epoch.committed_by.clone(),
            changes(epoch),
            names(&epoch.members),
        ]
    });
    let head = [
        "epoch",
        "stored (UTC)",
        "log",
        "committed by",
        "came, went",
        "who was in",
    ];
    table(head, [true, false, true, false, false, false], rows)
}

fn changes(epoch: &EpochView) -> String {
    let came = epoch.joined.iter().map(|member| format!("+ {}", member.name));
    let went = epoch.left.iter().map(|member| format!("- {}", member.name));
    let all: Vec<String> = came.chain(went).collect();
    if all.is_empty() {
        "new keys".to_owned()
    } else {
        some(&all, "  ")
    }
}

fn names(members: &[MemberView]) -> String {
    let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    some(&names, ", ")
}

/// All of a few; of many the first and their number, for the table below has each of them.
fn some(names: &[String], between: &str) -> String {
    match names.len() {
        0..=MOST_NAMES => names.join(between),
        all => format!("{}{between}... ({all} in all)", names[..MOST_NAMES].join(between)),
    }
}

/// Each certificate that was in, with the epochs it was in for.
fn people(epochs: &[EpochView]) -> String {
    let mut spans: Vec<(&MemberView, u64, u64)> = Vec::new();
    for epoch in epochs {
        for member in &epoch.members {
            let going_on = |span: &&mut (&MemberView, u64, u64)| span.0 == member && span.2 + 1 == epoch.epoch;
            match spans.iter_mut().find(going_on) {
                Some(span) => span.2 = epoch.epoch,
                None => spans.push((member, epoch.epoch, epoch.epoch)),
            }
        }
    }
    let rows = spans.into_iter().map(|(member, from, to)| {
        [
            member.name.clone(),
            member.role.clone(),
            if from == to {
                from.to_string()
            } else {
                format!("{from} to {to}")
            },
            member.leaf.to_string(),
            member.person.clone(),
            member.device.clone(),
            member.certificate.chars().take(16).collect(),
        ]
    });
    let head = ["who", "role", "epochs", "leaf", "person", "device", "certificate"];
    table(head, [false, false, false, true, false, false, false], rows)
}

/// Columns as wide as their widest cell; numbers to the right.
fn table<const N: usize>(head: [&str; N], right: [bool; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| {
        let cells: Vec<String> = cells
            .into_iter()
            .zip(widths)
            .zip(right)
            .map(|((cell, width), right)| {
                if right {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:width$}")
                }
            })
            .collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned() + "\n"
    };
    let mut out = line(head);
    let dashes = widths.map(|width| "-".repeat(width));
    out.push_str(&line(std::array::from_fn(|column| dashes[column].as_str())));
    for row in &rows {
        out.push_str(&line(std::array::from_fn(|column| row[column].as_str())));
    }
    out
}

#[cfg(test)]
mod tests {
    use e2ee_core::time::UnixMillis;

    use super::*;
    use crate::report::{Claim, Place};

    fn member(leaf: u32, name: &str) -> MemberView {
        MemberView {
            leaf,
            name: name.to_owned(),
            org: "Org".to_owned(),
            role: "guest".to_owned(),
            person: format!("p{leaf}"),
            device: format!("d{leaf}"),
            certificate: format!("{leaf:064x}"),
        }
    }

    fn report() -> Report {
        let (ada, bob) = (member(0, "Ada"), member(1, "Bob"));
        let epoch = |epoch, joined: &[&MemberView], left: &[&MemberView], members: &[&MemberView]| EpochView {
            epoch,
            stored_at: (epoch > 0).then_some(UnixMillis::from_secs(1_795_344_423 + epoch)),
            committed_by: "Ada".to_owned(),
            log_index: 3 + epoch,
            joined: joined.iter().map(|m| (*m).clone()).collect(),
            left: left.iter().map(|m| (*m).clone()).collect(),
            members: members.iter().map(|m| (*m).clone()).collect(),
        };
        let mut report = Report::new("transcript of room r1");
        report.fact("log", "log.example/1, 9 entries");
        report.generations.push(GenerationView {
            number: 1,
            group_id: "0a".to_owned(),
            epochs: vec![
                epoch(0, &[&ada], &[], &[&ada]),
                epoch(1, &[&bob], &[], &[&ada, &bob]),
                epoch(2, &[], &[&bob], &[&ada]),
                epoch(3, &[], &[], &[&ada]),
            ],
            not_replayed: 0,
        });
        report.holds(Claim::Commit);
        report.holds(Claim::Commit);
        report
    }

    #[test]
    fn the_text_says_who_was_in_at_which_epoch() {
        let expected = "\
Conclave audit: transcript of room r1

  log  log.example/1, 9 entries

Generation 1   group 0a

  epoch  stored (UTC)         log  committed by  came, went  who was in
  -----  -------------------  ---  ------------  ----------  ----------
      0  -                      3  Ada           + Ada       Ada
      1  2026-11-22 10:47:04    4  Ada           + Bob       Ada, Bob
      2  2026-11-22 10:47:05    5  Ada           - Bob       Ada
      3  2026-11-22 10:47:06    6  Ada           new keys    Ada

  who  role   epochs  leaf  person  device  certificate
  ---  -----  ------  ----  ------  ------  ----------------
  Ada  guest  0 to 3     0  p0      d0      0000000000000000
  Bob  guest  1          1  p1      d1      0000000000000000

Claims
  holds   AUDT-9   every commit is a member's, has a path and takes exactly the proposals sent (2 times)

VERIFIED: every claim holds.
";
        assert_eq!(report().to_text(), expected);
    }

    #[test]
    fn failures_stand_at_the_end_with_their_place() {
        let mut report = report();
        report.fails(
            Claim::Commit,
            Place::generation(1).epoch(4),
            "commit",
            "the signature is wrong",
        );
        let text = report.to_text();
        assert!(text.contains("  FAILED  AUDT-9   every commit"), "{text}");
        assert!(text.contains("(1 of 3)"), "{text}");
        assert!(
            text.ends_with(
                "\nFAILED commit in generation 1, epoch 4: the signature is wrong\n\nNOT VERIFIED: 1 failure.\n"
            ),
            "{text}"
        );
    }
}
