//! A participant at the relay: its signalling session, its transport, what it sends and receives.

use std::time::{Duration, Instant};

use rand::RngCore;
use relay_token::Rights;

use crate::arena::Key;
use crate::congestion::Repeats;
use crate::engine::{Line, Run, SessionId};
use crate::forward::consumer::Consumer;
use crate::forward::producer::Producer;
use crate::net::dtls::{DtlsError, DtlsServer, Fingerprint, Identity};
use crate::net::ice::IceLite;
use crate::net::remote::Remote;
use crate::net::srtp::Srtp;
use crate::room::Room;
use crate::rtp::extension::ExtensionIds;
use crate::rtp::ssrc::SsrcMap;
use crate::rtp::twcc::Recorder;
use crate::sdp::Offer;

/// A transport that nothing authentic was heard on for this long is gone, and so is a participant without signalling.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Who said something authentic within this time from an address is there.
const LIVE: Duration = Duration::from_secs(5);
/// Addresses of which it is known when a check came last.
const MAX_CHECKED: usize = 8;
/// How often receivers' reports go to a sender. Whoever is alone and shows no picture hears nothing else, and a page that hears nothing for 0.9 s
/// looks for another way.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// SSRCs a peer may bind by header extension.
const MAX_STREAMS: usize = 64;

pub(crate) struct Peer {
    pub(crate) room: Key<Room>,
    pub(crate) participant: String,
    pub(crate) rights: Rights,
    /// When the token that gave them runs out.
    pub(crate) rights_until: Instant,
    pub(crate) session: Option<SessionId>,
    /// Since when there is no signalling session.
    pub(crate) silent_since: Option<Instant>,
    pub(crate) transport: Option<Transport>,
    pub(crate) producers: Vec<Key<Producer>>,
    pub(crate) consumers: Vec<Key<Consumer>>,
}

impl Peer {
    /// RELY-74: not in the meeting yet. It may agree on everything, and neither gives nor gets anything.
    pub(crate) fn is_held(&self) -> bool {
        self.rights.is_empty()
    }
}

/// Where the packets of an incoming SSRC belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) producer: Key<Producer>,
    pub(crate) layer: usize,
    pub(crate) is_rtx: bool,
}

/// ICE, DTLS and SRTP of one RTCPeerConnection.
pub(crate) struct Transport {
    pub(crate) session_id: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) ice: IceLite,
    pub(crate) dtls: DtlsServer,
    pub(crate) srtp: Option<Box<Srtp>>,
    pub(crate) paths: Vec<Remote>,
    /// When an authentic check came last from where, newest last; and media or control.
    checked_from: Vec<(Remote, Instant)>,
    pub(crate) media_from: Option<(Remote, Instant)>,
    /// Where the next packet to this peer is written.
    pub(crate) run: Run,
    pub(crate) created: Instant,
    /// When something authentic came last.
    pub(crate) heard: Instant,
    pub(crate) ids: ExtensionIds,
    /// A bit for each payload type that is sound: what goes on where there is no room for all.
    pub(crate) sound: u128,
    pub(crate) streams: SsrcMap<Stream>,
    pub(crate) arrivals: Recorder,
    /// What is known of the way to this peer, if it reports on what arrives.
    pub(crate) line: Option<Box<Line>>,
    /// What may be repeated to this peer.
    pub(crate) repeats: Repeats,
    pub(crate) next_feedback: Instant,
    pub(crate) next_report: Instant,
    /// The SSRC our own feedback comes from.
    pub(crate) own_ssrc: u32,
    /// `o=` line of our answers.
    pub(crate) answer_session: u64,
    pub(crate) answer_version: u64,
}

impl Transport {
    pub(crate) fn new(
        offer: &Offer,
        identity: &Identity,
        shard: usize,
        rng: &mut impl RngCore,
        now: Instant,
    ) -> Result<Self, DtlsError> {
        Ok(Transport {
            session_id: offer.session_id.clone(),
            fingerprint: offer.fingerprint,
            ice: IceLite::new(offer.ice.ufrag.clone(), shard, rng, now),
            dtls: DtlsServer::new(identity, offer.fingerprint)?,
            srtp: None,
            paths: Vec::new(),
            checked_from: Vec::new(),
            media_from: None,
            run: Run::default(),
            created: now,
            heard: now,
            ids: ExtensionIds::default(),
            sound: 0,
            streams: SsrcMap::default(),
            arrivals: Recorder::new(now),
            line: None,
            repeats: Repeats::new(now),
            next_feedback: now,
            next_report: now + REPORT_INTERVAL,
            own_ssrc: rng.next_u32() | 1,
            answer_session: rng.next_u64() >> 2,
            answer_version: 0,
        })
    }

    /// Nothing authentic came for too long, or the handshake takes too long.
    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        let since = if self.srtp.is_some() { self.heard } else { self.created };
        now.saturating_duration_since(since) >= PATIENCE
    }

    /// RELY-26: another way carries another amount. `true`: the path changed, of a receiver whose line is known.
    pub(crate) fn follow_path(&mut self, now: Instant) -> bool {
        if !self.ice.take_moved() {
            return false;
        }
        if let Some(line) = &mut self.line {
            line.path_changed(now);
        }
        self.line.is_some()
    }

    /// An authentic check came from there.
    pub(crate) fn checked(&mut self, from: Remote, now: Instant) {
        self.checked_from.retain(|(remote, _)| *remote != from);
        if self.checked_from.len() == MAX_CHECKED {
            self.checked_from.remove(0);
        }
        self.checked_from.push((from, now));
    }

    /// Whether something authentic came from there a moment ago.
    pub(crate) fn is_live_at(&self, remote: Remote, now: Instant) -> bool {
        let mut heard = self.checked_from.iter().chain(&self.media_from);
        heard.any(|(from, at)| *from == remote && now.saturating_duration_since(*at) < LIVE)
    }

    /// Whether `offer` is of the same RTCPeerConnection.
    pub(crate) fn is_of(&self, offer: &Offer) -> bool {
        self.session_id == offer.session_id && self.fingerprint == offer.fingerprint
    }

    pub(crate) fn bind(&mut self, ssrc: u32, stream: Stream) -> bool {
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&ssrc) {
            return false;
        }
        self.streams.insert(ssrc, stream);
        true
    }

    /// An SSRC for a stream to this peer: never used on this association before (see `net::srtp`), not one of its own.
    pub(crate) fn fresh_ssrc(&self, taken: &[u32], rng: &mut impl RngCore) -> u32 {
        loop {
            let ssrc = rng.next_u32();
            let used = ssrc == 0
                || ssrc == self.own_ssrc
                || taken.contains(&ssrc)
                || self.streams.contains_key(&ssrc)
                || self.srtp.as_ref().is_some_and(|srtp| srtp.has_sent(ssrc));
            if !used {
                return ssrc;
            }
        }
    }
}
