//! An ICE-lite agent (RFC 8445 section 2.5): it answers checks and follows nominations, it never checks by itself.

use std::net::SocketAddr;

use rand::RngCore;
use ring::hmac;

use super::stun::{self, BindingRequest};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) struct IceLite {
    pub(crate) ufrag: String,
    pub(crate) password: String,
    key: hmac::Key,
    remote_ufrag: String,
    /// Where we send. Set by the first authenticated request, moved by nominations.
    path: Option<SocketAddr>,
    nominated: bool,
}

impl IceLite {
    /// Credentials of 48 and 144 random bits (RFC 8445 section 5.3 asks for 24 and 128).
    pub(crate) fn new(remote_ufrag: String, rng: &mut impl RngCore) -> Self {
        let ufrag = random_text(8, rng);
        let password = random_text(24, rng);
        let key = stun::integrity_key(&password);
        IceLite {
            ufrag,
            password,
            key,
            remote_ufrag,
            path: None,
            nominated: false,
        }
    }

    /// An ICE restart (RFC 8445 section 9): new credentials, while media goes on along the old path until a new one is nominated.
    pub(crate) fn restart(&mut self, remote_ufrag: String, rng: &mut impl RngCore) {
        let path = self.path;
        *self = IceLite::new(remote_ufrag, rng);
        self.path = path;
    }

    pub(crate) fn remote_ufrag(&self) -> &str {
        &self.remote_ufrag
    }

    pub(crate) fn path(&self) -> Option<SocketAddr> {
        self.path
    }

    /// Answers an authenticated request in `out`. `false`: it was not made with our password.
    pub(crate) fn handle(&mut self, request: &BindingRequest<'_>, from: SocketAddr, out: &mut Vec<u8>) -> bool {
        if request.remote_ufrag != self.remote_ufrag || !request.verify(&self.key) {
            return false;
        }
        // A nomination moves the path, at any time: this is how a client changes its network. Before the first one, the newest
        // address that proved itself is used, so that DTLS need not wait.
        if request.use_candidate {
            self.path = Some(from);
            self.nominated = true;
        } else if !self.nominated {
            self.path = Some(from);
        }
        request.success(from, &self.key, out);
        true
    }
}

fn random_text(len: usize, rng: &mut impl RngCore) -> String {
    (0..len)
        .map(|_| char::from(ALPHABET[(rng.next_u32() >> 26) as usize]))
        .collect()
}
