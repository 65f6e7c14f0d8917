//! The relays that are measured, each as a process.

use super::wire::Wire;
use crate::layout;
use crate::setup::apt::Need;
use anyhow::{Context, Result, bail};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub(super) const JANUS: Need = Need {
    package: "janus",
    why: "a relay to measure beside ours",
    found_by: &["janus"],
    optional: true,
};

const START: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Ours,
    Str0m,
    Janus,
}

impl Which {
    pub(super) const ALL: [Which; 3] = [Which::Ours, Which::Str0m, Which::Janus];

    /// As the load and the report call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Which::Ours => "conclave",
            Which::Str0m => "str0m",
            Which::Janus => "janus",
        }
    }
}

/// A running relay. It ends with this.
pub(super) struct Relay {
    child: Child,
    pub(super) signalling: String,
}

impl Relay {
    /// `threads`: of ours, which can be told.
    pub(super) fn start(which: Which, wire: &Wire, threads: u32) -> Result<Self> {
        let signalling = format!("{}:{}", wire.far, 7_801 + which as u16);
        let release = |folder: &Path, name: &str| folder.join("release").join(name);
        let mut command = match which {
            Which::Ours => {
                let mut command = wire.command(release(layout::target()?, "load"));
                command.args(["relay", "--signalling", &signalling, "--threads", &threads.to_string()]);
                command
            }
            Which::Str0m => {
                let mut command = wire.command(release(&peers_target()?, "str0m-relay"));
                command.arg(&signalling);
                command
            }
            Which::Janus => {
                let mut command = wire.command("janus");
                command.arg("--configs-folder").arg(configure_janus(&signalling)?);
                command
            }
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} cannot be started", which.name()))?;
        let mut relay = Relay { child, signalling };
        relay.wait_until_it_listens(which)?;
        Ok(relay)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_it_listens(&mut self, which: Which) -> Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect(&self.signalling).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", which.name());
            }
            if Instant::now() > deadline {
                bail!("{} does not listen", which.name());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn str0m_manifest() -> PathBuf {
    layout::root().join("tests/peers/str0m-relay/Cargo.toml")
}

/// The peers' own target folder: their dependencies are not the workspace's.
pub(super) fn peers_target() -> Result<PathBuf> {
    Ok(layout::target()?.join("peers"))
}

/// Janus with VideoRoom and the plain HTTP API, and nothing else loaded.
fn configure_janus(signalling: &str) -> Result<PathBuf> {
    const GENERAL: &str = r#"general: { debug_level = 2 }
plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so" }
transports: { disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so" }
"#;
    let (ip, port) = signalling.split_once(':').context("the signalling's address")?;
    let http = format!(
        "general: {{ json = \"plain\"; base_path = \"/janus\"; http = true; https = false; ip = \"{ip}\"; port = {port} }}\n\
         admin: {{ admin_http = false; admin_https = false }}\n"
    );
    let folder = layout::target()?.join("bench-janus");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("janus.jcfg"), GENERAL)?;
    std::fs::write(folder.join("janus.transport.http.jcfg"), http)?;
    Ok(folder)
}
