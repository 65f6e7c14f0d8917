//! Many short rounds in which everybody takes a turn, so that a busy machine slows all alike.

use std::time::Instant;

use crate::contender::Contender;

/// How long to measure. A block's figure is the median of its rounds, the result the median of the blocks' figures.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    blocks: usize,
    per_block: usize,
}

impl Rounds {
    pub(crate) const FULL: Rounds = Rounds {
        blocks: 31,
        per_block: 41,
    };
    pub(crate) const QUICK: Rounds = Rounds {
        blocks: 3,
        per_block: 5,
    };
}

/// A batch lasts microseconds, which a clock can tell, and stays in the second-level cache.
fn frames_in_batch(len: usize) -> usize {
    (96 * 1024 / len).clamp(4, 256)
}

/// Nanoseconds a frame: for sealing and for opening, one figure a contender.
pub(crate) fn measure(contenders: &mut [Box<dyn Contender>], len: usize, rounds: Rounds) -> (Vec<f64>, Vec<f64>) {
    let frames = frames_in_batch(len);
    let seal = interleave(contenders, rounds, frames, |who| {
        who.prepare_seal(frames);
        timed(|| who.seal())
    });
    let open = interleave(contenders, rounds, frames, |who| {
        who.prepare_open(frames);
        timed(|| who.open())
    });
    (seal, open)
}

/// Runs `batch` for everybody in turn; whoever was first is last in the next round.
pub(crate) fn interleave<C>(
    contenders: &mut [C],
    rounds: Rounds,
    frames: usize,
    mut batch: impl FnMut(&mut C) -> f64,
) -> Vec<f64> {
    let count = contenders.len();
    let mut blocks = vec![Vec::with_capacity(rounds.blocks); count];
    for _ in 0..rounds.blocks {
        let mut block = vec![Vec::with_capacity(rounds.per_block); count];
        for round in 0..rounds.per_block {
            for turn in 0..count {
                let who = (turn + round) % count;
                block[who].push(batch(&mut contenders[who]) / frames as f64);
            }
        }
        for (figures, block) in blocks.iter_mut().zip(block) {
            figures.push(median(block));
        }
    }
    blocks.into_iter().map(|figures| rounded(median(figures))).collect()
}

/// Nanoseconds that `work` takes.
pub(crate) fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn rounded(ns: f64) -> f64 {
    (ns * 10.0).round() / 10.0
}
