//! A real key server on a real port, and clients that run the real engine over real WebSockets.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

pub mod client;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use e2ee_core::wire::http::{RoomCreated, SessionCreated};
use e2ee_core::wire::transcript::Transcript;
use hsm_adapter::{Keystore, SoftwareKeystore};
use key_server::{Config, KeyServer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub use client::Client;

pub struct TestServer {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
    pub config: Config,
    /// In place of the software keystore in the server's folder.
    pub keystore: Option<Arc<dyn Keystore>>,
    running: Option<(KeyServer, JoinHandle<()>)>,
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(adjust: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(None, adjust).await
    }

    pub async fn start_on(keystore: Option<Arc<dyn Keystore>>, adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("data"));
        config.org = "Example Clinic".to_owned();
        adjust(&mut config);
        let address = "127.0.0.1:0".parse().unwrap();
        let mut server = Self {
            folder,
            address,
            config,
            keystore,
            running: None,
        };
        server.run().await;
        server
    }

    fn keystore(&self) -> Arc<dyn Keystore> {
        if let Some(keystore) = &self.keystore {
            return keystore.clone();
        }
        Arc::new(SoftwareKeystore::open(&self.folder.path().join("keys")).unwrap())
    }

    pub async fn run(&mut self) {
        let server = key_server::start(self.config.clone(), self.keystore()).await.unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let router = server.router();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
                .await
                .unwrap();
        });
        self.running = Some((server, serving));
    }

    pub fn server(&self) -> &KeyServer {
        &self.running.as_ref().unwrap().0
    }

    pub async fn stop(&mut self) {
        let (server, serving) = self.running.take().unwrap();
        serving.abort();
        let _ = serving.await;
        server.shutdown().await;
    }

    /// One HTTP/1.1 request, by hand: what is sent and answered is what stands here.
    pub async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..split].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = answer[split + 4..].to_vec();
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body = dechunk(&body);
        }
        Reply { status, head, body }
    }

    pub async fn create_room(&self) -> Room {
        let reply = self.http("POST", "/api/rooms", &[], "").await;
        assert_eq!(reply.status, 201);
        let created: RoomCreated = reply.json();
        let root = Sha256::digest(created.trust_root.as_slice()).into();
        assert_eq!(root, self.server().trust_root_hash());
        Room { id: created.room, root }
    }

    pub async fn sign_in(&self, room: &Room, name: &str) -> String {
        let path = format!("/api/rooms/{}/sessions", room.id);
        let body = serde_json::json!({ "name": name }).to_string();
        let reply = self
            .http("POST", &path, &[("content-type", "application/json")], &body)
            .await;
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        reply.json::<SessionCreated>().session
    }

    /// A new person in the room, on the way to being let in.
    pub async fn join(&self, room: &Room, name: &str) -> Client {
        let session = self.sign_in(room, name).await;
        Client::start(self.address, room, &session, name)
    }

    pub async fn transcript(&self, room: &Room, session: &str) -> Transcript {
        let path = format!("/api/rooms/{}/transcript", room.id);
        let bearer = format!("Bearer {session}");
        let reply = self.http("GET", &path, &[("authorization", &bearer)], "").await;
        assert_eq!(reply.status, 200);
        reply.json()
    }
}

pub struct Room {
    pub id: String,
    pub root: [u8; 32],
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let line = body.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&body[line + 2..line + 2 + size]);
        body = &body[line + 4 + size..];
    }
}

/// Waits until the condition holds. The limit is not a measurement: it is there so that a failing test ends.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be that {what}");
}

/// Waits until all of them are in one epoch of one group with exactly these names on their rosters.
pub async fn together(clients: &[&Client]) -> u64 {
    let mut names: Vec<String> = clients.iter().map(|c| c.name.clone()).collect();
    names.sort();
    let same = || {
        let codes: Vec<_> = clients.iter().map(|c| c.see(|s| s.code.clone())).collect();
        codes[0].is_some()
            && codes.iter().all(|c| *c == codes[0])
            && clients.iter().all(|c| c.see(|s| s.names() == names))
    };
    let states = || {
        clients
            .iter()
            .map(|c| c.see(|s| format!("{s:?}")))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for _ in 0..3000 {
        if same() {
            return clients[0].epoch();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("these never came together: {names:?}\n{}", states());
}
