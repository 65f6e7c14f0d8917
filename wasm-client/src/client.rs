//! The engine and the media keys of one person in one meeting.

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Config, Engine, EpochKeys, Input, Output, Phase};
use e2ee_core::group::randomness::Entropy;
use e2ee_core::media::{Codec, Engines, MediaKind};
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::Bytes;
use wasm_bindgen::prelude::{JsError, wasm_bindgen};
use zeroize::Zeroizing;

use crate::event::{Event, to_json};
use crate::frames::{Frames, Sealed};

/// Everything secret of a meeting. Dropping it (`free` in JavaScript) wipes the keys.
#[wasm_bindgen]
pub struct Client {
    engine: Engine,
    frames: Frames,
    /// Every base key there was, one after the other.
    #[cfg(feature = "tap")]
    tapped_keys: Vec<u8>,
}

#[wasm_bindgen]
impl Client {
    /// `root_hash` and `profile` are what the room's link pins.
    #[wasm_bindgen(constructor)]
    pub fn new(room: String, session: String, root_hash: &str, profile: &str) -> Result<Client, JsError> {
        let expected_root = Bytes::from_base64(root_hash)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes.0).ok())
            .ok_or_else(|| JsError::new("the link's fragment is not a SHA-256 hash"))?;
        let profile = Profile::from_name(profile)?;
        // ENGN-1: of a room with FIPS-approved algorithms no frame key is ever set up here.
        let engines = if profile == Profile::Fips {
            Engines::Caller
        } else {
            Engines::Either
        };
        let seed = entropy().map_err(|error| JsError::new(&error.to_string()))?;
        let engine = Engine::new(Config {
            seed: *seed,
            profile,
            expected_root,
            room,
            session,
        });
        Ok(Self {
            engine,
            frames: Frames::new(engines)?,
            #[cfg(feature = "tap")]
            tapped_keys: Vec::new(),
        })
    }

    /// The connection to the delivery service is open. All of these answer events, as JSON.
    pub fn connected(&mut self, now: f64) -> String {
        to_json(&self.step(Input::Connected, now))
    }

    pub fn connection_lost(&mut self, now: f64) -> String {
        to_json(&self.step(Input::ConnectionLost, now))
    }

    /// A text frame from the service, as it came.
    pub fn text(&mut self, text: String, now: f64) -> String {
        to_json(&self.step(Input::Text(text), now))
    }

    pub fn tick(&mut self, now: f64) -> String {
        self.frames.tick(millis(now));
        let mut events = self.step(Input::Tick, now);
        // EPOC-13.
        if self.frames.is_stale(millis(now)) {
            self.stop_sending(&mut events);
            events.push(Event::Warning {
                text:
                    "Nothing is sent any more: this device got no new keys for ten minutes. It goes on when they come."
                        .to_owned(),
            });
        }
        to_json(&events)
    }

    pub fn chat(&mut self, text: String, now: f64) -> String {
        to_json(&self.step(Input::Chat(text), now))
    }

    pub fn leave(&mut self, now: f64) -> String {
        to_json(&self.step(Input::Leave, now))
    }

    /// Where to write a frame of so many bytes that is to be sealed, or ciphertext and tag for `finish_seal`. Addresses are
    /// good until the next call that is given one.
    pub fn room_to_seal(&mut self, len: usize) -> usize {
        self.frames.room_to_seal(len)
    }

    /// Where to write a frame of so many bytes that is to be opened.
    pub fn room_to_open(&mut self, len: usize) -> usize {
        self.frames.room_to_open(len)
    }

    /// Where the last call left what it made, and how many bytes of it.
    pub fn made_at(&self) -> usize {
        self.frames.at()
    }

    pub fn made_len(&self) -> usize {
        self.frames.len()
    }

    /// Seals what was written: `false` if there is nothing that may be sent.
    pub fn seal(&mut self, stream: u8, codec: u8, key: bool, now: f64) -> bool {
        Sealed::from_numbers(stream, codec, key).is_some_and(|what| self.frames.seal(what, millis(now)))
    }

    /// Opens what was written. Answers a verdict: 0 opened, 1 to wait for (see [`ticket`](Self::ticket)), 2 and up dropped,
    /// by the place in [`crate::drop_reasons`] plus 2.
    pub fn open(&mut self, video: bool, now: f64) -> u8 {
        self.frames.open(kind_of(video), millis(now))
    }

    /// For WebCrypto: takes a counter for a frame of so many bytes. Answers the job's number, or 0 if there is nothing that
    /// may be sent.
    pub fn prepare_seal(&mut self, stream: u8, codec: u8, key: bool, len: usize, now: f64) -> u32 {
        Sealed::from_numbers(stream, codec, key).map_or(0, |what| self.frames.prepare_seal(what, len, millis(now)))
    }

    /// Puts header and shell around what was written: the job's ciphertext and tag.
    pub fn finish_seal(&mut self, job: u32, now: f64) -> bool {
        self.frames.finish_seal(job, millis(now))
    }

    /// For WebCrypto: all of `open` before the cipher. The verdict may also be 255: then [`job`](Self::job) is the number of a
    /// frame to decrypt, whose ciphertext and tag are at [`made_at`](Self::made_at).
    pub fn prepare_open(&mut self, video: bool, now: f64) -> u8 {
        self.frames.prepare_open(kind_of(video), millis(now))
    }

    /// The tag of the job's frame verified, and this is how long its plaintext is. Answers a verdict.
    pub fn accept(&mut self, job: u32, len: usize, now: f64) -> u8 {
        self.frames.accept(job, len, millis(now))
    }

    /// The tag of the job's frame did not verify. Answers the verdict.
    pub fn refuse(&mut self, job: u32) -> u8 {
        self.frames.refuse(job)
    }

    /// Nothing was heard of the job in time.
    pub fn abandon(&mut self, job: u32) {
        self.frames.abandon(job);
    }

    pub fn job(&self) -> u32 {
        self.frames.last.job
    }

    /// The KID of the job's key; its epoch is [`epoch`](Self::epoch).
    pub fn key_id(&self) -> f64 {
        self.frames.last.key_id as f64
    }

    /// Where the job's nonce is, 12 bytes, and behind it the associated data.
    pub fn call_at(&self) -> usize {
        self.frames.call().at()
    }

    pub fn aad_len(&self) -> usize {
        self.frames.call().aad_len()
    }

    /// Puts a key where [`key_at`](Self::key_at) says, to be imported at once and wiped by [`wipe_key`](Self::wipe_key).
    /// Answers its length, or 0 where this epoch's keys are not held.
    pub fn show_key(&mut self, epoch: f64, key_id: f64) -> usize {
        self.frames.show_key(epoch as u64, key_id as u64)
    }

    pub fn key_at(&self) -> usize {
        self.frames.key_at()
    }

    pub fn wipe_key(&mut self) {
        self.frames.wipe_key();
    }

    /// Whether an epoch's keys are held. ENGN-3: what was imported of others has to go.
    pub fn holds(&self, epoch: f64) -> bool {
        self.frames.holds(epoch as u64)
    }

    /// The verdict on the next of the frames that waited, in their order; to be asked until there is none, after each
    /// step of the engine.
    pub fn next_released(&mut self) -> Option<u8> {
        self.frames.next_released()
    }

    pub fn ticket(&self) -> f64 {
        self.frames.last.ticket as f64
    }

    pub fn leaf(&self) -> u32 {
        self.frames.last.leaf
    }

    pub fn stream(&self) -> u8 {
        self.frames.last.stream
    }

    pub fn epoch(&self) -> f64 {
        self.frames.last.epoch as f64
    }

    fn step(&mut self, input: Input, now: f64) -> Vec<Event> {
        let mut events = Vec::new();
        // MLSP-3. A platform without randomness gives no keys, so there is no call.
        let (input, gone) = match entropy() {
            Ok(fresh) => {
                self.engine.stir(&fresh);
                (input, None)
            }
            Err(error) => (Input::Leave, Some(error)),
        };
        let outputs = self.engine.handle(input, millis(now));
        if let Some(error) = gone {
            events.push(Event::Warning {
                text: format!("This browser gives no random numbers any more, so the call was left: {error}"),
            });
        }
        for output in outputs {
            self.take(output, millis(now), &mut events);
        }
        events
    }

    /// Carries out what concerns keys, and hands the rest on.
    fn take(&mut self, output: Output, now: UnixMillis, events: &mut Vec<Event>) {
        let event = match output {
            Output::Epoch(keys) => return self.install(keys, now, events),
            Output::SwitchSender { epoch, key_frame } => return self.switch(epoch, key_frame, events),
            Output::Status(status) => {
                // The group was given up, whether for another leaf or because the server says that this is somebody else.
                if matches!(status.state, Phase::Rejoining | Phase::Identifying) {
                    self.give_up(now, events);
                }
                Event::Status { status }
            }
            Output::Ended { cause, reason } => {
                self.give_up(now, events);
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
            Output::Relay {
                url,
                token,
                ice_servers,
            } => Event::Relay {
                url,
                token,
                ice_servers,
            },
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
        if fresh
            && !self.frames.serves(suite)
            && let Err(refused) = self.frames.start_anew(suite)
        {
            return events.push(Event::Refused {
                reason: refused.to_string(),
            });
        }
        match self.frames.install(media, now) {
            Ok(()) => events.push(Event::Epoch {
                epoch,
                suite: suite as u16,
                fresh,
            }),
            Err(refused) => events.push(Event::Refused {
                reason: refused.to_string(),
            }),
        }
    }

    fn switch(&mut self, epoch: u64, key_frame: bool, events: &mut Vec<Event>) {
        match self.frames.switch(epoch) {
            Ok(()) => {
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

    fn give_up(&mut self, now: UnixMillis, events: &mut Vec<Event>) {
        self.frames.give_up(now);
        self.stop_sending(events);
    }

    fn stop_sending(&mut self, events: &mut Vec<Event>) {
        self.frames.stop_sending();
        events.push(Event::Sending {
            epoch: None,
            key_frame: false,
        });
    }
}

/// Test builds only: a test searches the logs of a whole meeting for the keys (PF-17), and the benchmark of frames has no server to
/// get into a group with.
#[cfg(feature = "tap")]
#[wasm_bindgen]
impl Client {
    /// Installs an epoch of two whose key everybody knows, as the member with this leaf.
    pub fn tap_enter(&mut self, own_leaf: u32, now: f64) -> bool {
        let media = e2ee_core::media::MediaEpoch {
            epoch: 1,
            base_key: e2ee_core::sframe::Secret::new(vec![7; 16]),
            leaf_count: 2,
            own_leaf,
            members: [0, 1].into_iter().collect(),
        };
        self.frames.install(media, millis(now)).is_ok() && self.frames.switch(1).is_ok()
    }

    #[must_use]
    pub fn tap_base_keys(&self) -> Vec<u8> {
        self.tapped_keys.clone()
    }

    /// A bug of ours, for tests of what happens then (CLNT-11).
    #[allow(clippy::panic, reason = "that is what is tested")]
    pub fn tap_panic(&self) {
        panic!("a panic for a test");
    }
}

/// From the platform's generator.
fn entropy() -> Result<Zeroizing<Entropy>, getrandom::Error> {
    let mut fresh = Zeroizing::new(Entropy::default());
    getrandom::fill(fresh.as_mut())?;
    Ok(fresh)
}

/// By the numbers that [`codec_of`] gives.
pub(crate) const CODECS: [Codec; 6] = [
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

fn kind_of(video: bool) -> MediaKind {
    if video { MediaKind::Video } else { MediaKind::Audio }
}

/// From `performance.timeOrigin + performance.now()`.
fn millis(now: f64) -> UnixMillis {
    UnixMillis(now as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict;

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
        for profile in Profile::ALL {
            let mut client = Client::new("room".into(), "session".into(), &"A".repeat(43), profile.name())
                .ok()
                .unwrap();
            client.room_to_seal(3);
            assert!(!client.seal(0, 0, false, 1.0));
            assert_eq!((client.made_len(), client.prepare_seal(0, 0, false, 3, 1.0)), (0, 0));
            client.room_to_open(3);
            assert_ne!(client.open(false, 1.0), verdict::OPENED);
            assert_eq!(client.made_len(), 0);
        }
    }
}
