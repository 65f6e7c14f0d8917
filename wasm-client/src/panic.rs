//! A panic is a bug of ours, and in WebAssembly it ends the instance: the trap that JavaScript sees says nothing. So the
//! message is kept, for the worker to tell the page before it stops.

use std::sync::{Mutex, PoisonError};

use wasm_bindgen::prelude::wasm_bindgen;

static LAST: Mutex<Option<String>> = Mutex::new(None);

pub(crate) fn remember() {
    std::panic::set_hook(Box::new(|info| {
        // Where, and the message: panics of ours format no secrets, since secrets redact themselves.
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.to_string());
    }));
}

/// What the engine panicked with. Once there is an answer, the engine must not be called any more.
#[wasm_bindgen]
#[must_use]
pub fn last_panic() -> Option<String> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
