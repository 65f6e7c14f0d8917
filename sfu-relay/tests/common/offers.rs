//! Offers in the form browsers make them, and Dependency Descriptors.

use std::fmt::Write as _;

use relay_token::Source;

pub const VP8: u8 = 96;
pub const VP8_RTX: u8 = 97;
pub const OPUS: u8 = 111;
pub const MID: u8 = 4;
pub const RID: u8 = 10;
pub const RRID: u8 = 11;
pub const TWCC: u8 = 3;
pub const DD: u8 = 13;

/// One m-line of a test's offer.
#[derive(Debug, Clone)]
pub struct Line {
    pub mid: String,
    pub audio: bool,
    pub source: Option<Source>,
    pub producer: Option<String>,
    pub rids: Vec<&'static str>,
    pub ssrc: Option<u32>,
    /// Offer the Dependency Descriptor.
    pub descriptor: bool,
    /// Codec lines instead of the usual: payload types and their attributes.
    pub codecs: Option<(&'static str, &'static str)>,
    /// Extension id of the descriptor, which differs between legs.
    pub descriptor_id: u8,
}

impl Line {
    fn new(mid: &str, audio: bool) -> Self {
        Line {
            mid: mid.into(),
            audio,
            source: None,
            producer: None,
            rids: Vec::new(),
            ssrc: None,
            descriptor: !audio,
            codecs: None,
            descriptor_id: DD,
        }
    }

    pub fn microphone(mid: &str, ssrc: u32) -> Self {
        Line {
            source: Some(Source::Microphone),
            ssrc: Some(ssrc),
            ..Line::new(mid, true)
        }
    }

    pub fn camera(mid: &str, ssrc: u32) -> Self {
        Line {
            source: Some(Source::Camera),
            ssrc: Some(ssrc),
            ..Line::new(mid, false)
        }
    }

    pub fn simulcast(mid: &str) -> Self {
        Line {
            source: Some(Source::Camera),
            rids: vec!["q", "h", "f"],
            ..Line::new(mid, false)
        }
    }

    pub fn receive(mid: &str, audio: bool, producer: &str) -> Self {
        Line {
            producer: Some(producer.into()),
            ..Line::new(mid, audio)
        }
    }

    pub fn without_descriptor(mut self) -> Self {
        self.descriptor = false;
        self
    }
}

pub fn offer(session: u64, ufrag: &str, fingerprint: &[u8; 32], lines: &[Line]) -> String {
    let mut sdp = format!("v=0\r\no=- {session} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE");
    for line in lines {
        write!(sdp, " {}", line.mid).unwrap();
    }
    sdp.push_str("\r\na=extmap-allow-mixed\r\n");
    for line in lines {
        let (formats, codecs) = line.codecs.unwrap_or(if line.audio { AUDIO } else { VIDEO });
        let kind = if line.audio { "audio" } else { "video" };
        write!(sdp, "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\n").unwrap();
        write!(
            sdp,
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 "
        )
        .unwrap();
        let hex: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
        write!(sdp, "{}\r\na=setup:actpass\r\na=mid:{}\r\n", hex.join(":"), line.mid).unwrap();
        let audio_level = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
        write!(sdp, "a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n").unwrap();
        write!(
            sdp,
            "a=extmap:{TWCC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
        )
        .unwrap();
        if line.audio {
            write!(sdp, "a=extmap:1 {audio_level}\r\n").unwrap();
        } else {
            write!(sdp, "a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n").unwrap();
            write!(
                sdp,
                "a=extmap:{RRID} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n"
            )
            .unwrap();
            sdp.push_str("a=extmap:12 urn:3gpp:video-orientation\r\n");
        }
        if line.descriptor {
            let uri = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
            write!(sdp, "a=extmap:{} {uri}\r\n", line.descriptor_id).unwrap();
        }
        let direction = match (line.source, &line.producer) {
            (Some(_), None) => "sendonly",
            (None, Some(_)) => "recvonly",
            _ => "inactive",
        };
        write!(sdp, "a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n{codecs}").unwrap();
        if let Some(ssrc) = line.ssrc {
            if !line.audio {
                write!(
                    sdp,
                    "a=ssrc-group:FID {ssrc} {}\r\na=ssrc:{} cname:x\r\n",
                    ssrc + 1,
                    ssrc + 1
                )
                .unwrap();
            }
            write!(sdp, "a=ssrc:{ssrc} cname:x\r\n").unwrap();
        }
        for rid in &line.rids {
            write!(sdp, "a=rid:{rid} send\r\n").unwrap();
        }
        if !line.rids.is_empty() {
            write!(sdp, "a=simulcast:send {}\r\n", line.rids.join(";")).unwrap();
        }
    }
    sdp
}

const AUDIO: (&str, &str) = (
    "111 63 9 126",
    "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
     a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:126 telephone-event/8000\r\n",
);
const VIDEO: (&str, &str) = (
    "96 97 116 117",
    "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\n\
     a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
     a=rtpmap:116 red/90000\r\na=rtpmap:117 ulpfec/90000\r\n",
);

/// The descriptor of a frame that is not a key frame.
pub fn descriptor(frame: u16) -> Vec<u8> {
    let [high, low] = frame.to_be_bytes();
    vec![0b1100_0000, high, low]
}

/// The descriptor of a key frame, with a template structure of one layer.
pub fn key_descriptor(frame: u16) -> Vec<u8> {
    let [high, low] = frame.to_be_bytes();
    // 1 structure, 0 active, 000 custom | offset 000000, targets 00000, idc 11, dti 10, fdiff 0, chains 0, resolutions 0
    vec![0b1100_0000, high, low, 0b1000_0000, 0b0000_0000, 0b1110_0000]
}
