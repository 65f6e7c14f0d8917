//! A client made of other parts than the relay where there are any: STUN by `rtc-stun`, DTLS by `rtc-dtls`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_stun::attributes::{ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};
use rtc_stun::textattrs::TextAttribute;
use sfu_relay::engine::SessionId;
use sfu_relay::net::dtls::Identity;
use sfu_relay::net::srtp::{Profile, Srtp, SrtpError};
use sfu_relay::rtp::rtcp::Writer;
use sfu_relay::rtp::twcc::Recorder;
use sfu_relay::rtp::{Outgoing, Packet, is_rtcp};
use sfu_relay::signal::message::{ErrorCode, RelayMessage};

use super::offers::{DD, Line, MID, TWCC, VP8, key_descriptor, offer};

const SERVER: &str = "127.0.0.1:5000";

/// A packet as a client sends or gets it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rtp {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    pub marker: bool,
    pub extensions: Vec<(u8, Vec<u8>)>,
    pub payload: Vec<u8>,
    pub padding: u8,
}

impl Rtp {
    /// A key frame of camera 500, in one packet.
    pub fn key_frame(sequence: u16, len: usize) -> Self {
        Rtp {
            payload: vec![1; len],
            ..key_frame(500, sequence)
        }
    }
}

/// A key frame of a camera on line `v`, in one packet.
pub fn key_frame(ssrc: u32, sequence: u16) -> Rtp {
    Rtp {
        ssrc,
        sequence,
        timestamp: u32::from(sequence) * 3_000,
        payload_type: VP8,
        marker: true,
        extensions: vec![(MID, b"v".to_vec()), (DD, key_descriptor(sequence))],
        payload: vec![1; 100],
        padding: 0,
    }
}

pub struct Client {
    pub session: SessionId,
    pub address: SocketAddr,
    pub identity: Identity,
    pub sdp_session: u64,
    pub ufrag: String,
    pub profile: SrtpProtectionProfile,
    pub flight_interval: std::time::Duration,
    pub lines: Vec<Line>,
    pub offers: u64,
    pub messages: Vec<RelayMessage>,
    pub closed: Option<ErrorCode>,
    pub answer: String,
    pub media: Vec<Rtp>,
    pub control: Vec<Vec<u8>>,
    pub outgoing: VecDeque<Vec<u8>>,
    pub stun_answers: usize,
    remote: Option<(String, String)>,
    dtls: Endpoint,
    pub srtp: Option<Srtp>,
    /// When packets with a transport-wide number arrived.
    pub arrivals: Recorder,
    /// Packets that came once more.
    pub repeated: usize,
}

impl Client {
    pub fn new(session: SessionId, index: usize) -> Self {
        Client {
            session,
            address: format!("127.0.0.1:{}", 6000 + index).parse().unwrap(),
            identity: Identity::generate().unwrap(),
            sdp_session: 77 + index as u64,
            ufrag: format!("user{index}"),
            profile: SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            flight_interval: std::time::Duration::from_millis(100),
            lines: Vec::new(),
            offers: 0,
            messages: Vec::new(),
            closed: None,
            answer: String::new(),
            media: Vec::new(),
            control: Vec::new(),
            outgoing: VecDeque::new(),
            stun_answers: 0,
            remote: None,
            dtls: Endpoint::new(SERVER.parse().unwrap(), TransportProtocol::UDP, None),
            srtp: None,
            arrivals: Recorder::new(Instant::now()),
            repeated: 0,
        }
    }

    /// What a browser says of arrivals, if anything arrived since.
    pub fn report(&mut self) -> Option<Vec<u8>> {
        let feedback = self.arrivals.feedback()?;
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).transport_cc(1, 2, &feedback);
        Some(bytes)
    }

    pub fn offer_sdp(&self) -> String {
        offer(self.sdp_session, &self.ufrag, self.identity.fingerprint(), &self.lines)
    }

    /// Forgets the transport, as a new RTCPeerConnection does.
    pub fn new_connection(&mut self) {
        self.sdp_session += 1_000;
        self.ufrag.push('x');
        self.identity = Identity::generate().unwrap();
        self.dtls = Endpoint::new(SERVER.parse().unwrap(), TransportProtocol::UDP, None);
        self.srtp = None;
        self.media.clear();
    }

    pub fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    pub fn told(&mut self, message: RelayMessage) {
        if let RelayMessage::Answer { sdp, .. } = &message {
            self.answer = sdp.clone();
            let value = |name: &str| {
                let line = sdp.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().to_owned()
            };
            self.remote = Some((value("a=ice-ufrag:"), value("a=ice-pwd:")));
        }
        self.messages.push(message);
    }

    /// The part of the last answer for this mid.
    pub fn answered(&self, mid: &str) -> String {
        let parts = self.answer.split("\r\nm=").skip(1);
        parts
            .map(str::to_owned)
            .find(|part| part.contains(&format!("a=mid:{mid}\r\n")))
            .unwrap()
    }

    /// Media and RTX SSRC that the relay announced for this mid.
    pub fn announced(&self, mid: &str) -> (u32, Option<u32>) {
        let part = self.answered(mid);
        let pair = part.lines().find_map(|line| line.strip_prefix("a=ssrc-group:FID "));
        match pair.and_then(|pair| pair.split_once(' ')) {
            Some((media, rtx)) => (media.parse().unwrap(), Some(rtx.parse().unwrap())),
            None => {
                let line = part.lines().find_map(|line| line.strip_prefix("a=ssrc:")).unwrap();
                (line.split(' ').next().unwrap().parse().unwrap(), None)
            }
        }
    }

    /// A connectivity check of this client.
    pub fn check(&self, nominate: bool) -> Vec<u8> {
        let (ufrag, password) = self.remote.clone().unwrap();
        self.check_with(&format!("{ufrag}:{}", self.ufrag), &password, nominate)
    }

    pub fn check_with(&self, username: &str, password: &str, nominate: bool) -> Vec<u8> {
        let crypto = self.identity.provider().crypto();
        let mut message = Message::new();
        let mut setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(BINDING_REQUEST),
            Box::new(TransactionId::new()),
            Box::new(TextAttribute::new(ATTR_USERNAME, username.to_owned())),
        ];
        let raw = |typ, value: Vec<u8>| RawAttribute {
            typ,
            length: value.len() as u16,
            value,
        };
        setters.push(Box::new(raw(ATTR_PRIORITY, vec![0x6e, 0, 1, 0xff])));
        if nominate {
            setters.push(Box::new(raw(ATTR_USE_CANDIDATE, vec![])));
        }
        setters.push(Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
            password.to_owned(),
            crypto,
        )));
        setters.push(Box::new(FINGERPRINT));
        message.build(&setters).unwrap();
        message.raw
    }

    pub fn handle(&mut self, now: Instant, datagram: &[u8]) {
        match datagram[0] {
            0..=3 => {
                let mut message = Message::new();
                message.unmarshal_binary(datagram).unwrap();
                let (_, password) = self.remote.clone().unwrap();
                let crypto = self.identity.provider().crypto();
                FINGERPRINT.check(&message).unwrap();
                MessageIntegrity::check(&mut message, password.as_bytes(), crypto).unwrap();
                self.stun_answers += 1;
                if self.srtp.is_none() {
                    self.start_dtls(now);
                }
            }
            20..=63 => {
                let events = self
                    .dtls
                    .read(now, SERVER.parse().unwrap(), None, BytesMut::from(datagram));
                for event in events.unwrap_or_default() {
                    if let EndpointEvent::HandshakeComplete = event {
                        self.srtp = Some(self.export());
                    }
                }
                self.flush_dtls();
            }
            _ => {
                let Some(srtp) = &mut self.srtp else { return };
                let mut bytes = datagram.to_vec();
                if is_rtcp(&bytes) {
                    let len = srtp.open_rtcp(&mut bytes).unwrap();
                    self.control.push(bytes[..len].to_vec());
                } else {
                    let len = match srtp.open_rtp(&mut bytes) {
                        // Sound that was asked for although it is there.
                        Err(SrtpError::Replayed) => return self.repeated += 1,
                        opened => opened.unwrap(),
                    };
                    let packet = Packet::parse(&bytes[..len]).unwrap();
                    if let Some((&[high, low], _)) =
                        packet.extension(TWCC).and_then(|(v, at)| Some((v.first_chunk()?, at)))
                    {
                        self.arrivals.arrived(u16::from_be_bytes([high, low]), now);
                    }
                    let extensions = (1..15).filter_map(|id| Some((id, packet.extension(id)?.0.to_vec())));
                    self.media.push(Rtp {
                        ssrc: packet.ssrc(),
                        sequence: packet.sequence(),
                        timestamp: packet.timestamp(),
                        payload_type: packet.payload_type(),
                        marker: packet.marker(),
                        extensions: extensions.collect(),
                        payload: bytes[packet.payload()].to_vec(),
                        padding: 0,
                    });
                }
            }
        }
    }

    pub fn start_dtls(&mut self, now: Instant) {
        let config = ConfigBuilder::default()
            .with_crypto_provider(self.identity.provider().clone())
            .with_certificates(vec![self.identity.certificate().clone()])
            .with_srtp_protection_profiles(vec![self.profile])
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_insecure_skip_verify(true)
            .with_flight_interval(self.flight_interval)
            .build(true, None)
            .unwrap();
        self.dtls
            .connect(now, SERVER.parse().unwrap(), Arc::new(config), None)
            .unwrap();
        self.flush_dtls();
    }

    fn flush_dtls(&mut self) {
        while let Some(transmit) = self.dtls.poll_transmit() {
            self.outgoing.push_back(transmit.message.to_vec());
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let server = SERVER.parse().unwrap();
        if self.dtls.poll_timeout(&server).is_some_and(|at| at <= now) {
            let _ = self.dtls.handle_timeout(server, now);
            self.flush_dtls();
        }
    }

    fn export(&self) -> Srtp {
        let state = self.dtls.get_connection_state(SERVER.parse().unwrap()).unwrap();
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::Aes128CmHmacSha1_80,
            other => panic!("{other:?}"),
        };
        let material = state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], profile.keying_material_len())
            .unwrap();
        Srtp::client(profile, material.as_ref(), self.identity.provider().crypto()).unwrap()
    }

    /// An SRTP packet.
    pub fn seal(&mut self, packet: &Rtp) -> Vec<u8> {
        self.try_seal(packet).unwrap()
    }

    /// The same; `None` where this number was used already.
    pub fn try_seal(&mut self, packet: &Rtp) -> Option<Vec<u8>> {
        let extensions: Vec<(u8, &[u8])> = packet.extensions.iter().map(|(id, v)| (*id, v.as_slice())).collect();
        let mut bytes = Vec::new();
        Outgoing {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            extensions: &extensions,
        }
        .write(&mut bytes);
        bytes.extend_from_slice(&packet.payload);
        if packet.padding > 0 {
            bytes[0] |= 0x20;
            bytes.resize(bytes.len() + usize::from(packet.padding) - 1, 0);
            bytes.push(packet.padding);
        }
        self.srtp.as_mut().unwrap().seal_rtp(&mut bytes).ok()?;
        Some(bytes)
    }

    pub fn seal_control(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        self.srtp.as_mut().unwrap().seal_rtcp(&mut bytes).unwrap();
        bytes
    }

    /// The media packets of one SSRC.
    pub fn of(&self, ssrc: u32) -> Vec<&Rtp> {
        self.media.iter().filter(|packet| packet.ssrc == ssrc).collect()
    }
}
