//! What the packets' delays tell: whether a queue stands before the bottleneck, and whether it grows.
//!
//! Of all packets sent within 40 ms the one with the least delay is looked at: jitter only ever adds to a delay, and the first packets
//! of a frame do not wait for those behind them. What that least delay is above the least of the last ten seconds is the queue. A
//! line through the last few of them tells where it goes. How much the queue seems to change while all is well is noise, and what is
//! called a queue has to stand out from it.
//!
//! A burst, as a key frame is, makes a queue on any line. It says nothing as long as it is not longer than it would be if the line carried
//! what it is thought to carry: so what a packet had to wait on such a line is taken off its delay first.

/// Packets sent within this time are one window.
const WINDOW_US: u64 = 40_000;
/// Windows a line is drawn through.
const POINTS: usize = 6;
/// The least delay of this many seconds is that of an empty queue.
const BASE_SECONDS: usize = 10;
const SECOND_US: u64 = 1_000_000;
/// What is above this, in microseconds, is a queue whatever the noise, and below that never.
const LEVEL: (f64, f64) = (18_000.0, 90_000.0);
const MAX_NOISE_US: f64 = 20_000.0;
/// Before anything is known of a line.
const FIRST_NOISE_US: f64 = 4_000.0;

/// What one window saw: when it began, the queue, and what of it was not to be expected; in microseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    begin: u64,
    queue: f64,
    unexpected: f64,
}

/// What is to be made of the delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// No queue to speak of.
    Clear,
    /// There is one, and it becomes shorter; or it is not certain yet.
    Hold,
    /// There is one, and it grows or stays.
    Queue,
}

#[derive(Debug)]
pub(super) struct Delay {
    /// The least delay of each of the last seconds.
    least: [i64; BASE_SECONDS],
    second: u64,
    /// The window that is being filled: when it began, its least delay, and the least one beyond what was to be expected.
    window: Option<(u64, i64, i64)>,
    /// The last windows, the newest at the end.
    points: [Point; POINTS],
    count: usize,
    noise: f64,
    signal: Signal,
    /// Windows in a row above the level.
    above: u32,
}

impl Delay {
    pub(super) fn new() -> Self {
        Delay {
            least: [i64::MAX; BASE_SECONDS],
            second: 0,
            window: None,
            points: [Point::default(); POINTS],
            count: 0,
            noise: FIRST_NOISE_US,
            signal: Signal::Clear,
            above: 0,
        }
    }

    /// A packet's send time, its delay on clocks that need not agree, and what it had to wait if the line carries what is thought.
    pub(super) fn packet(&mut self, sent: u64, delay: i64, wait: u32) {
        let second = sent / SECOND_US;
        if second > self.second {
            for passed in (self.second + 1..=second).take(BASE_SECONDS) {
                self.least[(passed % BASE_SECONDS as u64) as usize] = i64::MAX;
            }
            self.second = second;
        }
        let slot = &mut self.least[(second % BASE_SECONDS as u64) as usize];
        *slot = (*slot).min(delay);
        let unexpected = delay.saturating_sub(i64::from(wait));
        match &mut self.window {
            Some((begin, least, least_unexpected)) if sent < *begin + WINDOW_US => {
                *least = (*least).min(delay);
                *least_unexpected = (*least_unexpected).min(unexpected);
            }
            _ => {
                if let Some(full) = self.window.replace((sent, delay, unexpected)) {
                    self.close(full);
                }
            }
        }
    }

    /// Nothing was sent for so long that a queue of ours is gone. What an empty one's delay is stays known.
    pub(super) fn start_anew(&mut self) {
        self.window = None;
        self.points = [Point::default(); POINTS];
        self.count = 0;
        self.above = 0;
        self.signal = Signal::Clear;
    }

    fn base(&self) -> i64 {
        self.least.iter().copied().min().unwrap_or(i64::MAX)
    }

    fn close(&mut self, (begin, least, unexpected): (u64, i64, i64)) {
        let above_base = |delay: i64| delay.saturating_sub(self.base()).max(0) as f64;
        let point = Point {
            begin,
            queue: above_base(least),
            unexpected: above_base(unexpected),
        };
        let before = self.newest();
        self.points.rotate_left(1);
        self.points[POINTS - 1] = point;
        self.count = (self.count + 1).min(POINTS);
        let growth = self.growth();
        let level = self.level();
        self.above = if point.unexpected > level { self.above + 1 } else { 0 };
        // It has to stand out by its height, or by its height and its growth.
        let stands = self.above >= 2 && growth > -self.margin();
        let grows = self.count == POINTS && growth > self.margin() && point.unexpected > level * 0.5;
        self.signal = if stands || grows {
            Signal::Queue
        } else if point.queue > level * 0.5 {
            Signal::Hold
        } else {
            Signal::Clear
        };
        if self.signal != Signal::Queue && growth.abs() < self.margin() {
            let moved = (point.unexpected - before.unexpected).abs().min(MAX_NOISE_US);
            self.noise += 0.05 * (moved - self.noise);
        }
    }

    /// Above this, in microseconds, is a queue.
    fn level(&self) -> f64 {
        (10_000.0 + 4.0 * self.noise).clamp(LEVEL.0, LEVEL.1)
    }

    /// A change over the last windows that is not noise.
    fn margin(&self) -> f64 {
        (5_000.0 + 3.0 * self.noise).min(40_000.0)
    }

    /// How much the queue changed over the last windows, by the straight line that fits best; in microseconds.
    fn growth(&self) -> f64 {
        if self.count < 3 {
            return 0.0;
        }
        let points = &self.points[POINTS - self.count..];
        let x = |point: &Point| (point.begin - points[0].begin) as f64;
        let n = points.len() as f64;
        let mean_x = points.iter().map(x).sum::<f64>() / n;
        let mean_y = points.iter().map(|point| point.queue).sum::<f64>() / n;
        let (above, below) = points.iter().fold((0.0, 0.0), |sum, point| {
            let dx = x(point) - mean_x;
            (sum.0 + dx * (point.queue - mean_y), sum.1 + dx * dx)
        });
        if below == 0.0 {
            return 0.0;
        }
        above / below * x(&self.newest())
    }

    fn newest(&self) -> Point {
        self.points[POINTS - 1]
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    /// The queue in microseconds, as the last window saw it.
    pub(super) fn queue(&self) -> u64 {
        self.newest().queue as u64
    }

    /// Whether the queue is as short as it gets.
    pub(super) fn is_drained(&self) -> bool {
        self.newest().queue < self.level() * 0.5
    }

    /// The way has become longer: what looked like a queue is the new base.
    pub(super) fn rebase(&mut self) {
        let queue = self.newest().queue as i64;
        let base = self.base();
        self.least = [i64::MAX; BASE_SECONDS];
        self.least[(self.second % BASE_SECONDS as u64) as usize] = base.saturating_add(queue);
        (self.count, self.above) = (0, 0);
        self.signal = Signal::Clear;
        self.points = [Point::default(); POINTS];
    }
}

#[cfg(test)]
mod tests {
    use super::{Delay, Signal};

    /// A packet each 5 ms with the delay that `of` gives for its time in milliseconds.
    fn feed(delay: &mut Delay, millis: std::ops::Range<u64>, of: impl Fn(u64) -> i64) -> Vec<Signal> {
        let mut signals = Vec::new();
        for at in millis.step_by(5) {
            delay.packet(at * 1_000, of(at) * 1_000, 0);
            signals.push(delay.signal());
        }
        signals
    }

    #[test]
    fn a_constant_delay_is_no_queue_whatever_the_clocks_say() {
        for offset in [-9_000_000_000, 0, 9_000_000_000] {
            let signals = feed(&mut Delay::new(), 0..3_000, |_| offset);
            assert!(signals.iter().all(|signal| *signal == Signal::Clear));
        }
    }

    #[test]
    fn a_growing_delay_is_a_queue_within_a_quarter_of_a_second_and_a_falling_one_is_not() {
        let mut delay = Delay::new();
        feed(&mut delay, 0..2_000, |_| 50);
        let up = feed(&mut delay, 2_000..2_500, |at| 50 + (at - 2_000) as i64 / 5);
        let first = up.iter().position(|signal| *signal == Signal::Queue);
        assert!(first.is_some_and(|at| at <= 250 / 5), "{first:?}");
        let down = feed(&mut delay, 2_500..3_000, |at| 50 + (3_000 - at) as i64 / 5);
        assert!(down[50..].iter().all(|signal| *signal != Signal::Queue));
        assert!(feed(&mut delay, 3_000..3_200, |_| 50).ends_with(&[Signal::Clear]));
        assert!(delay.is_drained());
    }

    #[test]
    fn jitter_is_no_queue() {
        let mut delay = Delay::new();
        let jitter = |at: u64| 50 + (at.wrapping_mul(2_654_435_761) >> 7 & 31) as i64;
        let signals = feed(&mut delay, 0..20_000, jitter);
        assert!(signals.iter().all(|signal| *signal != Signal::Queue));
    }

    #[test]
    fn a_burst_that_waits_no_longer_than_expected_is_no_queue_to_act_on() {
        let mut delay = Delay::new();
        feed(&mut delay, 0..2_000, |_| 50);
        for at in (2_000_u64..2_300).step_by(5) {
            let wait = (at - 2_000) / 4;
            delay.packet(at * 1_000, (50 + wait as i64) * 1_000, wait as u32 * 1_000);
            assert_ne!(delay.signal(), Signal::Queue);
        }
        assert_eq!(delay.signal(), Signal::Hold, "but nothing grows meanwhile");
        assert!(!delay.is_drained());
    }

    #[test]
    fn a_longer_way_is_a_queue_until_it_is_the_base() {
        let mut delay = Delay::new();
        feed(&mut delay, 0..2_000, |_| 50);
        assert!(feed(&mut delay, 2_000..3_000, |_| 120).ends_with(&[Signal::Queue]));
        delay.rebase();
        assert!(feed(&mut delay, 3_000..5_000, |_| 120).ends_with(&[Signal::Clear]));
    }
}
