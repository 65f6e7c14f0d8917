//! Clients, a service and virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Config, Engine, EpochKeys, Input, Output, RosterView};
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{ClientMessage, ServerMessage};

use super::service::{Id, Service, Session};
use super::start_of_time;

pub struct World {
    pub now: UnixMillis,
    pub service: Service,
    pub clients: BTreeMap<Id, Client>,
    /// Time a message is on its way.
    pub latency: Duration,
    wires: Vec<(UnixMillis, Wire)>,
}

enum Wire {
    Up(Id, ClientMessage, u64),
    Down(Id, ServerMessage, u64),
}

pub struct Client {
    pub engine: Engine,
    pub connected: bool,
    /// Crashed clients neither hear nor act.
    pub crashed: bool,
    pub wake: Option<UnixMillis>,
    /// Everything that came out, in order, with its time.
    pub outputs: Vec<(UnixMillis, Output)>,
    link: u64,
    up_at: UnixMillis,
    down_at: UnixMillis,
}

impl Client {
    pub fn roster(&self) -> Option<&RosterView> {
        self.outputs.iter().rev().find_map(|(_, output)| match output {
            Output::Roster(view) => Some(view),
            _ => None,
        })
    }

    pub fn names(&self) -> Vec<String> {
        self.roster()
            .map(|view| view.members.iter().map(|m| m.name.clone()).collect())
            .unwrap_or_default()
    }

    pub fn keys(&self) -> Vec<&EpochKeys> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Output::Epoch(keys) => Some(keys),
                _ => None,
            })
            .collect()
    }

    pub fn base_key(&self) -> Vec<u8> {
        self.keys().last().unwrap().media.base_key.expose().to_vec()
    }

    pub fn code(&self) -> String {
        self.outputs
            .iter()
            .rev()
            .find_map(|(_, output)| match output {
                Output::MeetingCode { code, .. } => Some(code.clone()),
                _ => None,
            })
            .unwrap()
    }

    pub fn chats(&self) -> Vec<(String, String)> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Output::Chat(chat) => Some((chat.name.clone(), chat.text.clone())),
                _ => None,
            })
            .collect()
    }

    pub fn refusals(&self) -> Vec<String> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Output::Refused { reason } => Some(reason.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn warnings(&self) -> Vec<String> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Output::Warning(words) => Some(words.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn ended(&self) -> Option<String> {
        self.outputs.iter().find_map(|(_, output)| match output {
            Output::Ended { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    }

    pub fn switches(&self) -> Vec<(UnixMillis, u64, bool)> {
        self.outputs
            .iter()
            .filter_map(|(at, output)| match output {
                Output::SwitchSender { epoch, key_frame } => Some((*at, *epoch, *key_frame)),
                _ => None,
            })
            .collect()
    }
}

impl World {
    pub fn new(profile: Profile) -> Self {
        let now = start_of_time();
        Self {
            now,
            service: Service::new(profile, now),
            clients: BTreeMap::new(),
            latency: Duration::from_millis(10),
            wires: Vec::new(),
        }
    }

    /// A meeting of so many people, all in one epoch.
    pub fn meeting(profile: Profile, people: usize) -> Self {
        let mut world = Self::new(profile);
        for id in 0..people {
            world.join(id);
        }
        world.run(Duration::from_secs(3));
        world.assert_agreed(people);
        world
    }

    /// Person `id` opens the page.
    pub fn join(&mut self, id: Id) {
        self.join_as(id, &format!("Person {id}"), &format!("p{id}"), "d1", "guest");
    }

    pub fn join_as(&mut self, id: Id, name: &str, person: &str, device: &str, role: &'static str) {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(id as u64 + 1).to_be_bytes());
        let sign_in = format!("session-{id}");
        self.service.sessions.insert(
            id,
            Session {
                name: name.into(),
                person: person.into(),
                device: device.into(),
                role,
                connected: false,
                heard: self.now,
                leaf: None,
                sign_in: sign_in.clone(),
            },
        );
        let engine = Engine::new(Config {
            seed,
            profile: self.service.profile,
            expected_root: self.service.ca.hash(),
            room: "room".into(),
            session: sign_in,
        });
        self.clients.insert(
            id,
            Client {
                engine,
                connected: true,
                crashed: false,
                wake: None,
                outputs: Vec::new(),
                link: 1,
                up_at: self.now,
                down_at: self.now,
            },
        );
        self.input(id, Input::Connected);
    }

    pub fn input(&mut self, id: Id, input: Input) {
        let now = self.now;
        let client = self.clients.get_mut(&id).unwrap();
        client.wake = None;
        for output in client.engine.handle(input, now) {
            match &output {
                Output::Send(message) if client.connected => {
                    // A connection keeps the order, however its speed changes.
                    client.up_at = client.up_at.max(now + self.latency);
                    self.wires
                        .push((client.up_at, Wire::Up(id, message.clone(), client.link)));
                }
                Output::WakeAt(at) => client.wake = Some(*at),
                _ => {}
            }
            client.outputs.push((now, output));
        }
    }

    /// What the service sends, straight from the test.
    pub fn deliver(&mut self, id: Id, message: ServerMessage) {
        self.input(id, Input::Server(message));
    }

    pub fn crash(&mut self, id: Id) {
        self.clients.get_mut(&id).unwrap().crashed = true;
        self.disconnect(id);
    }

    /// The process is gone, but the server does not know yet.
    pub fn freeze(&mut self, id: Id) {
        self.clients.get_mut(&id).unwrap().crashed = true;
    }

    pub fn disconnect(&mut self, id: Id) {
        let client = self.clients.get_mut(&id).unwrap();
        client.connected = false;
        client.link += 1;
        if !client.crashed {
            self.input(id, Input::ConnectionLost);
        }
        self.service.disconnected(id, self.now);
        self.flush();
    }

    pub fn reconnect(&mut self, id: Id) {
        self.clients.get_mut(&id).unwrap().connected = true;
        self.input(id, Input::Connected);
    }

    fn flush(&mut self) {
        for (id, message) in std::mem::take(&mut self.service.out) {
            let Some(client) = self.clients.get_mut(&id) else {
                continue;
            };
            client.down_at = client.down_at.max(self.now + self.latency);
            self.wires.push((client.down_at, Wire::Down(id, message, client.link)));
        }
    }

    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.flush();
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<UnixMillis> {
        let wires = self.wires.iter().map(|(at, _)| *at);
        let wakes = self.clients.values().filter(|c| !c.crashed).filter_map(|c| c.wake);
        wires.chain(wakes).chain(self.service.next_event()).min()
    }

    fn step(&mut self) {
        let now = self.now;
        let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.wires)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.wires = rest;
        for (_, wire) in due {
            match wire {
                Wire::Up(id, message, link) => {
                    if self.clients[&id].link == link {
                        self.service.receive(id, message, now);
                    }
                }
                Wire::Down(id, message, link) => {
                    let client = &self.clients[&id];
                    if client.link == link && client.connected && !client.crashed {
                        // As text, so that the JSON of every message is exercised.
                        let text = serde_json::to_string(&message).unwrap();
                        self.input(id, Input::Text(text));
                    }
                }
            }
            self.flush();
        }
        self.service.tick(now);
        self.flush();
        let due: Vec<Id> = self
            .clients
            .iter()
            .filter(|(_, c)| !c.crashed && c.wake.is_some_and(|wake| wake <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.input(id, Input::Tick);
        }
    }

    pub fn active(&self) -> Vec<Id> {
        self.clients
            .iter()
            .filter(|(_, c)| !c.crashed && c.connected && c.engine.epoch().is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    /// C2: everybody who is in has the same epoch, key, code and roster, and the roster is the service's tree.
    pub fn assert_agreed(&self, people: usize) {
        let active = self.active();
        assert_eq!(active.len(), people, "in the call: {active:?}");
        let room = self.service.room.as_ref().unwrap();
        let tree: Vec<String> = room.roster().iter().map(|m| m.name().to_owned()).collect();
        let first = &self.clients[&active[0]];
        for id in &active {
            let client = &self.clients[id];
            assert_eq!(client.engine.epoch(), Some(room.epoch()), "epoch of {id}");
            assert_eq!(client.base_key(), first.base_key(), "key of {id}");
            assert_eq!(client.code(), first.code(), "code of {id}");
            assert_eq!(client.names(), tree, "roster of {id}");
            assert_eq!(client.switches().last().unwrap().1, room.epoch(), "sender of {id}");
        }
    }
}
