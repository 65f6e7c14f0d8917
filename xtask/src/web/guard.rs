//! PF-19: nothing of the test build gets into the normal one. The taps are behind a cargo feature and `__TAP__`; this
//! looks at what came out, in case one day they are not.

use super::digest;
use anyhow::{Result, bail};
use std::path::Path;

/// The page's and the worker's marks of a test build; no normal file may hold either.
const MARKS: [&[u8]; 2] = [b"conclaveTap", b"conclave-worker-tap"];

/// The engine's declared interface names nothing that is a tap.
pub(crate) fn engine_has_no_tap(declarations: &str) -> Result<()> {
    let mut names = declarations.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    if let Some(name) = names.find(|name| is_tap(name)) {
        bail!("the engine for normal use exports `{name}`, which is for tests");
    }
    Ok(())
}

/// No file of the bundle mentions the tap.
pub(crate) fn bundle_has_no_tap(dist: &Path) -> Result<()> {
    for file in digest::files_below(dist)? {
        let content = std::fs::read(&file)?;
        if MARKS
            .iter()
            .any(|mark| content.windows(mark.len()).any(|window| window == *mark))
        {
            bail!(
                "the bundle for normal use mentions the tests' tap, in {}",
                file.display()
            );
        }
    }
    Ok(())
}

/// `tap`, `tap_frames`, `takeTap`, `FrameTap`; but not `tape` or `bootstrap`.
fn is_tap(name: &str) -> bool {
    name.split('_')
        .flat_map(camel_words)
        .any(|word| word.eq_ignore_ascii_case("tap"))
}

/// `takeFrameTap` as take, Frame, Tap.
fn camel_words(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest[first.len_utf8()..]
            .find(|sign: char| sign.is_ascii_uppercase())
            .map_or(rest.len(), |at| at + 1);
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pf_19_a_tap_is_found_however_it_is_spelled() {
        for name in ["tap", "tap_frames", "takeTap", "FrameTap", "engine_tapFrames"] {
            assert!(is_tap(name), "{name}");
        }
        for name in ["tape", "bootstrap", "Adaptation", "stapled", ""] {
            assert!(!is_tap(name), "{name}");
        }
        assert!(engine_has_no_tap("export class Engine { open(frame: Uint8Array): void; }").is_ok());
        assert!(engine_has_no_tap("export class Engine { takeTap(): Uint8Array[]; }").is_err());
    }
}
