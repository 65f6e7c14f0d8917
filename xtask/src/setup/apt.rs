//! Debian packages: found missing by what they bring, installed by apt-get where we may.

use crate::{run, say};
use anyhow::{Result, bail};
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

/// Something that a Debian package brings. Where it came another way, the package is not asked for.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    pub(crate) package: &'static str,
    pub(crate) why: &'static str,
    /// Present when one of these programs is on PATH, or one of these absolute paths exists; never, when empty.
    pub(crate) found_by: &'static [&'static str],
    /// Things go on without it, if worse.
    pub(crate) optional: bool,
}

pub(crate) const SOFTHSM: Need = Need {
    package: "softhsm2",
    why: "keeps the server's keys in a PKCS#11 token instead of a file",
    found_by: &["softhsm2-util"],
    optional: true,
};
pub(crate) const CHROMIUM: Need = Need {
    package: "chromium",
    why: "browser tests",
    found_by: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    optional: false,
};
pub(crate) const FIREFOX: Need = Need {
    package: "firefox-esr",
    why: "browser tests",
    found_by: &["firefox-esr", "firefox"],
    optional: false,
};
pub(crate) const COTURN: Need = Need {
    package: "coturn",
    why: "the TURN server of the browser tests",
    found_by: &["turnserver"],
    optional: false,
};
pub(crate) const OPENSSL: Need = Need {
    package: "openssl",
    why: "makes the TURN server's certificate",
    found_by: &["openssl"],
    optional: false,
};
pub(crate) const FONTS: Need = Need {
    package: "fonts-dejavu-core",
    why: "the pages of the browser tests have words on them",
    found_by: &["/usr/share/fonts/truetype"],
    optional: true,
};

impl Need {
    fn is_met(&self) -> bool {
        self.found_by.iter().any(|mark| {
            let path = Path::new(mark);
            if path.is_absolute() {
                path.exists()
            } else {
                run::find_program(mark).is_some()
            }
        })
    }
}

/// Installs what is not there. Fails only for what cannot be done without.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<Need> = needs.iter().filter(|need| !need.is_met()).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!(
        "apt-get update && apt-get install --no-install-recommends {}",
        names.join(" ")
    );
    let step = say::step(&format!("installing {} - downloads from Debian", names.join(", ")));
    for need in &missing {
        say::note(&format!("{}: {}", need.package, need.why));
    }

    let outcome = match apt_get() {
        Some(prefix) => run_apt(&prefix, &names),
        None => Err(anyhow::anyhow!("this needs apt-get, as root or through sudo")),
    };
    match outcome {
        Ok(()) => {
            step.done();
            Ok(())
        }
        Err(error) if missing.iter().all(|need| need.optional) => {
            say::warn(&format!("going on without {}: {error:#}", names.join(", ")));
            say::note(&format!("to have it, run as root: {by_hand}"));
            Ok(())
        }
        Err(error) => bail!("{error:#}\n\nRun this as root, then try again:\n    {by_hand}"),
    }
}

/// How apt-get may be called here: directly as root, through sudo, or not at all.
fn apt_get() -> Option<Vec<&'static str>> {
    run::find_program("apt-get")?;
    if run::quietly(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Some(vec!["apt-get"]);
    }
    run::find_program("sudo")?;
    // Only a person can answer sudo's question for a password.
    let may = std::io::stdin().is_terminal() || run::quietly(Command::new("sudo").args(["-n", "true"])).is_ok();
    may.then(|| vec!["sudo", "--preserve-env=DEBIAN_FRONTEND", "apt-get"])
}

fn run_apt(prefix: &[&str], names: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(prefix[0]);
        command
            .args(&prefix[1..])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run::quietly(&mut command)
    };
    apt(&["update", "-q"])?;
    apt(&[&["install", "-y", "-q", "--no-install-recommends"], names].concat())?;
    Ok(())
}
