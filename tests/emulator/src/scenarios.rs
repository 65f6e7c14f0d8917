//! The lines that congestion control is judged on: steady, a step down, a step up, periodic, losses single and in bursts, jitter, an outage.
//!
//! The kinds are those by which SFUs are usually judged; the figures are our own.

use std::time::Duration;

use crate::profile::{Capacity, Loss, Profile, Reordering};

/// A line with a name, and what is to be looked at on it.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: &'static str,
    pub profile: Profile,
    pub length: Duration,
    /// When the capacity changes, if a time to converge is to be told: the moment and the capacity from then on.
    pub change: Option<(Duration, u64)>,
}

const KBIT: u64 = 1_000;
const SECOND: Duration = Duration::from_secs(1);

fn steps(steps: &[(u64, u64)]) -> Capacity {
    Capacity::Steps(
        steps
            .iter()
            .map(|(s, kbit)| (SECOND * *s as u32, kbit * KBIT))
            .collect(),
    )
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let queue = |kbit: u64| Profile::queue_of(kbit * KBIT, Duration::from_millis(300));
    let scenario = |name, profile, change: Option<(u64, u64)>| Scenario {
        name,
        profile,
        length: 60 * SECOND,
        change: change.map(|(s, kbit)| (SECOND * s as u32, kbit * KBIT)),
    };
    vec![
        scenario("steady, 1 Mbit/s", Profile::steady(1_000 * KBIT), Some((0, 1_000))),
        scenario("steady, 3 Mbit/s", Profile::steady(3_000 * KBIT), Some((0, 3_000))),
        scenario(
            "steady, 3 Mbit/s, 150 ms, deep queue",
            Profile {
                delay: Duration::from_millis(150),
                queue: Profile::queue_of(3_000 * KBIT, SECOND),
                ..Profile::steady(3_000 * KBIT)
            },
            Some((0, 3_000)),
        ),
        scenario(
            "step down, 3 to 1 Mbit/s",
            Profile {
                capacity: steps(&[(0, 3_000), (30, 1_000)]),
                queue: queue(1_500),
                ..Profile::steady(3_000 * KBIT)
            },
            Some((30, 1_000)),
        ),
        scenario(
            "step up, 500 kbit/s to 2.5 Mbit/s",
            Profile {
                capacity: steps(&[(0, 500), (30, 2_500)]),
                queue: queue(1_000),
                ..Profile::steady(2_500 * KBIT)
            },
            Some((30, 2_500)),
        ),
        scenario(
            "periodic, 2.5 and 1 Mbit/s, 10 s each",
            Profile {
                capacity: Capacity::Periodic {
                    half: 10 * SECOND,
                    first: 2_500 * KBIT,
                    second: 1_000 * KBIT,
                },
                queue: queue(1_500),
                ..Profile::steady(2_500 * KBIT)
            },
            None,
        ),
        scenario(
            "single losses, 5 %, 2 Mbit/s",
            Profile {
                loss: Loss::Random(0.05),
                ..Profile::steady(2_000 * KBIT)
            },
            None,
        ),
        scenario(
            "single losses, 10 %, 2 Mbit/s",
            Profile {
                loss: Loss::Random(0.10),
                ..Profile::steady(2_000 * KBIT)
            },
            None,
        ),
        scenario(
            "bursts of loss, 5 % in all, 2 Mbit/s",
            Profile {
                loss: Loss::Bursts {
                    begin: 0.008,
                    end: 0.08,
                    lost: 0.55,
                },
                ..Profile::steady(2_000 * KBIT)
            },
            None,
        ),
        scenario(
            "jitter of 30 ms, 2 Mbit/s",
            Profile {
                jitter: Duration::from_millis(30),
                ..Profile::steady(2_000 * KBIT)
            },
            None,
        ),
        scenario(
            "shallow queue of 30 ms, 2 Mbit/s",
            Profile {
                queue: Profile::queue_of(2_000 * KBIT, Duration::from_millis(30)),
                ..Profile::steady(2_000 * KBIT)
            },
            None,
        ),
        scenario(
            "reordering, 2 Mbit/s",
            Profile {
                reordering: Some(Reordering {
                    probability: 0.03,
                    detour: Duration::from_millis(15),
                }),
                ..Profile::steady(2_000 * KBIT)
            },
            None,
        ),
        scenario(
            "an outage of 5 s, 2 Mbit/s",
            Profile {
                capacity: steps(&[(0, 2_000), (20, 0), (25, 2_000)]),
                ..Profile::steady(2_000 * KBIT)
            },
            Some((25, 2_000)),
        ),
    ]
}

/// The scenario of this name.
pub fn named(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}
