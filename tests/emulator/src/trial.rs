//! An engine of congestion control on a line: what it makes of it, and what the line's users feel.

use std::time::{Duration, Instant};

use crate::line::{Fate, Line};
use crate::profile::Profile;
use crate::scenarios::Scenario;

/// What a packet is of use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Audio,
    Video,
    /// Padding, repetitions, control: on the line, but of no use by itself.
    Other,
}

/// Both ends of a line, with the engine that is looked at in the sender.
pub trait Engine {
    type Packet;
    type Word;

    /// The source has a packet.
    fn offer(&mut self, now: Instant, use_: Use, bytes: usize);
    /// What leaves the sender now: its size on the line, its use, and the packet. Asked until there is none.
    fn depart(&mut self, now: Instant) -> Option<(usize, Use, Self::Packet)>;
    /// A packet arrives at the receiver.
    fn arrive(&mut self, now: Instant, packet: Self::Packet);
    /// What the receiver says now. Asked until there is nothing.
    fn answer(&mut self, now: Instant) -> Option<Self::Word>;
    /// The sender hears it.
    fn hear(&mut self, now: Instant, word: Self::Word);
    /// Bits a second.
    fn estimate(&self) -> u64;
    /// What would be sent if everything fitted, and what would be enough for something better than now.
    fn demand(&mut self, now: Instant, all: u64, next: u64);
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub enum Source {
    /// Video by an encoder that follows the estimate up to this rate.
    Following { most: u64 },
    /// Video in one of these rates, as a relay has it: the best that fits, a better one only with some room.
    Layers(&'static [u64]),
}

/// How it went.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Useful bits that arrived, as a share of what would have been possible.
    pub used: f64,
    /// What packets waited before the bottleneck, half and 95 % of them at most, in milliseconds.
    pub queue_p50: f64,
    pub queue_p95: f64,
    /// Share of packets lost, whyever, and of those that did not fit the queue.
    pub lost: f64,
    pub dropped: f64,
    pub audio_lost: f64,
    /// Share of what was sent that was of no use by itself.
    pub padding: f64,
    /// From the change until four fifths of the capacity were used.
    pub up: Option<Duration>,
    /// From the change until the queue was below 100 ms for a second.
    pub down: Option<Duration>,
    /// Changes of layer.
    pub switches: u32,
    /// Each half second: the estimate, what arrived, the capacity, the longest queue in ms.
    pub course: Vec<(u64, u64, u64, f64)>,
}

const STEP: Duration = Duration::from_millis(1);
const AUDIO_EVERY: u32 = 20;
const AUDIO_BYTES: usize = 160;
const FRAME_EVERY: u32 = 33;
const PACKET_BYTES: usize = 1_100;
/// What a rate of video is on the line, with all headers.
const ON_THE_LINE: f64 = 1.065;
/// A key frame, at the beginning and with each switch, is this many times as large as others.
const KEY_FRAME: f64 = 4.0;
/// A better layer is taken when it fits with this much room for this long.
const ROOM: f64 = 1.05;
const PATIENCE: Duration = Duration::from_millis(500);
const SLOT: Duration = Duration::from_millis(500);

struct Layers {
    current: usize,
    fits_since: Option<Duration>,
    switches: u32,
    key_frame: bool,
}

impl Layers {
    fn choose(&mut self, rates: &[u64], estimate: u64, passed: Duration) {
        let fit = |room: f64| {
            let fits = |rate: &u64| *rate as f64 * ON_THE_LINE * room <= estimate as f64;
            rates.iter().rposition(fits).unwrap_or(0)
        };
        let down = fit(1.0);
        if down < self.current {
            self.switch(down);
        }
        if fit(ROOM) > self.current {
            let since = *self.fits_since.get_or_insert(passed);
            if passed - since >= PATIENCE {
                self.switch(fit(ROOM));
            }
        } else {
            self.fits_since = None;
        }
    }

    fn switch(&mut self, to: usize) {
        self.current = to;
        self.switches += 1;
        self.key_frame = true;
        self.fits_since = None;
    }
}

/// Runs an engine through a scenario.
pub fn run<E: Engine>(mut engine: E, scenario: &Scenario, source: &Source, seed: u64, start: Instant) -> Outcome {
    let mut there: Line<E::Packet> = Line::new(scenario.profile.clone(), seed, start);
    let back = Profile {
        delay: scenario.profile.delay,
        ..Profile::default()
    };
    let mut back: Line<E::Word> = Line::new(back, seed ^ 1, start);
    let mut layers = Layers {
        current: 0,
        fits_since: None,
        switches: 0,
        key_frame: true,
    };
    let mut count = Count::default();
    let mut slot = Slot::default();
    let mut course = Vec::new();
    let mut debt = 0.0_f64;
    let steps = (scenario.length.as_millis() / STEP.as_millis()) as u32;
    for step in 0..steps {
        let (passed, now) = (STEP * step, start + STEP * step);
        let (all, next) = match source {
            Source::Following { most } => (*most, *most),
            Source::Layers(rates) => {
                layers.choose(rates, engine.estimate(), passed);
                let top = rates.last().copied().unwrap_or(0);
                let next = rates.get(layers.current + 1).copied().unwrap_or(0);
                let on_the_line = |rate: u64| (rate as f64 * ON_THE_LINE * ROOM) as u64;
                (on_the_line(top), on_the_line(next))
            }
        };
        engine.demand(now, all, next);
        if step % AUDIO_EVERY == 0 {
            engine.offer(now, Use::Audio, AUDIO_BYTES);
        }
        if step % FRAME_EVERY == 0 {
            let rate = match source {
                Source::Following { most } => ((engine.estimate() as f64 / ON_THE_LINE) as u64).min(*most),
                Source::Layers(rates) => rates[layers.current],
            };
            let audio = (AUDIO_BYTES as f64 + 28.0) * 8_000.0 / f64::from(AUDIO_EVERY);
            let bytes = (rate as f64 - audio).max(0.0) * f64::from(FRAME_EVERY) / 8_000.0;
            // A key frame is large; the encoder makes up for it in the frames that follow.
            let send = if std::mem::take(&mut layers.key_frame) {
                debt += bytes * (KEY_FRAME - 1.0);
                bytes * KEY_FRAME
            } else {
                let back = debt.min(bytes * 0.3);
                debt -= back;
                (bytes - back).max(200.0)
            };
            let mut left = send as usize;
            while left > 0 {
                let packet = left.min(PACKET_BYTES);
                engine.offer(now, Use::Video, packet);
                left -= packet;
            }
        }
        while let Some((bytes, use_, packet)) = engine.depart(now) {
            let fate = there.send(now, bytes, packet);
            match fate {
                Fate::Arrives { queued, .. } => {
                    count.queues.push(queued.as_secs_f64() * 1e3);
                    slot.queue = slot.queue.max(queued.as_secs_f64() * 1e3);
                    if use_ != Use::Other {
                        slot.useful += bytes as u64;
                        count.useful += bytes as u64;
                    }
                }
                Fate::Dropped => count.dropped += 1,
                Fate::Lost => {}
            }
            let arrived = matches!(fate, Fate::Arrives { .. });
            count.sent += 1;
            count.bytes += bytes as u64;
            count.lost += u64::from(!arrived);
            count.other += if use_ == Use::Other { bytes as u64 } else { 0 };
            if use_ == Use::Audio {
                count.audio += 1;
                count.audio_lost += u64::from(!arrived);
            }
        }
        while let Some((at, packet)) = there.poll(now) {
            engine.arrive(at, packet);
        }
        while let Some(word) = engine.answer(now) {
            back.send(now, 80, word);
        }
        while let Some((_, word)) = back.poll(now) {
            engine.hear(now, word);
        }
        if (passed + STEP).as_millis().is_multiple_of(SLOT.as_millis()) {
            let useful = (slot.useful as f64 * 8.0 / SLOT.as_secs_f64()) as u64;
            let capacity = scenario.profile.capacity.at(passed).0;
            course.push((engine.estimate(), useful, capacity, slot.queue));
            slot = Slot::default();
        }
    }
    let most = match source {
        Source::Following { most } => *most,
        Source::Layers(rates) => (rates.last().copied().unwrap_or(0) as f64 * ON_THE_LINE) as u64,
    };
    count.outcome(scenario, most, layers.switches, course)
}

#[derive(Default)]
struct Slot {
    useful: u64,
    queue: f64,
}

#[derive(Default)]
struct Count {
    sent: u64,
    bytes: u64,
    useful: u64,
    other: u64,
    lost: u64,
    dropped: u64,
    audio: u64,
    audio_lost: u64,
    queues: Vec<f64>,
}

impl Count {
    fn outcome(mut self, scenario: &Scenario, most: u64, switches: u32, course: Vec<(u64, u64, u64, f64)>) -> Outcome {
        self.queues.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (self.queues.len() as f64 * share) as usize;
            self.queues
                .get(index.min(self.queues.len().saturating_sub(1)))
                .copied()
                .unwrap_or(0.0)
        };
        let possible: f64 = course
            .iter()
            .map(|(_, _, capacity, _)| (*capacity).min(most) as f64 * SLOT.as_secs_f64())
            .sum();
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let from = |change: Duration| (change.as_millis() / SLOT.as_millis()) as usize;
        let up = scenario.change.and_then(|(change, capacity)| {
            let enough = |slot: &(u64, u64, u64, f64)| slot.1 as f64 >= 0.8 * capacity.min(most) as f64;
            let after = course.get(from(change)..)?;
            let at = after.windows(2).position(|pair| pair.iter().all(enough))?;
            Some(SLOT * (at as u32 + 1))
        });
        let down = scenario.change.and_then(|(change, _)| {
            let after = course.get(from(change)..)?;
            let at = after
                .windows(2)
                .position(|pair| pair.iter().all(|slot| slot.3 < 100.0))?;
            Some(SLOT * at as u32)
        });
        Outcome {
            used: self.useful as f64 * 8.0 / possible.max(1.0),
            queue_p50: at(0.5),
            queue_p95: at(0.95),
            lost: share(self.lost, self.sent),
            dropped: share(self.dropped, self.sent),
            audio_lost: share(self.audio_lost, self.audio),
            padding: share(self.other, self.bytes),
            up,
            down,
            switches,
            course,
        }
    }
}
