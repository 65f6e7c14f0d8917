//! What reached the relay, written by a test build of it: one file for each stream it received, a sequence of records, big
//! endian:
//!
//! ```text
//! u32 len   u32 RTP timestamp   u8 marker   len bytes of RTP payload, without header, extensions and padding
//! ```

use std::fs;
use std::path::Path;

use crate::Error;
use crate::files::read_bounded;

/// The largest capture read, in bytes.
const MAX_CAPTURE: u64 = 1024 * 1024 * 1024;
/// A UDP datagram holds no longer payload.
const MAX_PAYLOAD: usize = 64 * 1024;
const HEADER: usize = 9;

/// One received stream.
#[derive(Debug)]
pub(super) struct Capture {
    /// The file's name.
    pub(super) name: String,
    pub(super) packets: Vec<Packet>,
    /// The relay was stopped while it wrote.
    pub(super) cut_short: bool,
}

#[derive(Debug)]
pub(super) struct Packet {
    pub(super) timestamp: u32,
    pub(super) payload: Vec<u8>,
}

/// All captures in a folder, by name.
pub(super) fn read_folder(folder: &Path) -> Result<Vec<Capture>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        files.push(entry.map_err(Error::read(folder))?.path());
    }
    files.sort();
    files.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Capture, Error> {
    let bytes = read_bounded(path, "capture", MAX_CAPTURE)?;
    let mut capture = Capture {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        packets: Vec::new(),
        cut_short: false,
    };
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Some((header, after)) = rest.split_first_chunk::<HEADER>() else {
            capture.cut_short = true;
            break;
        };
        let [l0, l1, l2, l3, t0, t1, t2, t3, marker] = *header;
        let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if len > MAX_PAYLOAD || marker > 1 {
            return Err(Error::Capture {
                path: path.to_owned(),
                record: capture.packets.len() as u64 + 1,
                offset: (bytes.len() - rest.len()) as u64,
                why: "no record of a capture looks like this",
            });
        }
        let Some((payload, after)) = after.split_at_checked(len) else {
            capture.cut_short = true;
            break;
        };
        capture.packets.push(Packet {
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            payload: payload.to_vec(),
        });
        rest = after;
    }
    Ok(capture)
}
