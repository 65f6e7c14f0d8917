//! What the relay counted, for whoever runs it. Numbers only: no ids, no addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether a figure tells how it is or how much there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Now,
    /// How it is where it is worst: of several threads the highest.
    Worst,
    SoFar,
}

impl Kind {
    fn together(self, one: u64, other: u64) -> u64 {
        match self {
            Kind::Worst => one.max(other),
            Kind::Now | Kind::SoFar => one + other,
        }
    }
}

macro_rules! stats {
    ($($(#[$doc:meta])* $kind:ident $name:ident),* $(,)?) => {
        /// The live counters. Shared with the engine's thread.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub(crate) $name: AtomicU64,)* }

        /// The counters at one moment.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RelayStats { $($(#[$doc])* pub $name: u64,)* }

        impl RelayStats {
            /// The figures of several threads, together.
            pub(crate) fn plus(self, other: Self) -> Self {
                RelayStats { $($name: Kind::$kind.together(self.$name, other.$name),)* }
            }

            /// All figures by name.
            pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, Kind, u64)> {
                [$((stringify!($name), Kind::$kind, self.$name)),*].into_iter()
            }
        }

        impl Counters {
            pub fn snapshot(&self) -> RelayStats {
                RelayStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

stats! {
    /// Rooms with somebody in them, now.
    Now rooms,
    /// Participants, now.
    Now peers,
    Now producers,
    Now consumers,
    /// Of a thousand parts of its time, those in which the engine's thread was busy lately.
    Worst busy_permille,
    /// What is left out for want of time: 0 nothing, 1 all layers but the lowest, 2 video.
    Worst spared,
    /// DTLS associations that came up.
    SoFar connected,
    SoFar datagrams_in,
    SoFar datagrams_out,
    SoFar bytes_in,
    SoFar bytes_out,
    /// RTP packets of known streams.
    SoFar rtp_in,
    /// RTP packets to consumers, without retransmissions.
    SoFar rtp_forwarded,
    /// Packets repeated to consumers on their request.
    SoFar rtx_sent,
    /// Requests to repeat of which some were over their receiver's budget.
    SoFar rtx_refused,
    /// Packets sent to find out whether they arrive.
    SoFar padding_sent,
    /// Packets that waited for their turn on a receiver's line.
    SoFar paced,
    /// Receivers' reports on arrivals: taken in.
    SoFar reports,
    /// Malformed, or of packets that were never sent.
    SoFar reports_refused,
    /// With nothing new in them.
    SoFar reports_stale,
    /// Videos for which some receiver's line has no room, now.
    Now starved,
    /// Times that a receiver's path changed, and what its line carries was found out anew.
    SoFar moves,
    /// Packets asked for again from senders.
    SoFar nacks_sent,
    /// Key frames asked for from senders.
    SoFar key_frame_requests,
    /// Key frames seen by descriptor or told by their sender.
    SoFar key_frames,
    /// Layer switches and starts of consumers.
    SoFar switches,
    /// Times that a sender was told which of its layers are wanted.
    SoFar demands,
    /// Datagrams of no known kind or from no known address.
    SoFar unknown,
    /// STUN that was malformed or not for us.
    SoFar stun_refused,
    /// STUN with a wrong message integrity.
    SoFar stun_unauthenticated,
    SoFar dtls_errors,
    /// SRTP and SRTCP that did not authenticate, was replayed or malformed.
    SoFar srtp_refused,
    /// RTP of a stream that nobody announced.
    SoFar unknown_stream,
    /// Malformed after decryption.
    SoFar malformed,
    /// Datagrams the socket did not take.
    SoFar send_dropped,
    /// TCP connections that were taken (RFC 6544).
    SoFar tcp_connections,
    /// Those that are there, now.
    Now tcp_open,
    /// Bytes that wait for receivers on TCP, now.
    Now tcp_waiting,
    /// Datagrams that arrived at one thread and went to another.
    SoFar handed_over,
    /// Datagrams that should have, and found no room.
    SoFar handover_dropped,
    SoFar tokens_refused,
    /// Signalling messages refused.
    SoFar signals_refused,
}

impl Counters {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// How busy the engine's thread is, of a thousand parts of its time.
    pub fn note_busy(&self, permille: u64) {
        self.busy_permille.store(permille, Ordering::Relaxed);
    }

    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn one(counter: &AtomicU64) {
        Self::add(counter, 1);
    }

    pub(crate) fn set(counter: &AtomicU64, value: usize) {
        counter.store(value as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up_and_the_busiest_speaks_for_all() {
        let busy = |permille, peers| RelayStats {
            busy_permille: permille,
            peers,
            ..RelayStats::default()
        };
        assert_eq!(busy(900, 3).plus(busy(200, 4)), busy(900, 7));
    }
}
