//! Merkle tree hashes and proofs, RFC 6962 section 2.1 as RFC 9162 section 2.1.3 ff. says how to verify them.

use sha2::{Digest, Sha256};

use super::LogError;

/// A node of the tree.
pub type Hash = [u8; 32];

/// Hash of an entry: `SHA-256(0x00 || entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Root of the empty tree.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// RFC 9162 section 2.1.3.2: `leaf` is the entry `index` of the tree with this size and root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), LogError> {
    if index >= size {
        return Err(LogError::NotIncluded);
    }
    let (mut fnode, mut snode) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if snode == 0 {
            return Err(LogError::NotIncluded);
        }
        if fnode & 1 == 1 || fnode == snode {
            hash = node_hash(sibling, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    if snode == 0 && &hash == root {
        Ok(())
    } else {
        Err(LogError::NotIncluded)
    }
}

/// RFC 9162 section 2.1.4.2: the tree of size `old` is a prefix of the tree of size `new`.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), LogError> {
    if old > new {
        return Err(LogError::Shrank);
    }
    if old == new {
        return if proof.is_empty() && old_root == new_root {
            Ok(())
        } else {
            Err(LogError::Forked(old))
        };
    }
    if old == 0 {
        return if proof.is_empty() && old_root == &empty_root() {
            Ok(())
        } else {
            Err(LogError::Inconsistent)
        };
    }
    // A complete older tree is itself the first node, and is left out of the proof.
    let mut path = proof.iter();
    let first = if old.is_power_of_two() {
        *old_root
    } else {
        *path.next().ok_or(LogError::Inconsistent)?
    };
    let (mut fnode, mut snode) = (old - 1, new - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    let (mut from_old, mut from_new) = (first, first);
    for sibling in path {
        if snode == 0 {
            return Err(LogError::Inconsistent);
        }
        if fnode & 1 == 1 || fnode == snode {
            from_old = node_hash(sibling, &from_old);
            from_new = node_hash(sibling, &from_new);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    if snode == 0 && &from_old == old_root && &from_new == new_root {
        Ok(())
    } else {
        Err(LogError::Inconsistent)
    }
}

/// A small log in memory: what tests and fakes need to make proofs. The key server has the real one.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// RFC 6962 section 2.1, by its definition.
    pub(crate) fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(split(many.len()));
                node_hash(&root(left), &root(right))
            }
        }
    }

    fn split(len: usize) -> usize {
        len.next_power_of_two() / 2
    }

    pub(crate) fn inclusion(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut path, sibling) = if index < left.len() {
            (inclusion(index, left), root(right))
        } else {
            (inclusion(index - left.len(), right), root(left))
        };
        path.push(sibling);
        path
    }

    fn consistency(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole { Vec::new() } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut path, sibling) = if old <= left.len() {
            (consistency(old, left, whole), root(right))
        } else {
            (consistency(old - left.len(), right, false), root(left))
        };
        path.push(sibling);
        path
    }

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&[n])).collect()
    }

    #[test]
    fn every_entry_of_every_small_tree_is_included_and_only_at_its_place() {
        for size in 1..=33_u8 {
            let leaves = leaves(size);
            let top = root(&leaves);
            for index in 0..leaves.len() {
                let proof = inclusion(index, &leaves);
                let check = |leaf: &Hash, at: u64, of: u64, proof: &[Hash], top: &Hash| {
                    verify_inclusion(leaf, at, of, proof, top).is_ok()
                };
                let (at, of) = (index as u64, u64::from(size));
                assert!(check(&leaves[index], at, of, &proof, &top));
                assert!(!check(&leaf_hash(b"other"), at, of, &proof, &top));
                assert!(!check(&leaves[index], at + 1, of, &proof, &top));
                assert!(!check(&leaves[index], of, of, &proof, &top));
                assert!(!check(&leaves[index], at, of, &proof, &[0; 32]));
                let mut longer = proof.clone();
                longer.push([0; 32]);
                assert!(!check(&leaves[index], at, of, &longer, &top));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!check(&leaves[index], at, of, shorter, &top));
                }
                for node in 0..proof.len() {
                    let mut changed = proof.clone();
                    changed[node][0] ^= 1;
                    assert!(!check(&leaves[index], at, of, &changed, &top));
                }
            }
        }
    }

    #[test]
    fn every_small_tree_is_consistent_with_every_longer_one_and_with_no_other() {
        for new in 1..=24_u8 {
            let all = leaves(new);
            for old in 1..=new {
                let (old_root, new_root) = (root(&all[..usize::from(old)]), root(&all));
                let proof = consistency(usize::from(old), &all, true);
                let check = |a: &Hash, b: &Hash, proof: &[Hash]| {
                    verify_consistency(u64::from(old), a, u64::from(new), b, proof).is_ok()
                };
                assert!(check(&old_root, &new_root, &proof), "{old} in {new}");
                assert!(!check(&[0; 32], &new_root, &proof));
                assert!(!check(&old_root, &[0; 32], &proof));
                for node in 0..proof.len() {
                    let mut changed = proof.clone();
                    changed[node][0] ^= 1;
                    assert!(!check(&old_root, &new_root, &changed));
                }
            }
        }
        assert_eq!(verify_consistency(3, &[0; 32], 2, &[0; 32], &[]), Err(LogError::Shrank));
        assert_eq!(
            verify_consistency(2, &[1; 32], 2, &[0; 32], &[]),
            Err(LogError::Forked(2))
        );
    }
}
