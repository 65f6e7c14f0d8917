//! MLS messages taken apart along their own structure (RFC 9420), so that what is altered is still well-formed around
//! the alteration.

use crate::Input;

/// Where an `MLSMessage` of a public handshake message ends to be text and begins to be a body we leave whole.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn fixed(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// A vector with its length in front (section 2.1.2).
    fn vector(&mut self) -> Option<Vec<u8>> {
        let (first, _) = self.0.split_first()?;
        let width = 1_usize << (first >> 6);
        let bytes = self.fixed(width)?;
        let len = bytes
            .iter()
            .skip(1)
            .fold(usize::from(first & 0x3F), |len, b| (len << 8) | usize::from(*b));
        Some(self.fixed(len)?.to_vec())
    }
}

fn put_vector(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap();
    match len {
        0..64 => out.push(len.to_be_bytes()[3]),
        64..16_384 => out.extend((len | 0x4000).to_be_bytes()[2..].iter()),
        _ => out.extend((len | 0x8000_0000).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// A Welcome: version, wire format, suite; for each newcomer three vectors; the encrypted group info.
pub(crate) fn alter_welcome(message: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let mut reader = Reader(message);
    let mut head = reader.fixed(6)?.to_vec();
    let mut secrets: Vec<Vec<Vec<u8>>> = Vec::new();
    let all = reader.vector()?;
    let mut each = Reader(&all);
    while !each.0.is_empty() {
        secrets.push(vec![each.vector()?, each.vector()?, each.vector()?]);
    }
    let mut info = reader.vector()?;
    match input.byte() % 7 {
        0 => input.alter(&mut head),
        1 => input.alter(&mut info),
        2 => secrets.reverse(),
        3 => secrets.extend(secrets.clone()),
        4 => drop(secrets.pop()),
        _ => {
            let which = input.below(secrets.len());
            let field = input.below(3);
            if let Some(secret) = secrets.get_mut(which) {
                input.alter(&mut secret[field]);
            }
        }
    }
    let mut inner = Vec::new();
    for field in secrets.iter().flatten() {
        put_vector(&mut inner, field);
    }
    put_vector(&mut head, &inner);
    put_vector(&mut head, &info);
    Some(head)
}

/// A `PublicMessage` that holds a proposal or a commit: version, wire format; group, epoch, sender, authenticated data,
/// content type; the rest.
pub(crate) fn alter_handshake(message: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let mut reader = Reader(message);
    let mut head = reader.fixed(4)?.to_vec();
    let mut group_id = reader.vector()?;
    let mut epoch = reader.fixed(8)?.to_vec();
    let mut sender = reader.fixed(5)?.to_vec();
    let mut data = reader.vector()?;
    let mut content_type = reader.fixed(1)?.to_vec();
    let commit = content_type == [3];
    let mut references = if commit { reader.vector()? } else { Vec::new() };
    let mut rest = reader.0.to_vec();
    let parts = [
        &mut head,
        &mut group_id,
        &mut epoch,
        &mut sender,
        &mut data,
        &mut content_type,
        &mut references,
        &mut rest,
    ];
    let which = input.below(parts.len() + 4);
    for (place, part) in parts.into_iter().enumerate() {
        // The long rest more often than the others.
        if place == which || (place == 7 && which > 7) {
            input.alter(part);
        }
    }
    let mut out = head;
    put_vector(&mut out, &group_id);
    out.extend(epoch);
    out.extend(sender);
    put_vector(&mut out, &data);
    out.extend(content_type);
    if commit {
        put_vector(&mut out, &references);
    }
    out.extend(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_written_as_they_are_read() {
        for len in [0, 1, 63, 64, 16_383, 16_384, 70_000] {
            let bytes = vec![5; len];
            let mut written = Vec::new();
            put_vector(&mut written, &bytes);
            let mut reader = Reader(&written);
            assert_eq!(reader.vector(), Some(bytes), "{len}");
            assert!(reader.0.is_empty());
        }
    }
}
