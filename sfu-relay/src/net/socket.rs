//! The sockets: one port for UDP and one for TCP, of both families, and of each as many as there are threads.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Kernel buffers asked for: a key frame to hundreds of receivers leaves at once.
const SOCKET_BUFFER: usize = 4 << 20;
/// TCP connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 256;

/// One thread's UDP sockets.
pub(crate) struct Sockets {
    pub(crate) v4: Option<std::net::UdpSocket>,
    pub(crate) v6: Option<std::net::UdpSocket>,
}

/// All UDP sockets of a relay.
pub(crate) struct Bound {
    pub(crate) threads: Vec<Sockets>,
    pub(crate) port: u16,
}

impl Bound {
    /// Binds `listen` once for each thread. An unspecified address means both families on one port, where the machine has both.
    pub(crate) fn udp(listen: SocketAddr, threads: usize) -> io::Result<Self> {
        // The first socket shares with nobody. So it tells whether somebody else is there, even another relay, whose peers' datagrams the
        // kernel would otherwise deal out to us.
        let first = udp(listen, false)?;
        let port = first.local_addr()?.port();
        let listen = SocketAddr::new(listen.ip(), port);
        let other = twin(listen).and_then(|twin| udp(twin, false).ok());
        let mut bound = Bound {
            threads: Vec::new(),
            port,
        };
        if threads == 1 {
            bound.threads.push(Sockets::of(first, other));
            return Ok(bound);
        }
        let twin = twin(listen).filter(|_| other.is_some());
        drop((first, other));
        for _ in 0..threads {
            let other = twin.map(|twin| udp(twin, true)).transpose()?;
            bound.threads.push(Sockets::of(udp(listen, true)?, other));
        }
        Ok(bound)
    }

    /// Whether there are sockets of the family of `address`.
    pub(crate) fn reaches(&self, address: &SocketAddr) -> bool {
        self.threads.first().is_some_and(|sockets| {
            if address.is_ipv4() {
                sockets.v4.is_some()
            } else {
                sockets.v6.is_some()
            }
        })
    }
}

impl Sockets {
    fn of(first: std::net::UdpSocket, other: Option<std::net::UdpSocket>) -> Self {
        let is_v4 = first.local_addr().is_ok_and(|address| address.is_ipv4());
        let (v4, v6) = if is_v4 {
            (Some(first), other)
        } else {
            (other, Some(first))
        };
        Sockets { v4, v6 }
    }
}

/// TCP listeners: that of `listen`, and with an unspecified address that of the other family too, if there is one.
pub(crate) fn tcp(listen: SocketAddr) -> io::Result<Vec<std::net::TcpListener>> {
    let first = tcp_one(listen)?;
    let address = SocketAddr::new(listen.ip(), first.local_addr()?.port());
    let other = twin(address).and_then(|twin| tcp_one(twin).ok());
    Ok([Some(first), other].into_iter().flatten().collect())
}

/// The unspecified address of the other family, if this one is unspecified.
fn twin(address: SocketAddr) -> Option<SocketAddr> {
    let port = address.port();
    address.ip().is_unspecified().then(|| {
        if address.is_ipv4() {
            (Ipv6Addr::UNSPECIFIED, port).into()
        } else {
            (Ipv4Addr::UNSPECIFIED, port).into()
        }
    })
}

fn udp(address: SocketAddr, shared: bool) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Smaller buffers are a matter of performance, not of function.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn tcp_one(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a relay that was here before may still be closing.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Bound, tcp, twin};
    use std::net::SocketAddr;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_unspecified_address_has_a_twin_of_the_other_family_and_no_other_has() {
        assert_eq!(twin(address("0.0.0.0:7")), Some(address("[::]:7")));
        assert_eq!(twin(address("[::]:7")), Some(address("0.0.0.0:7")));
        assert_eq!(twin(address("127.0.0.1:7")), None);
        assert_eq!(twin(address("[::1]:7")), None);
    }

    #[test]
    fn rely_42_one_port_serves_both_families_and_every_thread() {
        for listen in ["0.0.0.0:0", "[::]:0"] {
            for threads in [1, 3] {
                let Ok(bound) = Bound::udp(address(listen), threads) else {
                    continue; // a machine without this family
                };
                assert_eq!(bound.threads.len(), threads);
                let sockets = bound.threads.iter().flat_map(|sockets| [&sockets.v4, &sockets.v6]);
                let ports: Vec<u16> = sockets.flatten().map(|s| s.local_addr().unwrap().port()).collect();
                assert!(ports.iter().all(|port| *port == bound.port));
                assert!(bound.reaches(&address("127.0.0.1:1")));
            }
        }
    }

    #[test]
    fn rely_42_a_port_where_another_relay_is_cannot_be_shared_by_accident() {
        for first in [1, 2] {
            let bound = Bound::udp(address("127.0.0.1:0"), first).unwrap();
            let again = SocketAddr::new([127, 0, 0, 1].into(), bound.port);
            for second in [1, 2] {
                assert!(Bound::udp(again, second).is_err(), "{first} threads, then {second}");
            }
        }
        let listeners = tcp(address("127.0.0.1:0")).unwrap();
        assert!(tcp(listeners[0].local_addr().unwrap()).is_err());
    }
}
