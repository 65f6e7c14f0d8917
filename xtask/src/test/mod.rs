//! `cargo xtask test`: every test there is, and one line at the end that says how it went.

mod fuzz;
mod node;
mod programs;
mod rust;
mod tally;

use crate::web::{self, Variant};
use crate::{say, setup};
use anyhow::Result;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tally::Tally;

pub(crate) use node::browser_command;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The long tests too: those marked `#[ignore]`, and many more seeds where tests are random
    #[arg(long)]
    long: bool,

    /// One kind of tests only
    #[arg(long, value_name = "KIND")]
    only: Option<Kind>,

    /// Run the tests whose name contains this; or, of page and browser tests, those of the file with this name
    filter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Unit and integration tests of all crates
    Rust,
    /// Unit tests of the page and of its AES-GCM as WebAssembly, without a browser
    Page,
    /// Whole meetings in Chromium and Firefox
    Browser,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let wanted = |kind| args.only.is_none_or(|only| only == kind);
    let mut report = Report::default();

    report.stage("set-up", || {
        setup::prepare(setup::Purpose::Test).map(|()| Tally::default())
    });
    if wanted(Kind::Rust) {
        report.stage("Rust tests", || rust::run(args.filter.as_deref(), args.long));
        if args.long {
            report.stage("against peers", || rust::against_peers(args.filter.as_deref()));
        }
    }
    if args.long && wanted(Kind::Rust) {
        report.stage("fuzzing", || fuzz::run(args.filter.as_deref()));
    }
    if wanted(Kind::Page) {
        report.stage("page tests", || node::page(args.filter.as_deref(), args.long));
        report.stage("vector-aes in WASM", || {
            node::vector_aes(args.filter.as_deref(), args.long)
        });
    }
    if wanted(Kind::Browser) {
        report.stage("web app, plain", || {
            web::build(Variant::Plain).map(|_| Tally::default())
        });
        report.stage("web app, tap", || web::build(Variant::Tap).map(|_| Tally::default()));
        report.stage("programs", || programs::build_both().map(|()| Tally::default()));
        // Against yesterday's build, the browser tests would say something about yesterday.
        if report.everything_was_built() {
            report.stage("browser tests", || node::browsers(args.filter.as_deref(), args.long));
        } else {
            report.stage("browser tests", || {
                anyhow::bail!("not run, since something they need was not built")
            });
        }
    }
    report.print(args.filter.as_deref())
}

/// The plain page and server, for measurements in browsers.
pub(crate) fn build_for_browsers() -> Result<()> {
    web::build(Variant::Plain)?;
    programs::build(Variant::Plain)
}

/// The same with taps, for measurements that look or reach behind the page.
pub(crate) fn build_tapped_for_browsers() -> Result<()> {
    web::build(Variant::Tap)?;
    programs::build(Variant::Tap)
}

/// What each stage brought.
#[derive(Default)]
struct Report {
    stages: Vec<Stage>,
}

struct Stage {
    name: &'static str,
    took: Duration,
    outcome: Result<Tally>,
}

impl Report {
    fn stage(&mut self, name: &'static str, work: impl FnOnce() -> Result<Tally>) {
        let started = Instant::now();
        let outcome = work();
        if let Err(error) = &outcome {
            say::failed(error);
        }
        self.stages.push(Stage {
            name,
            took: started.elapsed(),
            outcome,
        });
    }

    fn everything_was_built(&self) -> bool {
        self.stages.iter().all(|stage| {
            ["Rust tests", "against peers", "vector-aes in WASM"].contains(&stage.name) || stage.outcome.is_ok()
        })
    }

    fn print(self, filter: Option<&str>) -> Result<ExitCode> {
        let mut total = Tally::default();
        eprintln!();
        for stage in &self.stages {
            let words = match &stage.outcome {
                Ok(tally) if tally.is_empty() => String::new(),
                Ok(tally) => tally.to_string(),
                Err(_) => "failed, see above".to_owned(),
            };
            eprintln!("{:>18}  {:>6.1} s  {words}", stage.name, stage.took.as_secs_f64());
            // A stage that broke is one failure, whatever it would have counted.
            total += stage
                .outcome
                .as_ref()
                .copied()
                .unwrap_or(Tally { passed: 0, failed: 1 });
        }
        if let (true, Some(filter)) = (total.is_empty(), filter) {
            anyhow::bail!("no test's name contains `{filter}`");
        }
        eprintln!("{total}");
        Ok(if total.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
