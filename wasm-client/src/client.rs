//! The engine and the media keys of one person in one meeting.

use std::collections::VecDeque;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Config, Engine, EpochKeys, Input, Output, Phase};
use e2ee_core::media::{Codec, FrameType, MediaKeys, MediaKind, Opened, Outcome, Released, StreamKind};
use e2ee_core::sframe::CipherSuite;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::Bytes;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::event::{Event, to_json};
use crate::verdict;

/// Everything secret of a meeting. Dropping it (`free` in JavaScript) wipes the keys.
#[wasm_bindgen]
pub struct Client {
    engine: Engine,
    media: MediaKeys,
    /// CLNT-12: between a refusal and the next epoch nothing is sealed.
    sending: bool,
    released: VecDeque<Released>,
    last: LastOpening,
    /// Every base key there was, one after the other.
    #[cfg(feature = "tap")]
    tapped_keys: Vec<u8>,
}

/// What the last `open` or `next_released` was about, to be fetched field by field.
#[derive(Default)]
struct LastOpening {
    ticket: u64,
    leaf: u32,
    stream: u8,
    epoch: u64,
    frame: Vec<u8>,
}

#[wasm_bindgen]
impl Client {
    /// `root_hash` and `profile` are what the room's link pins, `seed` 32 bytes from the platform's generator.
    #[wasm_bindgen(constructor)]
    pub fn new(room: String, session: String, root_hash: &str, profile: &str, seed: &[u8]) -> Result<Client, JsError> {
        let expected_root = Bytes::from_base64(root_hash)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes.0).ok())
            .ok_or_else(|| JsError::new("the link's fragment is not a SHA-256 hash"))?;
        let profile = Profile::from_name(profile)?;
        let seed = <[u8; 32]>::try_from(seed).map_err(|_| JsError::new("the seed must have 32 bytes"))?;
        let engine = Engine::new(Config {
            seed,
            profile,
            expected_root,
            room,
            session,
        });
        // Frames may come before the group's keys do: these hold them until then.
        let media = MediaKeys::new(CipherSuite::Aes128GcmSha256_128)?;
        Ok(Self {
            engine,
            media,
            sending: false,
            released: VecDeque::new(),
            last: LastOpening::default(),
            #[cfg(feature = "tap")]
            tapped_keys: Vec::new(),
        })
    }

    /// The connection to the delivery service is open. All of these answer events, as JSON.
    pub fn connected(&mut self, now: f64) -> String {
        self.step(Input::Connected, now)
    }

    pub fn connection_lost(&mut self, now: f64) -> String {
        self.step(Input::ConnectionLost, now)
    }

    /// A text frame from the service, as it came.
    pub fn text(&mut self, text: String, now: f64) -> String {
        self.step(Input::Text(text), now)
    }

    pub fn tick(&mut self, now: f64) -> String {
        self.media.tick(millis(now));
        self.released.extend(self.media.take_released());
        self.step(Input::Tick, now)
    }

    pub fn chat(&mut self, text: String, now: f64) -> String {
        self.step(Input::Chat(text), now)
    }

    pub fn leave(&mut self, now: f64) -> String {
        self.step(Input::Leave, now)
    }

    /// The sealed frame in its shell, or nothing: then there is nothing that may be sent.
    pub fn seal(&mut self, stream: u8, codec: u8, key: bool, mut frame: Vec<u8>, now: f64) -> Option<Vec<u8>> {
        if !self.sending {
            return None;
        }
        let stream = *StreamKind::ALL.get(usize::from(stream))?;
        let codec = *CODECS.get(usize::from(codec))?;
        let frame_type = if key { FrameType::Key } else { FrameType::Delta };
        self.media
            .seal(stream, codec, frame_type, &mut frame, millis(now))
            .ok()?;
        Some(frame)
    }

    /// Answers a verdict: 0 opened, 1 to wait for (see [`ticket`](Self::ticket)), 2 and up dropped, by the place in
    /// [`crate::drop_reasons`] plus 2.
    pub fn open(&mut self, video: bool, mut frame: Vec<u8>, now: f64) -> u8 {
        let kind = if video { MediaKind::Video } else { MediaKind::Audio };
        match self.media.open(kind, &mut frame, millis(now)) {
            Outcome::Opened(opened) => self.opened(opened, frame),
            Outcome::Early(ticket) => {
                self.last = LastOpening {
                    ticket: ticket.0,
                    ..LastOpening::default()
                };
                verdict::EARLY
            }
            Outcome::Dropped(reason) => verdict::dropped(reason),
        }
    }

    /// The verdict on the next of the frames that waited, in their order; to be asked until there is none, after each
    /// step of the engine.
    pub fn next_released(&mut self) -> Option<u8> {
        let Released { ticket, outcome, frame } = self.released.pop_front()?;
        let verdict = match outcome {
            Ok(opened) => self.opened(opened, frame),
            Err(reason) => verdict::dropped(reason),
        };
        self.last.ticket = ticket.0;
        Some(verdict)
    }

    pub fn ticket(&self) -> f64 {
        self.last.ticket as f64
    }

    pub fn leaf(&self) -> u32 {
        self.last.leaf
    }

    pub fn stream(&self) -> u8 {
        self.last.stream
    }

    pub fn epoch(&self) -> f64 {
        self.last.epoch as f64
    }

    /// What the sender's encoder made. Once.
    pub fn take_frame(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.last.frame)
    }

    fn opened(&mut self, opened: Opened, frame: Vec<u8>) -> u8 {
        let Opened {
            leaf, stream, epoch, ..
        } = opened;
        self.last = LastOpening {
            ticket: 0,
            leaf,
            stream: stream as u8,
            epoch,
            frame,
        };
        verdict::OPENED
    }

    fn step(&mut self, input: Input, now: f64) -> String {
        let outputs = self.engine.handle(input, millis(now));
        let mut events = Vec::with_capacity(outputs.len());
        for output in outputs {
            self.take(output, millis(now), &mut events);
        }
        to_json(&events)
    }

    /// Carries out what concerns keys, and hands the rest on.
    fn take(&mut self, output: Output, now: UnixMillis, events: &mut Vec<Event>) {
        let event = match output {
            Output::Epoch(keys) => return self.install(keys, now, events),
            Output::SwitchSender { epoch, key_frame } => return self.switch(epoch, key_frame, events),
            Output::Status(status) => {
                if status.state == Phase::Rejoining {
                    self.stop_sending(events);
                }
                Event::Status { status }
            }
            Output::Ended { cause, reason } => {
                self.stop_sending(events);
                Event::Ended { cause, reason }
            }
            Output::Send(message) => match serde_json::to_string(&message) {
                Ok(text) => Event::Send { text },
                Err(_) => return,
            },
            Output::Reconnect => Event::Reconnect,
            Output::Roster(roster) => Event::Roster { roster },
            Output::MeetingCode { epoch, code } => Event::Code {
                epoch,
                groups: code.split(' ').map(str::to_owned).collect(),
            },
            Output::Chat(message) => Event::Chat { message },
            Output::Relay { url, token } => Event::Relay { url, token },
            Output::Warning(text) => Event::Warning { text },
            Output::Refused { reason } => Event::Refused { reason },
            Output::WakeAt(at) => Event::WakeAt { at: at.0 },
        };
        events.push(event);
    }

    fn install(&mut self, keys: EpochKeys, now: UnixMillis, events: &mut Vec<Event>) {
        let EpochKeys { media, suite, fresh } = keys;
        let epoch = media.epoch;
        #[cfg(feature = "tap")]
        self.tapped_keys.extend_from_slice(media.base_key.expose());
        if fresh && (self.media.newest_epoch().is_some() || self.media.suite() != suite) {
            match MediaKeys::new(suite) {
                Ok(new) => self.media = new,
                Err(refused) => {
                    return events.push(Event::Refused {
                        reason: refused.to_string(),
                    });
                }
            }
            self.released.clear();
        }
        match self.media.install_epoch(media, now) {
            Ok(()) => events.push(Event::Epoch {
                epoch,
                suite: suite as u16,
                fresh,
            }),
            Err(refused) => events.push(Event::Refused {
                reason: refused.to_string(),
            }),
        }
        self.released.extend(self.media.take_released());
    }

    fn switch(&mut self, epoch: u64, key_frame: bool, events: &mut Vec<Event>) {
        match self.media.switch_sender(epoch) {
            Ok(()) => {
                self.sending = true;
                events.push(Event::Sending {
                    epoch: Some(epoch),
                    key_frame,
                });
            }
            Err(refused) => {
                self.stop_sending(events);
                events.push(Event::Refused {
                    reason: refused.to_string(),
                });
            }
        }
    }

    fn stop_sending(&mut self, events: &mut Vec<Event>) {
        self.sending = false;
        events.push(Event::Sending {
            epoch: None,
            key_frame: false,
        });
    }
}

/// Test builds only: a test searches the logs of a whole meeting for these (PF-17).
#[cfg(feature = "tap")]
#[wasm_bindgen]
impl Client {
    #[must_use]
    pub fn tap_base_keys(&self) -> Vec<u8> {
        self.tapped_keys.clone()
    }
}

/// By the numbers that [`codec_of`] gives.
const CODECS: [Codec; 6] = [
    Codec::Opus,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Av1,
    Codec::H264,
    Codec::H265,
];

/// The number of a codec, from the MIME type in a frame's metadata. A codec without one is not sealed, so not sent.
#[wasm_bindgen]
#[must_use]
pub fn codec_of(mime_type: &str) -> Option<u8> {
    let codec = Codec::from_mime_type(mime_type)?;
    CODECS
        .iter()
        .zip(0..)
        .find(|(known, _)| **known == codec)
        .map(|(_, number)| number)
}

/// From `performance.timeOrigin + performance.now()`.
fn millis(now: f64) -> UnixMillis {
    UnixMillis(now as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_has_one_number_and_an_unknown_one_has_none() {
        assert_eq!(codec_of("audio/opus"), Some(0));
        assert_eq!(codec_of("video/VP8"), Some(1));
        assert_eq!(codec_of("video/AV1"), Some(3));
        assert_eq!(codec_of("video/theora"), None);
        assert_eq!(codec_of(""), None);
    }

    #[test]
    fn without_a_group_nothing_is_sealed_and_what_comes_in_is_never_handed_out() {
        let mut client = Client::new("room".into(), "session".into(), &"A".repeat(43), "standard", &[7; 32])
            .ok()
            .unwrap();
        assert!(client.seal(0, 0, false, vec![1, 2, 3], 1.0).is_none());
        assert_ne!(client.open(false, vec![1, 2, 3], 1.0), verdict::OPENED);
        assert!(client.take_frame().is_empty());
    }
}
