//! What of a DTLS datagram the library gets to see.
//!
//! rtc-dtls 0.21.1 puts a handshake message together by calling itself once for each fragment, and takes a fragment's word for where it
//! belongs: some ten thousand fragments of nothing would end the process for want of stack. It also keeps each handshake record that comes
//! after the handshake. So every record is looked at here first, and an association has a number of fragments for its whole life.
//!
//! Requirements held here: RELY-70.

use bytes::BytesMut;

const RECORD_HEADER: usize = 13;
const HANDSHAKE_HEADER: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Records of one datagram. A client's last flight is five of them, and its certificate may come in several.
const MAX_RECORDS: usize = 16;
/// Fragments of handshake messages in an association's life: its last flight of about five, fifty times.
const MAX_FRAGMENTS: usize = 256;
/// Those after the handshake: a client whose own view of it is that it goes on repeats its last flight.
const MAX_FRAGMENTS_AFTER: usize = 64;
/// An encrypted handshake record. The one there is, Finished, takes 48 bytes with AES-GCM and 80 with AES-CBC and SHA-1. How many fragments
/// are inside cannot be seen, so as many are counted as might be.
const MAX_ENCRYPTED: usize = 128;

/// Counts what one association has let in.
#[derive(Debug, Default)]
pub(super) struct Gate {
    fragments: usize,
    fragments_after: usize,
}

impl Gate {
    /// The records that are sound, in their order. Empty: there are none.
    pub(super) fn admit(&mut self, datagram: &[u8], connected: bool) -> BytesMut {
        let mut admitted = BytesMut::new();
        for record in records(datagram).take(MAX_RECORDS) {
            if self.takes(record, connected) {
                admitted.extend_from_slice(record);
            }
        }
        admitted
    }

    fn takes(&mut self, record: &[u8], connected: bool) -> bool {
        let body = &record[RECORD_HEADER..];
        let is_plain = record[3..5] == [0, 0];
        let fragments = match record[0] {
            HANDSHAKE if is_plain => fragments(body),
            HANDSHAKE if body.len() <= MAX_ENCRYPTED => Some(body.len().div_ceil(HANDSHAKE_HEADER)),
            CHANGE_CIPHER_SPEC | ALERT | APPLICATION_DATA => return true,
            _ => None,
        };
        let Some(fragments) = fragments else {
            return false;
        };
        let all = self.fragments + fragments;
        let after = self.fragments_after + if connected { fragments } else { 0 };
        let allowed = all <= MAX_FRAGMENTS && after <= MAX_FRAGMENTS_AFTER;
        if allowed {
            (self.fragments, self.fragments_after) = (all, after);
        }
        allowed
    }
}

/// The records of a datagram up to the first that is cut off.
fn records(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<RECORD_HEADER>()?;
        let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let (record, after) = rest.split_at_checked(RECORD_HEADER + len).filter(|_| len > 0)?;
        rest = after;
        Some(record)
    })
}

/// How many fragments a record of handshake messages holds (RFC 6347 section 4.2.3). `None`: they are not what they say.
fn fragments(mut body: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !body.is_empty() {
        let (header, rest) = body.split_first_chunk::<HANDSHAKE_HEADER>()?;
        let number = |at: usize| u32::from_be_bytes([0, header[at], header[at + 1], header[at + 2]]) as usize;
        let (length, offset, part) = (number(1), number(6), number(9));
        let is_whole = offset == 0 && part == length;
        // The library takes all that follows for the rest of a part, so nothing may.
        let is_part = part > 0 && offset + part <= length && part == rest.len();
        if !is_whole && !is_part {
            return None;
        }
        body = rest.get(part..)?;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::{Gate, HANDSHAKE, MAX_FRAGMENTS, MAX_FRAGMENTS_AFTER, MAX_RECORDS};

    fn fragment(length: u32, offset: u32, part: u32, bytes: usize) -> Vec<u8> {
        let mut out = vec![11];
        out.extend_from_slice(&length.to_be_bytes()[1..]);
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&offset.to_be_bytes()[1..]);
        out.extend_from_slice(&part.to_be_bytes()[1..]);
        out.resize(12 + bytes, 7);
        out
    }

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 1];
        out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn admits(body: &[u8]) -> bool {
        let record = record(HANDSHAKE, 0, body);
        let admitted = Gate::default().admit(&record, false);
        assert!(admitted.is_empty() || admitted == record);
        !admitted.is_empty()
    }

    #[test]
    fn rely_70_a_fragment_lies_within_its_message_and_fills_its_record() {
        assert!(admits(&fragment(30, 0, 30, 30)), "whole");
        assert!(admits(&fragment(30, 10, 20, 20)), "its end");
        assert!(admits(&fragment(30, 0, 10, 10)), "its beginning");
        assert!(admits(&fragment(0, 0, 0, 0)), "a message without content");
        let two = [fragment(3, 0, 3, 3), fragment(5, 0, 5, 5)].concat();
        assert!(admits(&two), "two messages");

        assert!(!admits(&fragment(0, 7, 1, 1)), "of a message without content");
        assert!(!admits(&fragment(0, 7, 1, 0)), "of nothing");
        assert!(!admits(&fragment(30, 20, 11, 11)), "past its end");
        assert!(!admits(&fragment(30, 10, 0, 0)), "no part");
        assert!(!admits(&fragment(30, 0, 30, 29)), "less than it says");
        assert!(!admits(&fragment(30, 0, 10, 11)), "more than it says");
        assert!(!admits(&[fragment(30, 0, 10, 10), fragment(3, 0, 3, 3)].concat()));
        assert!(!admits(&fragment(3, 0, 3, 3)[..11]), "half a header");
    }

    #[test]
    fn rely_70_an_association_has_so_many_fragments_and_fewer_after_its_handshake() {
        let whole = record(HANDSHAKE, 0, &fragment(4, 0, 4, 4));
        let count =
            |gate: &mut Gate, connected| (0..1_000).filter(|_| !gate.admit(&whole, connected).is_empty()).count();
        assert_eq!(count(&mut Gate::default(), false), MAX_FRAGMENTS);
        let mut gate = Gate::default();
        assert_eq!(count(&mut gate, true), MAX_FRAGMENTS_AFTER);
        assert_eq!(count(&mut gate, false), MAX_FRAGMENTS - MAX_FRAGMENTS_AFTER);
        let alert = record(21, 1, &[7; 26]);
        assert_eq!(gate.admit(&alert, true), alert, "an end is heard at any time");
    }

    #[test]
    fn rely_70_what_is_encrypted_counts_for_as_many_fragments_as_it_might_hold() {
        let finished = record(HANDSHAKE, 1, &[7; 48]);
        let mut gate = Gate::default();
        assert_eq!(
            (0..1_000).filter(|_| !gate.admit(&finished, false).is_empty()).count(),
            MAX_FRAGMENTS / 4
        );
        assert!(
            Gate::default()
                .admit(&record(HANDSHAKE, 1, &[7; 129]), false)
                .is_empty()
        );
        assert!(
            Gate::default().admit(&record(25, 1, &[7; 30]), true).is_empty(),
            "of no kind we know"
        );
    }

    #[test]
    fn rely_70_what_stands_beside_a_bad_record_is_taken_and_what_is_cut_off_is_not() {
        let good = record(HANDSHAKE, 0, &fragment(4, 0, 4, 4));
        let bad = record(HANDSHAKE, 0, &fragment(0, 9, 1, 0));
        let datagram = [&good[..], &bad, &good, &good[..good.len() - 1]].concat();
        assert_eq!(Gate::default().admit(&datagram, false), [&good[..], &good].concat());
        let many = good.repeat(MAX_RECORDS + 4);
        assert_eq!(Gate::default().admit(&many, false).len(), good.len() * MAX_RECORDS);
    }
}
