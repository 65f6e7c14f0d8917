//! Checkpoints: C2SP tlog-checkpoint inside a C2SP signed note with an Ed25519 signature (type 1).

use hsm_adapter::{KeyKind, PublicKey, Signature};
use signed_note::Note;
use tlog_tiles::{Checkpoint, Hash};

use crate::error::Error;

const ED25519: u8 = 1;

/// The text cannot be signed as a note. The origin was checked at start, so this does not happen.
pub(super) struct Unsignable;

pub(super) fn text(origin: &str, size: u64, root: Hash) -> Result<Vec<u8>, Unsignable> {
    Ok(Checkpoint::new(origin, size, root, "")
        .map_err(|_| Unsignable)?
        .to_bytes())
}

pub(super) fn sign(
    text: &[u8],
    origin: &str,
    key: &PublicKey,
    sign: impl FnOnce(&[u8]) -> Result<Signature, Error>,
) -> Result<String, Error> {
    let signature = sign(text)?;
    let line = signed_note::Signature::new(origin.to_owned(), key_id(origin, key), signature.raw().to_vec());
    let note = Note::new(text, &[line.map_err(|_| Unsignable)?]).map_err(|_| Unsignable)?;
    Ok(String::from_utf8(note.to_bytes()).map_err(|_| Unsignable)?)
}

/// Size and root, if the note is a checkpoint of this origin signed by this key.
pub(super) fn verify(note: &[u8], origin: &str, key: &PublicKey) -> Option<(u64, Hash)> {
    let note = Note::from_bytes(note).ok()?;
    let (start, id) = (note_signatures(&note)?, key_id(origin, key));
    let signed = start.iter().any(|line| {
        line.name() == origin
            && line.id() == id
            && Signature::parse(KeyKind::Ed25519, line.signature())
                .and_then(|s| key.verify(note.text(), &s))
                .is_ok()
    });
    let checkpoint = Checkpoint::from_bytes(note.text()).ok()?;
    (signed && checkpoint.origin() == origin).then(|| (checkpoint.size(), *checkpoint.hash()))
}

/// SHA-256(name || 0x0A || type || key), its first four bytes.
fn key_id(origin: &str, key: &PublicKey) -> u32 {
    signed_note::key_id(origin, &[&[ED25519][..], key.as_bytes()].concat())
}

fn note_signatures(note: &Note) -> Option<Vec<signed_note::Signature>> {
    let bytes = note.to_bytes();
    let lines = bytes.get(note.text().len() + 1..)?;
    lines
        .split(|&b| b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| signed_note::Signature::from_bytes(l).ok())
        .collect()
}
