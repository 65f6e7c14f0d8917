//! Reading evidence: files that somebody else made, so none is read further than its kind can be large.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::Error;

/// The whole file, if it holds at most `max` bytes.
pub(crate) fn read_bounded(path: &Path, what: &'static str, max: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::read(path))?;
    let too_large = || Error::TooLarge {
        path: path.to_owned(),
        what,
        max,
    };
    if file.metadata().map_err(Error::read(path))?.len() > max {
        return Err(too_large());
    }
    // The length is a hint: a file may grow, and a pipe has none.
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Error::read(path))?;
    if bytes.len() as u64 > max {
        return Err(too_large());
    }
    Ok(bytes)
}
