//! Janus VideoRoom over its HTTP API: the publisher offers, subscribers answer what Janus offers.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Published, Target, http, is_at};
use crate::sdp::{self, Kind, Line, Remote};

const ROOM: u64 = 4711;
const PLUGIN: &str = "janus.plugin.videoroom";

pub(super) struct Janus {
    signalling: String,
    sessions: usize,
    room_made: bool,
}

/// A plugin handle: `/janus/<session>/<handle>`.
struct Handle {
    session: String,
    path: String,
}

impl Janus {
    pub(super) fn new(signalling: &str) -> Self {
        Janus {
            signalling: signalling.to_owned(),
            sessions: 0,
            room_made: false,
        }
    }

    fn attach(&mut self) -> Result<Handle> {
        self.sessions += 1;
        let id = |answer: &Value| answer["data"]["id"].as_u64().context("Janus gave no id");
        let request = json!({ "janus": "create", "transaction": "t" });
        let session = id(&http::call(&self.signalling, "/janus", Some(&request))?)?;
        let session = format!("/janus/{session}");
        let request = json!({ "janus": "attach", "plugin": PLUGIN, "transaction": "t" });
        let handle = id(&http::call(&self.signalling, &session, Some(&request))?)?;
        let path = format!("{session}/{handle}");
        if !self.room_made {
            let body = json!({ "request": "create", "room": ROOM, "publishers": 64, "bitrate": 0, "videocodec": "vp8",
                "audiocodec": "opus", "audiolevel_ext": false, "playoutdelay_ext": false, "transport_wide_cc_ext": false });
            let request = json!({ "janus": "message", "transaction": "t", "body": body });
            http::call(&self.signalling, &path, Some(&request))?;
            self.room_made = true;
        }
        Ok(Handle { session, path })
    }

    /// Sends a request and waits for its event.
    fn ask(&self, handle: &Handle, body: &Value, jsep: Option<Value>) -> Result<Value> {
        let mut request = json!({ "janus": "message", "transaction": "t", "body": body });
        if let Some(jsep) = jsep {
            request["jsep"] = jsep;
        }
        http::call(&self.signalling, &handle.path, Some(&request))?;
        for _ in 0..20 {
            let event = http::call(&self.signalling, &format!("{}?maxev=1", handle.session), None)?;
            match event["janus"].as_str() {
                Some("event") if event["plugindata"]["data"]["error"].is_string() => {
                    bail!("Janus: {}", event["plugindata"]["data"]["error"])
                }
                Some("event") => return Ok(event),
                _ => {}
            }
        }
        bail!("Janus did not answer {}", body["request"])
    }

    fn remote(&self, event: &Value) -> Result<(String, Remote)> {
        let sdp = event["jsep"]["sdp"].as_str().context("Janus sent no description")?;
        let remote = sdp::remote(sdp, |candidate| is_at(&self.signalling, candidate))?;
        Ok((sdp.to_owned(), remote))
    }
}

impl Target for Janus {
    fn publish(&mut self, fingerprint: &[u8; 32], kind: Kind, ssrc: u32) -> Result<(Published, Remote)> {
        let handle = self.attach()?;
        let join = json!({ "request": "join", "ptype": "publisher", "room": ROOM });
        let joined = self.ask(&handle, &join, None)?;
        let id = joined["plugindata"]["data"]["id"]
            .as_u64()
            .context("Janus named no publisher")?;
        let line = Line {
            mid: "0".into(),
            kind,
            ssrc: Some(ssrc),
        };
        // Asked to choose, Janus would be the DTLS client, which we are.
        let sdp = sdp::write(self.sessions, "active", fingerprint, &[line]);
        let jsep = json!({ "type": "offer", "sdp": sdp });
        let event = self.ask(&handle, &json!({ "request": "publish" }), Some(jsep))?;
        Ok((id.to_string(), self.remote(&event)?.1))
    }

    fn subscribe(&mut self, fingerprint: &[u8; 32], streams: &[(Published, Kind)]) -> Result<Remote> {
        let handle = self.attach()?;
        let feeds: Vec<Value> = streams
            .iter()
            .map(|(id, _)| Ok(json!({ "feed": id.parse::<u64>()? })))
            .collect::<Result<_>>()?;
        let join = json!({ "request": "join", "ptype": "subscriber", "room": ROOM, "streams": feeds });
        let (offer, remote) = self.remote(&self.ask(&handle, &join, None)?)?;
        let mids = offer.lines().filter_map(|line| line.strip_prefix("a=mid:"));
        let lines = mids.zip(streams).map(|(mid, (_, kind))| Line {
            mid: mid.trim().to_owned(),
            kind: *kind,
            ssrc: None,
        });
        let lines: Vec<Line> = lines.collect();
        let answer = sdp::write(self.sessions, "active", fingerprint, &lines);
        let jsep = json!({ "type": "answer", "sdp": answer });
        self.ask(&handle, &json!({ "request": "start" }), Some(jsep))?;
        Ok(remote)
    }
}
