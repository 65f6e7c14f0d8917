//! Where a shell's constants lie in the packets that a browser's packetizer makes of a sealed frame.
//!
//! | codec | payload format | what is left of the shell in a frame's first packet |
//! |---|---|---|
//! | VP8 | RFC 7741 | all of it, after the payload descriptor |
//! | AV1 | AV1 RTP specification, section 4 | OBU headers and the sequence header, without their size fields |
//! | H.264 | RFC 6184 | NAL units without start codes: alone, in a STAP-A, or the first FU-A without its header |
//!
//! The constants themselves are asked of the shells ([`e2ee_core::shell`]).

use std::ops::Range;

use e2ee_core::shell::{FrameType, Shell};

use super::frames::FrameCodec;

/// What a packet has to do with a shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// This codec's frames have none.
    NoShell,
    /// The packet goes on with a frame that another began.
    Within,
    /// The frame starts here with its shell; these bytes of the payload are it, in order.
    Shell { key: bool, constants: Vec<Range<usize>> },
    /// A frame starts here, and not with a shell.
    Foreign(&'static str),
}

pub(super) fn find(codec: FrameCodec, payload: &[u8]) -> Start {
    // Padding by which a sender probes the path: the relay stripped it, and nothing is left.
    if payload.is_empty() {
        return Start::Within;
    }
    match codec {
        FrameCodec::Opus | FrameCodec::Vp9 => Start::NoShell,
        FrameCodec::Vp8 => vp8(payload),
        FrameCodec::Av1 => av1(payload),
        FrameCodec::H264 => h264(payload),
    }
}

/// The bytes in front of an empty ciphertext.
fn head(shell: Shell) -> Vec<u8> {
    let room = shell.head_len(0);
    let mut frame = vec![0; room];
    shell.wrap(&mut frame, room);
    frame.truncate(room);
    frame
}

fn vp8(payload: &[u8]) -> Start {
    let Some((first, after)) = vp8_descriptor(payload) else {
        return Start::Foreign("it has no whole VP8 payload descriptor");
    };
    // S = 1 and PID = 0: the first packet of a frame.
    if first & 0x17 != 0x10 {
        return Start::Within;
    }
    for (shell, key) in [
        (Shell::Vp8(FrameType::Key), true),
        (Shell::Vp8(FrameType::Delta), false),
    ] {
        let constant = head(shell);
        if payload[after..].starts_with(&constant) {
            let constants = std::iter::once(after..after + constant.len()).collect();
            return Start::Shell { key, constants };
        }
    }
    Start::Foreign("the frame does not start with the shell")
}

/// RFC 7741 section 4.2: the first byte, and where the descriptor ends.
fn vp8_descriptor(payload: &[u8]) -> Option<(u8, usize)> {
    let first = *payload.first()?;
    let mut at = 1;
    if first & 0x80 != 0 {
        let extension = *payload.get(1)?;
        at = 2;
        if extension & 0x80 != 0 {
            // PictureID, 7 or 15 bits.
            at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(extension & 0x40 != 0);
        at += usize::from(extension & 0x30 != 0);
    }
    (at <= payload.len()).then_some((first, at))
}

/// The element of an AV1 packet as the shell's bytes become it: the OBU header with its size bit cleared, no size.
fn av1(payload: &[u8]) -> Start {
    let aggregation = payload[0];
    // Z: the first element continues one of the packet before.
    if aggregation & 0x80 != 0 {
        return Start::Within;
    }
    let Some(elements) = av1_elements(payload, aggregation >> 4 & 3) else {
        return Start::Foreign("its OBU elements overrun it");
    };
    let key = head(Shell::Av1(FrameType::Key));
    let delta = head(Shell::Av1(FrameType::Delta));
    // key: header, size, sequence header | frame header, size. delta: frame header, size.
    let without_size = |header: u8| header & !0x02;
    let sequence: Vec<u8> = std::iter::once(without_size(key[0]))
        .chain(key[2..key.len() - delta.len()].to_vec())
        .collect();
    let frame = [without_size(delta[0])];
    match elements.as_slice() {
        [first, second] if payload[first.clone()] == sequence && payload[second.clone()].starts_with(&frame) => {
            Start::Shell {
                key: true,
                constants: vec![first.clone(), second.start..second.start + 1],
            }
        }
        [first] if payload[first.clone()].starts_with(&frame) => Start::Shell {
            key: false,
            constants: std::iter::once(first.start..first.start + 1).collect(),
        },
        _ => Start::Foreign("its OBUs are not those of the shell"),
    }
}

/// W = 0: every element has its length before it; else all but the last of W.
fn av1_elements(payload: &[u8], count: u8) -> Option<Vec<Range<usize>>> {
    let mut elements = Vec::new();
    let mut at = 1;
    while at < payload.len() {
        let last = count != 0 && elements.len() + 1 == usize::from(count);
        let end = if last {
            payload.len()
        } else {
            let (len, size) = leb128(&payload[at..])?;
            at += size;
            at.checked_add(len).filter(|end| *end <= payload.len())?
        };
        elements.push(at..end);
        at = end;
    }
    Some(elements)
}

fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

fn h264(payload: &[u8]) -> Start {
    let header = payload[0];
    match header & 0x1f {
        FU_A => match payload.get(1) {
            // S = 1: the first fragment.
            Some(fu) if fu & 0x80 != 0 => {
                let nal_header = header & 0xe0 | fu & 0x1f;
                h264_units(payload, [(Some(nal_header), 2..payload.len())])
            }
            Some(_) => Start::Within,
            None => Start::Foreign("its fragment has no header"),
        },
        STAP_A => match stap_units(payload) {
            Some(units) => h264_units(payload, units),
            None => Start::Foreign("its NAL units overrun it"),
        },
        _ => h264_units(payload, [(None, 0..payload.len())]),
    }
}

fn stap_units(payload: &[u8]) -> Option<Vec<(Option<u8>, Range<usize>)>> {
    let mut units = Vec::new();
    let mut at = 1;
    while at < payload.len() {
        let len = usize::from(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
        let unit = at + 2..at + 2 + len;
        payload.get(unit.clone())?;
        at = unit.end;
        units.push((None, unit));
    }
    Some(units)
}

/// Each unit is a parameter set of the shell, whole, or a slice that begins with the shell's slice header. The header of
/// a fragmented unit travels apart.
fn h264_units(payload: &[u8], units: impl IntoIterator<Item = (Option<u8>, Range<usize>)>) -> Start {
    let key_head = head(Shell::H264(FrameType::Key));
    let delta_head = head(Shell::H264(FrameType::Delta));
    let [sps, pps, idr] = split_start_codes(&key_head)[..] else {
        return Start::Foreign("the shell itself has changed its form");
    };
    let [slice] = split_start_codes(&delta_head)[..] else {
        return Start::Foreign("the shell itself has changed its form");
    };
    let mut key = false;
    let mut constants = Vec::new();
    for (nal_header, range) in units {
        let unit: Vec<u8> = nal_header
            .into_iter()
            .chain(payload[range.clone()].iter().copied())
            .collect();
        let constant = if unit == sps || unit == pps {
            key = true;
            unit.len()
        } else if unit.starts_with(idr) {
            key = true;
            idr.len()
        } else if unit.starts_with(slice) {
            slice.len()
        } else {
            return Start::Foreign("a NAL unit is not one of the shell's");
        };
        let apart = usize::from(nal_header.is_some());
        constants.push(range.start..range.start + constant - apart);
    }
    Start::Shell { key, constants }
}

/// NAL units between four-byte start codes.
fn split_start_codes(head: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = head
        .windows(4)
        .enumerate()
        .filter(|(_, w)| *w == [0, 0, 0, 1])
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([head.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &head[start + 4..end])
        .collect()
}
