//! Answers. Always the same shape: ICE-lite, bundled, muxed, DTLS passive, host candidates only.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::codec::OfferedCodec;
use super::offer::{Kind, OfferedMedia};
use crate::net::dtls::Fingerprint;
use crate::rtp::Extension;

/// Type preferences of host candidates (RFC 8445 section 5.1.2.2). TCP is for whom UDP does not reach: media waits behind what was lost.
const UDP_PREFERENCE: u32 = 126;
const TCP_PREFERENCE: u32 = 90;

/// The relay's side of the transport.
#[derive(Debug)]
pub struct AnswerTransport<'a> {
    pub ufrag: &'a str,
    pub password: &'a str,
    pub fingerprint: &'a Fingerprint,
    pub candidates: &'a [SocketAddr],
    /// Where connections are taken (RFC 6544, passive).
    pub tcp_candidates: &'a [SocketAddr],
}

/// What the relay does with one m-line of the offer.
#[derive(Debug)]
pub struct AnswerMedia<'a> {
    pub offered: &'a OfferedMedia,
    pub role: Role,
    /// The codecs to accept, in order of preference.
    pub codecs: Vec<&'a OfferedCodec>,
}

#[derive(Debug)]
pub enum Role {
    /// The client publishes here.
    Receive,
    /// The client gets a producer's media here.
    Send(Sending),
    /// Accepted, but nothing flows.
    Inactive,
    /// Not for this relay (data channels), or no codec in common.
    Reject,
}

#[derive(Debug)]
pub struct Sending {
    /// Streams with the same name are played in sync: a person's camera and microphone, a screen with its sound.
    pub stream: String,
    pub producer: String,
    pub cname: String,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
}

/// Writes the answer to an offer whose m-lines got these roles.
pub fn write(session: u64, version: u64, transport: &AnswerTransport<'_>, media: &[AnswerMedia<'_>]) -> String {
    let mut out = String::with_capacity(600 * media.len() + 400);
    let live = |m: &&AnswerMedia<'_>| !matches!(m.role, Role::Reject);
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "v=0\r\no=- {session} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    );
    if media.iter().any(|m| live(&m)) {
        out.push_str("a=group:BUNDLE");
        for m in media.iter().filter(live) {
            let _ = write!(out, " {}", m.offered.mid);
        }
        out.push_str("\r\n");
    }
    out.push_str("a=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\na=ice-lite\r\n");
    let mut tagged = true;
    for m in media {
        if matches!(m.role, Role::Reject) {
            let (name, protocol, formats) = &m.offered.line;
            let _ = write!(out, "m={name} 0 {protocol} {formats}\r\nc=IN IP4 0.0.0.0\r\n");
            if !m.offered.mid.is_empty() {
                let _ = write!(out, "a=mid:{}\r\n", m.offered.mid);
            }
            out.push_str("a=inactive\r\n");
            continue;
        }
        write_media(&mut out, transport, m, std::mem::take(&mut tagged));
    }
    out
}

fn write_media(out: &mut String, transport: &AnswerTransport<'_>, m: &AnswerMedia<'_>, tagged: bool) {
    let _ = write!(out, "m={} 9 {}", m.offered.line.0, m.offered.line.1);
    for codec in &m.codecs {
        let _ = write!(out, " {}", codec.payload_type);
        if let Some(rtx) = codec.rtx {
            let _ = write!(out, " {rtx}");
        }
    }
    let _ = write!(
        out,
        "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 ",
        transport.ufrag, transport.password
    );
    for (i, byte) in transport.fingerprint.iter().enumerate() {
        let _ = write!(out, "{}{byte:02X}", if i == 0 { "" } else { ":" });
    }
    let _ = write!(out, "\r\na=setup:passive\r\na=mid:{}\r\n", m.offered.mid);
    for (id, extension) in accepted_extensions(m) {
        let _ = write!(out, "a=extmap:{id} {}\r\n", extension.uri());
    }
    out.push_str(match m.role {
        Role::Receive => "a=recvonly\r\n",
        Role::Send(_) => "a=sendonly\r\n",
        Role::Inactive | Role::Reject => "a=inactive\r\n",
    });
    if let Role::Send(sending) = &m.role {
        let _ = write!(out, "a=msid:{} {}\r\n", sending.stream, sending.producer);
    }
    out.push_str("a=rtcp-mux\r\n");
    if m.offered.reduced_size_rtcp {
        out.push_str("a=rtcp-rsize\r\n");
    }
    for codec in &m.codecs {
        write_codec(out, codec, m.offered.repeats_sound());
    }
    match &m.role {
        Role::Receive => write_simulcast(out, &m.offered.rids),
        Role::Send(sending) => write_sources(out, sending),
        Role::Inactive | Role::Reject => {}
    }
    if tagged {
        let udp = transport.candidates.iter().map(|candidate| (candidate, false));
        let tcp = transport.tcp_candidates.iter().map(|candidate| (candidate, true));
        for (i, (candidate, is_tcp)) in udp.chain(tcp).enumerate() {
            let (transport, preference, suffix) = if is_tcp {
                ("tcp", TCP_PREFERENCE, " tcptype passive")
            } else {
                ("udp", UDP_PREFERENCE, "")
            };
            // RFC 8445 section 5.1.2.1: type preference, a local preference each, component 1.
            let priority = (preference << 24) | ((65_535 - i as u32) << 8) | 255;
            let (ip, port) = (candidate.ip(), candidate.port());
            let _ = write!(
                out,
                "a=candidate:{} 1 {transport} {priority} {ip} {port} typ host{suffix}\r\n",
                i + 1
            );
        }
        out.push_str("a=end-of-candidates\r\n");
    }
}

/// Extensions of an m-line we say yes to: the identifying ones where the client sends, transport-wide numbers and the descriptor both ways.
fn accepted_extensions<'a>(m: &'a AnswerMedia<'_>) -> impl Iterator<Item = (u8, Extension)> + 'a {
    let receiving = matches!(m.role, Role::Receive);
    let video = m.offered.kind == Kind::Video;
    m.offered
        .extensions
        .iter()
        .copied()
        .filter(move |(_, extension)| match extension {
            Extension::Mid => receiving,
            Extension::TransportCc => !matches!(m.role, Role::Inactive) && !m.offered.repeats_sound(),
            Extension::Rid | Extension::RepairedRid => receiving && !m.offered.rids.is_empty(),
            Extension::DependencyDescriptor => video && !matches!(m.role, Role::Inactive),
        })
}

fn write_codec(out: &mut String, codec: &OfferedCodec, repeats_sound: bool) {
    let pt = codec.payload_type;
    let _ = write!(out, "a=rtpmap:{pt} {}\r\n", codec.rtpmap);
    let unnumbered = |feedback: &&&str| !(repeats_sound && **feedback == "transport-cc");
    for feedback in codec.feedback.iter().filter(unnumbered) {
        let _ = write!(out, "a=rtcp-fb:{pt} {feedback}\r\n");
    }
    if let Some(fmtp) = &codec.fmtp {
        let _ = write!(out, "a=fmtp:{pt} {fmtp}\r\n");
    }
    if let Some(rtx) = codec.rtx {
        let _ = write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\n");
    }
}

fn write_simulcast(out: &mut String, rids: &[String]) {
    for rid in rids {
        let _ = write!(out, "a=rid:{rid} recv\r\n");
    }
    if !rids.is_empty() {
        let _ = write!(out, "a=simulcast:recv {}\r\n", rids.join(";"));
    }
}

fn write_sources(out: &mut String, sending: &Sending) {
    let ssrc = sending.ssrc;
    if let Some(rtx) = sending.rtx_ssrc {
        let _ = write!(out, "a=ssrc-group:FID {ssrc} {rtx}\r\n");
    }
    for ssrc in std::iter::once(ssrc).chain(sending.rtx_ssrc) {
        let _ = write!(out, "a=ssrc:{ssrc} cname:{}\r\n", sending.cname);
        let _ = write!(out, "a=ssrc:{ssrc} msid:{} {}\r\n", sending.stream, sending.producer);
    }
}
