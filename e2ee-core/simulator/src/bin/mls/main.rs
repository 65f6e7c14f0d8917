//! Joining, committing and following commits in groups of 2 to 1,000: the engine with everything that it checks, and bare
//! OpenMLS on the same cryptography. One JSON object a line; `cargo xtask bench mls` puts them beside mls-rs and beside
//! the same calls in WebAssembly.
//!
//! `mls --tapes <folder>` also writes what went into one engine of each call, to be played again elsewhere.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

mod bare;
mod ours;

use std::path::PathBuf;
use std::time::Duration;

use e2ee_core::group::Profile;
use serde_json::{Value, json};

const SIZES: [usize; 4] = [2, 10, 100, 1000];
/// How often each is done; the median counts.
const ROUNDS: usize = 9;

/// What is measured, with how long it took each time.
struct Figures {
    /// One newcomer, from its Welcome to its first keys.
    join: Vec<Duration>,
    /// One Add and a path: from the proposal to the commit and the Welcome.
    commit: Vec<Duration>,
    /// Somebody else's commit of one Add, and into its epoch.
    process: Vec<Duration>,
    /// All but the first at once.
    add_all: Duration,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let mut tapes: Option<PathBuf> = None;
    let mut sizes = SIZES.to_vec();
    let mut profiles = vec![Profile::Standard, Profile::Fips];
    #[cfg(feature = "pq")]
    profiles.push(Profile::Pq);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--tapes" => tapes = args.next().map(PathBuf::from),
            "--quick" => {
                sizes.truncate(2);
                profiles.truncate(1);
            }
            "--profile" => {
                let name = args.next().unwrap_or_default();
                profiles.retain(|profile| profile.name() == name);
            }
            "--members" => {
                let members = args.next().unwrap_or_default();
                sizes.retain(|size| size.to_string() == members);
            }
            other => panic!("`{other}` is not known"),
        }
    }
    for profile in profiles {
        for members in sizes.iter().copied().filter(|members| *members <= most(profile)) {
            let (ours, tape) = ours::measure(profile, members, ROUNDS);
            if let Some(folder) = &tapes {
                std::fs::create_dir_all(folder).unwrap();
                let file = folder.join(format!("{}-{members}.json", profile.name()));
                std::fs::write(file, tape.to_string()).unwrap();
            }
            let bare = bare::measure(profile, members, ROUNDS);
            for line in lines(profile, members, &ours, &bare) {
                println!("{line}");
            }
        }
    }
}

/// A thousand requests to be let in do not fit into one batch of proposals (`MAX_MESSAGE`) where keys are that long.
fn most(profile: Profile) -> usize {
    if profile.is_experimental() { 100 } else { usize::MAX }
}

fn lines(profile: Profile, members: usize, ours: &Figures, bare: &Figures) -> Vec<Value> {
    let line = |what: &str, ours: f64, bare: f64| {
        json!({
            "case": format!("{what}, {members} members, {}", profile.name()),
            "unit": "ms",
            "ours": ours,
            "peers": { "bare OpenMLS": bare },
        })
    };
    let median = |of: &[Duration]| {
        let mut sorted = of.to_vec();
        sorted.sort_unstable();
        millis(sorted[sorted.len() / 2])
    };
    let epochs = |figures: &Figures| (1e5 / median(&figures.process)).round() / 100.0;
    let mut lines = vec![
        line("join", median(&ours.join), median(&bare.join)),
        line("commit", median(&ours.commit), median(&bare.commit)),
        line("process", median(&ours.process), median(&bare.process)),
        line(
            &format!("{} joins as one commit", members - 1),
            millis(ours.add_all),
            millis(bare.add_all),
        ),
    ];
    lines.push(json!({
        "case": format!("epochs/s that a member follows, {members} members, {}", profile.name()),
        "unit": "1/s",
        "ours": epochs(ours),
        "peers": { "bare OpenMLS": epochs(bare) },
    }));
    lines
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}
