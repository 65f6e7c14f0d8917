//! What the group engine hands over for one epoch.

use thiserror::Error;

use crate::sframe::Secret;

/// One epoch of the group, as far as media need it.
#[derive(Debug, Clone)]
pub struct MediaEpoch {
    pub epoch: u64,
    /// `MLS-Exporter("SFrame 1.0 Base Key", "", Nk)`, see [`crate::sframe::mls::EXPORTER_LABEL`].
    pub base_key: Secret,
    /// Leaves of this epoch's ratchet tree, blank ones too.
    pub leaf_count: u32,
    pub own_leaf: u32,
    /// The leaves that are not blank. A frame of any other is refused before any cryptography.
    pub members: LeafSet,
}

/// An epoch cannot be installed. The group engine's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EpochError {
    /// EPOC-1: epochs only go forward; one installed twice would start its counters again.
    #[error("epoch {epoch} does not come after epoch {newest}")]
    NotNewer { epoch: u64, newest: u64 },
    #[error("the base key has {found} bytes instead of {expected}")]
    WrongKeyLength { expected: usize, found: usize },
    #[error("the own leaf {0} is no member")]
    OwnLeafMissing(u32),
    #[error("leaf {0} lies outside the tree")]
    LeafOutsideTree(u32),
}

/// A set of leaf indices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeafSet(Vec<u64>);

impl LeafSet {
    pub fn insert(&mut self, leaf: u32) {
        let (word, bit) = place(leaf);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub fn contains(&self, leaf: u32) -> bool {
        let (word, bit) = place(leaf);
        self.0.get(word).is_some_and(|found| found & bit != 0)
    }

    /// The largest leaf, if any.
    pub fn last(&self) -> Option<u32> {
        let (word, bits) = self.0.iter().enumerate().rev().find(|(_, bits)| **bits != 0)?;
        u32::try_from(word).ok().map(|word| word * 64 + bits.ilog2())
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }
}

impl FromIterator<u32> for LeafSet {
    fn from_iter<I: IntoIterator<Item = u32>>(leaves: I) -> Self {
        let mut set = LeafSet::default();
        leaves.into_iter().for_each(|leaf| set.insert(leaf));
        set
    }
}

fn place(leaf: u32) -> (usize, u64) {
    (leaf as usize / 64, 1 << (leaf % 64))
}

impl MediaEpoch {
    /// What must hold whoever made it.
    pub(super) fn check(&self, key_len: usize) -> Result<(), EpochError> {
        let found = self.base_key.expose().len();
        if found != key_len {
            return Err(EpochError::WrongKeyLength {
                expected: key_len,
                found,
            });
        }
        if let Some(leaf) = self.members.last().filter(|leaf| *leaf >= self.leaf_count) {
            return Err(EpochError::LeafOutsideTree(leaf));
        }
        if !self.members.contains(self.own_leaf) {
            return Err(EpochError::OwnLeafMissing(self.own_leaf));
        }
        Ok(())
    }
}
