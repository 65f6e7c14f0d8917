//! One peer's TCP connection, on the thread that has the peer.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use super::framing::Frames;
use super::outbox::Outbox;
use crate::net::remote::Remote;

/// A receiver that takes nothing for this long, while something waits for it, is disconnected.
const STALLED: Duration = Duration::from_secs(5);

/// What a connection's task tells the thread.
pub(in crate::net) enum Happening {
    Datagram(Remote, Vec<u8>),
    Closed(Remote),
}

/// The thread's handle on a connection.
pub(in crate::net) struct Connection {
    stream: TcpStream,
    /// Held for moments, and by one thread: the connection's task runs on the one that sends.
    outbox: Mutex<Outbox>,
    more: Notify,
    since: Instant,
}

impl Connection {
    pub(in crate::net) fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Connection {
            stream,
            outbox: Mutex::new(Outbox::default()),
            more: Notify::new(),
            since: Instant::now(),
        })
    }

    pub(in crate::net) fn is_old(&self, age: Duration) -> bool {
        self.since.elapsed() >= age
    }

    /// Queues a datagram. `false`: it was left out, because the receiver is slow.
    pub(in crate::net) fn send(&self, datagram: &[u8], essential: impl FnOnce() -> bool) -> bool {
        self.outbox().push(datagram, essential)
    }

    /// Bytes that wait for the receiver.
    pub(in crate::net) fn waiting(&self) -> usize {
        self.outbox().waiting().len()
    }

    /// Writes what can be written now; the rest when there is room.
    pub(in crate::net) fn flush(&self) {
        if !matches!(self.write(), Ok(true)) {
            self.more.notify_one();
        }
    }

    /// `true`: everything was written.
    fn write(&self) -> io::Result<bool> {
        let mut outbox = self.outbox();
        while !outbox.waiting().is_empty() {
            match self.stream.try_write(outbox.waiting()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => outbox.wrote(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    async fn write_the_rest(&self) -> io::Result<()> {
        loop {
            self.more.notified().await;
            while !self.write()? {
                let writable = tokio::time::timeout(STALLED, self.stream.writable());
                writable.await.map_err(|_| io::ErrorKind::TimedOut)??;
            }
        }
    }

    async fn read(&self, remote: Remote, mut frames: Frames, to: &mpsc::Sender<Happening>) -> io::Result<()> {
        loop {
            while let Some(frame) = frames.next().map_err(io::Error::other)? {
                // A thread that is behind is waited for: then so is the peer, by TCP itself.
                if to.send(Happening::Datagram(remote, frame.to_vec())).await.is_err() {
                    return Ok(());
                }
            }
            self.stream.readable().await?;
            match self.stream.try_read(frames.space()) {
                Ok(0) => return Ok(()),
                Ok(len) => frames.filled(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn outbox(&self) -> std::sync::MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries frames both ways until either side is done.
pub(in crate::net) async fn serve(
    connection: Arc<Connection>,
    remote: Remote,
    frames: Frames,
    to: mpsc::Sender<Happening>,
) {
    let ended = tokio::select! {
        read = connection.read(remote, frames, &to) => read,
        written = connection.write_the_rest() => written,
    };
    if let Err(error) = ended {
        tracing::debug!(kind = ?error.kind(), "a TCP connection ended");
    }
    // The thread that is gone needs no telling.
    let _ = to.send(Happening::Closed(remote)).await;
}
