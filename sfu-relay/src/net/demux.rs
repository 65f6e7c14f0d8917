//! One socket, many peers: by ICE user name while a path is new, by remote address afterwards.
//!
//! Requirements held here: RELY-71.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::remote::Remote;

/// DTLS from addresses not yet known is held this long: a client's first flight may overtake its own binding request.
const HOLD: Duration = Duration::from_secs(2);
/// Held datagrams in all, and per address. Strangers cannot make the relay keep more than this.
const MAX_HELD: usize = 64;
const MAX_HELD_PER_ADDRESS: usize = 4;
/// Paths remembered per peer.
const MAX_PATHS: usize = 16;

pub(crate) struct Demux<K> {
    by_ufrag: HashMap<String, K>,
    by_address: HashMap<Remote, K>,
    held: VecDeque<(Instant, Remote, Vec<u8>)>,
    /// Addresses of other threads' peers.
    elsewhere: HashMap<SocketAddr, usize>,
    /// What others have to know to hand over our peers' datagrams. Empty where there are no others.
    routes: VecDeque<Route>,
    tells_routes: bool,
}

/// What a thread tells the others of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) address: SocketAddr,
    pub(crate) word: Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// A peer here proved to be there.
    Here,
    /// No peer here is there any more.
    Gone,
    /// A peer here would be there, and somebody else's is: whose it is may let go of it.
    Wanted,
}

impl<K: Copy + PartialEq> Demux<K> {
    pub(crate) fn new() -> Self {
        Demux {
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            held: VecDeque::new(),
            elsewhere: HashMap::new(),
            routes: VecDeque::new(),
            tells_routes: false,
        }
    }

    pub(crate) fn add_ufrag(&mut self, ufrag: &str, peer: K) {
        self.by_ufrag.insert(ufrag.to_owned(), peer);
    }

    pub(crate) fn remove_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag);
    }

    /// The peer whose answer named this user name fragment.
    pub(crate) fn ufrag(&self, ufrag: &str) -> Option<K> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// The peer that proved to be at this address.
    pub(crate) fn address(&self, address: Remote) -> Option<K> {
        self.by_address.get(&address).copied()
    }

    /// Records that an authenticated request of `peer` came from `address`. `paths` is the peer's own list, newest last; what is `in_use`
    /// stays, however many others come.
    pub(crate) fn learn(&mut self, address: Remote, peer: K, paths: &mut Vec<Remote>, in_use: Option<Remote>) {
        let was_elsewhere = address.is_udp() && self.elsewhere.remove(&address.address()).is_some();
        if self.by_address.insert(address, peer).is_none() || was_elsewhere {
            self.tell(address, Word::Here);
        }
        paths.retain(|path| *path != address);
        paths.push(address);
        if paths.len() > MAX_PATHS
            && let Some(oldest) = paths.iter().position(|path| Some(*path) != in_use)
        {
            let oldest = paths.remove(oldest);
            self.forget(oldest, peer);
        }
    }

    pub(crate) fn forget(&mut self, address: Remote, peer: K) {
        if self.address(address) == Some(peer) {
            self.by_address.remove(&address);
            self.tell(address, Word::Gone);
        }
    }

    /// The thread whose peer is at this address, if it is another.
    pub(crate) fn elsewhere(&self, address: SocketAddr) -> Option<usize> {
        self.elsewhere.get(&address).copied()
    }

    /// Another thread's peer is there.
    pub(crate) fn is_elsewhere(&mut self, address: SocketAddr, thread: usize) {
        self.elsewhere.insert(address, thread);
    }

    /// That thread's peer is not there any more. Another may have come meanwhile.
    pub(crate) fn is_nowhere(&mut self, address: SocketAddr, thread: usize) {
        if self.elsewhere(address) == Some(thread) {
            self.elsewhere.remove(&address);
        }
    }

    /// A peer here would be where another thread's is.
    pub(crate) fn want(&mut self, address: Remote) {
        self.tell(address, Word::Wanted);
    }

    /// From now on [`Demux::poll_route`] tells of every address that comes and goes.
    pub(crate) fn tell_routes(&mut self) {
        self.tells_routes = true;
    }

    pub(crate) fn poll_route(&mut self) -> Option<Route> {
        self.routes.pop_front()
    }

    fn tell(&mut self, remote: Remote, word: Word) {
        if let Remote::Udp(address) = remote
            && self.tells_routes
        {
            self.routes.push_back(Route { address, word });
        }
    }

    /// Keeps an early datagram. `false`: there was no room.
    pub(crate) fn hold(&mut self, now: Instant, from: Remote, datagram: &[u8]) -> bool {
        while self
            .held
            .front()
            .is_some_and(|(at, _, _)| now.saturating_duration_since(*at) > HOLD)
        {
            self.held.pop_front();
        }
        let of_address = self.held.iter().filter(|(_, address, _)| *address == from).count();
        if self.held.len() >= MAX_HELD || of_address >= MAX_HELD_PER_ADDRESS {
            return false;
        }
        self.held.push_back((now, from, datagram.to_vec()));
        true
    }

    /// What was held for an address that is known now.
    pub(crate) fn release(&mut self, from: Remote) -> Vec<Vec<u8>> {
        if !self.held.iter().any(|(_, address, _)| *address == from) {
            return Vec::new();
        }
        let (released, held) = self.held.drain(..).partition(|(_, address, _)| *address == from);
        self.held = held;
        let released: VecDeque<(Instant, Remote, Vec<u8>)> = released;
        released.into_iter().map(|(_, _, datagram)| datagram).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Demux, Route, Word};
    use crate::net::remote::Remote;
    use std::net::SocketAddr;

    #[test]
    fn rely_71_an_address_of_another_threads_peer_is_asked_for_and_told_when_it_changes_hands() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7));
        let remote = Remote::Udp(address);
        let mut demux: Demux<u8> = Demux::new();
        demux.tell_routes();
        let told = |demux: &mut Demux<u8>| std::iter::from_fn(|| demux.poll_route()).collect::<Vec<_>>();
        let route = |word| Route { address, word };

        demux.is_elsewhere(address, 3);
        demux.want(remote);
        assert_eq!(told(&mut demux), [route(Word::Wanted)]);
        demux.is_nowhere(address, 2);
        assert_eq!(demux.elsewhere(address), Some(3), "of a thread whose it was not");
        demux.learn(remote, 1, &mut Vec::new(), None);
        assert_eq!(
            (demux.elsewhere(address), told(&mut demux)),
            (None, vec![route(Word::Here)])
        );
        // Known here, and somebody else said that it is theirs: the next check puts that right, for all.
        demux.is_elsewhere(address, 2);
        demux.learn(remote, 1, &mut Vec::new(), None);
        assert_eq!(
            (demux.elsewhere(address), told(&mut demux)),
            (None, vec![route(Word::Here)])
        );
        demux.learn(remote, 1, &mut Vec::new(), None);
        assert_eq!(told(&mut demux), [], "nothing new");
        demux.forget(remote, 1);
        assert_eq!(told(&mut demux), [route(Word::Gone)]);
    }
}
