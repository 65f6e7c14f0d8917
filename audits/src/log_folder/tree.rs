//! The Merkle tree of RFC 6962 section 2.1, built leaf by leaf.

use e2ee_core::log::merkle::{Hash, empty_root, node_hash};

/// The roots of the full subtrees so far, largest first: all that a tree needs to grow.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontier {
    /// (number of leaves, root)
    subtrees: Vec<(u64, Hash)>,
}

impl Frontier {
    pub(super) fn push(&mut self, leaf: Hash) {
        let mut node = (1, leaf);
        while let Some((size, left)) = self.subtrees.pop_if(|(size, _)| *size == node.0) {
            node = (size * 2, node_hash(&left, &node.1));
        }
        self.subtrees.push(node);
    }

    /// MTH of the leaves so far.
    pub(super) fn root(&self) -> Hash {
        let mut from_the_right = self.subtrees.iter().rev();
        let Some((_, smallest)) = from_the_right.next() else {
            return empty_root();
        };
        from_the_right.fold(*smallest, |right, (_, left)| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use e2ee_core::log::merkle::leaf_hash;

    use super::*;

    fn root_of(leaves: &[&[u8]]) -> String {
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.push(leaf_hash(leaf));
        }
        hex::encode(frontier.root())
    }

    /// The known answers of Certificate Transparency's reference implementations.
    #[test]
    fn roots_are_those_of_rfc_6962() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        for (count, root) in roots.iter().enumerate() {
            assert_eq!(&root_of(&leaves[..count]), root, "{count} leaves");
        }
    }
}
