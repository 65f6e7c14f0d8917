//! Who may come in by TCP: at most so many strangers at a time, and each only until its first check.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::framing::Frames;
use crate::net::ice::IceLite;
use crate::net::stun::BindingRequest;
use crate::stats::Counters;

/// A connection whose first frame is no check of a peer after this long is closed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that are there or may become something, in all and from one address (one /64 of IPv6). Many people may share an address, each with a few
/// connections while ICE looks for the best.
const MAX_CONNECTIONS: usize = 4_096;
const MAX_PER_ADDRESS: usize = 512;
/// The kernel's buffers of a connection: what waits there is late already.
const SEND_BUFFER: usize = 64 << 10;
/// After an error of the listener itself, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Somebody whose first frame names a peer. Its integrity is not checked yet: the engine does that.
pub(crate) struct Caller {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) address: SocketAddr,
    /// The stream's bytes so far, the first check still to be taken.
    pub(in crate::net) frames: Frames,
    /// Counts it as long as it is there.
    pub(in crate::net) place: Place,
}

/// Accepts for ever. `pass` brings a caller to the thread of that number.
pub(in crate::net) async fn watch(
    listener: TcpListener,
    places: Arc<Places>,
    counters: Arc<Counters>,
    pass: impl Fn(usize, Caller) + Clone + Send + 'static,
) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "a TCP connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = Places::take(&places, callers::one_client(address.ip())) else {
            Counters::one(&counters.unknown);
            continue;
        };
        let (pass, counters) = (pass.clone(), counters.clone());
        tokio::spawn(async move {
            match timeout(PATIENCE, greet(stream, address, place)).await {
                Ok(Ok(Some((shard, caller)))) => pass(shard, caller),
                _ => Counters::one(&counters.unknown),
            }
        });
    }
}

/// Waits for the first frame. `None`: it is not a check with a user name of ours.
async fn greet(stream: TcpStream, address: SocketAddr, place: Place) -> io::Result<Option<(usize, Caller)>> {
    stream.set_nodelay(true)?;
    let settings = SockRef::from(&stream);
    // Smaller buffers are a matter of delay, not of function.
    let _ = settings.set_send_buffer_size(SEND_BUFFER);
    let mut frames = Frames::new();
    let shard = loop {
        stream.readable().await?;
        match stream.try_read(frames.space()) {
            Ok(0) => return Ok(None),
            Ok(len) => frames.filled(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let Some(first) = frames.peek().map_err(io::Error::other)? else {
            continue;
        };
        let named = BindingRequest::parse(first).ok().map(|request| request.local_ufrag);
        let Some(shard) = named.and_then(IceLite::shard_of) else {
            return Ok(None);
        };
        break shard;
    };
    let stream = stream.into_std()?;
    let caller = Caller {
        stream,
        address,
        frames,
        place,
    };
    Ok(Some((shard, caller)))
}

/// Connections by address, or what counts as one.
#[derive(Default)]
pub(in crate::net) struct Places {
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl Places {
    fn take(places: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let count = taken.entry(ip).or_default();
        if all >= MAX_CONNECTIONS || *count >= MAX_PER_ADDRESS {
            if *count == 0 {
                taken.remove(&ip);
            }
            return None;
        }
        *count += 1;
        Some(Place {
            places: places.clone(),
            ip,
        })
    }
}

/// One connection's place, given back when it is dropped.
pub(in crate::net) struct Place {
    places: Arc<Places>,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{MAX_CONNECTIONS, MAX_PER_ADDRESS, Places};
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    #[test]
    fn rely_45_strangers_take_a_bounded_number_of_places_and_give_them_back() {
        let places = Arc::new(Places::default());
        let ip = |n: usize| IpAddr::V4(Ipv4Addr::from(n as u32));
        let mut held: Vec<_> = (0..MAX_PER_ADDRESS)
            .map(|_| Places::take(&places, ip(1)).unwrap())
            .collect();
        assert!(Places::take(&places, ip(1)).is_none(), "one address");
        held.extend((held.len()..MAX_CONNECTIONS).map(|n| Places::take(&places, ip(n)).unwrap()));
        assert!(Places::take(&places, ip(usize::MAX)).is_none(), "all addresses");
        held.clear();
        assert!(
            places.taken.lock().unwrap().is_empty(),
            "and nothing is kept of who is gone"
        );
        assert!(Places::take(&places, ip(1)).is_some());
    }
}
