//! A member: the engine of `e2ee-core`, driven by a socket and a clock as the browser's worker drives it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Config, Engine, Input, Output, RosterView};
use e2ee_core::time::UnixMillis;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{Server, now};

/// Nothing here takes this long; it is for giving up.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// Sits on a member's line and says what goes on, in which order, instead of a text.
pub type Tamper = Box<dyn FnMut(Way, String) -> Vec<String> + Send>;

/// All that a page would know.
#[derive(Default)]
pub struct Seen {
    pub roster: Option<RosterView>,
    pub code: Option<(u64, String)>,
    pub base_key: Vec<u8>,
    pub sending: Option<u64>,
    pub chat: Vec<(String, String)>,
    pub refused: Vec<String>,
    pub ended: Option<String>,
    pub connected: bool,
    /// Everything the server said, as it came.
    pub heard: Vec<String>,
}

pub struct Member {
    pub name: String,
    pub session: String,
    seen: Arc<Mutex<Seen>>,
    news: Arc<Notify>,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Member {
    pub async fn join(server: &Server, room: &str, name: &str) -> Self {
        Self::join_through(server, room, name, Box::new(|_, text| vec![text])).await
    }

    /// With a link that pins this profile.
    pub async fn join_as(server: &Server, room: &str, name: &str, profile: Profile) -> Self {
        Self::start(server, room, name, profile, Box::new(|_, text| vec![text])).await
    }

    pub async fn join_through(server: &Server, room: &str, name: &str, tamper: Tamper) -> Self {
        Self::start(server, room, name, Profile::Standard, tamper).await
    }

    async fn start(server: &Server, room: &str, name: &str, profile: Profile, tamper: Tamper) -> Self {
        let session = server.sign_in(room, name).await;
        let mut seed = [0; 32];
        let salt = name.bytes().map(u64::from).sum::<u64>() ^ now().0.rotate_left(17);
        for (place, byte) in seed.iter_mut().zip(salt.to_be_bytes().into_iter().cycle()) {
            *place = byte;
        }
        let engine = Engine::new(Config {
            seed,
            profile,
            expected_root: server.root_hash(),
            room: room.to_owned(),
            session: session.clone(),
        });
        let (inputs, wishes) = mpsc::unbounded_channel();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let news = Arc::new(Notify::new());
        let line = Line {
            url: format!("ws://{}/api/rooms/{room}/delivery", server.address),
            engine,
            tamper,
            seen: seen.clone(),
            news: news.clone(),
            wake: None,
        };
        tokio::spawn(line.run(wishes));
        Self {
            name: name.to_owned(),
            session,
            seen,
            news,
            inputs,
        }
    }

    pub fn chat(&self, text: &str) {
        let _ = self.inputs.send(Input::Chat(text.to_owned()));
    }

    pub fn leave(&self) {
        let _ = self.inputs.send(Input::Leave);
    }

    pub fn see<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        let waiting = async {
            loop {
                let news = self.news.notified();
                if self.see(&is_so) {
                    return;
                }
                // Not only news: what another member does may be what is waited for.
                let _ = timeout(Duration::from_millis(50), news).await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            let (roster, refused) = self.see(|seen| (seen.roster.clone(), seen.refused.clone()));
            panic!(
                "{} does not see {what}; roster {roster:?}, refused {refused:?}",
                self.name
            );
        }
    }
}

/// C2: waits until all of them are in one epoch of one group, with one key, one code and this roster. Answers the epoch.
pub async fn agreed(members: &[&Member]) -> u64 {
    let mut names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    names.sort();
    let told = |seen: &Seen| {
        let roster = seen.roster.as_ref()?;
        let mut people: Vec<String> = roster.members.iter().map(|member| member.name.clone()).collect();
        people.sort();
        let (epoch, code) = seen.code.clone()?;
        let whole = epoch == roster.epoch && seen.sending == Some(epoch);
        whole.then(|| (epoch, code, people, seen.base_key.clone()))
    };
    for member in members {
        member
            .until(&format!("what {names:?} see"), |seen| {
                let mine = told(seen);
                mine.as_ref().is_some_and(|(_, _, people, _)| *people == names)
                    && members
                        .iter()
                        .filter(|other| other.name != member.name)
                        .all(|other| other.see(|seen| told(seen)) == mine)
            })
            .await;
    }
    members[0].see(|seen| seen.code.clone().unwrap().0)
}

struct Line {
    url: String,
    engine: Engine,
    tamper: Tamper,
    seen: Arc<Mutex<Seen>>,
    news: Arc<Notify>,
    wake: Option<UnixMillis>,
}

impl Line {
    async fn run(mut self, mut wishes: mpsc::UnboundedReceiver<Input>) {
        loop {
            let Ok((socket, _)) = tokio_tungstenite::connect_async(&self.url).await else {
                sleep(RETRY).await;
                continue;
            };
            let (mut up, mut down) = socket.split();
            self.connected(true);
            let mut texts = self.step(Input::Connected);
            loop {
                for text in texts {
                    let _ = up.send(Message::text(text)).await;
                }
                if self.engine.is_over() {
                    let _ = up.close().await;
                    return;
                }
                let wake = self.wake.map_or(Duration::from_secs(3600), |at| {
                    Duration::from_millis(at.0.saturating_sub(now().0))
                });
                texts = tokio::select! {
                    arrived = down.next() => match arrived {
                        Some(Ok(Message::Text(text))) => self.arrived(text.to_string()),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                        Some(Ok(_)) => Vec::new(),
                    },
                    wish = wishes.recv() => match wish {
                        Some(wish) => self.step(wish),
                        None => return,
                    },
                    () = sleep(wake) => self.step(Input::Tick),
                };
            }
            self.connected(false);
            self.step(Input::ConnectionLost);
            sleep(RETRY).await;
        }
    }

    fn connected(&self, is: bool) {
        self.seen.lock().unwrap().connected = is;
        self.news.notify_waiters();
    }

    fn arrived(&mut self, text: String) -> Vec<String> {
        self.seen.lock().unwrap().heard.push(text.clone());
        let texts = (self.tamper)(Way::Down, text);
        texts
            .into_iter()
            .flat_map(|text| self.step(Input::Text(text)))
            .collect()
    }

    fn step(&mut self, input: Input) -> Vec<String> {
        self.wake = None;
        let mut texts = Vec::new();
        for output in self.engine.handle(input, now()) {
            let mut seen = self.seen.lock().unwrap();
            match output {
                Output::Send(message) => {
                    drop(seen);
                    texts.extend((self.tamper)(Way::Up, serde_json::to_string(&message).unwrap()));
                }
                Output::Roster(roster) => seen.roster = Some(roster),
                Output::Epoch(keys) => seen.base_key = keys.media.base_key.expose().to_vec(),
                Output::SwitchSender { epoch, .. } => seen.sending = Some(epoch),
                Output::MeetingCode { epoch, code } => seen.code = Some((epoch, code)),
                Output::Chat(chat) => seen.chat.push((chat.name, chat.text)),
                Output::Refused { reason } => seen.refused.push(reason),
                Output::Ended { reason, .. } => seen.ended = Some(reason),
                Output::WakeAt(at) => self.wake = Some(at),
                Output::Reconnect | Output::Relay { .. } | Output::Status(_) | Output::Warning(_) => {}
            }
        }
        self.news.notify_waiters();
        texts
    }
}
