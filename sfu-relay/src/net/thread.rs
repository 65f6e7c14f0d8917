//! One of the relay's threads: sockets, clock and queues around a sans-IO engine of its own.
//!
//! Each thread has whole rooms. What arrives at its sockets for another thread's peers is handed over: checks by the user name they bear,
//! everything else by address (docs/decisions/0014).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};

use super::batch::Receiver;
use super::handover::{Mailbox, News};
use super::ice::IceLite;
use super::outlets::{Line, Outlets};
use super::remote::Remote;
use super::socket::Sockets;
use super::stun::BindingRequest;
use super::tcp::door::{self, Place, Places};
use super::tcp::{self, Caller, Connection, Happening};
use crate::engine::{Command, Engine, Event, RoomFigures, SessionId};
use crate::signal::message::{ErrorCode, RelayMessage};
use crate::stats::Counters;

/// Frames of all TCP connections that may wait for the engine. Who would exceed this waits, and with it its sender.
const FRAMES: usize = 256;
/// How often connections are looked for whose peer is gone.
const SWEEP: Duration = Duration::from_secs(1);

/// What a thread is told.
pub(crate) enum Input {
    /// A session opened; events for it go there.
    Open {
        session: SessionId,
        outbox: mpsc::Sender<Event>,
    },
    Command(Command),
    /// Somebody came by TCP and named a peer of this thread.
    Caller(Box<Caller>),
    /// Somebody asks for the rooms' figures.
    Figures(oneshot::Sender<Vec<RoomFigures>>),
    /// All sessions are to find another relay.
    Farewell,
    Shutdown,
}

/// What a thread is made of.
pub(crate) struct Parts {
    pub(crate) index: usize,
    pub(crate) engine: Engine,
    pub(crate) sockets: Sockets,
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) counters: Arc<Counters>,
    /// Of all threads, by number.
    pub(crate) mailboxes: Arc<[Mailbox]>,
    /// The TCP listeners, at one thread only; and the ways to all.
    pub(crate) listeners: Vec<std::net::TcpListener>,
    pub(crate) threads: Vec<mpsc::WeakSender<Input>>,
}

struct Thread {
    index: usize,
    engine: Engine,
    outlets: Outlets<Place>,
    outboxes: HashMap<SessionId, mpsc::Sender<Event>>,
    counters: Arc<Counters>,
    mailboxes: Arc<[Mailbox]>,
    /// A bit for each thread that got something and has to be woken.
    handed: u64,
    happenings: mpsc::Sender<Happening>,
    connections: u64,
    swept: Instant,
    /// Whoever comes is told to find another relay.
    farewell: bool,
}

/// Runs until it is told to stop or nobody can tell it anything any more.
pub(crate) async fn run(parts: Parts) {
    let open = |socket: Option<std::net::UdpSocket>| socket.and_then(|s| UdpSocket::from_std(s).ok()).map(Arc::new);
    let (v4, v6) = (open(parts.sockets.v4), open(parts.sockets.v6));
    let (mut from_v4, mut from_v6) = (Receiver::new(), Receiver::new());
    watch_doors(parts.listeners, &parts.counters, &parts.threads);
    let mut inputs = parts.inputs;
    let (happenings, mut happened) = mpsc::channel(FRAMES);
    let mailboxes = parts.mailboxes.clone();
    let mut thread = Thread {
        index: parts.index,
        engine: parts.engine,
        outlets: Outlets::new(v4.clone(), v6.clone(), parts.counters.clone()),
        outboxes: HashMap::new(),
        counters: parts.counters,
        mailboxes: parts.mailboxes,
        handed: 0,
        happenings,
        connections: 0,
        swept: Instant::now(),
        farewell: false,
    };
    loop {
        let next = thread.next_look();
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = readable(v4.as_deref()) => thread.receive(v4.as_deref(), &mut from_v4),
            () = readable(v6.as_deref()) => thread.receive(v6.as_deref(), &mut from_v6),
            () = mailboxes[parts.index].arrived() => thread.collect(),
            Some(happening) = happened.recv() => {
                thread.happened(happening);
                while let Ok(happening) = happened.try_recv() {
                    thread.happened(happening);
                }
            }
            input = inputs.recv() => match input {
                Some(Input::Shutdown) | None => break,
                Some(input) => thread.told(input),
            },
            () = sleep => {}
        }
        thread.engine.handle_timeout(Instant::now());
        thread.flush();
        thread.deliver();
        thread.sweep();
    }
    for (session, outbox) in thread.outboxes.drain() {
        let _ = outbox.try_send(Event::Close {
            session,
            code: ErrorCode::ShuttingDown,
        });
    }
}

fn say_farewell(session: SessionId, outbox: &mpsc::Sender<Event>) {
    let message = RelayMessage::Error {
        code: ErrorCode::ShuttingDown,
        message: "the relay is going down: connect anew, by then there is another one".into(),
        fatal: false,
    };
    // Who does not read will notice when the relay is gone.
    let _ = outbox.try_send(Event::Say { session, message });
}

async fn readable(socket: Option<&UdpSocket>) {
    match socket {
        Some(socket) if socket.readable().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

/// Accepts TCP connections and passes them to the threads their first checks name.
fn watch_doors(listeners: Vec<std::net::TcpListener>, counters: &Arc<Counters>, threads: &[mpsc::WeakSender<Input>]) {
    let places = Arc::new(Places::default());
    for listener in listeners {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "TCP connections are not taken");
                continue;
            }
        };
        let threads = threads.to_vec();
        let pass = move |shard: usize, caller: Caller| {
            // A queue that is full or gone closes the connection, and the peer may try again.
            if let Some(inputs) = threads.get(shard).and_then(mpsc::WeakSender::upgrade) {
                let _ = inputs.try_send(Input::Caller(Box::new(caller)));
            }
        };
        tokio::spawn(door::watch(listener, places.clone(), counters.clone(), pass));
    }
}

impl Thread {
    /// Takes one batch from a socket: others get their turn before the next.
    fn receive(&mut self, socket: Option<&UdpSocket>, receiver: &mut Receiver) {
        let (Some(socket), now) = (socket, Instant::now()) else {
            return;
        };
        self.hear_news();
        // An ICMP error about somebody we sent to may be reported here; the socket is fine, and the next call goes on.
        let _ = socket.try_io(Interest::READABLE, || {
            receiver.receive(socket, |from, datagram| self.take(now, from, datagram))
        });
        self.wake_others();
    }

    fn take(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        if let Some(owner) = self.owner(from, datagram) {
            self.hand_over(owner, from, datagram);
        } else {
            self.handle(now, from.into(), datagram);
        }
    }

    fn handle(&mut self, now: Instant, from: Remote, datagram: &mut [u8]) {
        self.engine.handle_datagram(now, from, datagram);
        if self.engine.is_burst() {
            self.flush();
        }
    }

    /// Sends what waits. The others hear of new addresses before: who was told that its check arrived sends at once, and the kernel may
    /// give that to any of us.
    fn flush(&mut self) {
        self.tell_routes();
        self.outlets.flush(&mut self.engine);
    }

    /// The thread whose peer sent this, if it is another one. A check says so itself: its address may be new.
    fn owner(&self, from: SocketAddr, datagram: &[u8]) -> Option<usize> {
        if self.mailboxes.len() == 1 {
            return None;
        }
        let owner = if BindingRequest::looks_like(datagram) {
            IceLite::shard_of(BindingRequest::parse(datagram).ok()?.local_ufrag)
        } else {
            self.engine.elsewhere(from)
        };
        owner.filter(|owner| *owner != self.index && *owner < self.mailboxes.len())
    }

    fn hand_over(&mut self, owner: usize, from: SocketAddr, datagram: &[u8]) {
        let mailbox = &self.mailboxes[owner];
        let put = if self.engine.elsewhere(from) == Some(owner) {
            mailbox.put(from, datagram)
        } else {
            mailbox.put_strange(from, datagram)
        };
        if put {
            self.handed |= 1 << owner;
            Counters::one(&self.counters.handed_over);
        } else {
            Counters::one(&self.counters.handover_dropped);
        }
    }

    /// Takes what the others handed over.
    fn collect(&mut self) {
        self.hear_news();
        let (now, mailboxes) = (Instant::now(), self.mailboxes.clone());
        mailboxes[self.index].collect(|from, datagram| self.handle(now, from.into(), datagram));
    }

    fn hear_news(&mut self) {
        for news in self.mailboxes[self.index].news() {
            for early in self.engine.hear(Instant::now(), news) {
                self.hand_over(news.shard, news.address, &early);
            }
        }
        self.wake_others();
    }

    fn wake_others(&mut self) {
        for (index, mailbox) in self.mailboxes.iter().enumerate() {
            if self.handed >> index & 1 == 1 {
                mailbox.wake();
            }
        }
        self.handed = 0;
    }

    fn tell_routes(&mut self) {
        while let Some(route) = self.engine.poll_route() {
            let news = News {
                address: route.address,
                shard: self.index,
                word: route.word,
            };
            for (index, mailbox) in self.mailboxes.iter().enumerate() {
                if index != self.index {
                    mailbox.tell(news);
                }
            }
        }
    }

    fn told(&mut self, input: Input) {
        match input {
            Input::Open { session, outbox } => {
                if self.farewell {
                    say_farewell(session, &outbox);
                }
                self.outboxes.insert(session, outbox);
            }
            Input::Command(command) => {
                if let Command::Closed { session, .. } = &command {
                    self.outboxes.remove(session);
                }
                self.engine.handle_command(Instant::now(), command);
            }
            Input::Caller(caller) => self.admit(*caller),
            // Who does not wait any more needs no answer.
            Input::Figures(asked) => drop(asked.send(self.engine.rooms())),
            Input::Farewell => {
                self.farewell = true;
                for (session, outbox) in &self.outboxes {
                    say_farewell(*session, outbox);
                }
            }
            Input::Shutdown => {}
        }
    }

    fn admit(&mut self, caller: Caller) {
        let Ok(stream) = TcpStream::from_std(caller.stream) else {
            return;
        };
        self.connections += 1;
        let remote = Remote::Tcp {
            connection: self.connections,
            address: caller.address,
        };
        let connection = Connection::new(stream);
        let serving = tcp::serve(connection.clone(), remote, caller.frames, self.happenings.clone());
        let line = Line {
            connection,
            address: caller.address,
            task: tokio::spawn(serving).abort_handle(),
            _place: caller.place,
        };
        self.outlets.lines.insert(self.connections, line);
        Counters::one(&self.counters.tcp_connections);
        self.count_lines();
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Datagram(remote, mut datagram) => {
                self.handle(Instant::now(), remote, &mut datagram);
                // RELY-45: the first frame is an authentic check, or it is the last.
                if !self.engine.knows(remote) {
                    self.hang_up(remote);
                }
            }
            Happening::Closed(remote) => self.hang_up(remote),
        }
    }

    fn hang_up(&mut self, remote: Remote) {
        if let Remote::Tcp { connection, .. } = remote {
            self.outlets.lines.remove(&connection);
            self.engine.connection_closed(remote);
            self.count_lines();
        }
    }

    fn count_lines(&self) {
        let lines = self.outlets.lines.values();
        Counters::set(&self.counters.tcp_open, lines.len());
        Counters::set(
            &self.counters.tcp_waiting,
            lines.map(|line| line.connection.waiting()).sum(),
        );
    }

    fn next_look(&self) -> Option<Instant> {
        let sweep = (!self.outlets.lines.is_empty()).then(|| self.swept + SWEEP);
        self.engine.poll_timeout().into_iter().chain(sweep).min()
    }

    /// Closes the connections of peers that are gone.
    fn sweep(&mut self) {
        let now = Instant::now();
        if self.outlets.lines.is_empty() || now.saturating_duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        let engine = &self.engine;
        self.outlets.lines.retain(|connection, line| {
            let remote = Remote::Tcp {
                connection: *connection,
                address: line.address,
            };
            // One that came a moment ago has its first check still to be handed in.
            engine.knows(remote) || !line.connection.is_old(SWEEP)
        });
        self.count_lines();
    }

    fn deliver(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            let (Event::Say { session, .. } | Event::Close { session, .. }) = event;
            if matches!(event, Event::Close { .. }) {
                // The last there is for it; the session's task says no more of it to us.
                if let Some(outbox) = self.outboxes.remove(&session) {
                    let _ = outbox.try_send(event);
                }
                continue;
            }
            let outbox = self.outboxes.get(&session);
            if outbox.is_some_and(|outbox| outbox.try_send(event).is_err()) {
                // Somebody who does not read gets cut off; the dropped sender ends the session's task.
                self.outboxes.remove(&session);
                let closed = Command::Closed {
                    session,
                    leaving: false,
                };
                self.engine.handle_command(Instant::now(), closed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
