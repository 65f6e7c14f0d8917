//! One WebRTC peer: a socket, ICE checks, a DTLS handshake as its client, SRTP. Just enough to be let in and to carry media.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::BytesMut;
use nix::sys::socket::{setsockopt, sockopt};
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};
use rtc_stun::textattrs::TextAttribute;
use sfu_relay::net::dtls::Identity;
use sfu_relay::net::srtp::{Profile, Srtp};
use sfu_relay::net::stun::{BindingRequest, integrity_key};

use crate::sdp::Remote;
use crate::viewer::Viewer;
use crate::watch::Lines;

/// Room for a scheduling pause of the generator: what is lost in its own socket would be blamed on the relay.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How often a path is checked until it works, and once it does.
const CHECK: Duration = Duration::from_millis(20);
const CONSENT: Duration = Duration::from_secs(2);

/// ICE credentials of the generator: the same for all its peers, whose addresses tell them apart.
pub(crate) const UFRAG: &str = "load";
pub(crate) const PASSWORD: &str = "loadloadloadloadloadload";

pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    pub(crate) srtp: Option<Srtp>,
    pub(crate) received: Received,
    /// How often a key frame was asked for, the first one unasked.
    pub(crate) key_frames: u32,
    /// Somebody looks at what arrives, behind a line of their own.
    pub(crate) watching: Option<(Viewer, Lines)>,
    identity: Identity,
    remote: Option<Remote>,
    dtls: Option<Endpoint>,
    next_check: Instant,
}

/// What a peer got.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) packets: u64,
    pub(crate) first: Option<Instant>,
    /// Nanoseconds from the sender's clock reading to the arrival at this socket, of the sampled packets.
    pub(crate) delays: Vec<u64>,
    /// Sampled packets that did not authenticate or were not what was sent.
    pub(crate) broken: u64,
}

impl Peer {
    pub(crate) fn new(local: IpAddr, identity: &Identity) -> Result<Self> {
        let socket = UdpSocket::bind((local, 0)).context("no socket")?;
        socket.set_nonblocking(true)?;
        // As root beyond the system's limit, else as far as that allows.
        if setsockopt(&socket.as_fd(), sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&socket.as_fd(), sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        }
        setsockopt(&socket.as_fd(), sockopt::ReceiveTimestampns, &true)?;
        Ok(Peer {
            socket,
            srtp: None,
            received: Received::default(),
            key_frames: 1,
            watching: None,
            identity: identity.clone(),
            remote: None,
            dtls: None,
            next_check: Instant::now(),
        })
    }

    pub(crate) fn watch(&mut self, viewer: Viewer, lines: Lines) {
        self.watching = Some((viewer, lines));
    }

    /// What the viewer says takes its way, and what has taken it arrives.
    pub(crate) fn speak(&mut self, now: Instant) -> Result<()> {
        let (Some((viewer, lines)), Some(srtp)) = (&mut self.watching, &mut self.srtp) else {
            return Ok(());
        };
        for mut packet in viewer.says(now) {
            srtp.seal_rtcp(&mut packet)?;
            lines.up.send(now, packet.len() + 28, packet);
        }
        while let Some((_, packet)) = lines.up.poll(now) {
            let _ = self.socket.send(&packet);
        }
        Ok(())
    }

    /// The signalling is done: this is where the relay is.
    pub(crate) fn connect(&mut self, remote: Remote) -> Result<()> {
        self.socket.connect(remote.address)?;
        self.remote = Some(remote);
        self.next_check = Instant::now();
        Ok(())
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    /// Sends the checks and retransmissions that are due.
    pub(crate) fn tick(&mut self, now: Instant) -> Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let address = remote.address;
        if now >= self.next_check {
            self.next_check = now + if self.is_connected() { CONSENT } else { CHECK };
            let check = check(remote, &self.identity)?;
            let _ = self.socket.send(&check);
        }
        if let Some(dtls) = self.dtls.as_mut().filter(|_| self.srtp.is_none())
            && dtls.poll_timeout(&address).is_some_and(|at| at <= now)
        {
            let _ = dtls.handle_timeout(address, now);
            self.flush_dtls();
        }
        Ok(())
    }

    pub(crate) fn handle_stun(&mut self, now: Instant, datagram: &[u8]) -> Result<()> {
        let Some(address) = self.remote.as_ref().map(|remote| remote.address) else {
            return Ok(());
        };
        match BindingRequest::parse(datagram) {
            // A relay that is a full ICE agent checks the path as well.
            Ok(request) => {
                let mut answer = Vec::new();
                request.success(address, &integrity_key(PASSWORD), &mut answer);
                let _ = self.socket.send(&answer);
            }
            Err(_) if datagram.starts_with(&[1, 1]) && self.dtls.is_none() => self.start_dtls(now, address)?,
            Err(_) => {}
        }
        Ok(())
    }

    fn start_dtls(&mut self, now: Instant, address: SocketAddr) -> Result<()> {
        let config = ConfigBuilder::default()
            .with_crypto_provider(self.identity.provider().clone())
            .with_certificates(vec![self.identity.certificate().clone()])
            .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            // Who the relay is does not matter to a load.
            .with_insecure_skip_verify(true)
            .with_flight_interval(Duration::from_millis(100))
            .build(true, None)
            .map_err(|error| anyhow!("DTLS: {error}"))?;
        let mut dtls = Endpoint::new(address, TransportProtocol::UDP, None);
        dtls.connect(now, address, Arc::new(config), None)
            .map_err(|error| anyhow!("DTLS: {error}"))?;
        self.dtls = Some(dtls);
        self.flush_dtls();
        Ok(())
    }

    pub(crate) fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) -> Result<()> {
        let (Some(dtls), Some(remote)) = (&mut self.dtls, &self.remote) else {
            return Ok(());
        };
        let events = dtls
            .read(now, remote.address, None, BytesMut::from(datagram))
            .unwrap_or_default();
        let complete = events
            .iter()
            .any(|event| matches!(event, EndpointEvent::HandshakeComplete));
        if complete && self.srtp.is_none() {
            let state = dtls.get_connection_state(remote.address).context("no DTLS state")?;
            let profile = Profile::AeadAes128Gcm;
            let material = state
                .export_keying_material("EXTRACTOR-dtls_srtp", &[], profile.keying_material_len())
                .map_err(|error| anyhow!("DTLS: {error}"))?;
            self.srtp = Some(Srtp::client(
                profile,
                material.as_ref(),
                self.identity.provider().crypto(),
            )?);
        }
        self.flush_dtls();
        Ok(())
    }

    fn flush_dtls(&mut self) {
        while let Some(transmit) = self.dtls.as_mut().and_then(Endpoint::poll_transmit) {
            let _ = self.socket.send(&transmit.message);
        }
    }
}

/// A connectivity check that nominates (RFC 8445 section 7.2.5).
fn check(remote: &Remote, identity: &Identity) -> Result<Vec<u8>> {
    let raw = |typ, value: Vec<u8>| RawAttribute {
        typ,
        length: value.len() as u16,
        value,
    };
    let setters: Vec<Box<dyn Setter + '_>> = vec![
        Box::new(BINDING_REQUEST),
        Box::new(TransactionId::new()),
        Box::new(TextAttribute::new(ATTR_USERNAME, format!("{}:{UFRAG}", remote.ufrag))),
        Box::new(raw(ATTR_PRIORITY, vec![0x6e, 0, 1, 0xff])),
        Box::new(raw(ATTR_ICE_CONTROLLING, vec![0xff; 8])),
        Box::new(raw(ATTR_USE_CANDIDATE, vec![])),
        Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
            remote.password.clone(),
            identity.provider().crypto(),
        )),
        Box::new(FINGERPRINT),
    ];
    let mut message = Message::new();
    message.build(&setters).map_err(|error| anyhow!("STUN: {error}"))?;
    Ok(message.raw)
}
