//! What a receiver's report says of a stream (RFC 3550 section 6.4.1, appendix A.3 and A.8).

use std::time::Instant;

use crate::rtp::rtcp::{ReportBlock, SenderReport};

#[derive(Debug, Default)]
pub(crate) struct Reception {
    base: Option<u64>,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Jitter times 16, in timestamp units.
    jitter: u32,
    transit: Option<u32>,
    sender_report: Option<(SenderReport, Instant)>,
}

impl Reception {
    /// A packet came over the stream itself (not by retransmission). `arrival` is the time in the stream's clock units.
    pub(crate) fn packet(&mut self, number: u64, timestamp: u32, arrival: u32) {
        self.base = Some(self.base.map_or(number, |base| base.min(number)));
        self.highest = self.highest.max(number);
        self.received += 1;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let deviation = (transit.wrapping_sub(before) as i32).unsigned_abs().min(1 << 20);
            self.jitter = self
                .jitter
                .saturating_add(deviation)
                .saturating_sub((self.jitter + 8) >> 4);
        }
    }

    /// Packets that did not come. Those that came by retransmission count here as well, as in any report.
    pub(crate) fn lost(&self) -> u64 {
        let expected = self.base.map_or(0, |base| self.highest - base + 1);
        expected.saturating_sub(self.received)
    }

    pub(crate) fn sender_report(&mut self, report: SenderReport, now: Instant) {
        self.sender_report = Some((report, now));
    }

    pub(crate) fn last_sender_report(&self) -> Option<&SenderReport> {
        self.sender_report.as_ref().map(|(report, _)| report)
    }

    /// The block to report now; `None` before the first packet.
    pub(crate) fn report(&mut self, ssrc: u32, now: Instant) -> Option<ReportBlock> {
        let base = self.base?;
        let expected = self.highest - base + 1;
        let expected_interval = expected - self.expected_before;
        let received_interval = self.received - self.received_before;
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost_interval = expected_interval.saturating_sub(received_interval);
        let fraction_lost = (lost_interval * 256)
            .checked_div(expected_interval)
            .unwrap_or(0)
            .min(255) as u8;
        let (last_sr, delay_since_last_sr) = match &self.sender_report {
            Some((report, at)) => {
                let delay = now.saturating_duration_since(*at).as_micros() * 65_536 / 1_000_000;
                ((report.ntp >> 16) as u32, delay.min(u128::from(u32::MAX)) as u32)
            }
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: (expected as i64 - self.received as i64).clamp(-(1 << 23), (1 << 23) - 1) as i32,
            // The unwrapped number starts one cycle up; the report's cycles start at zero.
            highest_sequence: self.highest.saturating_sub(1 << 16) as u32,
            jitter: self.jitter >> 4,
            last_sr,
            delay_since_last_sr,
        })
    }
}
