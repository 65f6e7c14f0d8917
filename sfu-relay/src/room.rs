//! A room: who is there and what is published. The relay knows neither names nor keys.

use std::collections::HashMap;

use crate::arena::Key;
use crate::engine::Passed;
use crate::forward::producer::Producer;
use crate::peer::Peer;

pub(crate) struct Room {
    pub(crate) id: String,
    pub(crate) peers: HashMap<String, Key<Peer>>,
    pub(crate) producers: HashMap<String, Key<Producer>>,
    /// By producers and consumers that are gone.
    pub(crate) passed: Passed,
}

impl Room {
    pub(crate) fn new(id: String) -> Self {
        Room {
            id,
            peers: HashMap::new(),
            producers: HashMap::new(),
            passed: Passed::default(),
        }
    }
}
