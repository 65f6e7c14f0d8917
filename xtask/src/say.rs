//! What the commands tell the person in front of them, on standard error.

use std::io::IsTerminal;
use std::time::Instant;

fn paint(code: &str, text: &str) -> String {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// One line for a step that starts: what it does and, after a dash, why it may take long.
pub(crate) fn step(what: &str) -> Step {
    eprintln!("{} {what}", paint("1;36", "==>"));
    Step {
        started: Instant::now(),
    }
}

/// A line that is no step of its own.
pub(crate) fn note(text: &str) {
    eprintln!("    {text}");
}

pub(crate) fn warn(text: &str) {
    eprintln!("{} {text}", paint("1;33", "warning:"));
}

pub(crate) fn failed(error: &anyhow::Error) {
    eprintln!("{} {error:#}", paint("1;31", "failed:"));
}

/// A step under way.
pub(crate) struct Step {
    started: Instant,
}

impl Step {
    /// Tells how long it took, where that is worth a line.
    pub(crate) fn done(self) {
        let seconds = self.started.elapsed().as_secs_f64();
        if seconds >= 2.0 {
            note(&format!("done in {seconds:.0} s"));
        }
    }
}
