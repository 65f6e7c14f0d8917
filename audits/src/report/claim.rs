//! What an audit claims, one line each, with the requirement's id. The text is written so that it is true when the check holds.

use serde::{Serialize, Serializer};

/// A claim that is checked as often as the evidence has occasion for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    Version,
    Root,
    Services,
    Checkpoint,
    LogTree,
    LogEntries,
    Genesis,
    Proposals,
    Commit,
    Certificates,
    Logged,
    Record,
    Complete,
    NoFork,
    Order,
    CodecBytes,
    Shells,
    SameCall,
}

impl Claim {
    /// As in PROTOCOL.md and in the tests' names.
    pub fn id(self) -> &'static str {
        match self {
            Self::Version => "AUDT-1",
            Self::Root => "AUDT-2",
            Self::Services => "AUDT-3",
            Self::Checkpoint => "AUDT-4",
            Self::LogTree => "AUDT-5",
            Self::LogEntries => "AUDT-6",
            Self::Genesis => "AUDT-7",
            Self::Proposals => "AUDT-8",
            Self::Commit => "AUDT-9",
            Self::Certificates => "AUDT-10",
            Self::Logged => "AUDT-11",
            Self::Record => "AUDT-12",
            Self::Complete => "AUDT-13",
            Self::NoFork => "AUDT-14",
            Self::Order => "AUDT-15",
            Self::CodecBytes => "AUDT-20",
            Self::Shells => "AUDT-21",
            Self::SameCall => "AUDT-22",
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Self::Version => "the bundle is of a version this software reads",
            Self::Root => "the trust root is the one you named",
            Self::Services => "the keys of the service and of the log are certified for their role",
            Self::Checkpoint => "the checkpoint is signed by the log's key",
            Self::LogTree => "every entry and every tile of the log is what the checkpoint signs",
            Self::LogEntries => "every entry of the log is a known record in its one encoding",
            Self::Genesis => "each group was made by one member under the room's policy and root",
            Self::Proposals => "every proposal is signed by the service or a member, and allowed",
            Self::Commit => "every commit is a member's, has a path and takes exactly the proposals sent",
            Self::Certificates => "every leaf has a certificate of the root for its key, valid at the time given",
            Self::Logged => "every such certificate stood on the log before its epoch did",
            Self::Record => "each epoch's record on the log is what the replay gives",
            Self::Complete => "the log knows no epoch and no group of this room that the bundle leaves out",
            Self::NoFork => "the log has one record for each epoch",
            Self::Order => "epochs stand on the log in the order in which they happened",
            Self::CodecBytes => "no 8 consecutive bytes of an encoder's output reached the relay",
            Self::Shells => "each frame begins with its shell, the same bytes every time",
            Self::SameCall => "the two captures are of the same frames",
        }
    }
}

impl Serialize for Claim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
