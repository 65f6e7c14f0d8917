//! STUN (RFC 8489) as far as an ICE-lite agent needs it: authenticated binding requests in, answers out.
//!
//! Everything arrives here before anything is known about the sender, so parsing borrows, allocates nothing, and is over after one pass;
//! the HMAC is only computed for a user name that belongs to a live peer.
//!
//! Requirements held here: RELY-10.

use std::net::{IpAddr, SocketAddr};

use ring::hmac;

const HEADER: usize = 20;
const COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
/// Attributes from here up may be ignored by who does not know them (RFC 8489 section 14).
const COMPREHENSION_OPTIONAL: u16 = 0x8000;

const INTEGRITY_LEN: usize = 20;
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// Why a STUN message was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StunError {
    #[error("not a well-formed STUN message")]
    Malformed,
    #[error("not a binding request")]
    NotABindingRequest,
    #[error("the fingerprint is missing or wrong")]
    Fingerprint,
    #[error("user name or message integrity is missing")]
    Unauthenticated,
    #[error("a comprehension-required attribute is unknown")]
    UnknownAttribute,
}

/// A binding request whose form and fingerprint are right. Its integrity is not checked yet: see [`BindingRequest::verify`].
#[derive(Debug)]
pub struct BindingRequest<'a> {
    pub transaction: [u8; 12],
    /// The receiver's part of the user name: ours.
    pub local_ufrag: &'a str,
    /// The sender's part of the user name.
    pub remote_ufrag: &'a str,
    /// The controlling side nominates this pair (RFC 8445 section 7.3.1.5).
    pub use_candidate: bool,
    before_integrity: &'a [u8],
    integrity: &'a [u8],
}

impl<'a> BindingRequest<'a> {
    /// Whether the first two bytes say STUN rather than DTLS or media (RFC 7983).
    pub fn looks_like(datagram: &[u8]) -> bool {
        datagram.len() >= HEADER && datagram[0] < 4 && datagram[4..8] == COOKIE.to_be_bytes()
    }

    pub fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        let header = datagram.get(..HEADER).ok_or(StunError::Malformed)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header[4..8] != COOKIE.to_be_bytes() || length % 4 != 0 || HEADER + length != datagram.len() {
            return Err(StunError::Malformed);
        }
        if u16::from_be_bytes([header[0], header[1]]) != BINDING_REQUEST {
            return Err(StunError::NotABindingRequest);
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&header[8..20]);

        let (mut username, mut integrity, mut use_candidate) = (None, None, false);
        let mut fingerprint = None;
        let mut at = HEADER;
        while at < datagram.len() {
            if fingerprint.is_some() {
                return Err(StunError::Malformed); // FINGERPRINT is the last attribute, RFC 8489 section 14.7
            }
            let head = datagram.get(at..at + 4).ok_or(StunError::Malformed)?;
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = datagram.get(at + 4..at + 4 + len).ok_or(StunError::Malformed)?;
            match kind {
                FINGERPRINT => fingerprint = Some((at, value)),
                // What follows MESSAGE-INTEGRITY is not protected by it and is ignored, RFC 8489 section 14.5.
                _ if integrity.is_some() => {}
                USERNAME => username = Some(value),
                MESSAGE_INTEGRITY if len == INTEGRITY_LEN => integrity = Some((at, value)),
                USE_CANDIDATE => use_candidate = true,
                PRIORITY => {}
                kind if kind >= COMPREHENSION_OPTIONAL => {}
                _ => return Err(StunError::UnknownAttribute),
            }
            at += 4 + len.next_multiple_of(4);
        }
        if at != datagram.len() {
            return Err(StunError::Malformed);
        }
        let (fingerprint_at, value) = fingerprint.ok_or(StunError::Fingerprint)?;
        if value != (crc32(&datagram[..fingerprint_at]) ^ FINGERPRINT_XOR).to_be_bytes() {
            return Err(StunError::Fingerprint);
        }
        let username = username
            .and_then(|name| std::str::from_utf8(name).ok())
            .ok_or(StunError::Unauthenticated)?;
        let (local_ufrag, remote_ufrag) = username.split_once(':').ok_or(StunError::Unauthenticated)?;
        let (integrity_at, integrity) = integrity.ok_or(StunError::Unauthenticated)?;
        Ok(BindingRequest {
            transaction,
            local_ufrag,
            remote_ufrag,
            use_candidate,
            before_integrity: &datagram[..integrity_at],
            integrity,
        })
    }

    /// Whether the request was made by somebody who knows our password (RFC 8489 section 9.1.3).
    pub fn verify(&self, password: &hmac::Key) -> bool {
        // The header's length field counts up to and including MESSAGE-INTEGRITY, whatever follows.
        let length = (self.before_integrity.len() - HEADER + 4 + INTEGRITY_LEN) as u16;
        let mut mac = hmac::Context::with_key(password);
        mac.update(&self.before_integrity[..2]);
        mac.update(&length.to_be_bytes());
        mac.update(&self.before_integrity[4..]);
        rtc_dtls::crypto_provider::constant_time_eq(mac.sign().as_ref(), self.integrity)
    }

    /// The success answer, which tells the sender its address (RFC 8445 section 7.3.1.2).
    pub fn success(&self, mapped: SocketAddr, password: &hmac::Key, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&BINDING_SUCCESS.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&COOKIE.to_be_bytes());
        out.extend_from_slice(&self.transaction);

        let mut pad = [0; 16];
        pad[..4].copy_from_slice(&COOKIE.to_be_bytes());
        pad[4..].copy_from_slice(&self.transaction);
        let port = mapped.port() ^ (COOKIE >> 16) as u16;
        let mut value = [0; 20];
        value[2..4].copy_from_slice(&port.to_be_bytes());
        let len = match mapped.ip() {
            IpAddr::V4(ip) => {
                value[1] = 1;
                value[4..8]
                    .iter_mut()
                    .zip(ip.octets())
                    .zip(pad)
                    .for_each(|((v, o), p)| *v = o ^ p);
                8
            }
            IpAddr::V6(ip) => {
                value[1] = 2;
                value[4..]
                    .iter_mut()
                    .zip(ip.octets())
                    .zip(pad)
                    .for_each(|((v, o), p)| *v = o ^ p);
                20
            }
        };
        push_attribute(out, XOR_MAPPED_ADDRESS, &value[..len]);

        set_length(out, 4 + INTEGRITY_LEN);
        let tag = hmac::sign(password, out);
        push_attribute(out, MESSAGE_INTEGRITY, tag.as_ref());
        set_length(out, 8);
        let crc = crc32(out) ^ FINGERPRINT_XOR;
        push_attribute(out, FINGERPRINT, &crc.to_be_bytes());
    }
}

/// The key of MESSAGE-INTEGRITY under a short-term password (RFC 8489 section 9.1.1).
pub fn integrity_key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// Sets the header's length to what is there plus `more`, the attribute about to be computed over it.
fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - HEADER + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn push_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// CRC-32 as in ITU V.42, which FINGERPRINT uses.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, byte| (crc >> 8) ^ CRC_TABLE[usize::from(crc as u8 ^ byte)])
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};
