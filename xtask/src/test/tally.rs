//! Counting, out of what the test runners say.

use std::fmt;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// From a line of Rust's test harness: `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn of_harness_line(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
        Some(Self {
            passed: count_before(counts, "passed")?,
            failed: count_before(counts, "failed")?,
        })
    }

    /// From the end of Node's TAP report. Cancelled tests (time out, a broken hook) have failed.
    pub(crate) fn of_tap(report: &str) -> Option<Self> {
        let line = |name: &str| {
            let start = format!("# {name} ");
            report
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix(&start)?.trim().parse::<u64>().ok())
        };
        Some(Self {
            passed: line("pass")?,
            failed: line("fail")? + line("cancelled")?,
        })
    }
}

fn count_before(counts: &str, word: &str) -> Option<u64> {
    counts
        .split(';')
        .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_rust_harness() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.10s";
        assert_eq!(Tally::of_harness_line(line), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(Tally::of_harness_line("test result of something else"), None);
    }

    #[test]
    fn counts_of_node_where_a_cancelled_test_has_failed() {
        let report = "ok 1 - a\n# tests 9\n# pass 5\n# fail 1\n# cancelled 2\n# skipped 1\n# todo 0\n";
        assert_eq!(Tally::of_tap(report), Some(Tally { passed: 5, failed: 3 }));
        assert_eq!(Tally::of_tap("TAP version 13\n# pass 5\n"), None);
    }
}
