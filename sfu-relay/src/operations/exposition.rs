//! Figures in Prometheus' text format (version 0.0.4).
//!
//! RELY-53: a room's label is its thread and its place there, `0-3`: it says nothing of the room, and the next one in that place has it again. At
//! most [`MOST_ROOMS`] are shown, those with most people; the rest are shown as one.

use std::cmp::Reverse;
use std::fmt::Write as _;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::engine::{LAYERS, RoomFigures};
use crate::stats::{Kind, RelayStats};

pub(super) const MOST_ROOMS: usize = 64;
const OTHERS: &str = "others";
/// As the views' label has them.
const LAYER_NAMES: [&str; LAYERS] = ["none", "0", "1", "2"];

#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

type Pick = fn(&RoomFigures) -> u64;

/// What is told of each room, and whether it only grows.
const ROOM: &[(&str, bool, Pick)] = &[
    ("peers", false, |room| room.peers),
    ("producers", false, |room| room.producers),
    ("consumers", false, |room| room.consumers),
    ("packets_in", true, |room| room.passed.packets_in),
    ("bytes_in", true, |room| room.passed.bytes_in),
    ("lost_in", true, |room| room.passed.lost_in),
    ("packets_out", true, |room| room.passed.packets_out),
    ("bytes_out", true, |room| room.passed.bytes_out),
    ("key_frame_requests", true, |room| room.passed.key_frame_requests),
    ("measured", false, |room| room.measured),
    ("estimate_bits", false, |room| room.estimate),
    ("least_estimate_bits", false, |room| room.least_estimate),
    ("worst_lost_permille", false, |room| room.lost_permille),
    ("waiting_bytes", false, |room| room.waiting),
    ("worst_queue_microseconds", false, |room| room.queue),
];

impl Exposition {
    fn kind(&mut self, name: &str, grows: bool) {
        let kind = if grows { "counter" } else { "gauge" };
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    /// One figure without a label.
    fn single(&mut self, name: &str, grows: bool, value: impl std::fmt::Display) {
        self.kind(name, grows);
        let _ = writeln!(self.text, "{name} {value}");
    }

    pub(super) fn relay(&mut self, stats: &RelayStats, draining: bool) {
        for (name, kind, value) in stats.fields() {
            let grows = kind == Kind::SoFar;
            let suffix = if grows { "_total" } else { "" };
            self.single(&format!("conclave_relay_{name}{suffix}"), grows, value);
        }
        self.single("conclave_relay_draining", false, u8::from(draining));
    }

    /// What the process used, by the name that everybody uses for it.
    pub(super) fn process(&mut self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let micros = (usage.user_time() + usage.system_time()).num_microseconds();
            self.single("process_cpu_seconds_total", true, micros as f64 / 1e6);
        }
    }

    /// Of each thread, how busy it is and its rooms.
    pub(super) fn rooms(&mut self, threads: &[(u64, Vec<RoomFigures>)]) {
        self.kind("conclave_relay_thread_busy_permille", false);
        for (thread, (busy, _)) in threads.iter().enumerate() {
            let _ = writeln!(
                self.text,
                "conclave_relay_thread_busy_permille{{thread=\"{thread}\"}} {busy}"
            );
        }
        let mut rooms: Vec<(String, RoomFigures)> = Vec::new();
        for (thread, (_, of_thread)) in threads.iter().enumerate() {
            rooms.extend(of_thread.iter().map(|room| (format!("{thread}-{}", room.place), *room)));
        }
        let sum = rooms
            .iter()
            .fold(RoomFigures::default(), |sum, (_, room)| sum.and(*room));
        rooms.sort_by_key(|(_, room)| Reverse((room.peers, room.passed.bytes_out)));
        let rest = rooms.split_off(rooms.len().min(MOST_ROOMS));
        if !rest.is_empty() {
            let rest = rest
                .iter()
                .fold(RoomFigures::default(), |sum, (_, room)| sum.and(*room));
            rooms.push((OTHERS.to_owned(), rest));
        }
        for (name, grows, pick) in ROOM {
            let suffix = if *grows { "_total" } else { "" };
            let name = format!("conclave_relay_room_{name}{suffix}");
            self.kind(&name, *grows);
            for (label, room) in &rooms {
                let _ = writeln!(self.text, "{name}{{room=\"{label}\"}} {}", pick(room));
            }
        }
        self.kind("conclave_relay_room_views", false);
        for (label, room) in &rooms {
            for (layer, views) in LAYER_NAMES.iter().zip(room.views) {
                let _ = writeln!(
                    self.text,
                    "conclave_relay_room_views{{room=\"{label}\",layer=\"{layer}\"}} {views}"
                );
            }
        }
        // Together, what no counter of the threads tells.
        self.kind("conclave_relay_views", false);
        for (layer, views) in LAYER_NAMES.iter().zip(sum.views) {
            let _ = writeln!(self.text, "conclave_relay_views{{layer=\"{layer}\"}} {views}");
        }
        for name in [
            "measured",
            "estimate_bits",
            "least_estimate_bits",
            "worst_lost_permille",
            "waiting_bytes",
            "worst_queue_microseconds",
        ] {
            if let Some((_, _, pick)) = ROOM.iter().find(|(known, ..)| *known == name) {
                self.single(&format!("conclave_relay_{name}"), false, pick(&sum));
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::{Exposition, MOST_ROOMS};
    use crate::engine::{Passed, RoomFigures};
    use crate::stats::RelayStats;

    fn room(place: u32, peers: u64) -> RoomFigures {
        RoomFigures {
            place,
            peers,
            passed: Passed {
                packets_out: 10,
                ..Passed::default()
            },
            views: [0, 1, 0, 2],
            measured: 1,
            estimate: 1_000,
            least_estimate: u64::from(place) + 500,
            ..RoomFigures::default()
        }
    }

    #[test]
    fn each_figure_stands_once_with_its_type() {
        let stats = RelayStats {
            peers: 3,
            rtp_forwarded: 70,
            ..RelayStats::default()
        };
        let mut text = Exposition::default();
        text.relay(&stats, true);
        text.process();
        text.rooms(&[(7, vec![room(0, 2)]), (900, vec![room(0, 1)])]);
        let text = text.finish();
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "# TYPE conclave_relay_peers gauge",
            "conclave_relay_peers 3",
            "# TYPE conclave_relay_rtp_forwarded_total counter",
            "conclave_relay_rtp_forwarded_total 70",
            "conclave_relay_draining 1",
            "conclave_relay_thread_busy_permille{thread=\"1\"} 900",
            "# TYPE conclave_relay_room_packets_out_total counter",
            "conclave_relay_room_peers{room=\"0-0\"} 2",
            "conclave_relay_room_peers{room=\"1-0\"} 1",
            "conclave_relay_room_views{room=\"1-0\",layer=\"2\"} 2",
            "conclave_relay_views{layer=\"0\"} 2",
            "conclave_relay_estimate_bits 2000",
            "conclave_relay_least_estimate_bits 500",
        ] {
            assert_eq!(lines.iter().filter(|other| **other == line).count(), 1, "{line}");
        }
        let mut names: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "each type once");
        assert!(
            lines.iter().any(|line| line.starts_with("process_cpu_seconds_total 0.")
                || line.starts_with("process_cpu_seconds_total "))
        );
    }

    #[test]
    fn rely_53_however_many_rooms_there_are_the_labels_are_bounded_and_nothing_is_left_out_of_the_sum() {
        let rooms = |from: u32, to: u32| {
            (from..to)
                .map(|place| room(place, u64::from(place)))
                .collect::<Vec<_>>()
        };
        let mut text = Exposition::default();
        text.rooms(&[(0, rooms(0, 500)), (0, rooms(500, 1_000))]);
        let text = text.finish();
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
        let of = |name: &str| -> Vec<&str> {
            text.lines()
                .filter(|line| line.starts_with(&format!("{name}{{")))
                .collect()
        };
        let sent = of("conclave_relay_room_packets_out_total");
        assert_eq!(sent.len(), MOST_ROOMS + 1);
        assert_eq!(sent.iter().filter_map(|line| value(line)).sum::<u64>(), 10_000);
        assert!(
            sent.iter().any(|line| line.contains("room=\"1-999\"")),
            "the largest have a line of their own"
        );
        assert!(sent.iter().any(|line| line.contains("room=\"others\"")));
        // Nothing but digits, and the word for the rest.
        for line in text.lines().filter(|line| line.contains("room=")) {
            let label = line
                .split("room=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap_or("?");
            let plain = label
                .split('-')
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
            assert!(plain || label == "others", "{label}");
        }
    }
}
