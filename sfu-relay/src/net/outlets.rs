//! The ways out of one thread: a UDP socket of each family, and the connections of peers that came by TCP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use super::batch::Sender;
use super::remote::Remote;
use super::tcp::Connection;
use crate::engine::{Engine, Transmit};
use crate::stats::Counters;

/// One socket.
struct Outlet {
    socket: Arc<UdpSocket>,
    sender: Sender,
    /// What leaves at the next flush.
    queue: Vec<Transmit>,
}

impl Outlet {
    fn new(socket: Arc<UdpSocket>) -> Self {
        Outlet {
            socket,
            sender: Sender::new(),
            queue: Vec::new(),
        }
    }
}

/// A peer's connection. Its task ends with it.
pub(super) struct Line<P> {
    pub(super) connection: Arc<Connection>,
    pub(super) address: SocketAddr,
    pub(super) task: AbortHandle,
    /// Held as long as the connection is.
    pub(super) _place: P,
}

impl<P> Drop for Line<P> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Outlets<P> {
    v4: Option<Outlet>,
    v6: Option<Outlet>,
    pub(super) lines: HashMap<u64, Line<P>>,
    counters: Arc<Counters>,
}

impl<P> Outlets<P> {
    pub(super) fn new(v4: Option<Arc<UdpSocket>>, v6: Option<Arc<UdpSocket>>, counters: Arc<Counters>) -> Self {
        Outlets {
            v4: v4.map(Outlet::new),
            v6: v6.map(Outlet::new),
            lines: HashMap::new(),
            counters,
        }
    }

    /// Sends all that the engine has.
    pub(super) fn flush(&mut self, engine: &mut Engine) {
        while let Some(transmit) = engine.poll_transmit() {
            let outlet = match transmit.to {
                Remote::Udp(SocketAddr::V4(_)) => &mut self.v4,
                Remote::Udp(SocketAddr::V6(_)) => &mut self.v6,
                Remote::Tcp { connection, .. } => {
                    self.write(engine, connection, &transmit);
                    engine.recycle(transmit);
                    continue;
                }
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
            let sent = outlet.sender.send(&outlet.socket, &outlet.queue);
            Counters::add(&self.counters.datagrams_out, sent.datagrams);
            Counters::add(&self.counters.bytes_out, sent.bytes);
            Counters::add(&self.counters.send_dropped, sent.dropped);
            outlet.queue.drain(..).for_each(|transmit| engine.recycle(transmit));
        }
    }

    /// To a peer's own stream: whatever becomes of it, nobody else waits.
    fn write(&self, engine: &Engine, connection: u64, transmit: &Transmit) {
        let line = self.lines.get(&connection);
        for datagram in transmit.datagrams() {
            let essential = || engine.is_essential(transmit.to, datagram);
            if line.is_some_and(|line| line.connection.send(datagram, essential)) {
                Counters::one(&self.counters.datagrams_out);
                Counters::add(&self.counters.bytes_out, datagram.len() as u64);
            } else {
                Counters::one(&self.counters.send_dropped);
            }
        }
        if let Some(line) = line {
            line.connection.flush();
        }
    }
}
