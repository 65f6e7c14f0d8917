//! The congestion control alone, on emulated lines in virtual time: what it makes of each of the scenarios.
#![allow(clippy::unwrap_used)]

#[path = "common/ours.rs"]
mod ours;

use std::time::{Duration, Instant};

use emulator::trial::{Outcome, Source, run};
use emulator::{Capacity, Profile, scenarios};
use ours::Ours;
use sfu_relay::congestion::{Controller, Demand, LEAST, Rate, START, Unused};
use sfu_relay::rtp::rtcp::{self, Rtcp, Writer};
use sfu_relay::rtp::twcc::Recorder;

const MS: Duration = Duration::from_millis(1);
const FOLLOWING: Source = Source::Following { most: 5_000_000 };
const LAYERS: Source = Source::Layers(&[150_000, 500_000, 1_700_000]);

fn trial(name: &str, source: &Source, seed: u64) -> Outcome {
    let start = Instant::now();
    run(Ours::new(start), &scenarios::named(name).unwrap(), source, seed, start)
}

/// In each of three seeds.
fn always(name: &str, source: &Source, holds: impl Fn(&Outcome) -> bool) {
    for seed in [7, 8, 9] {
        let mut outcome = trial(name, source, seed);
        if !holds(&outcome) {
            let course = std::mem::take(&mut outcome.course);
            panic!("{name}, seed {seed}: {outcome:?}\n{course:?}");
        }
    }
}

#[test]
fn rely_22_a_steady_line_is_used_without_a_queue_to_speak_of() {
    for name in ["steady, 1 Mbit/s", "steady, 3 Mbit/s"] {
        always(name, &FOLLOWING, |o| {
            o.used > 0.85 && o.queue_p95 < 120.0 && o.dropped == 0.0
        });
    }
    always("steady, 3 Mbit/s", &LAYERS, |o| {
        o.used > 0.8 && o.switches <= 4 && o.queue_p95 < 60.0
    });
    always("steady, 1 Mbit/s", &LAYERS, |o| o.switches <= 2 && o.queue_p95 < 60.0);
}

#[test]
fn rely_22_a_line_that_becomes_narrow_is_followed_within_two_seconds_and_a_wider_one_found_within_ten() {
    always("step down, 3 to 1 Mbit/s", &FOLLOWING, |o| {
        o.down.is_some_and(|down| down <= 3_000 * MS) && o.used > 0.8
    });
    always("step down, 3 to 1 Mbit/s", &LAYERS, |o| {
        o.down.is_some_and(|down| down <= 2_000 * MS) && o.switches <= 5
    });
    always("step up, 500 kbit/s to 2.5 Mbit/s", &FOLLOWING, |o| {
        o.up.is_some_and(|up| up <= 10_000 * MS)
    });
    always("step up, 500 kbit/s to 2.5 Mbit/s", &LAYERS, |o| {
        o.up.is_some_and(|up| up <= 12_000 * MS)
    });
    always("periodic, 2.5 and 1 Mbit/s, 10 s each", &FOLLOWING, |o| {
        o.used > 0.7 && o.audio_lost < 0.02
    });
}

#[test]
fn rely_22_losses_of_the_lines_own_cost_hardly_any_rate_and_losses_for_want_of_room_are_ended() {
    always("single losses, 5 %, 2 Mbit/s", &FOLLOWING, |o| {
        o.used > 0.7 && o.dropped < 0.01
    });
    always("single losses, 10 %, 2 Mbit/s", &FOLLOWING, |o| {
        o.used > 0.6 && o.dropped < 0.02
    });
    always("bursts of loss, 5 % in all, 2 Mbit/s", &FOLLOWING, |o| {
        o.used > 0.6 && o.dropped < 0.02
    });
    always("shallow queue of 30 ms, 2 Mbit/s", &LAYERS, |o| {
        o.dropped < 0.03 && o.audio_lost < 0.02
    });
}

#[test]
fn rely_22_jitter_and_reordering_are_not_taken_for_a_queue() {
    always("jitter of 30 ms, 2 Mbit/s", &FOLLOWING, |o| o.used > 0.75);
    always("reordering, 2 Mbit/s", &FOLLOWING, |o| o.used > 0.85);
}

#[test]
fn rely_22_after_an_outage_the_rate_of_before_is_found_again_within_seconds() {
    always("an outage of 5 s, 2 Mbit/s", &FOLLOWING, |o| {
        o.up.is_some_and(|up| up <= 6_000 * MS)
    });
}

/// Packets of a controller, and the reports on them.
struct Pair {
    controller: Controller,
    receiver: Recorder,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        Pair {
            controller: Controller::new(now),
            receiver: Recorder::new(now),
            now,
        }
    }

    fn send(&mut self, packets: u16) {
        for _ in 0..packets {
            self.now += 5 * MS;
            let number = self.controller.next_number();
            self.controller.sent(self.now, 1_000);
            self.receiver.arrived(number, self.now + 30 * MS);
        }
    }

    fn report(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&mut out).transport_cc(1, 2, &self.receiver.feedback().unwrap());
        let mut body = Vec::new();
        for packet in rtcp::parse(&out) {
            if let Rtcp::Arrivals { body: bytes } = packet {
                body = bytes.to_vec();
            }
        }
        body
    }

    fn state(&self) -> String {
        format!("{:?}", self.controller)
    }
}

#[test]
fn rely_21_duplicate_late_and_reordered_reports_change_nothing_more() {
    let mut pair = Pair::new();
    pair.send(10);
    let first = pair.report();
    pair.send(10);
    let second = pair.report();
    assert_eq!(pair.controller.feedback(pair.now, &second), Ok(()));
    assert_eq!(
        pair.controller.feedback(pair.now, &first),
        Ok(()),
        "later than the one after it"
    );
    let state = pair.state();
    for report in [&first, &second, &first] {
        assert_eq!(pair.controller.feedback(pair.now, report), Err(Unused::Stale));
        assert_eq!(pair.state(), state);
    }
}

#[test]
fn rely_26_after_a_change_of_path_reports_on_the_old_one_change_nothing_and_numbers_go_on() {
    let mut pair = Pair::new();
    for _ in 0..40 {
        pair.send(20);
        let report = pair.report();
        assert_eq!(pair.controller.feedback(pair.now, &report), Ok(()));
    }
    let known = pair.controller.estimate();
    assert!(known > START && pair.controller.is_settled(), "{known:?}");
    pair.send(20);
    let late = pair.report();
    let number = pair.controller.next_number();
    pair.controller.path_changed(pair.now);
    assert_eq!(pair.controller.next_number(), number);
    assert!(pair.controller.estimate() == START && !pair.controller.is_settled());
    assert_eq!(pair.controller.feedback(pair.now, &late), Err(Unused::Stale));
    assert!(pair.controller.estimate() == START && !pair.controller.is_settled());
    // And the new one is found out.
    for _ in 0..40 {
        pair.send(20);
        let report = pair.report();
        assert_eq!(pair.controller.feedback(pair.now, &report), Ok(()));
    }
    assert!(pair.controller.estimate() > START && pair.controller.is_settled());
}

#[test]
fn rely_21_reports_on_what_was_never_sent_and_malformed_ones_change_nothing() {
    let mut pair = Pair::new();
    pair.send(10);
    let good = pair.report();
    let state = pair.state();
    let mut ahead = good.clone();
    let base = u16::from_be_bytes([good[0], good[1]]);
    for jump in [1, 100, 20_000, 32_000] {
        ahead[..2].copy_from_slice(&(base + jump).to_be_bytes());
        assert_eq!(
            pair.controller.feedback(pair.now, &ahead),
            Err(Unused::NeverSent),
            "{jump}"
        );
    }
    for back in [11, 1_000, 30_000] {
        ahead[..2].copy_from_slice(&base.wrapping_sub(back).to_be_bytes());
        assert_eq!(pair.controller.feedback(pair.now, &ahead), Err(Unused::Stale), "{back}");
    }
    for len in 0..good.len() {
        assert!(
            matches!(
                pair.controller.feedback(pair.now, &good[..len]),
                Err(Unused::Malformed(_))
            ),
            "{len}"
        );
    }
    assert_eq!(pair.state(), state);
    assert_eq!(pair.controller.feedback(pair.now, &good), Ok(()));
}

#[test]
fn rely_21_whatever_a_receiver_says_the_estimate_stays_within_its_bounds() {
    let mut random = emulator::Random::new(5);
    let mut pair = Pair::new();
    pair.controller.demand(Demand {
        all: Rate::kilobits(5_000),
        next: Rate::kilobits(5_000),
    });
    for round in 0..3_000 {
        pair.send(3 + (random.draw() % 6) as u16);
        let mut report = pair.report();
        if random.chance(0.5) {
            let at = (random.draw() % report.len() as u64) as usize;
            report[at] = random.draw() as u8;
        }
        let _ = pair.controller.feedback(pair.now, &report);
        pair.controller.tick(pair.now);
        let estimate = pair.controller.estimate();
        assert!(
            (LEAST..=Rate::kilobits(100_000)).contains(&estimate),
            "{round}: {estimate:?}"
        );
    }
}

#[test]
fn rely_22_who_never_reports_is_sent_no_probe_and_no_more_than_at_first() {
    let mut pair = Pair::new();
    pair.controller.demand(Demand {
        all: Rate::kilobits(5_000),
        next: Rate::kilobits(5_000),
    });
    for _ in 0..400 {
        pair.send(4);
        pair.controller.tick(pair.now);
        assert_eq!(pair.controller.padding(pair.now), 0);
    }
    assert_eq!(pair.controller.estimate(), START);
}

#[test]
fn rely_22_a_stream_that_grows_is_followed_as_long_as_it_arrives() {
    let mut pair = Pair::new();
    for step in 1..=60_u16 {
        // 1,000 bytes each 5 ms make 1.6 Mbit/s; half of them in the first steps.
        for _ in 0..10 {
            pair.send(if step < 20 { 1 } else { 2 });
            pair.now += if step < 20 { 5 * MS } else { Duration::ZERO };
        }
        let report = pair.report();
        let _ = pair.controller.feedback(pair.now, &report);
    }
    let estimate = pair.controller.estimate();
    assert!(estimate >= Rate::kilobits(1_550), "{estimate:?}");
}

#[test]
fn rely_22_a_way_that_becomes_longer_is_not_a_queue_for_good() {
    let start = Instant::now();
    let scenario = scenarios::Scenario {
        name: "longer way",
        profile: Profile {
            capacity: Capacity::Steady(2_000_000),
            ..Profile::default()
        },
        length: Duration::from_secs(40),
        change: None,
    };
    let engine = Longer(Ours::new(start), start + Duration::from_secs(10));
    let outcome = run(engine, &scenario, &FOLLOWING, 7, start);
    let after: u64 = outcome.course[60..].iter().map(|slot| slot.1).sum::<u64>() / 20;
    assert!(after > 1_200_000, "{after} {:?}", outcome.course);
}

/// From a moment on, everything arrives 80 ms later.
struct Longer(Ours, Instant);

impl emulator::trial::Engine for Longer {
    type Packet = u16;
    type Word = Vec<u8>;

    fn offer(&mut self, now: Instant, use_: emulator::trial::Use, bytes: usize) {
        self.0.offer(now, use_, bytes);
    }

    fn depart(&mut self, now: Instant) -> Option<(usize, emulator::trial::Use, u16)> {
        self.0.depart(now)
    }

    fn arrive(&mut self, now: Instant, packet: u16) {
        let later = if now >= self.1 { 80 * MS } else { Duration::ZERO };
        self.0.arrive(now + later, packet);
    }

    fn answer(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.0.answer(now)
    }

    fn hear(&mut self, now: Instant, word: Vec<u8>) {
        self.0.hear(now, word);
    }

    fn estimate(&self) -> u64 {
        self.0.estimate()
    }

    fn demand(&mut self, now: Instant, all: u64, next: u64) {
        self.0.demand(now, all, next);
    }
}
