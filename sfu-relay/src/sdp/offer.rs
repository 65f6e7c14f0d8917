//! A browser's offer, read into types.

use super::codec::OfferedCodec;
use super::lines::{Section, sections};
use super::{SdpError, codec};
use crate::net::dtls::Fingerprint;
use crate::rtp::Extension;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The `sess-id` of the `o=` line: another one means another RTCPeerConnection.
    pub session_id: String,
    pub ice: IceCredentials,
    pub fingerprint: Fingerprint,
    pub media: Vec<OfferedMedia>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub password: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Audio,
    Video,
    /// Data channels and whatever comes later: refused.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedMedia {
    pub mid: String,
    pub kind: Kind,
    /// Media name, protocol and formats of the `m=` line: what a refusal has to repeat.
    pub line: (String, String, String),
    /// The m-line was given up (port 0 outside the bundle). Its mid may be empty.
    pub stopped: bool,
    pub direction: Direction,
    pub codecs: Vec<OfferedCodec>,
    pub extensions: Vec<(u8, Extension)>,
    /// The simulcast layers it sends, in its order. Empty: one stream.
    pub rids: Vec<String>,
    /// SSRCs it announces, media first where they are paired with RTX.
    pub ssrcs: Vec<u32>,
    /// Pairs of media and RTX SSRC.
    pub flow_ids: Vec<(u32, u32)>,
    pub reduced_size_rtcp: bool,
}

impl OfferedMedia {
    /// Lost sound is asked for again on this line. There is no RTX for sound, so it comes again as it was, byte for byte, which a packet with a
    /// transport-wide number could not: that is new each time it is sent.
    pub fn repeats_sound(&self) -> bool {
        self.kind == Kind::Audio && self.codecs.iter().any(|codec| codec.feedback.contains(&"nack"))
    }
}

impl Offer {
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let (session, sections) = sections(text)?;
        let session_id = session.origin.split(' ').nth(1).ok_or(SdpError::Malformed)?.to_owned();
        let mut media = Vec::with_capacity(sections.len());
        for section in &sections {
            let parsed = parse_media(section)?;
            if !parsed.stopped && media.iter().any(|other: &OfferedMedia| other.mid == parsed.mid) {
                return Err(SdpError::Mid);
            }
            media.push(parsed);
        }
        let bundle: Vec<&str> = session
            .all("group")
            .filter_map(|group| group.strip_prefix("BUNDLE "))
            .flat_map(|mids| mids.split(' '))
            .collect();
        if media.iter().any(|m| !m.stopped && !bundle.contains(&m.mid.as_str())) {
            return Err(SdpError::Bundle);
        }
        // Bundled m-lines share one transport: its facts stand in the first live one, or for the session (RFC 9143 section 8).
        let tagged = sections
            .iter()
            .zip(&media)
            .find(|(_, m)| !m.stopped)
            .map(|(section, _)| section);
        let fact = |name| {
            tagged
                .and_then(|section| section.get(name))
                .or_else(|| session.get(name))
        };

        let ice = IceCredentials {
            ufrag: fact("ice-ufrag")
                .filter(|ufrag| is_ice_text(ufrag, 4))
                .ok_or(SdpError::Ice)?
                .to_owned(),
            password: fact("ice-pwd")
                .filter(|pwd| is_ice_text(pwd, 22))
                .ok_or(SdpError::Ice)?
                .to_owned(),
        };
        let fingerprints = tagged.into_iter().flat_map(|section| section.all("fingerprint"));
        let fingerprint = fingerprints
            .chain(session.all("fingerprint"))
            .find_map(parse_fingerprint)
            .ok_or(SdpError::Fingerprint)?;
        if !matches!(fact("setup"), Some("actpass" | "active")) {
            return Err(SdpError::Setup);
        }
        Ok(Offer {
            session_id,
            ice,
            fingerprint,
            media,
        })
    }
}

fn parse_media(section: &Section<'_>) -> Result<OfferedMedia, SdpError> {
    let mut words = section.media.splitn(4, ' ');
    let mut word = || words.next().filter(|word| !word.is_empty()).ok_or(SdpError::Malformed);
    let (name, port, protocol, formats) = (word()?, word()?, word()?, word()?);
    let port: u16 = port.parse().map_err(|_| SdpError::Malformed)?;
    let kind = match (name, protocol) {
        ("audio", "UDP/TLS/RTP/SAVPF") => Kind::Audio,
        ("video", "UDP/TLS/RTP/SAVPF") => Kind::Video,
        _ => Kind::Other,
    };
    let stopped = port == 0 && !section.has("bundle-only");
    // A stopped m-line may have lost its mid (RFC 8829 section 5.2.2); nothing refers to it any more.
    let mid = section
        .get("mid")
        .filter(|mid| is_token(mid, 32))
        .or(stopped.then_some(""));
    let mid = mid.ok_or(SdpError::Mid)?.to_owned();
    let direction = [
        ("sendonly", Direction::SendOnly),
        ("recvonly", Direction::RecvOnly),
        ("inactive", Direction::Inactive),
    ];
    let direction = direction
        .into_iter()
        .find(|(name, _)| section.has(name))
        .map_or(Direction::SendRecv, |(_, direction)| direction);

    let extensions = section.all("extmap").filter_map(|value| {
        let (id, uri) = value.split_once(' ')?;
        let id = id.split('/').next()?.parse::<u8>().ok().filter(|id| *id > 0)?;
        Some((id, Extension::from_uri(uri.split(' ').next()?)?))
    });
    let rids = section
        .get("simulcast")
        .and_then(|value| value.strip_prefix("send "))
        .unwrap_or_default();
    let rids = rids
        .split(' ')
        .next()
        .unwrap_or_default()
        .split(';')
        .filter(|rid| !rid.is_empty());
    // Alternatives (`1,2`) and paused layers (`~1`) of RFC 8853: the first alternative counts, paused or not.
    let rids = rids
        .filter_map(|rid| rid.split(',').next())
        .map(|rid| rid.trim_start_matches('~'));

    let flow_ids: Vec<(u32, u32)> = section
        .all("ssrc-group")
        .filter_map(|group| {
            let (media, rtx) = group.strip_prefix("FID ")?.split_once(' ')?;
            Some((media.parse().ok()?, rtx.parse().ok()?))
        })
        .collect();
    let mut ssrcs: Vec<u32> = Vec::new();
    for ssrc in section
        .all("ssrc")
        .filter_map(|value| value.split(' ').next()?.parse().ok())
    {
        if !ssrcs.contains(&ssrc) && !flow_ids.iter().any(|(_, rtx)| *rtx == ssrc) && ssrcs.len() < 16 {
            ssrcs.push(ssrc);
        }
    }
    Ok(OfferedMedia {
        mid,
        kind,
        line: (name.to_owned(), protocol.to_owned(), formats.to_owned()),
        stopped,
        direction,
        codecs: if kind == Kind::Other {
            Vec::new()
        } else {
            codec::offered(section)
        },
        extensions: extensions.collect(),
        rids: rids
            .filter(|rid| is_token(rid, 16))
            .take(3)
            .map(str::to_owned)
            .collect(),
        ssrcs,
        flow_ids,
        reduced_size_rtcp: section.has("rtcp-rsize"),
    })
}

fn parse_fingerprint(value: &str) -> Option<Fingerprint> {
    let (algorithm, hex) = value.split_once(' ')?;
    if !algorithm.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut out = [0; 32];
    let mut bytes = hex.split(':');
    for byte in &mut out {
        *byte = bytes
            .next()
            .filter(|b| b.len() == 2)
            .and_then(|b| u8::from_str_radix(b, 16).ok())?;
    }
    bytes.next().is_none().then_some(out)
}

fn is_ice_text(text: &str, least: usize) -> bool {
    (least..=256).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

fn is_token(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_{}.".contains(&b))
}
