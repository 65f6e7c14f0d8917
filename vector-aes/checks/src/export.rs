//! The checks, for JavaScript.

use std::sync::{Mutex, PoisonError};

use crate::CHECKS;
use wasm_bindgen::prelude::wasm_bindgen;

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

#[wasm_bindgen]
#[must_use]
pub fn check_names() -> Vec<String> {
    CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// Traps where the check fails; [`last_panic`] then tells why.
#[wasm_bindgen]
pub fn run_check(name: &str) {
    std::panic::set_hook(Box::new(|info| {
        *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.to_string());
    }));
    let (_, check) = CHECKS.iter().find(|(known, _)| *known == name).expect("a check's name");
    check();
}

#[wasm_bindgen]
#[must_use]
pub fn last_panic() -> Option<String> {
    LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
