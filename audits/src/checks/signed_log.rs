//! AUDT-4 to AUDT-6: the log's key signs the checkpoint, the checkpoint signs every byte of the log, and every entry is
//! a record that this software understands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use e2ee_core::identity::Fingerprint;
use e2ee_core::log::entry::{EpochRecord, LogEntry};
use e2ee_core::log::{Checkpoint, LogKey};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::log_folder::LogFolder;
use crate::report::{Claim, Place, Report};

/// Where each stands, and what it says.
type Records = Vec<(u64, EpochRecord)>;

/// The log, read whole and compared with its checkpoint, reduced to what other checks ask for.
#[derive(Debug)]
pub(crate) struct LogIndex {
    pub(crate) checkpoint: Checkpoint,
    certificates: HashMap<Fingerprint, u64>,
    /// Every record of an epoch, by group and epoch, in the log's order.
    epochs: HashMap<Vec<u8>, BTreeMap<u64, Records>>,
    /// The entries that somebody refers to by index.
    wanted: BTreeMap<u64, LogEntry>,
}

impl LogIndex {
    pub(crate) fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// Where the certificate with this SHA-256 stands first.
    pub(crate) fn certificate(&self, fingerprint: Fingerprint) -> Option<u64> {
        self.certificates.get(&fingerprint).copied()
    }

    /// Records of a group: epoch, then (index, record) in the log's order.
    pub(crate) fn epochs_of(&self, group_id: &[u8]) -> impl Iterator<Item = (u64, &[(u64, EpochRecord)])> {
        let epochs = self.epochs.get(group_id).into_iter().flatten();
        epochs.map(|(epoch, records)| (*epoch, records.as_slice()))
    }

    /// How many different ones there are.
    pub(crate) fn certificates(&self) -> usize {
        self.certificates.len()
    }

    /// Every group, with the index of its first record.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.epochs.iter().filter_map(|(id, epochs)| {
            let first = epochs.values().flatten().map(|(index, _)| *index).min()?;
            Some((id.as_slice(), first))
        })
    }

    /// An entry asked for in [`check`].
    pub(crate) fn entry(&self, index: u64) -> Option<&LogEntry> {
        self.wanted.get(&index)
    }
}

/// Reads the whole log. Nothing of it is handed on unless the log's key signed its checkpoint.
pub(crate) fn check(
    report: &mut Report,
    folder: &LogFolder,
    key: &LogKey,
    wanted: &BTreeSet<u64>,
) -> Result<Option<LogIndex>, Error> {
    let verified = key.verify(folder.checkpoint());
    let Some(checkpoint) = report.judge(Claim::Checkpoint, Place::WHOLE, "checkpoint", verified) else {
        return Ok(None);
    };
    let mut index = LogIndex {
        checkpoint: checkpoint.clone(),
        certificates: HashMap::new(),
        epochs: HashMap::new(),
        wanted: BTreeMap::new(),
    };
    let scan = folder.scan(
        checkpoint.size(),
        checkpoint.root(),
        &mut |at, bytes| match parse(bytes) {
            Ok(entry) => {
                report.holds(Claim::LogEntries);
                index.add(at, entry, wanted.contains(&at));
            }
            Err(why) => report.fails(Claim::LogEntries, Place::entry(at), "entry", why),
        },
    )?;
    for problem in &scan.problems {
        report.fails(Claim::LogTree, Place::WHOLE, "log", problem);
    }
    if scan.problems.is_empty() {
        report.holds(Claim::LogTree);
    }
    for stray in folder.strays() {
        report.note(format!(
            "{stray} in the log's folder is no file of a tile log and was not looked at."
        ));
    }
    report.fact(
        "log",
        format!("{}, {} entries, {} tiles read", key.origin(), scan.entries, scan.tiles),
    );
    Ok(Some(index))
}

impl LogIndex {
    fn add(&mut self, at: u64, entry: LogEntry, wanted: bool) {
        match &entry {
            LogEntry::Certificate { der } => {
                let fingerprint = Fingerprint(Sha256::digest(der).into());
                self.certificates.entry(fingerprint).or_insert(at);
            }
            LogEntry::Epoch(record) => {
                let group = self.epochs.entry(record.group_id.as_slice().to_vec()).or_default();
                group.entry(record.epoch).or_default().push((at, record.clone()));
            }
        }
        if wanted {
            self.wanted.insert(at, entry);
        }
    }
}

/// One encoding only: two entries that differ would otherwise say the same.
fn parse(bytes: &[u8]) -> Result<LogEntry, String> {
    let entry = LogEntry::from_bytes(bytes).map_err(|why| why.to_string())?;
    match entry.to_bytes() {
        Ok(again) if again == bytes => Ok(entry),
        _ => Err("it is not in its one encoding".to_owned()),
    }
}
