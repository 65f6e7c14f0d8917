//! What the relay counted, for whoever runs it. Numbers only: no ids, no addresses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The live counters. Shared with the engine's thread.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub(crate) $name: AtomicU64,)* }

        /// The counters at one moment.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RelayStats { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub fn snapshot(&self) -> RelayStats {
                RelayStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

stats! {
    /// Rooms with somebody in them, now.
    rooms,
    /// Participants, now.
    peers,
    producers,
    consumers,
    /// DTLS associations that came up.
    connected,
    datagrams_in,
    datagrams_out,
    bytes_in,
    bytes_out,
    /// RTP packets of known streams.
    rtp_in,
    /// RTP packets to consumers, without retransmissions.
    rtp_forwarded,
    /// Packets repeated to consumers on their request.
    rtx_sent,
    /// Packets asked for again from senders.
    nacks_sent,
    /// Key frames asked for from senders.
    key_frame_requests,
    /// Key frames seen by descriptor or told by their sender.
    key_frames,
    /// Layer switches and starts of consumers.
    switches,
    /// Datagrams of no known kind or from no known address.
    unknown,
    /// STUN that was malformed or not for us.
    stun_refused,
    /// STUN with a wrong message integrity.
    stun_unauthenticated,
    dtls_errors,
    /// SRTP and SRTCP that did not authenticate, was replayed or malformed.
    srtp_refused,
    /// RTP of a stream that nobody announced.
    unknown_stream,
    /// Malformed after decryption.
    malformed,
    /// Datagrams the socket did not take.
    send_dropped,
    tokens_refused,
    /// Signalling messages refused.
    signals_refused,
}

impl Counters {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::new(Self::default())
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
