//! Datagrams that arrived at one thread and are another's.
//!
//! The kernel spreads a port's datagrams over its sockets by address, and a peer belongs to the thread that has its room. What arrives
//! elsewhere is handed over by a bounded ring: no lock, and no allocation once its buffers were made. A full ring drops, as a full socket
//! buffer does.
//!
//! Requirements held here: RELY-47.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use super::demux::Word;

/// Datagrams that may wait: what a thread gets in some milliseconds at its limit.
const RING: usize = 1_024;
/// Of these, places that may be taken when a check from an address nobody knows comes: strangers can send any number.
const FOR_STRANGERS: usize = RING / 4;
/// Fits what a socket's receiver takes.
const BUFFER: usize = 2_048;

/// What a thread is handed by the others.
pub(crate) struct Mailbox {
    parcels: ArrayQueue<(SocketAddr, Vec<u8>)>,
    empties: ArrayQueue<Vec<u8>>,
    /// Addresses of other threads' peers: news that come with a connectivity check, not with a packet.
    news: Mutex<Vec<News>>,
    has_news: AtomicBool,
    arrived: Notify,
}

/// What thread `shard` says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) address: SocketAddr,
    pub(crate) shard: usize,
    pub(crate) word: Word,
}

impl Default for Mailbox {
    fn default() -> Self {
        Mailbox {
            parcels: ArrayQueue::new(RING),
            empties: ArrayQueue::new(RING),
            news: Mutex::default(),
            has_news: AtomicBool::new(false),
            arrived: Notify::new(),
        }
    }
}

impl Mailbox {
    /// Puts a copy in. `false`: there was no room. [`Mailbox::wake`] the owner afterwards, once for all.
    pub(crate) fn put(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let mut buffer = self.empties.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER));
        buffer.clear();
        buffer.extend_from_slice(datagram);
        match self.parcels.push((from, buffer)) {
            Ok(()) => true,
            Err((_, buffer)) => {
                self.give_back(buffer);
                false
            }
        }
    }

    /// The same for whoever is not known to be the owner's peer.
    pub(crate) fn put_strange(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        self.parcels.len() < FOR_STRANGERS && self.put(from, datagram)
    }

    /// Takes out up to as many as a ring holds, so that the owner comes to its sockets in between.
    pub(crate) fn collect(&self, mut take: impl FnMut(SocketAddr, &mut [u8])) {
        for _ in 0..RING {
            let Some((from, mut buffer)) = self.parcels.pop() else {
                return;
            };
            take(from, &mut buffer);
            self.give_back(buffer);
        }
        self.wake();
    }

    fn give_back(&self, buffer: Vec<u8>) {
        // There are never more buffers than places; if there were, one would be freed.
        let _ = self.empties.push(buffer);
    }

    pub(crate) fn tell(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(news);
        self.has_news.store(true, Ordering::Release);
        self.wake();
    }

    /// All since the last time. Without any, as nearly always, this takes no lock.
    pub(crate) fn news(&self) -> Vec<News> {
        if !self.has_news.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn wake(&self) {
        self.arrived.notify_one();
    }

    /// Completes when something came since the last time.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::{FOR_STRANGERS, Mailbox, RING};
    use std::net::SocketAddr;

    fn from(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn rely_47_a_full_ring_drops_what_is_new_and_gives_out_the_rest_in_order() {
        let mailbox = Mailbox::default();
        let taken = (0..RING as u16 + 50)
            .filter(|i| mailbox.put(from(*i), &i.to_be_bytes()))
            .count();
        assert_eq!(taken, RING);
        let mut got = Vec::new();
        mailbox.collect(|address, datagram| got.push((address, datagram.to_vec())));
        let expected: Vec<_> = (0..RING as u16).map(|i| (from(i), i.to_be_bytes().to_vec())).collect();
        assert_eq!(got, expected);
        assert!(mailbox.put(from(1), &[1]));
    }

    #[test]
    fn rely_47_strangers_leave_most_of_the_ring_to_those_who_are_known() {
        let mailbox = Mailbox::default();
        let strangers = (0..RING as u16).filter(|i| mailbox.put_strange(from(*i), &[0])).count();
        assert_eq!(strangers, FOR_STRANGERS);
        let known = (0..RING as u16).filter(|i| mailbox.put(from(*i), &[1])).count();
        assert_eq!(known, RING - FOR_STRANGERS);
        assert!(!mailbox.put_strange(from(1), &[0]));
        mailbox.collect(|_, _| {});
        assert!(mailbox.put_strange(from(1), &[0]));
    }

    #[test]
    fn rely_47_a_used_ring_allocates_nothing() {
        let mailbox = Mailbox::default();
        let turn = || {
            for i in 0..100 {
                assert!(mailbox.put(from(i), &[7; 1_200]));
            }
            mailbox.collect(|_, datagram| assert_eq!(datagram.len(), 1_200));
        };
        turn();
        let used = allocation_counter::measure(turn);
        assert_eq!(used.count_total, 0);
    }
}
