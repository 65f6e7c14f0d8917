//! Whether a step's result is still right: a digest over all its inputs, kept beside the result.

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// A digest over named inputs. Each part is preceded by its length, so that no two lists of inputs look alike.
#[derive(Default)]
pub(crate) struct Inputs(Sha256);

impl Inputs {
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.part(text.as_bytes());
        self
    }

    /// A file, or everything below a folder, by relative name and content. What is not there counts as nothing.
    pub(crate) fn path(mut self, path: &Path) -> Result<Self> {
        for file in files_below(path)? {
            let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            let content = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            self.part(name.as_bytes());
            self.part(&content);
        }
        Ok(self)
    }

    pub(crate) fn digest(self) -> String {
        hex::encode(self.0.finalize())
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

pub(crate) fn of_bytes(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether `stamp` says that its step was last done with these inputs.
pub(crate) fn is_current(stamp: &Path, inputs: &str) -> bool {
    std::fs::read_to_string(stamp).is_ok_and(|found| found == inputs)
}

pub(crate) fn write_stamp(stamp: &Path, inputs: &str) -> Result<()> {
    std::fs::write(stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))
}

/// All files below a folder (or the file itself), sorted.
pub(crate) fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(next) = waiting.pop() {
        if next.is_dir() {
            for entry in std::fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))? {
                waiting.push(entry?.path());
            }
        } else if next.is_file() {
            found.push(next);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_from_one_input_to_the_next_changes_the_digest() {
        let one = Inputs::default().text("ab").text("c").digest();
        let other = Inputs::default().text("a").text("bc").digest();
        assert_ne!(one, other);
    }
}
