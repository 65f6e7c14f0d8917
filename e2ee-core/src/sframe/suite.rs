//! Cipher suites (RFC 9605 section 4.5, table 2, and the IANA registry "SFrame Cipher Suites").

use crate::aead::{AesSize, Algorithm};

/// A cipher suite by its registered number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum CipherSuite {
    Aes128CtrHmacSha256_80 = 0x0001,
    Aes128CtrHmacSha256_64 = 0x0002,
    Aes128CtrHmacSha256_32 = 0x0003,
    /// What rooms use unless their policy says otherwise.
    Aes128GcmSha256_128 = 0x0004,
    Aes256GcmSha512_128 = 0x0005,
    Aes256CtrHmacSha512_80 = 0x0006,
    Aes256CtrHmacSha512_64 = 0x0007,
    Aes256CtrHmacSha512_32 = 0x0008,
}

/// The hash of a suite's key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl CipherSuite {
    /// Every suite, in the order of the registry.
    pub const ALL: [CipherSuite; 8] = [
        CipherSuite::Aes128CtrHmacSha256_80,
        CipherSuite::Aes128CtrHmacSha256_64,
        CipherSuite::Aes128CtrHmacSha256_32,
        CipherSuite::Aes128GcmSha256_128,
        CipherSuite::Aes256GcmSha512_128,
        CipherSuite::Aes256CtrHmacSha512_80,
        CipherSuite::Aes256CtrHmacSha512_64,
        CipherSuite::Aes256CtrHmacSha512_32,
    ];

    /// `None` for a number that names none of [`Self::ALL`].
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.number() == number)
    }

    /// The registered number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Nk, the length of the AEAD key in bytes.
    pub const fn key_len(self) -> usize {
        match self.algorithm() {
            Algorithm::Gcm(aes) => aes.key_len(),
            Algorithm::CtrHmac { aes, .. } => aes.key_len() * 3,
        }
    }

    /// Nt, the length of the authentication tag in bytes.
    pub const fn tag_len(self) -> usize {
        match self.algorithm() {
            Algorithm::Gcm(_) => 16,
            Algorithm::CtrHmac { tag_len, .. } => tag_len,
        }
    }

    /// Nh, the length of the derivation hash in bytes.
    pub const fn hash_len(self) -> usize {
        match self.hash() {
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }

    /// SFRM-9: suites with a tag under 80 bits are for interoperability only; a room refuses them.
    pub const fn allowed_in_a_room(self) -> bool {
        self.tag_len() * 8 >= 80
    }

    pub(crate) const fn hash(self) -> Hash {
        match self.algorithm() {
            Algorithm::CtrHmac {
                aes: AesSize::Aes128, ..
            }
            | Algorithm::Gcm(AesSize::Aes128) => Hash::Sha256,
            Algorithm::CtrHmac {
                aes: AesSize::Aes256, ..
            }
            | Algorithm::Gcm(AesSize::Aes256) => Hash::Sha512,
        }
    }

    pub(crate) const fn algorithm(self) -> Algorithm {
        use AesSize::{Aes128, Aes256};
        match self {
            CipherSuite::Aes128CtrHmacSha256_80 => Algorithm::CtrHmac {
                aes: Aes128,
                tag_len: 10,
            },
            CipherSuite::Aes128CtrHmacSha256_64 => Algorithm::CtrHmac {
                aes: Aes128,
                tag_len: 8,
            },
            CipherSuite::Aes128CtrHmacSha256_32 => Algorithm::CtrHmac {
                aes: Aes128,
                tag_len: 4,
            },
            CipherSuite::Aes128GcmSha256_128 => Algorithm::Gcm(Aes128),
            CipherSuite::Aes256GcmSha512_128 => Algorithm::Gcm(Aes256),
            CipherSuite::Aes256CtrHmacSha512_80 => Algorithm::CtrHmac {
                aes: Aes256,
                tag_len: 10,
            },
            CipherSuite::Aes256CtrHmacSha512_64 => Algorithm::CtrHmac {
                aes: Aes256,
                tag_len: 8,
            },
            CipherSuite::Aes256CtrHmacSha512_32 => Algorithm::CtrHmac {
                aes: Aes256,
                tag_len: 4,
            },
        }
    }
}
