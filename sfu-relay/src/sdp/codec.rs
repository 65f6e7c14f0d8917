//! Codecs as offers name them, and when two legs mean the same one.

use super::lines::Section;

/// RELY-16: what a payload type stands for. Everything else (RED, FEC, comfort noise, DTMF ...) is never negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    Vp8,
    Vp9,
    Av1,
    H264,
}

/// A codec with the parameters that have to agree for one leg's packets to be understood on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    pub codec: Codec,
    /// VP9: profile-id. AV1: profile. H.264: profile_idc and profile-iop, without the level. Else zero.
    pub profile: u32,
    /// H.264 only.
    pub packetization_mode: u8,
}

/// One codec of an m-line, with the payload type of its retransmissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedCodec {
    pub payload_type: u8,
    pub format: Format,
    /// The value of `a=rtpmap` after the payload type, as offered.
    pub rtpmap: String,
    /// The value of `a=fmtp` after the payload type, as offered.
    pub fmtp: Option<String>,
    /// Feedback the relay makes use of.
    pub feedback: Vec<&'static str>,
    pub rtx: Option<u8>,
}

/// RTCP feedback we accept. REMB is not among them: transport-wide feedback is better and one estimator is enough.
const FEEDBACK: [&str; 4] = ["nack", "nack pli", "ccm fir", "transport-cc"];

/// The codecs of one m-line in the order of its payload types.
pub(super) fn offered(section: &Section<'_>) -> Vec<OfferedCodec> {
    let payload_types = section.media.split(' ').skip(3).filter_map(|pt| pt.parse::<u8>().ok());
    let rtpmap = |pt| section.all("rtpmap").find_map(|value| of_payload_type(value, pt));
    let fmtp = |pt| section.all("fmtp").find_map(|value| of_payload_type(value, pt));

    let mut codecs: Vec<OfferedCodec> = Vec::new();
    let mut retransmissions: Vec<(u8, u8)> = Vec::new();
    for pt in payload_types.filter(|pt| *pt < 128) {
        let Some(map) = rtpmap(pt) else { continue };
        let (name, clock) = map.split_once('/').unwrap_or((map, ""));
        if name.eq_ignore_ascii_case("rtx") {
            if let Some(apt) = fmtp(pt)
                .and_then(|fmtp| parameter(fmtp, "apt"))
                .and_then(|apt| apt.parse().ok())
            {
                retransmissions.push((apt, pt));
            }
            continue;
        }
        let fmtp = fmtp(pt);
        let Some(format) = format(name, clock, fmtp.unwrap_or_default()) else {
            continue;
        };
        if codecs.iter().any(|codec| codec.payload_type == pt) {
            continue;
        }
        let feedback = FEEDBACK.into_iter().filter(|wanted| {
            section
                .all("rtcp-fb")
                .any(|value| of_payload_type(value, pt).or_else(|| value.strip_prefix("* ")) == Some(*wanted))
        });
        codecs.push(OfferedCodec {
            payload_type: pt,
            format,
            rtpmap: map.to_owned(),
            fmtp: fmtp.map(str::to_owned),
            feedback: feedback.collect(),
            rtx: None,
        });
    }
    for codec in &mut codecs {
        codec.rtx = retransmissions
            .iter()
            .find(|(apt, _)| *apt == codec.payload_type)
            .map(|(_, pt)| *pt);
    }
    codecs
}

fn format(name: &str, clock: &str, fmtp: &str) -> Option<Format> {
    let plain = |codec| Format {
        codec,
        profile: 0,
        packetization_mode: 0,
    };
    let number = |key| parameter(fmtp, key).map_or(Some(0), |value| value.parse().ok());
    Some(match (name.to_ascii_lowercase().as_str(), clock) {
        ("opus", "48000/2") => plain(Codec::Opus),
        ("vp8", "90000") => plain(Codec::Vp8),
        ("vp9", "90000") => Format {
            profile: number("profile-id")?,
            ..plain(Codec::Vp9)
        },
        ("av1", "90000") => Format {
            profile: number("profile")?,
            ..plain(Codec::Av1)
        },
        ("h264", "90000") => {
            // RFC 6184 section 8.1: without the parameter it is Baseline, level 1.
            let id = parameter(fmtp, "profile-level-id").unwrap_or("42000a");
            let id = u32::from_str_radix(id, 16).ok().filter(|id| *id <= 0x00FF_FFFF)?;
            let packetization_mode = number("packetization-mode").and_then(|mode| u8::try_from(mode).ok())?;
            Format {
                codec: Codec::H264,
                profile: id >> 8,
                packetization_mode,
            }
        }
        _ => return None,
    })
}

/// `value` without its leading payload type, if that is `pt`.
fn of_payload_type(value: &str, pt: u8) -> Option<&str> {
    let (first, rest) = value.split_once(' ')?;
    (first.parse() == Ok(pt)).then_some(rest)
}

fn parameter<'a>(fmtp: &'a str, key: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}
