//! One person's client: the engine of `e2ee-core`, driven by a socket and the clock, and everything it was told and sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2ee_core::group::Profile;
use e2ee_core::group::engine::{Config, Engine, Input, Output};
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::{ClientMessage, ServerMessage};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Room;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
/// Changes what the client sends, as a client of somebody else's making would.
pub type Tamper = Box<dyn FnMut(&mut ClientMessage) + Send>;

pub struct Client {
    pub name: String,
    pub session: String,
    seen: Arc<Mutex<Seen>>,
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Default)]
pub struct Seen {
    pub roster: Option<e2ee_core::group::engine::RosterView>,
    pub code: Option<(u64, String)>,
    pub chats: Vec<(String, String)>,
    pub warnings: Vec<String>,
    pub refusals: Vec<String>,
    pub ended: Option<String>,
    pub sent: Vec<ClientMessage>,
    pub received: Vec<ServerMessage>,
    pub relay_tokens: Vec<String>,
    pub ice_servers: Vec<e2ee_core::wire::delivery::IceServer>,
    pub connections: u32,
}

impl Seen {
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .roster
            .iter()
            .flat_map(|r| r.members.iter().map(|m| m.name.clone()))
            .collect();
        names.sort();
        names
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("names", &self.names())
            .field("code", &self.code)
            .field("warnings", &self.warnings)
            .field("refusals", &self.refusals)
            .field("ended", &self.ended)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

enum Order {
    Input(Input),
    Raw(ClientMessage),
    Text(String),
    Tamper(Tamper),
    /// The network goes away, for so long.
    Cut(Duration),
    /// The process dies: nothing more is said, the socket is closed by the system.
    Die,
}

impl Client {
    pub fn start(server: SocketAddr, room: &Room, session: &str, name: &str) -> Self {
        Self::start_expecting(server, room, session, name, room.root)
    }

    /// With the root of another link.
    pub fn start_expecting(server: SocketAddr, room: &Room, session: &str, name: &str, root: [u8; 32]) -> Self {
        let mut seed = [0; 32];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut seed);
        let config = Config {
            seed,
            profile: Profile::Standard,
            expected_root: root,
            room: room.id.clone(),
            session: session.to_owned(),
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (orders, inbox) = mpsc::unbounded_channel();
        let url = format!("ws://{server}/api/rooms/{}/delivery", room.id);
        let driver = Driver {
            engine: Engine::new(config),
            url,
            seen: seen.clone(),
            socket: None,
            wake: None,
            tamper: None,
        };
        tokio::spawn(driver.run(inbox));
        Self {
            name: name.to_owned(),
            session: session.to_owned(),
            seen,
            orders,
        }
    }

    pub fn see<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    pub fn epoch(&self) -> u64 {
        self.see(|s| s.code.as_ref().unwrap().0)
    }

    pub fn leaf(&self) -> u32 {
        self.see(|s| s.roster.as_ref().unwrap().members.iter().find(|m| m.own).unwrap().leaf)
    }

    pub fn chat(&self, text: &str) {
        self.order(Order::Input(Input::Chat(text.to_owned())));
    }

    pub fn leave(&self) {
        self.order(Order::Input(Input::Leave));
    }

    pub fn raw(&self, message: ClientMessage) {
        self.order(Order::Raw(message));
    }

    pub fn text(&self, text: &str) {
        self.order(Order::Text(text.to_owned()));
    }

    pub fn tamper(&self, tamper: impl FnMut(&mut ClientMessage) + Send + 'static) {
        self.order(Order::Tamper(Box::new(tamper)));
    }

    pub fn cut(&self, time: Duration) {
        self.order(Order::Cut(time));
    }

    pub fn die(&self) {
        self.order(Order::Die);
    }

    fn order(&self, order: Order) {
        // A client that has ended takes no orders, and that is fine.
        let _ = self.orders.send(order);
    }
}

struct Driver {
    engine: Engine,
    url: String,
    seen: Arc<Mutex<Seen>>,
    socket: Option<Socket>,
    wake: Option<UnixMillis>,
    tamper: Option<Tamper>,
}

enum Event {
    Order(Option<Order>),
    Frame(Option<Message>),
    Wake,
}

impl Driver {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut retry = Duration::ZERO;
        while !self.engine.is_over() {
            if self.socket.is_none() {
                tokio::time::sleep(retry).await;
                retry = Duration::from_millis(50);
                let Ok((socket, _)) = connect_async(&self.url).await else {
                    continue;
                };
                self.socket = Some(socket);
                self.seen.lock().unwrap().connections += 1;
                self.input(Input::Connected).await;
                continue;
            }
            match self.next(&mut orders).await {
                Event::Order(None | Some(Order::Die)) => return,
                Event::Order(Some(order)) => match order {
                    Order::Input(input) => self.input(input).await,
                    Order::Raw(message) => self.send(&message).await,
                    Order::Text(text) => self.send_text(text).await,
                    Order::Tamper(tamper) => self.tamper = Some(tamper),
                    Order::Cut(time) => {
                        self.socket = None;
                        self.input(Input::ConnectionLost).await;
                        retry = time;
                    }
                    Order::Die => return,
                },
                Event::Frame(Some(Message::Text(text))) => {
                    if let Ok(message) = serde_json::from_str(text.as_str()) {
                        self.seen.lock().unwrap().received.push(message);
                    }
                    self.input(Input::Text(text.to_string())).await;
                }
                Event::Frame(Some(Message::Close(_)) | None) => {
                    self.socket = None;
                    self.input(Input::ConnectionLost).await;
                }
                Event::Frame(Some(_)) => {}
                Event::Wake => {
                    self.wake = None;
                    self.input(Input::Tick).await;
                }
            }
        }
        if let Some(mut socket) = self.socket.take() {
            let _ = socket.close(None).await;
        }
    }

    async fn next(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Event {
        let until_wake = self.wake.map(|at| Duration::from_millis(at.0.saturating_sub(now().0)));
        let Some(socket) = &mut self.socket else {
            return Event::Wake;
        };
        tokio::select! {
            order = orders.recv() => Event::Order(order),
            frame = socket.next() => Event::Frame(frame.and_then(Result::ok)),
            () = tokio::time::sleep(until_wake.unwrap_or(Duration::from_secs(3600))) => Event::Wake,
        }
    }

    async fn input(&mut self, input: Input) {
        self.engine.stir(&rand::random());
        for output in self.engine.handle(input, now()) {
            match output {
                Output::Send(mut message) => {
                    if let Some(tamper) = &mut self.tamper {
                        tamper(&mut message);
                    }
                    self.send(&message).await;
                }
                Output::Reconnect => self.socket = None,
                Output::WakeAt(at) => self.wake = Some(at),
                other => self.note(other),
            }
        }
    }

    fn note(&self, output: Output) {
        let mut seen = self.seen.lock().unwrap();
        match output {
            Output::Roster(roster) => seen.roster = Some(roster),
            Output::MeetingCode { epoch, code } => seen.code = Some((epoch, code)),
            Output::Chat(chat) if !chat.own => seen.chats.push((chat.name, chat.text)),
            Output::Warning(words) => seen.warnings.push(words),
            Output::Refused { reason } => seen.refusals.push(reason),
            Output::Relay { token, ice_servers, .. } => {
                seen.relay_tokens.push(token);
                seen.ice_servers.extend(ice_servers);
            }
            Output::Ended { reason, .. } => seen.ended = Some(reason),
            _ => {}
        }
    }

    async fn send(&mut self, message: &ClientMessage) {
        self.seen.lock().unwrap().sent.push(message.clone());
        self.send_text(serde_json::to_string(message).unwrap()).await;
    }

    async fn send_text(&mut self, text: String) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.send(Message::Text(text.into())).await;
        }
    }
}

pub fn now() -> UnixMillis {
    UnixMillis(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap())
}
