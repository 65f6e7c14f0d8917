//! RTCP (RFC 3550, RFC 4585, RFC 5104): the few packets an SFU reads and writes.
//!
//! Reading is an iterator over a compound packet that stops at the first thing that does not add up; nothing is allocated.

use super::twcc;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

const FEEDBACK_NACK: u8 = 1;
const FEEDBACK_PLI: u8 = 1;
const FEEDBACK_FIR: u8 = 4;
pub(super) const FEEDBACK_TWCC: u8 = 15;

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rtcp<'a> {
    SenderReport(SenderReport),
    /// One block of a sender's or receiver's report.
    Report(ReportBlock),
    Nack {
        media_ssrc: u32,
        /// Pairs of packet id and bit mask, four bytes each.
        entries: &'a [u8],
    },
    Pli {
        media_ssrc: u32,
    },
    Fir {
        media_ssrc: u32,
    },
    /// When packets of ours arrived: what [`twcc::report::Report`] reads.
    Arrivals {
        body: &'a [u8],
    },
    Goodbye {
        ssrc: u32,
    },
}

/// What a sender says of its stream at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    pub ssrc: u32,
    /// The moment on the sender's clock, in 1/2^32 s since 1900.
    pub ntp: u64,
    /// The same moment in the stream's RTP clock.
    pub rtp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// What a receiver says of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Share lost since the last report, of 256.
    pub fraction_lost: u8,
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    pub jitter: u32,
    pub last_sr: u32,
    /// In 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// The packets of a compound. Report blocks come one by one.
pub fn parse(compound: &[u8]) -> impl Iterator<Item = Rtcp<'_>> {
    packets(compound).flat_map(|packet| {
        let body = packet.body;
        let sender = (packet.kind == SENDER_REPORT).then(|| sender_report(body)).flatten();
        let blocks_at = match packet.kind {
            SENDER_REPORT => 24,
            RECEIVER_REPORT => 4,
            _ => usize::MAX,
        };
        let blocks = body.get(blocks_at..).unwrap_or_default();
        let reports = blocks
            .chunks_exact(24)
            .take(usize::from(packet.count))
            .map(report_block);
        let feedback = feedback(&packet);
        let firs = match (packet.kind, packet.count) {
            (PAYLOAD_FEEDBACK, FEEDBACK_FIR) => body.get(8..).unwrap_or_default(),
            _ => &[],
        };
        let firs = firs.chunks_exact(8).map(|entry| Rtcp::Fir {
            media_ssrc: word(entry),
        });
        let byes = if packet.kind == GOODBYE { body } else { &[] };
        let byes = byes
            .chunks_exact(4)
            .take(usize::from(packet.count))
            .map(|ssrc| Rtcp::Goodbye { ssrc: word(ssrc) });
        sender
            .into_iter()
            .chain(reports)
            .chain(feedback)
            .chain(firs)
            .chain(byes)
    })
}

/// The sequence numbers named by the entries of a NACK (RFC 4585 section 6.2.1).
pub fn nacked(entries: &[u8]) -> impl Iterator<Item = u16> + '_ {
    entries.chunks_exact(4).flat_map(|entry| {
        let first = u16::from_be_bytes([entry[0], entry[1]]);
        let mask = u16::from_be_bytes([entry[2], entry[3]]);
        let rest = (0..16)
            .filter(move |bit| mask >> bit & 1 == 1)
            .map(move |bit| first.wrapping_add(bit + 1));
        std::iter::once(first).chain(rest)
    })
}

struct Raw<'a> {
    kind: u8,
    count: u8,
    body: &'a [u8],
}

fn packets(mut rest: &[u8]) -> impl Iterator<Item = Raw<'_>> {
    std::iter::from_fn(move || {
        let head = rest.get(..4)?;
        let len = 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        if head[0] >> 6 != 2 || len > rest.len() {
            return None;
        }
        let (packet, next) = rest.split_at(len);
        rest = next;
        let padding = if head[0] & 0x20 != 0 {
            usize::from(*packet.last()?)
        } else {
            0
        };
        let end = len.checked_sub(padding).filter(|end| *end >= 4)?;
        Some(Raw {
            kind: head[1],
            count: head[0] & 0x1F,
            body: &packet[4..end],
        })
    })
}

fn sender_report(body: &[u8]) -> Option<Rtcp<'_>> {
    let body = body.get(..24)?;
    Some(Rtcp::SenderReport(SenderReport {
        ssrc: word(body),
        ntp: u64::from(word(&body[4..])) << 32 | u64::from(word(&body[8..])),
        rtp: word(&body[12..]),
        packets: word(&body[16..]),
        octets: word(&body[20..]),
    }))
}

fn report_block(block: &[u8]) -> Rtcp<'_> {
    let lost = word(&block[4..]);
    Rtcp::Report(ReportBlock {
        ssrc: word(block),
        fraction_lost: block[4],
        cumulative_lost: (lost << 8) as i32 >> 8,
        highest_sequence: word(&block[8..]),
        jitter: word(&block[12..]),
        last_sr: word(&block[16..]),
        delay_since_last_sr: word(&block[20..]),
    })
}

fn feedback<'a>(packet: &Raw<'a>) -> Option<Rtcp<'a>> {
    let media_ssrc = word(packet.body.get(4..8)?);
    match (packet.kind, packet.count) {
        (TRANSPORT_FEEDBACK, FEEDBACK_NACK) => Some(Rtcp::Nack {
            media_ssrc,
            entries: &packet.body[8..],
        }),
        (TRANSPORT_FEEDBACK, FEEDBACK_TWCC) => Some(Rtcp::Arrivals {
            body: &packet.body[8..],
        }),
        (PAYLOAD_FEEDBACK, FEEDBACK_PLI) => Some(Rtcp::Pli { media_ssrc }),
        _ => None,
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |acc, byte| acc << 8 | u32::from(*byte))
}

/// Writes compound packets. Each method appends one packet.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Writer { out }
    }

    fn packet(&mut self, kind: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0x80 | count, kind, 0, 0]);
        body(self.out);
        self.out.resize(at + (self.out.len() - at).next_multiple_of(4), 0);
        let words = ((self.out.len() - at) / 4 - 1) as u16;
        self.out[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
    }

    pub fn sender_report(&mut self, report: &SenderReport) {
        self.packet(SENDER_REPORT, 0, |out| {
            out.extend_from_slice(&report.ssrc.to_be_bytes());
            out.extend_from_slice(&report.ntp.to_be_bytes());
            for value in [report.rtp, report.packets, report.octets] {
                out.extend_from_slice(&value.to_be_bytes());
            }
        });
    }

    /// At most 31 blocks.
    pub fn receiver_report(&mut self, sender: u32, blocks: &[ReportBlock]) {
        let blocks = &blocks[..blocks.len().min(31)];
        self.packet(RECEIVER_REPORT, blocks.len() as u8, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            for block in blocks {
                out.extend_from_slice(&block.ssrc.to_be_bytes());
                let lost = block.cumulative_lost.clamp(-(1 << 23), (1 << 23) - 1) as u32 & 0x00FF_FFFF;
                out.extend_from_slice(&(u32::from(block.fraction_lost) << 24 | lost).to_be_bytes());
                for value in [
                    block.highest_sequence,
                    block.jitter,
                    block.last_sr,
                    block.delay_since_last_sr,
                ] {
                    out.extend_from_slice(&value.to_be_bytes());
                }
            }
        });
    }

    /// A source description with a CNAME and nothing else (RFC 3550 section 6.5).
    pub fn cname(&mut self, ssrc: u32, cname: &str) {
        self.packet(SOURCE_DESCRIPTION, 1, |out| {
            out.extend_from_slice(&ssrc.to_be_bytes());
            let cname = &cname.as_bytes()[..cname.len().min(255)];
            out.extend_from_slice(&[1, cname.len() as u8]);
            out.extend_from_slice(cname);
            out.push(0);
        });
    }

    pub fn goodbye(&mut self, ssrc: u32) {
        self.packet(GOODBYE, 1, |out| out.extend_from_slice(&ssrc.to_be_bytes()));
    }

    pub fn pli(&mut self, sender: u32, media_ssrc: u32) {
        self.packet(PAYLOAD_FEEDBACK, FEEDBACK_PLI, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            out.extend_from_slice(&media_ssrc.to_be_bytes());
        });
    }

    /// `sequences` in ascending order (modulo 2^16).
    pub fn nack(&mut self, sender: u32, media_ssrc: u32, sequences: impl IntoIterator<Item = u16>) {
        self.packet(TRANSPORT_FEEDBACK, FEEDBACK_NACK, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            out.extend_from_slice(&media_ssrc.to_be_bytes());
            let mut entry: Option<(u16, u16)> = None;
            for sequence in sequences {
                entry = Some(match entry {
                    Some((first, mask)) if (1..=16).contains(&sequence.wrapping_sub(first)) => {
                        (first, mask | 1 << (sequence.wrapping_sub(first) - 1))
                    }
                    full => {
                        push_nack(out, full);
                        (sequence, 0)
                    }
                });
            }
            push_nack(out, entry);
        });
    }

    pub fn transport_cc(&mut self, sender: u32, media_ssrc: u32, feedback: &twcc::Feedback<'_>) {
        self.packet(TRANSPORT_FEEDBACK, FEEDBACK_TWCC, |out| {
            out.extend_from_slice(&sender.to_be_bytes());
            out.extend_from_slice(&media_ssrc.to_be_bytes());
            feedback.write(out);
        });
    }
}

fn push_nack(out: &mut Vec<u8>, entry: Option<(u16, u16)>) {
    if let Some((first, mask)) = entry {
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&mask.to_be_bytes());
    }
}
