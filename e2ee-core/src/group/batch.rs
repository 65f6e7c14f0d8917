//! DLVR-4: how much of what is due goes into one batch of proposals. All that is pending in an epoch must fit into one
//! message, since whoever comes back is sent it so; what finds no room waits for the next epoch.

use openmls::prelude::KeyPackage;
use tls_codec::Size;

use super::check::{Pending, Proposed};

/// An Add besides its key package: group, epoch, sender, signature and the message around them. In bytes.
const AROUND_ADD: usize = 256;
/// An entry of the log besides its certificate.
const AROUND_ENTRY: usize = 16;
/// A receipt besides entry and proof: its checkpoint, index and the names of its fields. In letters.
const AROUND_RECEIPT: usize = 1024;
/// How many times the log may double until the receipts are made.
const GROWTH: u32 = 4;

/// What is left of a message's text for Adds.
#[derive(Debug)]
pub struct Batch {
    left: usize,
    /// Of one inclusion proof, in letters.
    proof: usize,
}

impl Batch {
    /// For messages of at most `longest` bytes of text, in an epoch in which this much is pending, with a log of about so
    /// many `entries`. A sixteenth is left to Removes, which are never held back: those of 1,000 members fit.
    pub fn new(longest: usize, pending: &Pending, entries: u64) -> Self {
        let nodes = (u64::BITS - entries.leading_zeros() + GROWTH) as usize;
        let mut batch = Self {
            left: longest - longest / 16,
            proof: nodes * text_of(32),
        };
        for proposal in pending.iter() {
            if let Proposed::Add(add) = proposal.what() {
                let text = batch.text(add.key_package(), add.certificate().der());
                batch.left = batch.left.saturating_sub(text);
            }
        }
        batch
    }

    /// Whether this request finds room; it then has it.
    pub fn takes(&mut self, key_package: &KeyPackage, certificate: &[u8]) -> bool {
        let rest = self.left.checked_sub(self.text(key_package, certificate));
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    /// An Add and its receipt in a message's text, at most.
    fn text(&self, key_package: &KeyPackage, certificate: &[u8]) -> usize {
        text_of(key_package.tls_serialized_len() + AROUND_ADD)
            + text_of(certificate.len() + AROUND_ENTRY)
            + self.proof
            + AROUND_RECEIPT
    }
}

/// Bytes as base64, with quotation marks and a comma.
fn text_of(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4 + 3
}
