//! What the engine wants done or said, as JSON for the worker (`sdk/worker/engine.ts` has the other side of it).
//!
//! CLNT-1: nothing secret is in an event: keys stay in [`crate::client::Client`], which takes them out before.

use e2ee_core::group::engine::{ChatMessage, EndCause, RosterView, Status};
use e2ee_core::wire::delivery::IceServer;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// One text frame for the delivery service.
    Send {
        text: String,
    },
    /// The connection is dead although it looks alive.
    Reconnect,
    /// Who is in this epoch; always before `Sending` of it.
    Roster {
        roster: RosterView,
    },
    /// Frames of this epoch can be opened. `fresh`: of another group than before, so nothing waits for the former one.
    Epoch {
        epoch: u64,
        suite: u16,
        fresh: bool,
    },
    /// Frames are sealed under this epoch, or not at all.
    Sending {
        epoch: Option<u64>,
        key_frame: bool,
    },
    /// Eight groups of five digits.
    Code {
        epoch: u64,
        groups: Vec<String>,
    },
    Chat {
        message: ChatMessage,
    },
    Relay {
        url: String,
        token: String,
        ice_servers: Vec<IceServer>,
    },
    Status {
        status: Status,
    },
    Warning {
        text: String,
    },
    Refused {
        reason: String,
    },
    Ended {
        cause: EndCause,
        reason: String,
    },
    /// Unix time in milliseconds.
    WakeAt {
        at: u64,
    },
}

/// What the worker parses. Events are plain data, so that writing them cannot fail.
pub(crate) fn to_json(events: &[Event]) -> String {
    serde_json::to_string(events).unwrap_or_else(|_| String::from("[]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_form_that_the_worker_reads() {
        let events = [
            Event::Sending {
                epoch: Some(3),
                key_frame: true,
            },
            Event::Sending {
                epoch: None,
                key_frame: false,
            },
            Event::WakeAt { at: 7 },
            Event::Reconnect,
        ];
        assert_eq!(
            to_json(&events),
            r#"[{"type":"sending","epoch":3,"keyFrame":true},{"type":"sending","epoch":null,"keyFrame":false},{"type":"wake-at","at":7},{"type":"reconnect"}]"#
        );
    }
}
