//! The DTLS server (RFC 5764) of one peer, around the sans-IO endpoint of `rtc-dtls`.
//!
//! That endpoint tells associations apart by remote address. Here each peer has an endpoint of its own under one constant address, and the
//! demultiplexer decides what reaches it: a handshake goes on when the peer's network changes in the middle of it.
//!
//! Requirements held here: RELY-9, RELY-70.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ring::digest;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::{RTCCryptoProvider, default_provider};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error as RtcError;

use super::records::Gate;
use super::srtp::{Profile, Srtp};

/// How long the library waits before it makes a flight anew. It gives up after seven times.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(800);
/// How long we wait before we repeat the last flight as it was, doubling up to the second value. See [`Flight`].
const REPEAT: Duration = Duration::from_millis(120);
const MAX_REPEAT: Duration = Duration::from_millis(1_000);
const MAX_FLIGHT: usize = 8;
/// More datagrams than any handshake takes; what comes beyond is not looked at before the handshake is over.
const MAX_HANDSHAKE_DATAGRAMS: u32 = 256;
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// SHA-256 of a certificate, as in `a=fingerprint` (RFC 8122).
pub type Fingerprint = [u8; 32];

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DtlsError {
    #[error("no certificate could be made: {0}")]
    Certificate(String),
    #[error("the DTLS configuration was refused: {0}")]
    Configuration(String),
    #[error("the handshake failed: {0}")]
    Handshake(String),
    #[error("the peer negotiated no SRTP profile of ours")]
    Profile,
    #[error("the peer's certificate is not the one its offer named")]
    Fingerprint,
}

/// The relay's certificate: made at start, known to clients by its fingerprint in the answer.
#[derive(Clone)]
pub struct Identity {
    certificate: Certificate,
    fingerprint: Fingerprint,
    provider: Arc<dyn RTCCryptoProvider>,
}

impl Identity {
    /// A new P-256 key with a self-signed certificate.
    pub fn generate() -> Result<Self, DtlsError> {
        let provider = default_provider().map_err(|e| DtlsError::Certificate(e.to_string()))?;
        let certificate = Certificate::generate_self_signed(vec!["conclave".to_owned()], provider.crypto())
            .map_err(|e| DtlsError::Certificate(e.to_string()))?;
        let der = certificate
            .certificate
            .first()
            .ok_or_else(|| DtlsError::Certificate("empty chain".into()))?;
        let fingerprint = sha256(der);
        Ok(Identity {
            certificate,
            fingerprint,
            provider,
        })
    }

    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    pub fn provider(&self) -> &Arc<dyn RTCCryptoProvider> {
        &self.provider
    }

    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

pub fn sha256(bytes: &[u8]) -> Fingerprint {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// What a datagram did to the association.
pub enum Progress {
    /// Nothing to know.
    None,
    /// The handshake is over and the peer is who its offer said.
    Connected(Box<Srtp>),
    /// The peer closed the association.
    Closed,
}

/// The datagrams of our last flight, to be repeated until the client goes on.
///
/// rtc-dtls 0.21.1 stops its retransmission timer at any handshake record that comes, also at a repeated ClientHello, and does not
/// answer that one either: one lost server flight would end the handshake, since browsers repeat theirs after 50 ms. Repeating the same
/// records is sound: the client drops those it got by their record numbers (RFC 6347 section 4.1.2.6).
#[derive(Default)]
struct Flight {
    datagrams: Vec<BytesMut>,
    /// Still to be handed out.
    pending: VecDeque<BytesMut>,
    repeat_at: Option<Instant>,
    pause: Duration,
}

impl Flight {
    /// Takes over what the library made, if anything.
    fn take_from(&mut self, endpoint: &mut Endpoint, now: Instant, connected: bool) {
        let made: Vec<BytesMut> = std::iter::from_fn(|| endpoint.poll_transmit())
            .map(|made| made.message)
            .collect();
        if made.is_empty() {
            return;
        }
        self.pending.extend(made.iter().cloned());
        self.datagrams = made;
        self.datagrams.truncate(MAX_FLIGHT);
        self.pause = REPEAT;
        self.repeat_at = (!connected).then_some(now + REPEAT);
    }

    fn repeat_if_due(&mut self, now: Instant) {
        if self.repeat_at.is_some_and(|at| at <= now) {
            self.pending.extend(self.datagrams.iter().cloned());
            self.pause = (self.pause * 2).min(MAX_REPEAT);
            self.repeat_at = Some(now + self.pause);
        }
    }

    fn stop(&mut self) {
        self.datagrams.clear();
        self.repeat_at = None;
    }
}

pub struct DtlsServer {
    endpoint: Endpoint,
    flight: Flight,
    identity: Identity,
    expected: Fingerprint,
    datagrams: u32,
    gate: Gate,
    connected: bool,
    broken: bool,
}

impl DtlsServer {
    pub fn new(identity: &Identity, expected: Fingerprint) -> Result<Self, DtlsError> {
        // RELY-9: whoever the offer named, and nobody else.
        let verify = move |chain: &[Vec<u8>], _: &[_]| match chain.first() {
            Some(leaf) if sha256(leaf) == expected => Ok(()),
            _ => Err(RtcError::ErrInvalidCertificate),
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(identity.provider.clone())
            .with_certificates(vec![identity.certificate.clone()])
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ])
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_verify_peer_certificate(Some(Arc::new(verify)))
            .with_flight_interval(FLIGHT_INTERVAL)
            .build(false, None)
            .map_err(|e| DtlsError::Configuration(e.to_string()))?;
        Ok(DtlsServer {
            endpoint: Endpoint::new(PEER, TransportProtocol::UDP, Some(Arc::new(config))),
            flight: Flight::default(),
            identity: identity.clone(),
            expected,
            datagrams: 0,
            gate: Gate::default(),
            connected: false,
            broken: false,
        })
    }

    /// Whether a datagram is DTLS by its first byte (RFC 7983).
    pub fn looks_like(datagram: &[u8]) -> bool {
        datagram.len() >= 13 && (20..64).contains(&datagram[0])
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Result<Progress, DtlsError> {
        if self.broken || (!self.connected && self.datagrams >= MAX_HANDSHAKE_DATAGRAMS) {
            return Ok(Progress::None);
        }
        self.datagrams = self.datagrams.saturating_add(1);
        let admitted = self.gate.admit(datagram, self.connected);
        if admitted.is_empty() {
            return Ok(Progress::None);
        }
        // A fault in the library ends this one association, not the relay.
        let read = catch_unwind(AssertUnwindSafe(|| self.endpoint.read(now, PEER, None, admitted)));
        if read.is_ok() {
            self.flight.take_from(&mut self.endpoint, now, self.connected);
        }
        let events = match read {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return Err(DtlsError::Handshake(error.to_string())),
            Err(_) => {
                self.broken = true;
                return Err(DtlsError::Handshake("the DTLS library panicked".into()));
            }
        };
        let mut progress = Progress::None;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete if !self.connected => {
                    progress = Progress::Connected(Box::new(self.export()?));
                    self.connected = true;
                    self.flight.stop();
                }
                EndpointEvent::PeerClosed => progress = Progress::Closed,
                // No data channels: application data has no meaning here.
                _ => {}
            }
        }
        Ok(progress)
    }

    fn export(&mut self) -> Result<Srtp, DtlsError> {
        let state = self.endpoint.get_connection_state(PEER).ok_or(DtlsError::Profile)?;
        // RELY-9: checked during the handshake already; said again where the keys are handed out.
        if state
            .peer_certificates
            .first()
            .is_none_or(|leaf| sha256(leaf) != self.expected)
        {
            return Err(DtlsError::Fingerprint);
        }
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::Aes128CmHmacSha1_80,
            _ => return Err(DtlsError::Profile),
        };
        let material = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.keying_material_len())
            .map_err(|e| DtlsError::Handshake(e.to_string()))?;
        Srtp::server(profile, material.as_ref(), self.identity.provider.crypto()).map_err(|_| DtlsError::Profile)
    }

    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.flight.pending.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.broken {
            return None;
        }
        [self.endpoint.poll_timeout(&PEER), self.flight.repeat_at]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsError> {
        if self.broken || self.endpoint.get_connection_state(PEER).is_none() {
            return Ok(());
        }
        self.flight.repeat_if_due(now);
        let result = self.endpoint.handle_timeout(PEER, now);
        self.flight.take_from(&mut self.endpoint, now, self.connected);
        result.map_err(|e| DtlsError::Handshake(e.to_string()))
    }

    /// Tells the peer that the association is over.
    pub fn close(&mut self, now: Instant) {
        if !self.broken {
            self.endpoint.stop(now, PEER);
            self.flight.take_from(&mut self.endpoint, now, true);
        }
    }
}
