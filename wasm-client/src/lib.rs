//! What the browser's worker runs: the protocol of `e2ee-core` behind a small JavaScript interface.
//!
//! ```text
//! text, time, intents --> Client --> events (JSON): what to send, whom to show, when to wake
//!   encoder's frames --> Client::seal --> sealed frames, or nothing
//!    received frames --> Client::open --> what the sender's encoder made, or nothing
//!                        Client::prepare_seal, finish_seal, prepare_open, accept: the same around WebCrypto
//! ```
//! Keys enter [`client::Client`] from the engine. Frame keys have one way out, [`client::Client::show_key`], for WebCrypto to import at once
//! (ENGN-2); base keys and the group's secrets have none.
#![forbid(unsafe_code)]

pub mod client;
pub mod event;
mod frames;
mod panic;
mod probe;
mod verdict;

use wasm_bindgen::prelude::wasm_bindgen;

pub use panic::last_panic;
pub use probe::Probe;
pub use verdict::drop_reasons;

/// The version of the protocol engine in this worker, for the page and for reports of faults.
#[wasm_bindgen]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Whether this build has the room profile of that name.
#[wasm_bindgen]
#[must_use]
pub fn has_profile(name: &str) -> bool {
    e2ee_core::group::Profile::from_name(name).is_ok()
}

#[wasm_bindgen(start)]
fn start() {
    panic::remember();
}

#[cfg(test)]
mod tests {
    use super::has_profile;

    #[test]
    fn a_build_has_the_profiles_of_its_name_and_no_others() {
        assert!(has_profile("standard") && has_profile("fips"));
        // Other crates of the workspace may have asked for it; what browsers get is looked at by tests/browser/profiles.test.js.
        assert!(has_profile("pq") || !cfg!(feature = "pq"));
        assert!(!has_profile("weaker") && !has_profile(""));
    }
}
