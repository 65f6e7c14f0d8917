//! A frame without its AEAD: header, nonce and associated data, for whoever runs the cipher (a browser's WebCrypto).

use std::fmt;

use zeroize::Zeroizing;

use super::header::{EncodedHeader, Header, MAX_HEADER_LEN};
use super::keys::DerivedKey;
use super::suite::CipherSuite;
use crate::aead::NONCE_LEN;

/// What is derived for a KID beside its key. It makes headers and nonces, and can neither seal nor open.
pub struct FrameSalt {
    suite: CipherSuite,
    key_id: u64,
    /// As a big-endian number.
    salt: Zeroizing<u128>,
}

/// One call of an AEAD (RFC 5116), with all but the key and the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AeadCall {
    nonce: [u8; NONCE_LEN],
    aad: [u8; MAX_HEADER_LEN + MAX_METADATA_LEN],
    aad_len: usize,
}

/// Of a client's metadata ([`crate::media`]).
const MAX_METADATA_LEN: usize = 2;

impl FrameSalt {
    pub fn new(derived: &DerivedKey) -> Self {
        FrameSalt {
            suite: derived.suite,
            key_id: derived.key_id,
            salt: Zeroizing::new(derived.salt.iter().fold(0, |salt, byte| salt << 8 | u128::from(*byte))),
        }
    }

    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    pub fn key_id(&self) -> u64 {
        self.key_id
    }

    #[inline]
    pub(crate) fn header(&self, counter: u64) -> EncodedHeader {
        let header = Header {
            key_id: self.key_id,
            counter,
        };
        header.encode()
    }

    /// SFRM-6: `nonce = sframe_salt XOR CTR`, the counter at the right end.
    #[inline]
    pub(super) fn nonce(&self, counter: u64) -> [u8; NONCE_LEN] {
        // As a number, for the reason that the header is one.
        let bytes = ((*self.salt ^ u128::from(counter)) << (8 * (16 - NONCE_LEN))).to_be_bytes();
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&bytes[..NONCE_LEN]);
        nonce
    }

    /// What seals or opens the frame with this counter: `aad = header || metadata` (SFRM-7).
    pub(crate) fn call(&self, counter: u64, metadata: [u8; MAX_METADATA_LEN]) -> AeadCall {
        let header = self.header(counter);
        let aad_len = header.len() + metadata.len();
        let mut aad = [0; MAX_HEADER_LEN + MAX_METADATA_LEN];
        aad[..header.len()].copy_from_slice(header.as_bytes());
        aad[header.len()..aad_len].copy_from_slice(&metadata);
        AeadCall {
            nonce: self.nonce(counter),
            aad,
            aad_len,
        }
    }
}

impl AeadCall {
    pub fn nonce(&self) -> &[u8; NONCE_LEN] {
        &self.nonce
    }

    pub fn associated_data(&self) -> &[u8] {
        &self.aad[..self.aad_len]
    }
}

impl fmt::Debug for FrameSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSalt")
            .field("suite", &self.suite)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
