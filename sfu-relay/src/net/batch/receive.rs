//! Receiving: `recvmmsg`, which takes all that waits, up to a batch.

use std::array;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

/// Datagrams taken by one system call.
pub(super) const BATCH: usize = 64;
/// Longer datagrams are cut off, and fail whatever check comes next. WebRTC's stay below 1,300 bytes.
pub(super) const MAX_DATAGRAM: usize = 2_048;

/// The buffers of one socket.
pub(in crate::net) struct Receiver {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; MAX_DATAGRAM]]>,
    arrived: [(usize, Option<SocketAddr>); BATCH],
}

impl Receiver {
    pub(in crate::net) fn new() -> Self {
        Receiver {
            headers: MultiHeaders::preallocate(BATCH, None),
            buffers: vec![[0; MAX_DATAGRAM]; BATCH].into_boxed_slice(),
            arrived: [(0, None); BATCH],
        }
    }

    /// Receives what waits, up to a batch, and hands each datagram to `take`. How many there were.
    pub(in crate::net) fn receive(
        &mut self,
        socket: &impl AsRawFd,
        mut take: impl FnMut(SocketAddr, &mut [u8]),
    ) -> io::Result<usize> {
        let mut count = 0;
        {
            let mut buffers = self.buffers.iter_mut();
            let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
                array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [][..], |buffer| buffer))]);
            let messages = recvmmsg(
                socket.as_raw_fd(),
                &mut self.headers,
                slices.iter_mut(),
                MsgFlags::MSG_DONTWAIT,
                None,
            )?;
            for (message, arrived) in messages.zip(&mut self.arrived) {
                *arrived = (message.bytes, message.address.as_ref().and_then(address));
                count += 1;
            }
        }
        for (buffer, (len, from)) in self.buffers.iter_mut().zip(self.arrived).take(count) {
            if let (Some(datagram), Some(from)) = (buffer.get_mut(..len), from) {
                take(from, datagram);
            }
        }
        Ok(count)
    }
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|address| SocketAddr::V4(SocketAddrV4::from(*address)));
    v4.or_else(|| Some(SocketAddr::V6(SocketAddrV6::from(*storage.as_sockaddr_in6()?))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{BATCH, MAX_DATAGRAM, Receiver};
    use std::net::{SocketAddr, UdpSocket};

    fn pair(address: &str) -> Option<(UdpSocket, UdpSocket)> {
        let socket = || {
            let socket = UdpSocket::bind((address, 0)).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        };
        Some((socket()?, socket()?))
    }

    fn all(receiver: &mut Receiver, socket: &UdpSocket) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut got = Vec::new();
        while let Ok(count) = receiver.receive(socket, |from, datagram| got.push((from, datagram.to_vec()))) {
            assert!(count <= BATCH);
        }
        got
    }

    #[test]
    fn every_datagram_comes_with_its_length_and_sender_at_and_around_a_full_batch() {
        for address in ["127.0.0.1", "::1"] {
            let Some((from, to)) = pair(address) else { continue };
            let mut receiver = Receiver::new();
            for count in [1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH] {
                for i in 0..count {
                    from.send_to(&vec![i as u8; i + 1], to.local_addr().unwrap()).unwrap();
                }
                let got = all(&mut receiver, &to);
                assert_eq!(got.len(), count);
                for (i, (sender, datagram)) in got.into_iter().enumerate() {
                    assert_eq!(sender, from.local_addr().unwrap());
                    assert_eq!(datagram, vec![i as u8; i + 1]);
                }
            }
        }
    }

    #[test]
    fn an_empty_socket_would_block_and_an_oversized_datagram_is_cut_not_overrun() {
        let (from, to) = pair("127.0.0.1").unwrap();
        let mut receiver = Receiver::new();
        let error = receiver.receive(&to, |_, _| panic!("nothing was sent")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        from.send_to(&[7; MAX_DATAGRAM + 500], to.local_addr().unwrap())
            .unwrap();
        from.send_to(&[], to.local_addr().unwrap()).unwrap();
        let got = all(&mut receiver, &to);
        assert_eq!(got.iter().map(|(_, d)| d.len()).collect::<Vec<_>>(), [MAX_DATAGRAM, 0]);
    }
}
