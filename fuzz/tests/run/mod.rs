//! Runs a fuzz target over its kept corpus and over seeded bytes; shared by the core's targets and the relay's. `CONCLAVE_LONG=1` tries many more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

type Target = (&'static str, fn(&[u8]));

/// The target `name` of the crate in `folder`, over its corpus and `tries` seeded inputs. Those that fail are told, for the corpus.
pub fn over_corpus_and_seeds(folder: &str, targets: &[Target], name: &str, seeded: fn(u64) -> Vec<u8>, tries: u64) {
    let (_, target) = targets.iter().find(|(target, _)| *target == name).unwrap();
    let long = std::env::var_os("CONCLAVE_LONG").is_some();
    let corpus = Path::new(folder).join(format!("corpus/{name}.txt"));
    let kept = std::fs::read_to_string(corpus).unwrap();
    let kept = kept
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| hex::decode(line).unwrap());
    let tries = if long { tries * 20 } else { tries };
    let mut failed = Vec::new();
    for input in kept.chain((0..tries).map(seeded)) {
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            failed.push(hex::encode(&input));
        }
    }
    assert!(
        failed.is_empty(),
        "inputs that fail, for corpus/{name}.txt: {failed:#?}"
    );
}
