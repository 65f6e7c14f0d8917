//! The relay's own congestion control as an engine of [`emulator::trial`]: the controller as the engine uses it, a queue of what may wait,
//! repetitions as padding, and a receiver that reports.

#![allow(unreachable_pub)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use emulator::trial::{Engine, Use};
use sfu_relay::congestion::{Controller, Demand, OVERHEAD, Rate};
use sfu_relay::rtp::rtcp::{self, Rtcp, Writer};
use sfu_relay::rtp::twcc::Recorder;

/// RTP header with two extensions, and the tag.
const HEADER: usize = 24 + 16;
/// A repetition of an earlier packet.
const REPEATED: usize = 1_000;
/// As often as browsers do at these rates.
const REPORT: Duration = Duration::from_millis(50);

pub struct Ours {
    pub controller: Controller,
    /// What waits to be sent: when it came, and its bytes.
    waiting: VecDeque<usize>,
    bytes: u64,
    leaving: VecDeque<(usize, Use, u16)>,
    padding_at: Instant,
    receiver: Recorder,
    report_at: Instant,
}

impl Ours {
    pub fn new(now: Instant) -> Self {
        Ours {
            controller: Controller::new(now),
            waiting: VecDeque::new(),
            bytes: 0,
            leaving: VecDeque::new(),
            padding_at: now,
            receiver: Recorder::new(now),
            report_at: now,
        }
    }

    fn leave(&mut self, now: Instant, bytes: usize, use_: Use) {
        let number = self.controller.next_number();
        self.controller.sent(now, bytes);
        self.leaving.push_back((bytes + OVERHEAD, use_, number));
    }
}

impl Engine for Ours {
    type Packet = u16;
    type Word = Vec<u8>;

    fn offer(&mut self, now: Instant, use_: Use, bytes: usize) {
        match use_ {
            Use::Video => {
                self.waiting.push_back(bytes + HEADER);
                self.bytes += (bytes + HEADER) as u64;
                self.controller.waiting(now, self.bytes);
            }
            _ => self.leave(now, bytes + HEADER, use_),
        }
    }

    fn depart(&mut self, now: Instant) -> Option<(usize, Use, u16)> {
        while self.controller.may_send(now)
            && let Some(bytes) = self.waiting.pop_front()
        {
            self.bytes -= bytes as u64;
            self.leave(now, bytes, Use::Video);
        }
        if now >= self.padding_at {
            self.padding_at = now + Duration::from_millis(5);
            self.controller.tick(now);
            let mut due = self.controller.padding(now);
            while due > 0 {
                self.leave(now, REPEATED, Use::Other);
                due = due.saturating_sub(REPEATED);
            }
        }
        self.leaving.pop_front()
    }

    fn arrive(&mut self, now: Instant, packet: u16) {
        self.receiver.arrived(packet, now);
    }

    fn answer(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.report_at || self.receiver.is_empty() {
            return None;
        }
        self.report_at = now + REPORT;
        let mut out = Vec::new();
        let feedback = self.receiver.feedback()?;
        Writer::new(&mut out).transport_cc(1, 2, &feedback);
        Some(out)
    }

    fn hear(&mut self, now: Instant, word: Vec<u8>) {
        for packet in rtcp::parse(&word) {
            if let Rtcp::Arrivals { body } = packet {
                // A report may have crossed another; that is what the count of unused ones is for.
                let _ = self.controller.feedback(now, body);
            }
        }
    }

    fn estimate(&self) -> u64 {
        self.controller.estimate().as_bits()
    }

    fn demand(&mut self, _now: Instant, all: u64, next: u64) {
        self.controller.demand(Demand {
            all: Rate::bits(all),
            next: Rate::bits(next),
        });
    }
}
