//! SFrame keys from an MLS group (RFC 9605 section 5.2).
//!
//! `base_key = MLS-Exporter("SFrame 1.0 Base Key", "", Nk)`, one an epoch. Senders share it and differ in the KID:
//!
//! ```text
//!   64-S-E bits      S bits      E bits
//! +------------+------------+----------+
//! | context id | leaf index |  epoch   |
//! +------------+------------+----------+
//! ```
//! S is what the leaf indices of that epoch's tree need, so it follows the tree and is known to every member; E is
//! fixed for the group, here at [`EPOCH_BITS`].

use thiserror::Error;

/// The label to hand to MLS-Exporter, with an empty context.
pub const EXPORTER_LABEL: &str = "SFrame 1.0 Base Key";

/// E. Sixteen epochs tell apart far more than the three that are ever alive at once.
pub const EPOCH_BITS: u32 = 4;

/// How the fields of a KID lie in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KidLayout {
    leaf_bits: u32,
}

/// The fields of a KID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KidFields {
    pub context: u64,
    pub leaf: u32,
    /// The low [`EPOCH_BITS`] of the epoch.
    pub epoch: u8,
}

/// A leaf or a context does not fit the layout. The caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("leaf {leaf} with context {context} does not fit a key id with {leaf_bits} leaf bits")]
pub struct DoesNotFit {
    pub context: u64,
    pub leaf: u32,
    pub leaf_bits: u32,
}

impl KidLayout {
    /// SFRM-5: S is the number of bits that the largest leaf index needs; none where there is only leaf 0.
    pub fn for_leaf_count(leaf_count: u32) -> Self {
        KidLayout {
            leaf_bits: u32::BITS - leaf_count.saturating_sub(1).leading_zeros(),
        }
    }

    /// The KID of a stream. Every input that fits yields a KID of its own.
    pub fn kid(&self, fields: KidFields) -> Result<u64, DoesNotFit> {
        let KidFields { context, leaf, epoch } = fields;
        let context_bits = u64::BITS - self.leaf_bits - EPOCH_BITS;
        if u64::from(leaf) >> self.leaf_bits != 0 || context >> context_bits != 0 {
            return Err(DoesNotFit {
                context,
                leaf,
                leaf_bits: self.leaf_bits,
            });
        }
        Ok((context << self.leaf_bits | u64::from(leaf)) << EPOCH_BITS | u64::from(epoch & EPOCH_MASK))
    }

    /// The fields of a KID that was made in this layout.
    pub fn fields(&self, kid: u64) -> KidFields {
        let leaf_mask = (1u64 << self.leaf_bits) - 1;
        KidFields {
            context: kid >> EPOCH_BITS >> self.leaf_bits,
            leaf: (kid >> EPOCH_BITS & leaf_mask) as u32,
            epoch: epoch_of(kid),
        }
    }
}

/// The epoch bits of a KID, which lie at the same place in every layout.
pub fn epoch_of(kid: u64) -> u8 {
    kid as u8 & EPOCH_MASK
}

/// What an epoch's KIDs carry of its number.
pub fn epoch_bits(epoch: u64) -> u8 {
    epoch as u8 & EPOCH_MASK
}

const EPOCH_MASK: u8 = (1 << EPOCH_BITS) - 1;
