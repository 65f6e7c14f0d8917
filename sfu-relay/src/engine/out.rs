//! What waits to leave the engine.
//!
//! Media to one receiver is written one packet after another into one buffer, a run: the kernel takes a run whole (UDP GSO), which costs it
//! little more than a single packet. A run ends where a packet of another length comes; the last one may be shorter.

use std::collections::VecDeque;

use super::{Event, SessionId};
use crate::net::remote::Remote;
use crate::signal::message::{ErrorCode, RelayMessage};

/// Packets of one run, and its bytes: well below what the kernel takes (64 packets, 65,507 bytes), where longer runs gain nothing more.
const MAX_PACKETS: usize = 16;
const MAX_RUN: usize = 24 << 10;
/// A fresh buffer holds one packet of any network.
const FRESH: usize = 1_600;
/// Bytes kept in buffers to use again.
const MAX_SPARE: usize = 4 << 20;
/// A burst beyond this should leave before more is written: what was just written is still in the processor's cache.
const BURST: usize = 512 << 10;

/// Datagrams to one peer.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit {
    pub to: Remote,
    /// All datagrams, one after another.
    pub data: Vec<u8>,
    /// The length of each but the last, which may be shorter.
    pub segment: usize,
}

impl Transmit {
    /// The datagrams one by one.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.data.chunks(self.segment.max(1))
    }
}

/// Where the next packet to a receiver may be appended. Stays valid, or is known to be over, whatever else is sent.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Run {
    /// Of the transmits ever queued, counted from one.
    number: u64,
}

pub(super) struct Out {
    transmits: VecDeque<Transmit>,
    /// The number of the first in `transmits`.
    first: u64,
    queued: usize,
    pub(super) events: VecDeque<Event>,
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
}

impl Default for Out {
    fn default() -> Self {
        Out {
            transmits: VecDeque::new(),
            first: 1,
            queued: 0,
            events: VecDeque::new(),
            spare: Vec::new(),
            spare_bytes: 0,
        }
    }
}

impl Out {
    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        let Some(mut buffer) = self.spare.pop() else {
            return Vec::with_capacity(FRESH);
        };
        self.spare_bytes -= buffer.capacity();
        buffer.clear();
        buffer
    }

    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare_bytes + buffer.capacity() <= MAX_SPARE {
            self.spare_bytes += buffer.capacity();
            self.spare.push(buffer);
        }
    }

    /// Queues one datagram.
    pub(super) fn send(&mut self, to: Remote, data: Vec<u8>) {
        self.queued += data.len();
        self.transmits.push_back(Transmit {
            to,
            segment: data.len(),
            data,
        });
    }

    /// Queues a datagram that `write` appends to the buffer it is given, if possible in the receiver's run. `false`: it wrote nothing.
    pub(super) fn append(&mut self, run: &mut Run, to: Remote, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let open = run
            .number
            .checked_sub(self.first)
            .and_then(|index| self.transmits.get_mut(index as usize))
            .filter(|transmit| transmit.to == to && transmit.is_open());
        let Some(transmit) = open else {
            let mut buffer = self.buffer();
            if !write(&mut buffer) {
                self.recycle(buffer);
                return false;
            }
            self.start(run, to, buffer);
            return true;
        };
        let before = transmit.data.len();
        if !write(&mut transmit.data) {
            transmit.data.truncate(before);
            return false;
        }
        let len = transmit.data.len() - before;
        if len <= transmit.segment {
            self.queued += len;
            return true;
        }
        // Longer than those before: it begins a run of its own.
        let mut buffer = std::mem::take(&mut transmit.data);
        let mut fresh = self.buffer();
        fresh.extend_from_slice(&buffer[before..]);
        buffer.truncate(before);
        if let Some(transmit) = self.transmits.get_mut((run.number - self.first) as usize) {
            transmit.data = buffer;
        }
        self.start(run, to, fresh);
        true
    }

    fn start(&mut self, run: &mut Run, to: Remote, buffer: Vec<u8>) {
        run.number = self.first + self.transmits.len() as u64;
        self.send(to, buffer);
    }

    pub(super) fn pop(&mut self) -> Option<Transmit> {
        let transmit = self.transmits.pop_front()?;
        self.first += 1;
        self.queued -= transmit.data.len();
        Some(transmit)
    }

    /// Whether enough waits that it should be sent before more comes in.
    pub(super) fn is_burst(&self) -> bool {
        self.queued >= BURST
    }

    pub(super) fn say(&mut self, session: SessionId, message: RelayMessage) {
        self.events.push_back(Event::Say { session, message });
    }

    pub(super) fn complain(&mut self, session: SessionId, code: ErrorCode, message: &str) {
        self.say(
            session,
            RelayMessage::Error {
                code,
                message: message.to_owned(),
                fatal: false,
            },
        );
    }
}

impl Transmit {
    /// Whether another datagram, not longer than the first, may follow.
    fn is_open(&self) -> bool {
        self.data.len().is_multiple_of(self.segment)
            && self.data.len() / self.segment < MAX_PACKETS
            && self.data.len() + self.segment <= MAX_RUN
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{MAX_PACKETS, MAX_RUN, Out, Run, Transmit};
    use crate::net::remote::Remote;
    use std::net::SocketAddr;

    fn to(port: u16) -> Remote {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    fn put(out: &mut Out, run: &mut Run, port: u16, len: usize, byte: u8) {
        assert!(out.append(run, to(port), |buffer| {
            buffer.resize(buffer.len() + len, byte);
            true
        }));
    }

    fn lengths(transmit: &Transmit) -> Vec<usize> {
        transmit.datagrams().map(<[u8]>::len).collect()
    }

    fn drain(out: &mut Out) -> Vec<Transmit> {
        std::iter::from_fn(|| out.pop()).collect()
    }

    #[test]
    fn packets_of_one_length_to_one_receiver_leave_as_one_run_however_receivers_take_turns() {
        let (mut out, mut a, mut b) = (Out::default(), Run::default(), Run::default());
        for byte in 0..3 {
            put(&mut out, &mut a, 1, 100, byte);
            put(&mut out, &mut b, 2, 100, byte);
        }
        let sent = drain(&mut out);
        assert_eq!(sent.len(), 2);
        for transmit in sent {
            assert_eq!(lengths(&transmit), [100, 100, 100]);
            let bytes: Vec<u8> = transmit.datagrams().map(|datagram| datagram[99]).collect();
            assert_eq!(bytes, [0, 1, 2], "in order");
        }
    }

    #[test]
    fn a_shorter_packet_ends_a_run_and_a_longer_one_begins_the_next() {
        let (mut out, mut run) = (Out::default(), Run::default());
        for (byte, len) in [(0, 100), (1, 100), (2, 60), (3, 60), (4, 61), (5, 61)] {
            put(&mut out, &mut run, 1, len, byte);
        }
        let sent = drain(&mut out);
        let all: Vec<Vec<usize>> = sent.iter().map(lengths).collect();
        assert_eq!(all, [vec![100, 100, 60], vec![60], vec![61, 61]]);
        let bytes: Vec<u8> = sent.iter().flat_map(|t| t.datagrams().map(|d| d[0])).collect();
        assert_eq!(bytes, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_run_never_exceeds_what_the_kernel_takes() {
        for len in [1, 100, 1_200, 1_600] {
            let (mut out, mut run) = (Out::default(), Run::default());
            for _ in 0..200 {
                put(&mut out, &mut run, 1, len, 0);
            }
            let sent = drain(&mut out);
            assert_eq!(sent.iter().map(|t| t.datagrams().len()).sum::<usize>(), 200);
            assert!(
                sent.iter()
                    .all(|t| t.datagrams().len() <= MAX_PACKETS && t.data.len() <= MAX_RUN)
            );
        }
    }

    #[test]
    fn a_run_that_left_or_whose_receiver_moved_is_not_appended_to() {
        let (mut out, mut run) = (Out::default(), Run::default());
        put(&mut out, &mut run, 1, 100, 0);
        assert_eq!(drain(&mut out).len(), 1);
        put(&mut out, &mut run, 1, 100, 1);
        put(&mut out, &mut run, 2, 100, 2);
        let sent = drain(&mut out);
        assert_eq!(sent.iter().map(|t| t.to.address().port()).collect::<Vec<_>>(), [1, 2]);
        // The same number again, of a queue that went on without it.
        out.send(to(3), vec![9; 100]);
        put(&mut out, &mut run, 2, 100, 3);
        let sent = drain(&mut out);
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].data, vec![9; 100]);
    }

    #[test]
    fn a_packet_that_is_not_written_leaves_no_trace() {
        let (mut out, mut run) = (Out::default(), Run::default());
        let refuse = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(&[1; 10]);
            false
        };
        assert!(!out.append(&mut run, to(1), refuse));
        assert!(out.pop().is_none());
        put(&mut out, &mut run, 1, 100, 0);
        assert!(!out.append(&mut run, to(1), refuse));
        assert_eq!(lengths(&out.pop().unwrap()), [100]);
        assert!(out.pop().is_none());
        assert!(!out.is_burst());
    }
}
