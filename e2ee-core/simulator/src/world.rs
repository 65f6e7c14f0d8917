//! Clients, a service and virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Config, Engine, Input, Output};
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{ClientMessage, ServerMessage};

use crate::air::Air;
use crate::client::Client;
use crate::ledger::Ledger;
use crate::service::{Id, Service, Session};
use crate::start_of_time;
use crate::storm::{Delivery, Storm};
use crate::tape::{Lap, Taken};
use crate::voice::Voice;

pub struct World {
    pub now: UnixMillis,
    pub service: Service,
    /// The other story of a server that forks, and who is told it.
    pub second: Option<(BTreeSet<Id>, Service)>,
    pub clients: BTreeMap<Id, Client>,
    /// Clients that were set aside.
    pub former: BTreeMap<Id, Client>,
    /// Time a message is on its way.
    pub latency: Duration,
    /// What happens to messages besides.
    pub storm: Option<Storm>,
    /// Media, where a test wants them.
    pub air: Option<Air>,
    pub ledger: Ledger,
    /// Whether each step of each client is timed and kept.
    pub taped: bool,
    /// Clients whose line comes back by itself.
    returns: Vec<(UnixMillis, Id)>,
    /// What is on its way, by arrival; what arrives at one time in the order in which it was sent.
    wires: BTreeMap<(UnixMillis, u64), Wire>,
    sent: u64,
}

enum Wire {
    Up(Id, ClientMessage, u64),
    Down(Id, ServerMessage, u64),
}

impl World {
    pub fn new(profile: Profile) -> Self {
        let now = start_of_time();
        Self {
            now,
            service: Service::new(profile, now),
            second: None,
            clients: BTreeMap::new(),
            former: BTreeMap::new(),
            latency: Duration::from_millis(10),
            storm: None,
            air: None,
            ledger: Ledger::default(),
            taped: false,
            returns: Vec::new(),
            wires: BTreeMap::new(),
            sent: 0,
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
        let seed = seed_of(id);
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
                person: person.into(),
                device: device.into(),
                connected: true,
                crashed: false,
                wake: None,
                outputs: Vec::new(),
                voice: Voice::default(),
                tape: Vec::new(),
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
        let device = (client.person.clone(), client.device.clone());
        let taken = self.taped.then(|| Taken::from(&input));
        let start = Instant::now();
        client.engine.stir(&entropy_of(id, now));
        let outputs = client.engine.handle(input, now);
        let took = start.elapsed();
        client.tape.extend(taken.map(|input| Lap { at: now, input, took }));
        for output in outputs {
            let number = self.ledger.note(id, &device, &output);
            client.voice.follow(&output, number, now);
            match &output {
                Output::Send(message) if client.connected => {
                    let sent = match &mut self.storm {
                        Some(storm) => storm.up(message.clone()),
                        None => undisturbed(message.clone()),
                    };
                    for delivery in sent {
                        let at = arrival(now + self.latency, &delivery, &mut client.up_at);
                        self.sent += 1;
                        let wire = Wire::Up(id, delivery.message, client.link);
                        self.wires.insert((at, self.sent), wire);
                    }
                }
                Output::WakeAt(at) => client.wake = Some(*at),
                Output::Reconnect => self.returns.push((now, id)),
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
        self.cut(id);
        let now = self.now;
        self.service_of(id).disconnected(id, now);
        self.flush();
    }

    fn cut(&mut self, id: Id) {
        let client = self.clients.get_mut(&id).unwrap();
        client.connected = false;
        client.link += 1;
        if !client.crashed {
            self.input(id, Input::ConnectionLost);
        }
    }

    pub fn reconnect(&mut self, id: Id) {
        self.clients.get_mut(&id).unwrap().connected = true;
        self.input(id, Input::Connected);
    }

    /// From now on these are told another story, which starts as the one they know.
    pub fn fork(&mut self, told_another: BTreeSet<Id>) {
        self.second = Some((told_another, self.service.twin(self.now)));
    }

    /// Somebody who comes while there are two stories, and is told the second.
    pub fn join_in_the_other_story(&mut self, id: Id) {
        self.join(id);
        if let (Some((told_another, second)), Some(session)) = (&mut self.second, self.service.sessions.get(&id)) {
            told_another.insert(id);
            second.sessions.insert(id, session.clone());
        }
    }

    /// Sets clients aside whose call has been over for so long.
    pub fn set_aside(&mut self, after: Duration) {
        let now = self.now;
        let over = |client: &Client| {
            let last = client.outputs.last().map_or(now, |(at, _)| *at);
            (client.crashed || client.engine.is_over()) && !client.connected && now.since(last) > after
        };
        let ids: Vec<Id> = self
            .clients
            .iter()
            .filter(|(_, c)| over(c))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(client) = self.clients.remove(&id) {
                self.former.insert(id, client);
            }
        }
    }

    fn service_of(&mut self, id: Id) -> &mut Service {
        match &mut self.second {
            Some((ids, second)) if ids.contains(&id) => second,
            _ => &mut self.service,
        }
    }

    fn flush(&mut self) {
        let mut out = std::mem::take(&mut self.service.out);
        if let Some((told_another, second)) = &mut self.second {
            out.retain(|(id, _)| !told_another.contains(id));
            out.extend(second.out.drain(..).filter(|(id, _)| told_another.contains(id)));
        }
        for (id, message) in out {
            let Some(client) = self.clients.get_mut(&id) else {
                continue;
            };
            let sent = match &mut self.storm {
                Some(storm) => storm.down(id, message),
                None => undisturbed(message),
            };
            for delivery in sent {
                let at = arrival(self.now + self.latency, &delivery, &mut client.down_at);
                self.sent += 1;
                let wire = Wire::Down(id, delivery.message, client.link);
                self.wires.insert((at, self.sent), wire);
            }
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
        let wires = self.wires.first_key_value().map(|((at, _), _)| *at).into_iter();
        let wakes = self.clients.values().filter(|c| !c.crashed).filter_map(|c| c.wake);
        let returns = self.returns.iter().map(|(at, _)| *at);
        let second = self
            .second
            .as_ref()
            .and_then(|(_, service)| service.next_event(self.now));
        wires
            .chain(wakes)
            .chain(returns)
            .chain(second)
            .chain(self.service.next_event(self.now))
            .chain(self.air.as_ref().map(Air::next_event))
            .min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(next) = self.wires.first_entry().filter(|next| next.key().0 <= now) {
            let wire = next.remove();
            match wire {
                Wire::Up(id, message, link) => {
                    if self.clients.get(&id).is_some_and(|client| client.link == link) {
                        self.service_of(id).receive(id, message, now);
                        self.bury();
                    }
                }
                Wire::Down(id, message, link) => {
                    let hears = |c: &Client| c.link == link && c.connected && !c.crashed;
                    if self.clients.get(&id).is_some_and(hears) {
                        self.tell(id, &message);
                    }
                }
            }
            self.flush();
        }
        self.service.tick(now);
        self.bury();
        if let Some((_, second)) = &mut self.second {
            second.tick(now);
        }
        self.flush();
        self.hang_up();
        let (back, rest): (Vec<_>, Vec<_>) = self.returns.iter().copied().partition(|(at, _)| *at <= now);
        self.returns = rest;
        for (_, id) in back {
            self.line_returns(id);
        }
        let due: Vec<Id> = self
            .clients
            .iter()
            .filter(|(_, c)| !c.crashed && c.wake.is_some_and(|wake| wake <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.input(id, Input::Tick);
        }
        if let Some(air) = &mut self.air {
            air.step(&mut self.clients, &self.ledger, &self.service.removed, now);
        }
    }

    /// As text, so that the JSON of every message is exercised.
    fn tell(&mut self, id: Id, message: &ServerMessage) {
        self.input(id, Input::Text(as_text(message)));
    }

    /// A page whose call is over closes its line; one that says goodbye does so when that was heard.
    fn hang_up(&mut self) {
        let over = |c: &Client| c.connected && c.engine.is_over() && c.ended().as_deref() != Some("You left.");
        let done: Vec<Id> = self
            .clients
            .iter()
            .filter(|(_, c)| over(c))
            .map(|(id, _)| *id)
            .collect();
        for id in done {
            self.disconnect(id);
        }
    }

    fn line_returns(&mut self, id: Id) {
        let Some(client) = self.clients.get(&id).filter(|c| !c.crashed && !c.engine.is_over()) else {
            return;
        };
        if client.connected {
            self.disconnect(id);
        }
        self.reconnect(id);
    }

    /// If the service died in what it did last: what it still sent arrives, all lines break, and its successor starts
    /// from what was stored.
    fn bury(&mut self) {
        let now = self.now;
        if !self.service.died(now) {
            return;
        }
        for (id, message) in std::mem::take(&mut self.service.out) {
            let Some(client) = self.clients.get(&id).filter(|c| c.connected && !c.crashed) else {
                continue;
            };
            // A line keeps its order to the last word.
            let link = client.link;
            let ours = |wire: &Wire| matches!(wire, Wire::Down(to, _, on) if *to == id && *on == link);
            let before: Vec<_> = self.wires.iter().filter(|(_, w)| ours(w)).map(|(at, _)| *at).collect();
            for at in before {
                if let Some(Wire::Down(_, earlier, _)) = self.wires.remove(&at) {
                    self.tell(id, &earlier);
                }
            }
            self.tell(id, &message);
        }
        let connected: Vec<Id> = self
            .clients
            .iter()
            .filter(|(_, c)| c.connected)
            .map(|(id, _)| *id)
            .collect();
        for (place, id) in connected.into_iter().enumerate() {
            self.cut(id);
            self.returns
                .push((now + Duration::from_millis(200 + 150 * place as u64), id));
        }
    }

    pub fn active(&self) -> Vec<Id> {
        self.clients
            .iter()
            .filter(|(_, c)| !c.crashed && c.connected && c.engine.epoch().is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whoever ought to be in the call.
    pub fn taking_part(&self) -> Vec<Id> {
        let parts = self.clients.iter().filter(|(_, c)| c.takes_part());
        parts.map(|(id, _)| *id).collect()
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

    pub fn device_of(&self, id: Id) -> (String, String) {
        let client = self.clients.get(&id).unwrap_or_else(|| &self.former[&id]);
        (client.person.clone(), client.device.clone())
    }
}

/// All the randomness that a client has.
/// What the platform's generator would give at this moment: the same when the meeting is played again.
fn entropy_of(id: Id, now: UnixMillis) -> [u8; 32] {
    let mut entropy = seed_of(id);
    entropy[8..16].copy_from_slice(&now.0.to_be_bytes());
    entropy
}

pub fn seed_of(id: Id) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(id as u64 + 1).to_be_bytes());
    seed
}

pub fn as_text(message: &ServerMessage) -> String {
    serde_json::to_string(message).unwrap()
}

fn undisturbed<M>(message: M) -> Vec<Delivery<M>> {
    vec![Delivery {
        delay: Duration::ZERO,
        in_order: true,
        message,
    }]
}

/// A connection keeps the order, however its speed changes; a lying server need not.
fn arrival<M>(at: UnixMillis, delivery: &Delivery<M>, last: &mut UnixMillis) -> UnixMillis {
    let at = at + delivery.delay;
    if delivery.in_order {
        *last = at.max(*last);
        return *last;
    }
    at
}
