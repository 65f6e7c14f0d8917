//! The engine's thread: sockets, clock and queues around the sans-IO core.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::batch::{Receiver, Sender};
use crate::engine::{Command, Engine, Event, SessionId, Transmit};
use crate::signal::message::ErrorCode;
use crate::stats::Counters;

/// Kernel buffers asked for: a key frame to hundreds of receivers leaves at once.
const SOCKET_BUFFER: usize = 4 << 20;
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

/// The way out by one socket.
struct Outlet<'a> {
    socket: &'a UdpSocket,
    sender: Sender,
    /// What leaves at the next flush.
    queue: Vec<Transmit>,
}

impl<'a> Outlet<'a> {
    fn new(socket: &'a UdpSocket) -> Self {
        Outlet {
            socket,
            sender: Sender::new(),
            queue: Vec::new(),
        }
    }
}

/// Both families' ways out.
struct Outlets<'a> {
    v4: Option<Outlet<'a>>,
    v6: Option<Outlet<'a>>,
    counters: &'a Counters,
}

impl Outlets<'_> {
    /// Sends all that the engine has.
    fn flush(&mut self, engine: &mut Engine) {
        while let Some(transmit) = engine.poll_transmit() {
            let outlet = if transmit.to.is_ipv4() {
                &mut self.v4
            } else {
                &mut self.v6
            };
            match outlet {
                Some(outlet) => outlet.queue.push(transmit),
                None => {
                    Counters::add(&self.counters.send_dropped, transmit.datagrams().len() as u64);
                    engine.recycle(transmit);
                }
            }
        }
        for outlet in [&mut self.v4, &mut self.v6].into_iter().flatten() {
            let sent = outlet.sender.send(outlet.socket, &outlet.queue);
            Counters::add(&self.counters.datagrams_out, sent.datagrams);
            Counters::add(&self.counters.bytes_out, sent.bytes);
            Counters::add(&self.counters.send_dropped, sent.dropped);
            outlet.queue.drain(..).for_each(|transmit| engine.recycle(transmit));
        }
    }
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
    let (mut from_v4, mut from_v6) = (Receiver::new(), Receiver::new());
    let mut outlets = Outlets {
        v4: v4.as_ref().map(Outlet::new),
        v6: v6.as_ref().map(Outlet::new),
        counters: &counters,
    };
    let mut outboxes: HashMap<SessionId, mpsc::Sender<Event>> = HashMap::new();
    loop {
        let sleep = async {
            match engine.poll_timeout() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            socket = readable(v4.as_ref()) => receive(&mut engine, socket, &mut from_v4, &mut outlets),
            socket = readable(v6.as_ref()) => receive(&mut engine, socket, &mut from_v6, &mut outlets),
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
        outlets.flush(&mut engine);
        deliver(&mut engine, &mut outboxes);
    }
    for (session, outbox) in outboxes {
        let _ = outbox.try_send(Event::Close {
            session,
            code: ErrorCode::ShuttingDown,
        });
    }
}

async fn readable(socket: Option<&UdpSocket>) -> &UdpSocket {
    match socket {
        Some(socket) if socket.readable().await.is_ok() => socket,
        _ => std::future::pending().await,
    }
}

/// Hands one batch to the engine: others get their turn before the next.
fn receive(engine: &mut Engine, socket: &UdpSocket, receiver: &mut Receiver, outlets: &mut Outlets<'_>) {
    let now = Instant::now();
    // An ICMP error about somebody we sent to may be reported here; the socket is fine, and the next call goes on.
    let _ = socket.try_io(Interest::READABLE, || {
        receiver.receive(socket, |from, datagram| {
            engine.handle_datagram(now, from, datagram);
            if engine.is_burst() {
                outlets.flush(engine);
            }
        })
    });
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
