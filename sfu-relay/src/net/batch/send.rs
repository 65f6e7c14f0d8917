//! Sending: `sendmmsg`, and runs of equal length to one receiver whole (UDP GSO, Linux 4.18).
//!
//! Where the kernel or a route does not take a run (an old kernel, IPsec, a route whose MTU is smaller than a packet), its datagrams go one by
//! one; where that keeps happening, runs are not tried for a minute.

use std::array;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendto};

use crate::engine::Transmit;

/// Messages of one system call.
const BATCH: usize = 32;
/// Runs refused in a row after which a socket does without.
const PATIENCE: u32 = 8;

/// After this long they are tried again: a route may have changed, and one peer's is not everybody's.
const PAUSE: Duration = Duration::from_secs(60);

/// What one flush came to, in datagrams.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Sent {
    pub(in crate::net) datagrams: u64,
    pub(in crate::net) bytes: u64,
    pub(in crate::net) dropped: u64,
}

/// The sending side of one socket.
pub(in crate::net) struct Sender {
    plain: MultiHeaders<SockaddrStorage>,
    with_segment: MultiHeaders<SockaddrStorage>,
    /// Runs refused in a row, and when the last one was.
    refused: u32,
    refused_at: Option<Instant>,
}

impl Sender {
    pub(in crate::net) fn new() -> Self {
        Sender {
            plain: MultiHeaders::preallocate(BATCH, None),
            with_segment: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(u16))),
            refused: 0,
            refused_at: None,
        }
    }

    /// Sends all, in order. A full kernel buffer drops like a network does: media does not wait.
    pub(in crate::net) fn send(&mut self, socket: &impl AsRawFd, transmits: &[Transmit]) -> Sent {
        let fd = socket.as_raw_fd();
        let mut sent = Sent::default();
        let mut rest = transmits;
        if self.refused >= PATIENCE && self.refused_at.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.refused = 0;
        }
        while let Some(first) = rest.first() {
            if is_run(first) && self.refused >= PATIENCE {
                one_by_one(fd, first, &mut sent);
                rest = &rest[1..];
                continue;
            }
            let group = group(rest, self.refused < PATIENCE);
            let done = self.call(fd, &rest[..group.len], group.segment);
            match done {
                Ok(done) => {
                    for transmit in &rest[..done] {
                        sent.datagrams += transmit.datagrams().len() as u64;
                        sent.bytes += transmit.data.len() as u64;
                    }
                    if group.segment.is_some() {
                        self.refused = 0;
                    }
                    rest = &rest[done.max(1)..];
                }
                // What cannot be sent now is lost, as it would be a moment later in a full queue of a router.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    sent.dropped += rest
                        .iter()
                        .map(|transmit| transmit.datagrams().len() as u64)
                        .sum::<u64>();
                    return sent;
                }
                Err(Errno::EINTR) => {}
                // About the first message, whatever it was.
                Err(_) => {
                    if is_run(first) {
                        self.refused += 1;
                        self.refused_at = Some(Instant::now());
                        one_by_one(fd, first, &mut sent);
                    } else {
                        sent.dropped += 1;
                    }
                    rest = &rest[1..];
                }
            }
        }
        sent
    }

    fn call(&mut self, fd: RawFd, transmits: &[Transmit], segment: Option<u16>) -> Result<usize, Errno> {
        let data = |i: usize| transmits.get(i).map_or(&[][..], |transmit| &transmit.data);
        let slices: [[IoSlice<'_>; 1]; BATCH] = array::from_fn(|i| [IoSlice::new(data(i))]);
        let addresses: [Option<SockaddrStorage>; BATCH] = array::from_fn(|i| {
            transmits
                .get(i)
                .map(|transmit| SockaddrStorage::from(transmit.to.address()))
        });
        let slices = &slices[..transmits.len()];
        let flags = MsgFlags::MSG_DONTWAIT;
        let results = match &segment {
            Some(segment) => {
                let control = [ControlMessage::UdpGsoSegments(segment)];
                sendmmsg(fd, &mut self.with_segment, slices, &addresses[..], control, flags)?.count()
            }
            None => {
                let none: [ControlMessage<'_>; 0] = [];
                sendmmsg(fd, &mut self.plain, slices, &addresses[..], none, flags)?.count()
            }
        };
        Ok(results)
    }
}

struct Group {
    len: usize,
    segment: Option<u16>,
}

fn is_run(transmit: &Transmit) -> bool {
    transmit.data.len() > transmit.segment
}

/// How many of `transmits` one system call can take. All its messages share one segment length: runs of that length, and single datagrams
/// that are not longer.
fn group(transmits: &[Transmit], runs: bool) -> Group {
    let (mut segment, mut longest, mut len) = (None, 0, 0);
    for transmit in transmits.iter().take(BATCH) {
        if !is_run(transmit) {
            if segment.is_some_and(|segment| transmit.segment > segment) {
                break;
            }
            longest = longest.max(transmit.segment);
        } else {
            let fits = segment.is_none_or(|segment| segment == transmit.segment) && longest <= transmit.segment;
            if !runs || !fits || transmit.segment > usize::from(u16::MAX) {
                break;
            }
            segment = Some(transmit.segment);
        }
        len += 1;
    }
    Group {
        len,
        segment: segment.map(|segment| segment as u16),
    }
}

fn one_by_one(fd: RawFd, transmit: &Transmit, sent: &mut Sent) {
    let to = SockaddrStorage::from(transmit.to.address());
    for datagram in transmit.datagrams() {
        match sendto(fd, datagram, &to, MsgFlags::MSG_DONTWAIT) {
            Ok(_) => {
                sent.datagrams += 1;
                sent.bytes += datagram.len() as u64;
            }
            Err(_) => sent.dropped += 1,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{BATCH, PATIENCE, Sender, Sent, group};
    use crate::engine::Transmit;
    use std::net::{SocketAddr, UdpSocket};

    fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// A run of these lengths, each datagram filled with its number from `first` on.
    fn run(to: SocketAddr, first: u8, lengths: &[usize]) -> Transmit {
        let numbered = lengths.iter().zip(first..);
        Transmit {
            to: to.into(),
            segment: lengths[0],
            data: numbered.flat_map(|(len, number)| vec![number; *len]).collect(),
        }
    }

    fn received(socket: &UdpSocket) -> Vec<(u8, usize)> {
        let mut buffer = [0; 2048];
        let mut got = Vec::new();
        while let Ok(len) = socket.recv(&mut buffer) {
            assert!(buffer[..len].iter().all(|byte| *byte == buffer[0]));
            got.push((buffer[0], len));
        }
        got
    }

    #[test]
    fn runs_single_datagrams_and_shorter_ends_all_arrive_as_the_datagrams_they_are_made_of() {
        for refused in [0, PATIENCE] {
            let ((from, _), (to, address)) = (socket(), socket());
            let mut sender = Sender {
                refused,
                ..Sender::new()
            };
            let transmits = [
                run(address, 0, &[900]),
                run(address, 1, &[1_000, 1_000, 300]),
                run(address, 4, &[1_000, 1_000]),
                run(address, 6, &[500, 500]),
                run(address, 8, &[1_200]),
            ];
            let sent = sender.send(&from, &transmits);
            let lengths = [900, 1_000, 1_000, 300, 1_000, 1_000, 500, 500, 1_200];
            assert_eq!(received(&to), (0..).zip(lengths).collect::<Vec<_>>());
            let expected = Sent {
                datagrams: 9,
                bytes: lengths.iter().sum::<usize>() as u64,
                dropped: 0,
            };
            assert_eq!(sent, expected);
        }
    }

    #[test]
    fn more_than_one_call_takes_is_sent_in_order() {
        let ((from, _), (to, address)) = (socket(), socket());
        for count in [BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 1] {
            let transmits: Vec<Transmit> = (0..count as u8).map(|i| run(address, i, &[200])).collect();
            assert_eq!(Sender::new().send(&from, &transmits).datagrams, count as u64);
            let numbers: Vec<u8> = received(&to).into_iter().map(|(number, _)| number).collect();
            assert_eq!(numbers, (0..count as u8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_receiver_that_cannot_be_reached_costs_nobody_else_a_datagram() {
        let ((from, _), (to, address)) = (socket(), socket());
        // Port 0 cannot be sent to.
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let transmits = [
            run(address, 0, &[100, 100]),
            run(nowhere, 9, &[100, 100]),
            run(nowhere, 9, &[100]),
            run(address, 2, &[100, 100]),
        ];
        let sent = Sender::new().send(&from, &transmits);
        assert_eq!((sent.datagrams, sent.dropped), (4, 3));
        assert_eq!(received(&to).len(), 4);
    }

    #[test]
    fn runs_that_are_refused_again_and_again_are_not_tried_any_more_and_a_taken_one_is_forgiven() {
        let ((from, _), (to, address)) = (socket(), socket());
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut sender = Sender::new();
        for i in 1..PATIENCE {
            sender.send(&from, &[run(nowhere, 0, &[100, 100])]);
            assert_eq!(sender.refused, i);
        }
        sender.send(&from, &[run(address, 0, &[100, 100])]);
        assert_eq!(sender.refused, 0);
        for _ in 0..2 * PATIENCE {
            sender.send(&from, &[run(nowhere, 0, &[100, 100])]);
        }
        assert_eq!(sender.refused, PATIENCE);
        assert_eq!(sender.send(&from, &[run(address, 0, &[100, 100])]).datagrams, 2);
        assert_eq!(received(&to).len(), 4);
    }

    #[test]
    fn a_group_shares_one_segment_length() {
        let (_, to) = socket();
        let of = |transmits: &[Transmit], runs| {
            let group = group(transmits, runs);
            (group.len, group.segment)
        };
        let (short, long) = (run(to, 0, &[100]), run(to, 0, &[300]));
        let (pair, other) = (run(to, 0, &[200, 200]), run(to, 0, &[250, 250]));
        let transmits = |list: &[&Transmit]| -> Vec<Transmit> {
            list.iter()
                .map(|t| Transmit {
                    to: t.to,
                    data: t.data.clone(),
                    segment: t.segment,
                })
                .collect()
        };
        assert_eq!(of(&transmits(&[&short, &pair, &short, &pair]), true), (4, Some(200)));
        assert_eq!(of(&transmits(&[&pair, &other]), true), (1, Some(200)));
        assert_eq!(of(&transmits(&[&pair, &long]), true), (1, Some(200)));
        assert_eq!(of(&transmits(&[&long, &pair]), true), (1, None));
        assert_eq!(of(&transmits(&[&short, &long, &short]), true), (3, None));
        assert_eq!(of(&transmits(&[&short, &pair]), false), (1, None));
    }
}
