//! Checkpoints: the log's signed word on its size and root (C2SP signed-note and tlog-checkpoint).
//!
//! ```text
//! <origin>
//! <size, decimal>
//! <root, standard base64>
//!
//! — <key name> <standard base64 of key id (4 bytes) || signature>
//! ```

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{LogError, merkle::Hash};
use crate::identity::{CheckedCertificate, PublicKey, Role, TrustRoot, Use};
use crate::time::UnixMillis;

/// The largest checkpoint looked at, in bytes, witnesses' signatures included.
const MAX_CHECKPOINT: usize = 16 * 1024;
/// The signature type of Ed25519 in a key id (C2SP signed-note).
const TYPE_ED25519: u8 = 1;

/// The log's verification key. Made only from a certificate for that role, or from a key known otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    origin: String,
    id: [u8; 4],
    key: PublicKey,
}

/// A checkpoint whose signature was verified. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    size: u64,
    root: Hash,
}

impl LogKey {
    /// LOGV-1: the log's chain leads to the pinned root, is for the role `transparency-log`, and holds an Ed25519 key.
    pub fn from_chain<C: AsRef<[u8]>>(
        root: &TrustRoot,
        chain: &[C],
        origin: &str,
        now: UnixMillis,
    ) -> Result<Self, LogError> {
        Self::from_certificate(&root.check(chain, Use::TransparencyLog, now)?, origin)
    }

    /// See [`Self::from_chain`].
    pub fn from_certificate(certificate: &CheckedCertificate, origin: &str) -> Result<Self, LogError> {
        debug_assert_eq!(certificate.role(), Role::TransparencyLog);
        match certificate.key() {
            PublicKey::Ed25519(key) => Self::new(key, origin),
            PublicKey::P256(_) => Err(LogError::KeyKind),
        }
    }

    /// A key that the caller knows to be the log's.
    pub fn new(key: &[u8; 32], origin: &str) -> Result<Self, LogError> {
        if origin.is_empty() || origin.contains('+') || origin.chars().any(char::is_whitespace) {
            return Err(LogError::Name);
        }
        Ok(Self {
            origin: origin.to_owned(),
            id: key_id(origin, key),
            key: PublicKey::ed25519(key).ok_or(LogError::KeyKind)?,
        })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// LOGV-2: parses a checkpoint and verifies this log's signature on it. Signatures by others are left alone.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, LogError> {
        if note.len() > MAX_CHECKPOINT {
            return Err(LogError::Malformed("too large"));
        }
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(LogError::Malformed("control character"));
        }
        let (text, signatures) = note
            .rsplit_once("\n\n")
            .ok_or(LogError::Malformed("no signature block"))?;
        let text = format!("{text}\n");
        self.verify_signature(&text, signatures)?;
        self.parse(&text)
    }

    fn verify_signature(&self, text: &str, signatures: &str) -> Result<(), LogError> {
        let lines = signatures
            .strip_suffix('\n')
            .ok_or(LogError::Malformed("no newline at the end"))?;
        let mut signed = false;
        for line in lines.split('\n') {
            let (name, blob) = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(LogError::Malformed("signature line"))?;
            let blob = STANDARD
                .decode(blob)
                .map_err(|_| LogError::Malformed("signature is not base64"))?;
            let (id, signature) = blob
                .split_at_checked(4)
                .ok_or(LogError::Malformed("signature too short"))?;
            if name == self.origin && id == self.id {
                if signed || !self.key.verify(text.as_bytes(), signature) {
                    return Err(LogError::SignatureInvalid);
                }
                signed = true;
            }
        }
        if signed { Ok(()) } else { Err(LogError::NotSigned) }
    }

    fn parse(&self, text: &str) -> Result<Checkpoint, LogError> {
        let mut lines = text.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty());
        if line() != Some(self.origin.as_str()) {
            return Err(LogError::OtherLog);
        }
        let size = line().and_then(canonical_decimal).ok_or(LogError::Malformed("size"))?;
        let root = line()
            .and_then(|line| STANDARD.decode(line).ok())
            .and_then(|bytes| Hash::try_from(bytes).ok())
            .ok_or(LogError::Malformed("root"))?;
        Ok(Checkpoint { size, root })
    }
}

impl Checkpoint {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// LOGV-5: two checkpoints of one size must have one root (C4).
    pub fn check_no_fork(&self, other: &Self) -> Result<(), LogError> {
        if self.size == other.size && self.root != other.root {
            return Err(LogError::Forked(self.size));
        }
        Ok(())
    }
}

/// `SHA-256(name || 0x0A || type || key)[..4]`.
fn key_id(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([0x0A, TYPE_ED25519])
        .chain_update(key)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// No sign, no leading zero: one size, one text.
fn canonical_decimal(text: &str) -> Option<u64> {
    let value: u64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    pub(crate) fn note(origin: &str, size: u64, root: &Hash, signer: &SigningKey) -> String {
        let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        let mut blob = key_id(origin, signer.verifying_key().as_bytes()).to_vec();
        blob.extend(signer.sign(text.as_bytes()).to_bytes());
        format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(blob))
    }

    #[test]
    fn the_key_id_is_that_of_the_c2sp_known_answer() {
        // example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
        let encoded = STANDARD.decode("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
        let key: [u8; 32] = encoded[1..].try_into().unwrap();
        assert_eq!(encoded[0], TYPE_ED25519);
        assert_eq!(hex::encode(key_id("example.com/foo", &key)), "530d903a");
    }

    #[test]
    fn logv_2_a_signed_checkpoint_is_read_and_a_tampered_one_refused() {
        let signer = SigningKey::from_bytes(&[3; 32]);
        let key = LogKey::new(signer.verifying_key().as_bytes(), "log.example/1").unwrap();
        let good = note("log.example/1", 42, &[9; 32], &signer);
        let read = key.verify(&good).unwrap();
        assert_eq!((read.size(), read.root()), (42, &[9; 32]));

        // A witness's signature beside it changes nothing.
        let witness = STANDARD.encode([7; 80]);
        assert!(key.verify(&format!("{good}\u{2014} witness {witness}\n")).is_ok());

        // No byte can be changed, except inside what the log does not sign: there is nothing else.
        for at in 0..good.len() {
            if !good.is_char_boundary(at) || !good.is_char_boundary(at + 1) {
                continue;
            }
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(key.verify(&changed).is_err(), "byte {at}");
        }
        for end in 0..good.len() {
            if good.is_char_boundary(end) {
                assert!(key.verify(&good[..end]).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn logv_2_another_key_another_log_and_loose_numbers_are_refused() {
        let signer = SigningKey::from_bytes(&[3; 32]);
        let key = LogKey::new(signer.verifying_key().as_bytes(), "log.example/1").unwrap();
        let other = SigningKey::from_bytes(&[4; 32]);
        assert_eq!(
            key.verify(&note("log.example/1", 1, &[0; 32], &other)),
            Err(LogError::NotSigned)
        );
        assert_eq!(
            key.verify(&note("log.example/2", 1, &[0; 32], &signer)),
            Err(LogError::NotSigned)
        );
        let sign = |text: String| {
            let mut blob = key.id.to_vec();
            blob.extend(signer.sign(text.as_bytes()).to_bytes());
            format!("{text}\n\u{2014} log.example/1 {}\n", STANDARD.encode(blob))
        };
        let root = STANDARD.encode([0; 32]);
        for text in [
            format!("log.example/1\n01\n{root}\n"),
            format!("log.example/1\n+1\n{root}\n"),
            "log.example/1\n1\nAAAA\n".to_owned(),
            "log.example/1\n1\n".to_owned(),
        ] {
            assert!(matches!(key.verify(&sign(text)), Err(LogError::Malformed(_))));
        }
        assert_eq!(
            key.verify(&sign(format!("log.example/2\n1\n{root}\n"))),
            Err(LogError::OtherLog)
        );
    }

    #[test]
    fn logv_5_two_trees_of_one_size_are_a_fork() {
        let (a, b) = (
            Checkpoint { size: 5, root: [1; 32] },
            Checkpoint { size: 5, root: [2; 32] },
        );
        assert_eq!(a.check_no_fork(&b), Err(LogError::Forked(5)));
        assert_eq!(a.check_no_fork(&a), Ok(()));
    }
}
