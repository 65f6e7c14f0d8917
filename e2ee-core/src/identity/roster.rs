//! Who is in: one [`Member`] for each leaf of the MLS tree, and nobody else (PF-06).

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::certificate::Role;
use super::chain::CheckedCertificate;
use crate::log::entry::commitment_to_hashes;
use crate::time::UnixMillis;

/// SHA-256 of a leaf certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Eight groups of five digits, 132 bits: enough that no other certificate can be ground to it (PF-07).
    pub fn code(&self) -> String {
        digits(&self.0)
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({})", hex::encode(self.0))
    }
}

/// Somebody in the call, known by a checked certificate and bound to a leaf of the tree.
#[derive(Clone, Debug)]
pub struct Member {
    leaf: u32,
    /// Rosters are copied at each epoch; certificates are not.
    certificate: Arc<CheckedCertificate>,
}

impl Member {
    pub(crate) fn new(leaf: u32, certificate: CheckedCertificate) -> Self {
        Self {
            leaf,
            certificate: Arc::new(certificate),
        }
    }

    /// Index of the leaf in the MLS tree.
    pub fn leaf(&self) -> u32 {
        self.leaf
    }

    pub fn name(&self) -> &str {
        self.certificate.name()
    }

    pub fn org(&self) -> &str {
        self.certificate.org()
    }

    /// Opaque id of the person. Never empty: only a person's certificate makes a member.
    pub fn person(&self) -> &str {
        self.certificate.person().unwrap_or_default()
    }

    /// Opaque id of the device.
    pub fn device(&self) -> &str {
        self.certificate.device().unwrap_or_default()
    }

    pub fn role(&self) -> Role {
        self.certificate.role()
    }

    pub fn not_after(&self) -> UnixMillis {
        self.certificate.not_after()
    }

    pub fn certificate(&self) -> &CheckedCertificate {
        &self.certificate
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint()
    }
}

/// The members of one epoch, in leaf order.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    members: BTreeMap<u32, Member>,
}

impl Roster {
    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn get(&self, leaf: u32) -> Option<&Member> {
        self.members.get(&leaf)
    }

    pub fn contains(&self, leaf: u32) -> bool {
        self.members.contains_key(&leaf)
    }

    /// In leaf order.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub fn leaves(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.keys().copied()
    }

    /// The leaf that a person's device holds.
    pub fn leaf_of(&self, person: &str, device: &str) -> Option<u32> {
        self.iter()
            .find(|member| member.person() == person && member.device() == device)
            .map(Member::leaf)
    }

    pub(crate) fn insert(&mut self, member: Member) {
        self.members.insert(member.leaf, member);
    }

    pub(crate) fn remove(&mut self, leaf: u32) -> Option<Member> {
        self.members.remove(&leaf)
    }

    /// What stands on the log for this roster (see [`roster_commitment`](crate::log::entry::roster_commitment)).
    pub fn commitment(&self, salt: &[u8; 32]) -> [u8; 32] {
        commitment_to_hashes(salt, self.iter().map(|member| (member.leaf, member.fingerprint().0)))
    }
}

/// A code that people can read to each other: 32 bytes as eight groups of five digits.
pub(crate) fn digits(hash: &[u8; 32]) -> String {
    let groups: Vec<String> = hash
        .chunks_exact(4)
        .map(|chunk| {
            let value = chunk.iter().fold(0_u32, |acc, byte| acc << 8 | u32::from(*byte));
            // 2^32 is not a multiple of 10^5; the bias costs less than a thousandth of a bit.
            format!("{:05}", value % 100_000)
        })
        .collect();
    groups.join(" ")
}

/// The code of a secret that must not be shown itself.
pub(crate) fn code_of(label: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    hash.update(label.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    digits(&hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pf_07_codes_have_eight_groups_of_five_digits_and_every_byte_counts() {
        let base = Fingerprint([7; 32]).code();
        assert_eq!(base.split(' ').count(), 8);
        assert!(
            base.split(' ')
                .all(|g| g.len() == 5 && g.chars().all(|c| c.is_ascii_digit()))
        );
        for byte in 0..32 {
            let mut other = [7; 32];
            other[byte] ^= 1;
            assert_ne!(Fingerprint(other).code(), base, "byte {byte}");
        }
    }
}
