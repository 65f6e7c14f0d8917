//! The engine's thread: sockets, clock and queues around the sans-IO core.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::engine::{Command, Engine, Event, SessionId};
use crate::signal::message::ErrorCode;
use crate::stats::Counters;

/// Kernel buffers asked for: a key frame to hundreds of receivers leaves at once.
const SOCKET_BUFFER: usize = 4 << 20;
/// Datagrams taken from one socket before others get their turn.
const BATCH: usize = 64;
const MAX_DATAGRAM: usize = 2048;

/// What the engine's thread is told.
pub(crate) enum Input {
    /// A session opened; events for it go there.
    Open {
        session: SessionId,
        outbox: mpsc::Sender<Event>,
    },
    Command(Command),
    Shutdown,
}

/// The bound sockets.
pub(crate) struct Sockets {
    v4: Option<std::net::UdpSocket>,
    v6: Option<std::net::UdpSocket>,
    pub(crate) port: u16,
}

impl Sockets {
    /// Binds `listen`, and with an unspecified IPv4 address IPv6 on the same port too if there is IPv6.
    pub(crate) fn bind(listen: SocketAddr) -> io::Result<Self> {
        let first = bind(listen)?;
        let port = first.local_addr()?.port();
        if listen.is_ipv6() {
            return Ok(Sockets {
                v4: None,
                v6: Some(first),
                port,
            });
        }
        let v6 = if listen.ip().is_unspecified() {
            bind((Ipv6Addr::UNSPECIFIED, port).into()).ok()
        } else {
            None
        };
        Ok(Sockets {
            v4: Some(first),
            v6,
            port,
        })
    }

    pub(crate) fn has_v4(&self) -> bool {
        self.v4.is_some()
    }

    pub(crate) fn has_v6(&self) -> bool {
        self.v6.is_some()
    }
}

fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Smaller buffers are a matter of performance, not of function.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Runs the engine until it is told to stop or nobody can tell it anything any more.
pub(crate) async fn run(
    mut engine: Engine,
    sockets: Sockets,
    mut inputs: mpsc::Receiver<Input>,
    counters: Arc<Counters>,
) {
    let open = |socket: Option<std::net::UdpSocket>| socket.and_then(|socket| UdpSocket::from_std(socket).ok());
    let (v4, v6) = (open(sockets.v4), open(sockets.v6));
    let mut outboxes: HashMap<SessionId, mpsc::Sender<Event>> = HashMap::new();
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let sleep = async {
            match engine.poll_timeout() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = readable(v4.as_ref()) => receive(&mut engine, v4.as_ref(), &mut buffer),
            () = readable(v6.as_ref()) => receive(&mut engine, v6.as_ref(), &mut buffer),
            input = inputs.recv() => match input {
                Some(Input::Open { session, outbox }) => drop(outboxes.insert(session, outbox)),
                Some(Input::Command(command)) => {
                    if let Command::Closed { session, .. } = &command {
                        outboxes.remove(session);
                    }
                    engine.handle_command(Instant::now(), command);
                }
                Some(Input::Shutdown) | None => break,
            },
            () = sleep => {}
        }
        engine.handle_timeout(Instant::now());
        flush(&mut engine, v4.as_ref(), v6.as_ref(), &counters);
        deliver(&mut engine, &mut outboxes);
    }
    for (session, outbox) in outboxes {
        let _ = outbox.try_send(Event::Close {
            session,
            code: ErrorCode::ShuttingDown,
        });
    }
}

async fn readable(socket: Option<&UdpSocket>) {
    match socket {
        Some(socket) if socket.readable().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

fn receive(engine: &mut Engine, socket: Option<&UdpSocket>, buffer: &mut [u8]) {
    let Some(socket) = socket else { return };
    let now = Instant::now();
    for _ in 0..BATCH {
        match socket.try_recv_from(buffer) {
            Ok((len, from)) => engine.handle_datagram(now, from, &mut buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // An ICMP error about somebody we sent to; the socket is fine.
            Err(_) => {}
        }
    }
}

fn flush(engine: &mut Engine, v4: Option<&UdpSocket>, v6: Option<&UdpSocket>, counters: &Counters) {
    while let Some(transmit) = engine.poll_transmit() {
        let socket = if transmit.to.is_ipv4() { v4 } else { v6 };
        // A full kernel buffer drops like a network does: media does not wait.
        match socket.map(|socket| socket.try_send_to(&transmit.data, transmit.to)) {
            Some(Ok(_)) => {
                Counters::one(&counters.datagrams_out);
                Counters::add(&counters.bytes_out, transmit.data.len() as u64);
            }
            _ => Counters::one(&counters.send_dropped),
        }
        engine.recycle(transmit);
    }
}

fn deliver(engine: &mut Engine, outboxes: &mut HashMap<SessionId, mpsc::Sender<Event>>) {
    while let Some(event) = engine.poll_event() {
        let (Event::Say { session, .. } | Event::Close { session, .. }) = event;
        let full = outboxes
            .get(&session)
            .is_some_and(|outbox| outbox.try_send(event).is_err());
        if full {
            // Somebody who does not read gets cut off; the dropped sender ends the session's task.
            outboxes.remove(&session);
            engine.handle_command(
                Instant::now(),
                Command::Closed {
                    session,
                    leaving: false,
                },
            );
        }
    }
}
