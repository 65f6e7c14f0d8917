//! A key server in this process, with a data folder and a keystore of its own. It can be stopped and started again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use e2ee_core::group::Profile;
use e2ee_core::wire::http::{RoomCreated, SessionCreated};
use hsm_adapter::SoftwareKeystore;
use key_server::{Config, KeyServer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Server {
    pub address: SocketAddr,
    folder: TempDir,
    running: Option<(KeyServer, JoinHandle<()>)>,
}

impl Server {
    pub async fn start() -> Self {
        let mut server = Self {
            address: ([127, 0, 0, 1], 0).into(),
            folder: tempfile::tempdir().unwrap(),
            running: None,
        };
        server.resume().await;
        server
    }

    /// Starts on the same data and, after the first time, the same port.
    pub async fn resume(&mut self) {
        let keystore = SoftwareKeystore::open(&self.folder.path().join("keys")).unwrap();
        let config = Config::new(self.folder.path().join("data"));
        let key_server = key_server::start(config, Arc::new(keystore)).await.unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let service = key_server.router().into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        self.running = Some((key_server, serving));
    }

    pub async fn stop(&mut self) {
        let (key_server, serving) = self.running.take().unwrap();
        serving.abort();
        let _ = serving.await;
        key_server.shutdown().await;
    }

    pub fn root_hash(&self) -> [u8; 32] {
        self.running.as_ref().unwrap().0.trust_root_hash()
    }

    pub fn log_folder(&self) -> PathBuf {
        self.folder.path().join("data/log")
    }

    pub async fn make_room(&self) -> String {
        self.make_room_of(Profile::Standard).await
    }

    pub async fn make_room_of(&self, profile: Profile) -> String {
        let wish = serde_json::json!({ "profile": profile.name() }).to_string();
        let (status, body) = self.ask("POST", "/api/rooms", None, &wish).await;
        assert_eq!(status, 201, "{body}");
        serde_json::from_str::<RoomCreated>(&body).unwrap().room
    }

    pub async fn sign_in(&self, room: &str, name: &str) -> String {
        let body = serde_json::json!({ "name": name }).to_string();
        let (status, body) = self
            .ask("POST", &format!("/api/rooms/{room}/sessions"), None, &body)
            .await;
        assert_eq!(status, 201, "{body}");
        serde_json::from_str::<SessionCreated>(&body).unwrap().session
    }

    /// The least of HTTP/1.1 that there is: one request, one answer, the end.
    pub async fn ask(&self, method: &str, path: &str, bearer: Option<&str>, body: &str) -> (u16, String) {
        let authorization = bearer
            .map(|token| format!("authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let kind = if body.is_empty() {
            ""
        } else {
            "content-type: application/json\r\n"
        };
        let request = format!(
            "{method} {path} HTTP/1.0\r\nhost: localhost\r\n{authorization}{kind}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}
