//! One SoftHSM folder for the process (SoftHSM allows no more), one token for each test.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::LazyLock;

use hsm_adapter::{Pkcs11Config, softhsm};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    // Not a TempDir: statics are not dropped, so the name is fixed per test binary and the folder cleared at start.
    let folder = std::env::temp_dir().join(format!("conclave-softhsm-{}", env!("CARGO_CRATE_NAME")));
    let _ = std::fs::remove_dir_all(&folder);
    folder
});

pub(crate) fn provision(token: &str) -> Pkcs11Config {
    // SoftHSM labels hold 32 bytes.
    let label: String = token.chars().take(32).collect();
    softhsm::provision(&FOLDER, &label).unwrap()
}

#[allow(dead_code)] // Not every test binary uses both.
pub(crate) fn software_folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
