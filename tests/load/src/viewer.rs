//! What a browser does with a stream that arrives over a bad line: it asks again for what is missing, tells what arrived, puts frames
//! together, and stands still where one is missing.
//!
//! The figures are libwebrtc's: a missing packet is asked for at once and again every 100 ms (its round trip where none is known), ten times at
//! most; a key frame is asked for when nothing could be shown for 3 s, or when more than 1,000 packets are missing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sfu_relay::rtp::Packet;
use sfu_relay::rtp::rtcp::Writer;
use sfu_relay::rtp::sequence::Unwrapper;
use sfu_relay::rtp::twcc::Recorder;

use crate::media::Numbered;
use crate::sdp::{TWCC, VP8};

const LOOK: Duration = Duration::from_millis(20);
const AGAIN: Duration = Duration::from_millis(100);
const REQUESTS: u8 = 10;
const MOST_MISSING: usize = 1_000;
const NOTHING: Duration = Duration::from_secs(3);
/// Nobody notices less.
pub(crate) const FREEZE: Duration = Duration::from_millis(500);
const OWN_SSRC: u32 = 1;

pub(crate) struct Viewer {
    ssrc: Option<u32>,
    sequence: Unwrapper,
    missing: BTreeMap<u64, Ask>,
    /// Frames that are not complete, or not to be shown yet.
    frames: BTreeMap<u32, Frame>,
    shown: Option<u32>,
    shown_at: Instant,
    asked_for_key_frame: Instant,
    next_look: Instant,
    next_report: Instant,
    arrivals: Recorder,
    pub(crate) tally: Tally,
}

struct Ask {
    last: Option<Instant>,
    count: u8,
}

struct Frame {
    got: Vec<bool>,
    key: bool,
}

impl Frame {
    fn is_complete(&self) -> bool {
        self.got.iter().all(|got| *got)
    }
}

/// How it went.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    /// Packets of the stream that came, late or repeated ones not counted twice.
    pub(crate) packets: u64,
    /// Those that came by repetition.
    pub(crate) repaired: u64,
    pub(crate) asked: u64,
    pub(crate) key_frames_asked: u64,
    pub(crate) shown: u64,
    /// Times without a new frame longer than [`FREEZE`].
    pub(crate) freezes: Vec<Duration>,
}

impl Viewer {
    pub(crate) fn new(now: Instant) -> Self {
        Viewer {
            ssrc: None,
            sequence: Unwrapper::default(),
            missing: BTreeMap::new(),
            frames: BTreeMap::new(),
            shown: None,
            shown_at: now,
            asked_for_key_frame: now,
            next_look: now,
            next_report: now,
            arrivals: Recorder::new(now),
            tally: Tally::default(),
        }
    }

    /// From here on it counts.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.tally = Tally::default();
        self.shown_at = now;
    }

    /// The end, which a standstill may not have reached.
    pub(crate) fn end(&mut self, now: Instant) -> &Tally {
        let still = now.saturating_duration_since(self.shown_at);
        if still > FREEZE {
            self.tally.freezes.push(still);
        }
        &self.tally
    }

    /// A packet arrived, decrypted. `false`: it is none of ours.
    pub(crate) fn packet(&mut self, now: Instant, bytes: &[u8]) -> bool {
        let Some(packet) = Packet::parse(bytes) else {
            return false;
        };
        if let Some((&[high, low], _)) = packet
            .extension(TWCC)
            .and_then(|(value, at)| Some((value.first_chunk()?, at)))
        {
            self.arrivals.arrived(u16::from_be_bytes([high, low]), now);
        }
        let payload = &bytes[packet.payload()];
        let repeated = packet.payload_type() != VP8;
        let (sequence, payload) = if repeated {
            // RFC 4588. What is too short is padding.
            let Some((original, payload)) = payload.split_first_chunk::<2>() else {
                return true;
            };
            (u16::from_be_bytes(*original), payload)
        } else {
            self.ssrc.get_or_insert(packet.ssrc());
            (packet.sequence(), payload)
        };
        if payload.is_empty() {
            return true;
        }
        let Some(numbered) = Numbered::read(payload) else {
            return false;
        };
        self.arrived(sequence, repeated);
        self.put_together(now, &numbered);
        true
    }

    fn arrived(&mut self, sequence: u16, repeated: bool) {
        let before = self.sequence.highest();
        let number = self.sequence.unwrap(sequence);
        match before {
            Some(highest) if number > highest => {
                self.tally.packets += 1;
                let gap = highest + 1..number;
                self.missing
                    .extend(gap.map(|number| (number, Ask { last: None, count: 0 })));
            }
            Some(_) => {
                if self.missing.remove(&number).is_some() {
                    self.tally.packets += 1;
                    self.tally.repaired += u64::from(repeated);
                }
            }
            None => self.tally.packets += 1,
        }
    }

    fn put_together(&mut self, now: Instant, part: &Numbered) {
        if self.shown.is_some_and(|shown| part.frame <= shown) {
            return;
        }
        let frame = self.frames.entry(part.frame).or_insert_with(|| Frame {
            got: vec![false; usize::from(part.count)],
            key: part.key,
        });
        if let Some(got) = frame.got.get_mut(usize::from(part.index)) {
            *got = true;
        }
        // The next one, or a key frame that leaves a gap behind.
        while let Some(next) = self.next_to_show() {
            self.frames = self.frames.split_off(&(next + 1));
            self.shown = Some(next);
            self.tally.shown += 1;
            let still = now.saturating_duration_since(self.shown_at);
            if still > FREEZE {
                self.tally.freezes.push(still);
            }
            self.shown_at = now;
        }
    }

    fn next_to_show(&self) -> Option<u32> {
        let follows = |number: u32| self.shown.is_some_and(|shown| number == shown + 1);
        let complete = self.frames.iter().filter(|(_, frame)| frame.is_complete());
        complete
            .filter(|(number, frame)| frame.key || follows(**number))
            .map(|(number, _)| *number)
            .next()
    }

    /// What is to be said now.
    pub(crate) fn says(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        let Some(ssrc) = self.ssrc else { return said };
        let mut say = |write: &mut dyn FnMut(&mut Writer<'_>)| {
            let mut bytes = Vec::new();
            write(&mut Writer::new(&mut bytes));
            said.push(bytes);
        };
        if now >= self.next_look {
            self.next_look = now + LOOK;
            let mut due = Vec::new();
            self.missing.retain(|number, ask| {
                if ask.last.is_some_and(|last| now < last + AGAIN) {
                    return true;
                }
                if ask.count == REQUESTS {
                    return false;
                }
                (ask.last, ask.count) = (Some(now), ask.count + 1);
                due.push(*number as u16);
                true
            });
            self.tally.asked += due.len() as u64;
            for part in due.chunks(200) {
                say(&mut |writer| writer.nack(OWN_SSRC, ssrc, part.iter().copied()));
            }
            let standing = now.saturating_duration_since(self.shown_at.max(self.asked_for_key_frame)) >= NOTHING;
            if standing || self.missing.len() > MOST_MISSING {
                self.missing.clear();
                self.asked_for_key_frame = now;
                self.tally.key_frames_asked += 1;
                say(&mut |writer| writer.pli(OWN_SSRC, ssrc));
            }
        }
        if now >= self.next_report {
            self.next_report = now + Recorder::INTERVAL;
            while let Some(feedback) = self.arrivals.feedback() {
                say(&mut |writer| writer.transport_cc(OWN_SSRC, ssrc, &feedback));
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::{FREEZE, Viewer};
    use crate::media::Numbered;
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    fn part(frame: u32, index: u16, key: bool) -> Numbered {
        Numbered {
            frame,
            index,
            count: 2,
            key,
        }
    }

    #[test]
    fn a_frame_is_shown_when_it_and_all_before_it_are_whole_or_when_it_is_a_key_frame() {
        let mut now = Instant::now();
        let mut viewer = Viewer::new(now);
        let mut put = |viewer: &mut Viewer, after: u32, frame, index, key| {
            now += after * MS;
            viewer.put_together(now, &part(frame, index, key));
            viewer.tally.shown
        };
        assert_eq!(put(&mut viewer, 0, 5, 0, false), 0);
        assert_eq!(put(&mut viewer, 0, 5, 1, false), 0, "nothing to build on");
        assert_eq!(put(&mut viewer, 0, 6, 0, true), 0);
        assert_eq!(put(&mut viewer, 0, 6, 1, true), 1);
        assert_eq!(put(&mut viewer, 100, 8, 0, false), 1);
        assert_eq!(put(&mut viewer, 0, 8, 1, false), 1, "7 is missing");
        assert_eq!(put(&mut viewer, 500, 7, 1, false), 1);
        assert_eq!(put(&mut viewer, 0, 7, 0, false), 3);
        assert_eq!(viewer.tally.freezes, [600 * MS]);
        assert_eq!(put(&mut viewer, 0, 10, 1, true), 3);
        assert_eq!(put(&mut viewer, 0, 10, 0, true), 4, "9 is not waited for");
    }

    #[test]
    fn what_is_missing_is_asked_for_again_until_it_comes_and_a_standstill_to_the_end_counts() {
        let start = Instant::now();
        let mut viewer = Viewer::new(start);
        viewer.ssrc = Some(9);
        for sequence in [1, 2, 5] {
            viewer.arrived(sequence, false);
        }
        assert_eq!(viewer.says(start).len(), 1);
        assert!(viewer.says(start + 50 * MS).is_empty());
        viewer.arrived(3, true);
        assert_eq!(viewer.says(start + 120 * MS).len(), 1);
        let tally = &viewer.tally;
        assert_eq!((tally.packets, tally.repaired, tally.asked), (4, 1, 3));
        for i in 2..40 {
            viewer.says(start + i * 110 * MS);
        }
        assert_eq!(
            viewer.tally.asked,
            2 + 10 - 1,
            "ten times at most, and once for the other"
        );
        assert_eq!(viewer.end(start + 2 * FREEZE).freezes, [2 * FREEZE]);
    }
}
