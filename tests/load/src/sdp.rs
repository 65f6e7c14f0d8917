//! Session descriptions as a load needs them: written from a few facts, and read for a few.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::peer::{PASSWORD, UFRAG};

pub(crate) const VP8: u8 = 96;
const VP8_RTX: u8 = 97;
pub(crate) const OPUS: u8 = 111;
/// The ids of the header extensions in our offers.
pub(crate) const TWCC: u8 = 3;
pub(crate) const MID: u8 = 4;
pub(crate) const RID: u8 = 10;
pub(crate) const DESCRIPTOR: u8 = 13;
/// The simulcast layers, the lowest first, and their packets a second beside the highest's.
pub(crate) const LAYERS: [(&str, f64); 3] = [("q", 0.09), ("h", 0.29), ("f", 1.0)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    Video,
    /// The same in three simulcast layers, of which each receiver gets the highest.
    Layers,
    /// Video as browsers negotiate it: with repetition of lost packets and reports on all that arrive.
    Watched,
}

impl Kind {
    pub(crate) fn payload_type(self) -> u8 {
        match self {
            Kind::Audio => OPUS,
            Kind::Video | Kind::Layers | Kind::Watched => VP8,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Audio => "audio",
            Kind::Video | Kind::Layers | Kind::Watched => "video",
        }
    }
}

/// One m-line of ours.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) mid: String,
    pub(crate) kind: Kind,
    /// The SSRC it sends; without one it receives.
    pub(crate) ssrc: Option<u32>,
}

/// Where a relay is and how to prove oneself to it.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) ufrag: String,
    pub(crate) password: String,
}

/// Reads the transport's facts from the relay's description. `reachable`: picks the candidate.
pub(crate) fn remote(sdp: &str, reachable: impl Fn(&SocketAddr) -> bool) -> Result<Remote> {
    let value = |name: &str| {
        sdp.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim().to_owned())
            .with_context(|| format!("the relay's description has no {name}"))
    };
    let candidates = sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    let address = candidates
        .filter_map(|candidate| {
            let words: Vec<&str> = candidate.split_whitespace().collect();
            let udp = words.get(2)?.eq_ignore_ascii_case("udp");
            let address = SocketAddr::new(words.get(4)?.parse().ok()?, words.get(5)?.parse().ok()?);
            udp.then_some(address)
        })
        .find(reachable)
        .context("the relay offers no address of ours")?;
    Ok(Remote {
        address,
        ufrag: value("a=ice-ufrag:")?,
        password: value("a=ice-pwd:")?,
    })
}

/// Writes an offer or an answer. `setup` is who connects over DTLS: `active` is us, `actpass` leaves the choice to the relay.
pub(crate) fn write(session: usize, setup: &str, fingerprint: &[u8; 32], lines: &[Line]) -> String {
    let mut sdp = format!("v=0\r\no=- {session} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for line in lines {
        let _ = write!(sdp, " {}", line.mid);
    }
    sdp.push_str("\r\n");
    let hex: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    for line in lines {
        let (pt, name) = (line.kind.payload_type(), line.kind.name());
        let rtx = if line.kind == Kind::Watched {
            format!(" {VP8_RTX}")
        } else {
            String::new()
        };
        let _ = write!(
            sdp,
            "m={name} 9 UDP/TLS/RTP/SAVPF {pt}{rtx}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\n",
            line.mid
        );
        let _ = write!(sdp, "a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PASSWORD}\r\n");
        let _ = write!(
            sdp,
            "a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=rtcp-mux\r\n",
            hex.join(":")
        );
        sdp.push_str(if line.ssrc.is_some() {
            "a=sendonly\r\n"
        } else {
            "a=recvonly\r\n"
        });
        let _ = write!(sdp, "a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
        match line.kind {
            Kind::Audio => sdp.push_str("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"),
            Kind::Video | Kind::Layers | Kind::Watched => {
                let _ = write!(sdp, "a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n");
                let _ = write!(
                    sdp,
                    "a=extmap:{DESCRIPTOR} https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension\r\n"
                );
                sdp.push_str("a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n");
            }
        }
        if line.kind == Kind::Watched {
            let _ = write!(
                sdp,
                "a=extmap:{TWCC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
                 a=rtcp-fb:{VP8} transport-cc\r\na=rtpmap:{VP8_RTX} rtx/90000\r\na=fmtp:{VP8_RTX} apt={VP8}\r\n"
            );
        }
        if line.kind == Kind::Layers && line.ssrc.is_some() {
            for (rid, _) in LAYERS {
                let _ = write!(sdp, "a=rid:{rid} send\r\n");
            }
            let rids = LAYERS.map(|(rid, _)| rid).join(";");
            let _ = write!(sdp, "a=simulcast:send {rids}\r\na=msid:load layers\r\n");
        } else if let Some(ssrc) = line.ssrc {
            let _ = write!(sdp, "a=msid:load {ssrc}\r\na=ssrc:{ssrc} cname:load\r\n");
        }
    }
    sdp
}
