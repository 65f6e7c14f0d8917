//! What the blindness tests look at: every payload the relay got to see, written to files.
//!
//! Exists only with the cargo feature `tap`, which no release is built with; without it this module is an empty type. The marker below
//! lets a test show that a binary has no tap in it.
//!
//! Requirements held here: RELY-20.

// RELY-20: with the feature or not at all.
#[cfg(feature = "tap")]
pub(crate) use on::Tap;

#[cfg(not(feature = "tap"))]
pub(crate) use off::Tap;

#[cfg(not(feature = "tap"))]
mod off {
    pub(crate) struct Tap;

    impl Tap {
        pub(crate) fn from_environment() -> Self {
            Tap
        }

        pub(crate) fn packet(&mut self, _: &str, _: u32, _: bool, _: &[u8]) {}

        pub(crate) fn close(&mut self, _: &str) {}
    }
}

#[cfg(feature = "tap")]
mod on {
    use std::collections::HashMap;
    use std::fs::File;
    use std::io::{BufWriter, Write};
    use std::path::PathBuf;

    /// Searched for in binaries by a test. Also the name of the line in the log.
    const MARKER: &str = "conclave-relay-tap";

    /// Writes `<dir>/<producer>.tap`: records of length (u32), RTP timestamp (u32), marker (u8), payload; big-endian.
    pub(crate) struct Tap {
        dir: Option<PathBuf>,
        files: HashMap<String, BufWriter<File>>,
    }

    impl Tap {
        pub(crate) fn from_environment() -> Self {
            let dir = std::env::var_os("CONCLAVE_RELAY_TAP").map(PathBuf::from);
            if dir.is_some() {
                tracing::warn!("{MARKER}: this test build writes every payload it forwards to files");
            }
            Tap {
                dir,
                files: HashMap::new(),
            }
        }

        pub(crate) fn packet(&mut self, producer: &str, timestamp: u32, marker: bool, payload: &[u8]) {
            let Some(dir) = &self.dir else { return };
            if !self.files.contains_key(producer) {
                match File::create(dir.join(format!("{producer}.tap"))) {
                    Ok(file) => drop(self.files.insert(producer.to_owned(), BufWriter::new(file))),
                    Err(error) => return tracing::error!(%error, "{MARKER}: no file"),
                }
            }
            let Some(file) = self.files.get_mut(producer) else {
                return;
            };
            let mut record = Vec::with_capacity(9 + payload.len());
            record.extend_from_slice(&(payload.len() as u32).to_be_bytes());
            record.extend_from_slice(&timestamp.to_be_bytes());
            record.push(u8::from(marker));
            record.extend_from_slice(payload);
            // Flushed with each packet: a test reads while the relay runs.
            if let Err(error) = file.write_all(&record).and_then(|()| file.flush()) {
                tracing::error!(%error, "{MARKER}: not written");
            }
        }

        pub(crate) fn close(&mut self, producer: &str) {
            self.files.remove(producer);
        }
    }
}
