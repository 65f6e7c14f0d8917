//! What fits on a line: for each video to one receiver the layer it gets, or none.
//!
//! Everybody gets the least layer before anybody gets a better one: a pause is the worst there is. In both rounds screens come first, then
//! what is pinned, then the rest. What flows is kept as long as it fits; more is given only where there is some room to spare, and not
//! soon after it had to be taken away, so that nothing flaps.
//!
//! Requirements held here: RELY-24, RELY-25.

use std::time::{Duration, Instant};

use super::controller::Demand;
use super::rate::Rate;

/// Layers of a stream that are told apart.
pub(crate) const MAX_OPTIONS: usize = 4;
/// A better layer has to fit with this much room.
const ROOM: f64 = 1.08;
/// What flows may be this much more than what fits: for good, and for a moment.
const OVER: f64 = 1.02;
const OVER_A_MOMENT: f64 = 1.25;
const MOMENT: Duration = Duration::from_millis(400);
/// The least of a stream that flows is kept as long as it is no more than this: estimates of little are vague, and a pause is the worst there is.
const OVER_THE_LEAST: f64 = 1.4;
/// What had to be taken away is not given back before this; longer each time it did not last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));
/// What lasted this long has lasted.
const LASTED: Duration = Duration::from_secs(15);

/// Who comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    Screen,
    Pinned,
    Rest,
}

/// What a consumer has been given, and when it may get more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// The layer at most. `None`: nothing.
    pub(crate) layer: Option<u8>,
    given: Option<Instant>,
    not_before: Option<Instant>,
    pause: Duration,
}

impl Default for Share {
    fn default() -> Self {
        Share {
            layer: Some(u8::MAX),
            given: None,
            not_before: None,
            pause: PAUSES.0,
        }
    }
}

impl Share {
    /// What was taken away was not taken for want of room.
    pub(crate) fn forgive(&mut self) {
        self.not_before = None;
        self.pause = PAUSES.0;
    }

    fn may_grow(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    /// Takes over what was decided.
    fn settle(&mut self, layer: Option<u8>, now: Instant) {
        if layer > self.layer {
            self.given = Some(now);
        } else if layer < self.layer && (self.given.is_some() || self.layer != Some(u8::MAX)) {
            // Once for what was given: whoever falls step by step was given nothing in between.
            let short = self
                .given
                .take()
                .is_some_and(|at| now.saturating_duration_since(at) < LASTED);
            self.pause = if short {
                (self.pause * 2).min(PAUSES.1)
            } else {
                PAUSES.0
            };
            self.not_before = Some(now + self.pause);
        }
        self.layer = layer;
    }
}

/// A video that could be sent: what each of its layers costs, the least first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream<K> {
    pub(crate) key: K,
    pub(crate) priority: Priority,
    pub(crate) share: Share,
    options: [(u8, Rate); MAX_OPTIONS],
    count: usize,
    /// How many of the options are given.
    given: usize,
}

impl<K> Stream<K> {
    pub(crate) fn new(key: K, priority: Priority, share: Share) -> Self {
        Stream {
            key,
            priority,
            share,
            options: [(0, Rate::ZERO); MAX_OPTIONS],
            count: 0,
            given: 0,
        }
    }

    /// Layer `layer` can be had for `cost`. In ascending order.
    pub(crate) fn option(&mut self, layer: u8, cost: Rate) {
        if self.count < MAX_OPTIONS {
            self.options[self.count] = (layer, cost);
            self.count += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of options up to what flows now.
    fn flowing(&self) -> usize {
        let Some(layer) = self.share.layer else { return 0 };
        let within = self.options[..self.count]
            .iter()
            .filter(|(option, _)| *option <= layer)
            .count();
        // What is left of what it had may all be above that.
        within.max(1).min(self.count)
    }

    fn cost(&self, options: usize) -> Rate {
        options.checked_sub(1).map_or(Rate::ZERO, |last| self.options[last].1)
    }

    /// What one more option costs.
    fn step(&self) -> Option<Rate> {
        (self.given < self.count).then(|| self.cost(self.given + 1).minus(self.cost(self.given)))
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allocated {
    pub(crate) demand: Demand,
    /// What flows is so much more than what fits that it should stop at once.
    pub(crate) steep: bool,
}

/// What is to be shared out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) rate: Rate,
    /// It is one that was found out.
    pub(crate) known: bool,
    /// No queue stands before the bottleneck that anybody would hear.
    pub(crate) flows: bool,
}

/// Shares `budget` out. `streams` are sorted by priority. `tight`: since when what flows does not fit.
pub(crate) fn allocate<K>(
    now: Instant,
    budget: Budget,
    tight: &mut Option<Instant>,
    streams: &mut [Stream<K>],
) -> Allocated {
    let flowing: Rate = streams.iter().map(|stream| stream.cost(stream.flowing())).sum();
    let fits = flowing <= budget.rate.times(OVER);
    let since = if fits { None } else { Some(tight.unwrap_or(now)) };
    *tight = since;
    let a_moment = since.is_none_or(|since| now.saturating_duration_since(since) < MOMENT);
    let over = if a_moment { OVER_A_MOMENT } else { OVER };
    let mut spent = Rate::ZERO;
    for stream in streams.iter_mut() {
        stream.given = 0;
    }
    // The least of each, then the better ones: within a priority one step for each at a time.
    let room = |over, known| Room {
        budget: budget.rate,
        over,
        known,
    };
    let least = room(if budget.flows { OVER_THE_LEAST } else { over }, budget.known);
    let more = room(over, true);
    for stream in streams.iter_mut() {
        try_step(now, least, &mut spent, stream);
    }
    for priority in [Priority::Screen, Priority::Pinned, Priority::Rest] {
        let mut any = true;
        while std::mem::take(&mut any) {
            for stream in streams
                .iter_mut()
                .filter(|stream| stream.priority == priority && stream.given > 0)
            {
                any |= try_step(now, more, &mut spent, stream);
            }
        }
    }
    let next = streams.iter().filter_map(Stream::step).min();
    let all: Rate = streams.iter().map(|stream| stream.cost(stream.count)).sum();
    for stream in streams.iter_mut() {
        let top = stream.given == stream.count;
        let layer = stream
            .given
            .checked_sub(1)
            .map(|last| if top { u8::MAX } else { stream.options[last].0 });
        stream.share.settle(
            layer
                .filter(|_| stream.count > 0)
                .or((stream.count == 0).then_some(u8::MAX)),
            now,
        );
    }
    Allocated {
        demand: Demand {
            all: all.times(ROOM),
            next: next.map_or(Rate::ZERO, |step| (spent + step).times(ROOM)),
        },
        steep: flowing > budget.rate.times(1.6),
    }
}

/// What a round of sharing out goes by.
#[derive(Clone, Copy)]
struct Room {
    budget: Rate,
    /// What flows may be this much more.
    over: f64,
    known: bool,
}

/// Gives one more option if it fits. The first one is given in any case while the budget is not `known`: before anything is known of a line,
/// nobody is left without a picture.
fn try_step<K>(now: Instant, room: Room, spent: &mut Rate, stream: &mut Stream<K>) -> bool {
    let Some(step) = stream.step() else { return false };
    let kept = stream.given < stream.flowing();
    let within = room.budget.times(if kept { room.over } else { 1.0 / ROOM });
    let given = (*spent + step <= within && (kept || stream.share.may_grow(now))) || (stream.given == 0 && !room.known);
    if given {
        *spent = *spent + step;
        stream.given += 1;
    }
    given
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Allocated, Budget, Priority, Rate, Share, Stream, allocate};
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    fn kbit(kilobits: u64) -> Rate {
        Rate::kilobits(kilobits)
    }

    /// Streams of some priorities with these costs, allocated every 100 ms.
    struct Meeting {
        streams: Vec<(Priority, Vec<u64>, Share)>,
        tight: Option<Instant>,
        now: Instant,
        last: Allocated,
    }

    impl Meeting {
        fn new(streams: &[(Priority, &[u64])]) -> Self {
            Meeting {
                streams: streams
                    .iter()
                    .map(|(priority, costs)| (*priority, costs.to_vec(), Share::default()))
                    .collect(),
                tight: None,
                now: Instant::now(),
                last: Allocated::default(),
            }
        }

        /// The layers given after this long with this budget; `u8::MAX` is the best there is.
        fn after(&mut self, millis: u32, budget: u64) -> Vec<Option<u8>> {
            for _ in 0..millis / 100 {
                self.now += 100 * MS;
                let mut streams: Vec<Stream<usize>> = Vec::new();
                for (key, (priority, costs, share)) in self.streams.iter().enumerate() {
                    let mut stream = Stream::new(key, *priority, *share);
                    for (layer, cost) in costs.iter().enumerate() {
                        stream.option(layer as u8, kbit(*cost));
                    }
                    streams.push(stream);
                }
                let budget = Budget {
                    rate: kbit(budget),
                    known: true,
                    flows: false,
                };
                self.last = allocate(self.now, budget, &mut self.tight, &mut streams);
                for stream in streams {
                    self.streams[stream.key].2 = stream.share;
                }
            }
            self.streams.iter().map(|(.., share)| share.layer).collect()
        }
    }

    const TOP: Option<u8> = Some(u8::MAX);

    #[test]
    fn rely_24_a_screen_comes_first_then_what_is_pinned_then_the_rest_but_nobody_goes_without_for_a_better_layer() {
        use Priority::{Pinned, Rest, Screen};
        let layers: &[u64] = &[150, 500, 1_700];
        let mut meeting = Meeting::new(&[(Screen, &[1_000]), (Pinned, layers), (Rest, layers), (Rest, layers)]);
        assert_eq!(meeting.after(3_000, 10_000), [TOP, TOP, TOP, TOP]);
        assert_eq!(meeting.after(1_000, 4_000), [TOP, TOP, Some(1), Some(1)]);
        assert_eq!(meeting.after(1_000, 3_000), [TOP, TOP, Some(0), Some(0)]);
        assert_eq!(meeting.after(1_000, 1_900), [TOP, Some(1), Some(0), Some(0)]);
        assert_eq!(meeting.after(1_000, 1_320), [TOP, Some(0), Some(0), None]);
        assert_eq!(meeting.after(1_000, 1_100), [TOP, None, None, None]);
        // The screen does not fit, but a camera does.
        assert_eq!(meeting.after(3_000, 330), [None, Some(0), Some(0), None]);
        assert_eq!(meeting.after(1_000, 100), [None; 4]);
        assert_eq!(meeting.after(90_000, 10_000), [TOP; 4], "all comes back");
    }

    #[test]
    fn rely_25_a_wobbling_budget_changes_nothing_and_a_better_layer_needs_room() {
        let mut meeting = Meeting::new(&[(Priority::Rest, &[150, 500, 1_700])]);
        assert_eq!(meeting.after(1_000, 600), [Some(1)]);
        for round in 0..100 {
            // Just enough, but without room to spare.
            assert_eq!(meeting.after(100, if round % 2 == 0 { 1_720 } else { 495 }), [Some(1)]);
        }
        assert_eq!(meeting.after(500, 2_000), [TOP]);
        for round in 0..100 {
            assert_eq!(
                meeting.after(100, if round % 2 == 0 { 1_900 } else { 1_500 }),
                [TOP],
                "a moment is not enough"
            );
        }
        assert_eq!(meeting.after(500, 1_500), [Some(1)]);
    }

    #[test]
    fn rely_25_what_did_not_last_is_given_back_ever_later() {
        let mut meeting = Meeting::new(&[(Priority::Rest, &[150, 1_000])]);
        meeting.after(1_000, 500);
        let mut changes = 0;
        let mut before = meeting.after(100, 500);
        for step in 0..3_000 {
            // The line carries it until it is used.
            let budget = if before == [TOP] && step % 10 == 9 { 400 } else { 1_300 };
            let after = meeting.after(100, budget);
            changes += u32::from(after != before);
            before = after;
        }
        assert!(changes < 60, "{changes} in five minutes");
    }

    #[test]
    fn rely_24_what_would_be_better_is_told_with_its_room() {
        let mut meeting = Meeting::new(&[(Priority::Pinned, &[150, 500]), (Priority::Rest, &[150, 500])]);
        meeting.after(1_000, 700);
        assert_eq!(meeting.last.demand.next, kbit(1_000).times(1.08));
        assert_eq!(meeting.last.demand.all, kbit(1_000).times(1.08));
        meeting.after(5_000, 5_000);
        assert_eq!(meeting.last.demand.next, Rate::ZERO, "nothing");
    }

    #[test]
    fn rely_25_the_least_that_flows_is_kept_over_the_budget_while_no_queue_is_heard() {
        for (flows, kept) in [(true, true), (false, false)] {
            let (mut share, mut tight, mut now) = (Share::default(), None, Instant::now());
            for (rate, flows) in [(200, true), (75, flows)] {
                let budget = Budget {
                    rate: kbit(rate),
                    known: true,
                    flows,
                };
                for _ in 0..10 {
                    let mut stream = Stream::new((), Priority::Rest, share);
                    stream.option(0, kbit(100));
                    let mut streams = [stream];
                    allocate(now, budget, &mut tight, &mut streams);
                    share = streams[0].share;
                    now += 100 * MS;
                }
            }
            assert_eq!(share.layer.is_some(), kept, "{flows}");
        }
    }
}
