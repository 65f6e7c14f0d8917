//! AUDT-13, AUDT-14: the log knows of nothing that the bundle does not tell, and tells each thing once.

use std::collections::{BTreeMap, BTreeSet};

use e2ee_core::wire::transcript::{Generation, Transcript, group_id};

use super::signed_log::LogIndex;
use crate::report::{Claim, Place, Report};

pub(crate) fn check(report: &mut Report, bundle: &Transcript, log: &LogIndex) {
    let mut groups = BTreeMap::new();
    for (number, generation) in (1..).zip(&bundle.generations) {
        let place = Place::generation(number);
        if let Some(first) = groups.insert(generation.group_id.as_slice(), number) {
            report.fails(
                Claim::Order,
                place,
                "group",
                format!("it is the group of generation {first} again"),
            );
            continue;
        }
        every_record_once(report, place, generation, log);
    }
    every_generation(report, bundle, log);
}

/// Whose room a group is, its id tells to those who know the room.
fn every_generation(report: &mut Report, bundle: &Transcript, log: &LogIndex) {
    let told: BTreeSet<&[u8]> = bundle.generations.iter().map(|g| g.group_id.as_slice()).collect();
    for (id, first) in log.groups().filter(|(id, _)| !told.contains(id)) {
        if let Some(generation) = generation_of(&bundle.room, id) {
            let why = format!(
                "the log has a group of this room, its number {generation}, from entry {first} on, and the bundle leaves it out"
            );
            report.fails(Claim::Complete, Place::WHOLE, "group", why);
        }
    }
    if told.iter().any(|id| generation_of(&bundle.room, id).is_none()) {
        report.note(
            "The ids of these groups are not derived from the room: a group left out as a whole could not be missed.",
        );
    }
}

fn generation_of(room: &str, id: &[u8]) -> Option<u32> {
    let generation = u32::from_be_bytes(*id.last_chunk()?);
    (group_id(room, generation) == id).then_some(generation)
}

fn every_record_once(report: &mut Report, place: Place, generation: &Generation, log: &LogIndex) {
    let told: BTreeSet<u64> = generation.epochs.iter().map(|epoch| epoch.epoch).chain([0]).collect();
    for (epoch, records) in log.epochs_of(generation.group_id.as_slice()) {
        let place = place.epoch(epoch);
        let Some(((first, record), more)) = records.split_first() else {
            continue;
        };
        if told.contains(&epoch) {
            report.holds(Claim::Complete);
        } else {
            let why = format!(
                "the log has its record (entry {first}), and the bundle leaves it out \
                 (if the meeting was still going on, export the bundle again)"
            );
            report.fails(Claim::Complete, place, "epoch", why);
        }
        for (index, other) in more {
            let what = match other == record {
                true => "the same once more",
                false if other.commit_hash == record.commit_hash => "another record of the same commit",
                false => "a record with another commit: the group was forked",
            };
            report.fails(
                Claim::NoFork,
                place,
                "log",
                format!("entry {first} records this epoch, and entry {index} is {what}"),
            );
        }
        if more.is_empty() {
            report.holds(Claim::NoFork);
        }
    }
}
