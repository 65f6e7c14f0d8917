//! Parsers whose input nothing protects, or that are met behind the tag.

use sfu_relay::dd::Descriptor;
use sfu_relay::rtp::twcc::report::Report;
use sfu_relay::rtp::{Outgoing, Packet, rtcp as control};
use sfu_relay::sdp::{AnswerMedia, AnswerTransport, Kind, Offer, Role, write};
use sfu_relay::signal::message::ClientMessage;

use crate::common::{Line, key_descriptor, offers};
use crate::input::Input;

/// An RTP header, extensions and padding included, read and written again.
pub fn rtp(data: &[u8]) {
    let Some(packet) = Packet::parse(data) else { return };
    let payload = data.get(packet.payload()).unwrap();
    let found: Vec<(u8, &[u8])> = (1..15)
        .filter_map(|id| {
            let (value, at) = packet.extension(id)?;
            assert_eq!(data.get(at..at + value.len()).unwrap(), value);
            (1..=255).contains(&value.len()).then_some((id, value))
        })
        .collect();
    assert!(packet.extension(0).is_none());
    let mut written = Vec::new();
    Outgoing {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        extensions: &found,
    }
    .write(&mut written);
    written.extend_from_slice(payload);
    let again = Packet::parse(&written).unwrap();
    assert_eq!(written.get(again.payload()).unwrap(), payload);
    assert_eq!(
        (again.sequence(), again.timestamp(), again.ssrc(), again.marker()),
        (packet.sequence(), packet.timestamp(), packet.ssrc(), packet.marker())
    );
    for (id, value) in found {
        assert_eq!(again.extension(id).unwrap().0, value);
    }
}

/// A compound of RTCP. What comes out is bounded by what went in.
pub fn rtcp(data: &[u8]) {
    let mut said = 0;
    for packet in control::parse(data) {
        said += 1;
        match packet {
            control::Rtcp::Nack { entries, .. } => {
                assert!(control::nacked(entries).count() <= 17 * entries.len() / 4);
            }
            // RELY-21: refused, or with as many statuses as it says.
            control::Rtcp::Arrivals { body } => {
                if let Ok(report) = Report::parse(body) {
                    assert_eq!(report.statuses().count(), usize::from(report.count()));
                }
            }
            _ => {}
        }
    }
    assert!(said <= data.len() / 4, "{said} of {} bytes", data.len());
}

/// Dependency Descriptors: the first may set the structure in force for the second.
pub fn descriptor(data: &[u8]) {
    let mut input = Input::new(data);
    let mut first = key_descriptor(7);
    for _ in 0..input.byte() % 4 {
        input.alter(&mut first);
    }
    let structure = Descriptor::parse(&first).and_then(|descriptor| descriptor.structure);
    let rest = input.rest();
    for in_force in [None, structure.as_ref()] {
        let Some(read) = Descriptor::parse_under(rest, in_force) else {
            continue;
        };
        let structure = read.structure.as_ref().or(in_force);
        let targets = structure.map(|structure| usize::from(structure.decode_targets));
        for template in structure.into_iter().flat_map(|structure| &structure.templates) {
            assert_eq!(Some(template.indications.len()), targets);
            assert!(template.spatial < 8 && template.temporal < 8);
        }
        if let Some(custom) = &read.custom_indications {
            assert_eq!(Some(custom.len()), targets);
        }
        assert!(read.custom_differences.is_none_or(|all| all.len() <= 4 * rest.len()));
    }
}

/// An offer of a browser's form with alterations, and the answer written to it: one section for each of the offer's, and no line that the
/// offer smuggled in.
pub fn offer(data: &[u8]) {
    let mut input = Input::new(data);
    let lines = [
        Line::microphone("a", 900),
        Line::simulcast("v"),
        Line::receive("0", false, "p"),
    ];
    let mut text = offers::offer(1, "user", &[7; 32], &lines).into_bytes();
    while !input.is_empty() {
        input.alter(&mut text);
    }
    let Ok(offer) = Offer::parse(&String::from_utf8_lossy(&text)) else {
        return;
    };
    let media: Vec<AnswerMedia<'_>> = offer
        .media
        .iter()
        .map(|media| AnswerMedia {
            offered: media,
            role: match media.kind {
                Kind::Other => Role::Reject,
                _ if media.stopped || media.codecs.is_empty() => Role::Reject,
                _ if media.direction.sends() => Role::Receive,
                _ => Role::Inactive,
            },
            codecs: media.codecs.iter().collect(),
        })
        .collect();
    let transport = AnswerTransport {
        ufrag: "ours",
        password: "our-password-our-password",
        fingerprint: &[9; 32],
        candidates: &[],
        tcp_candidates: &[],
    };
    let answer = write(5, 1, &transport, &media);
    let sections = answer.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(sections, offer.media.len());
    for line in answer.lines() {
        assert!(line.len() > 1 && line.as_bytes()[1] == b'=', "{line:?}");
        assert!(
            !line.starts_with("a=fingerprint:") || line.contains("09:09:09"),
            "{line:?}"
        );
        assert!(
            !line.starts_with("a=ice-ufrag:") || line == "a=ice-ufrag:ours",
            "{line:?}"
        );
    }
}

/// Signalling: what is understood has one meaning.
pub fn signalling(data: &[u8]) {
    const GOOD: [&str; 6] = [
        r#"{"type":"hello","protocol":1,"token":"a.b.c"}"#,
        r#"{"type":"offer","id":1,"sdp":"v=0","publish":[{"mid":"0","source":"camera"}],"subscribe":[{"mid":"1","producer":"x"}]}"#,
        r#"{"type":"wishes","wishes":[{"producer":"x","max_layer":1,"paused":false,"pinned":true}]}"#,
        r#"{"type":"pause","producer":"x"}"#,
        r#"{"type":"key-frame-sent","producer":"x","ssrc":1,"rtp_timestamp":4294967295}"#,
        r#"{"type":"ping"}"#,
    ];
    let mut input = Input::new(data);
    let mut text = GOOD[usize::from(input.byte()) % GOOD.len()].as_bytes().to_vec();
    while !input.is_empty() {
        input.alter(&mut text);
    }
    for text in [String::from_utf8_lossy(&text), String::from_utf8_lossy(data)] {
        let Some(message) = ClientMessage::parse(&text) else {
            continue;
        };
        let written = serde_json::to_string(&message).unwrap();
        assert_eq!(ClientMessage::parse(&written), Some(message));
    }
}
