//! An ICE-lite agent (RFC 8445 section 2.5): it answers checks and follows nominations, it never checks by itself.
//!
//! Requirements held here: RELY-10, RELY-40, RELY-41.

use std::time::Instant;

use rand::RngCore;
use ring::hmac;

use super::remote::Remote;
use super::stun::{self, BindingRequest};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Threads that a user name can tell apart.
pub(crate) const MAX_SHARDS: usize = ALPHABET.len();

/// Transaction ids remembered, the newest: those of some minutes of a connection that stands.
const REMEMBERED: usize = 64;
/// Addresses that may be nominated at one time.
const MAX_CANDIDATES: usize = 4;
/// Checks answered at once, and per second in the long run. Firefox begins with 50 a second.
const BURST: f64 = 100.0;
const RATE: f64 = 50.0;

pub(crate) struct IceLite {
    pub(crate) ufrag: String,
    pub(crate) password: String,
    key: hmac::Key,
    remote_ufrag: String,
    /// Where we send. Set by the first authenticated request, moved by nominations.
    path: Option<Remote>,
    nominated: bool,
    /// Where we sent last, also while there is no way.
    last: Option<Remote>,
    moved: bool,
    /// Media is protected by now, and so can prove where its peer is.
    protected: bool,
    /// Nominated, but nothing protected came from there yet. Newest last.
    candidates: Vec<Remote>,
    /// The first 64 bits of transaction ids seen, oldest overwritten.
    seen: Vec<u64>,
    next_seen: usize,
    allowance: f64,
    refilled: Instant,
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    Answered,
    /// It was not made with our password.
    Unauthenticated,
    /// Somebody sent a recorded check again, from elsewhere.
    Replayed,
    TooMany,
}

impl IceLite {
    /// Credentials of 48 and 144 random bits (RFC 8445 section 5.3 asks for 24 and 128). The user name says first which thread of the
    /// relay has the peer, so that any of them can tell.
    pub(crate) fn new(remote_ufrag: String, shard: usize, rng: &mut impl RngCore, now: Instant) -> Self {
        let mut ufrag = char::from(ALPHABET[shard % MAX_SHARDS]).to_string();
        ufrag.push_str(&random_text(8, rng));
        let password = random_text(24, rng);
        let key = stun::integrity_key(&password);
        IceLite {
            ufrag,
            password,
            key,
            remote_ufrag,
            path: None,
            nominated: false,
            last: None,
            moved: false,
            protected: false,
            candidates: Vec::new(),
            seen: Vec::new(),
            next_seen: 0,
            allowance: BURST,
            refilled: now,
        }
    }

    /// The thread that a user name of ours names.
    pub(crate) fn shard_of(ufrag: &str) -> Option<usize> {
        let first = ufrag.bytes().next()?;
        ALPHABET.iter().position(|byte| *byte == first)
    }

    /// An ICE restart (RFC 8445 section 9): new credentials, while media goes on along the old path until a new one is nominated.
    pub(crate) fn restart(&mut self, remote_ufrag: String, shard: usize, rng: &mut impl RngCore, now: Instant) {
        let (path, last, protected) = (self.path, self.last, self.protected);
        *self = IceLite::new(remote_ufrag, shard, rng, now);
        (self.path, self.last) = (path, last);
        self.nominated = path.is_some();
        self.protected = protected;
    }

    pub(crate) fn remote_ufrag(&self) -> &str {
        &self.remote_ufrag
    }

    pub(crate) fn path(&self) -> Option<Remote> {
        self.path
    }

    /// Answers an authenticated request in `out`. `known`: the peer proved to be at `from` before; `silent`: nothing came along the path
    /// for so long that a nomination is believed by itself.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        request: &BindingRequest<'_>,
        from: Remote,
        (known, silent): (bool, bool),
        out: &mut Vec<u8>,
    ) -> Checked {
        // RELY-10: before anything is remembered or answered.
        if request.remote_ufrag != self.remote_ufrag || !request.verify(&self.key) {
            return Checked::Unauthenticated;
        }
        // RELY-41: a check counts once. Sent again by its client it gets the same answer; sent again by somebody who recorded it, from
        // an address of their choice, it would turn all media there.
        let fresh = self.remember(request);
        if !fresh && !known {
            return Checked::Replayed;
        }
        // Whoever recorded one and repeats it cannot use up what its client needs.
        if !self.allow(now, if fresh { 0.0 } else { BURST / 2.0 }) {
            return Checked::TooMany;
        }
        // RELY-40: a nomination moves the path, at any time: this is how a client changes its network. Before the first one, the newest
        // address that proved itself is used, so that DTLS need not wait.
        // With protected media a nomination is a candidate only: whoever recorded more of them than are remembered, and sends one again
        // from elsewhere, has none of the peer's media to send with it.
        if fresh && request.use_candidate {
            if self.protected && !silent && self.path.is_some_and(|path| path != from) {
                self.candidates.retain(|candidate| *candidate != from);
                if self.candidates.len() == MAX_CANDIDATES {
                    self.candidates.remove(0);
                }
                self.candidates.push(from);
            } else {
                self.move_to(from);
            }
        } else if fresh && !self.nominated {
            self.take(from);
        }
        request.success(from.address(), &self.key, out);
        Checked::Answered
    }

    /// Whether another way was taken than the one before, since this was asked last. An ICE restart that finds the same way moved nothing.
    pub(crate) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// From now on protected media says where the peer is.
    pub(crate) fn protect(&mut self) {
        self.protected = true;
    }

    /// Media or control that opened came from there.
    pub(crate) fn heard(&mut self, from: Remote) {
        if self.candidates.contains(&from) {
            self.move_to(from);
        }
    }

    fn move_to(&mut self, path: Remote) {
        self.take(path);
        self.nominated = true;
        self.candidates.clear();
    }

    fn take(&mut self, path: Remote) {
        self.path = Some(path);
        self.moved |= self.last.replace(path).is_some_and(|last| last != path);
    }

    /// Whether a request is our peer's, as often as it would be answered. Nothing else comes of it.
    pub(crate) fn proves(&mut self, now: Instant, request: &BindingRequest<'_>) -> bool {
        request.remote_ufrag == self.remote_ufrag && request.verify(&self.key) && self.allow(now, 0.0)
    }

    /// The connection that a path was is gone. `true`: media went along it, and waits for the next check.
    pub(crate) fn lost(&mut self, remote: Remote) -> bool {
        let was_ours = self.path == Some(remote);
        if was_ours {
            self.path = None;
            self.nominated = false;
        }
        was_ours
    }

    /// `false`: this transaction was seen before.
    fn remember(&mut self, request: &BindingRequest<'_>) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = request.transaction;
        let id = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        if self.seen.contains(&id) {
            return false;
        }
        if self.seen.len() < REMEMBERED {
            self.seen.push(id);
        } else {
            self.seen[self.next_seen] = id;
            self.next_seen = (self.next_seen + 1) % REMEMBERED;
        }
        true
    }

    /// Whether there is an answer left beyond `reserve`.
    fn allow(&mut self, now: Instant, reserve: f64) -> bool {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = self.refilled.max(now);
        self.allowance = (self.allowance + passed * RATE).min(BURST);
        let allowed = self.allowance >= 1.0 + reserve;
        if allowed {
            self.allowance -= 1.0;
        }
        allowed
    }
}

fn random_text(len: usize, rng: &mut impl RngCore) -> String {
    (0..len)
        .map(|_| char::from(ALPHABET[(rng.next_u32() >> 26) as usize]))
        .collect()
}
