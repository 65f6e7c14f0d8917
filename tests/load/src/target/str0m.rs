//! The minimal relay on str0m in `tests/peers/str0m-relay`: an offer posted, an answer back.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Published, Target, http, is_at};
use crate::sdp::{self, Kind, Line, Remote};

pub(super) struct Str0m {
    signalling: String,
    sessions: usize,
}

impl Str0m {
    pub(super) fn new(signalling: &str) -> Self {
        Str0m {
            signalling: signalling.to_owned(),
            sessions: 0,
        }
    }

    fn offer(&mut self, fingerprint: &[u8; 32], lines: &[Line], sources: &[&str]) -> Result<(Value, Remote)> {
        self.sessions += 1;
        let sdp = sdp::write(self.sessions, "actpass", fingerprint, lines);
        let answer = http::call(&self.signalling, "/", Some(&json!({ "sdp": sdp, "sources": sources })))?;
        let sdp = answer["sdp"].as_str().context("no answer from the str0m relay")?;
        let remote = sdp::remote(sdp, |candidate| is_at(&self.signalling, candidate))?;
        Ok((answer, remote))
    }
}

impl Target for Str0m {
    fn publish(&mut self, fingerprint: &[u8; 32], kind: Kind, ssrc: u32) -> Result<(Published, Remote)> {
        let line = Line {
            mid: "0".into(),
            kind,
            ssrc: Some(ssrc),
        };
        let (answer, remote) = self.offer(fingerprint, &[line], &[])?;
        let id = answer["id"].as_str().context("no id from the str0m relay")?;
        Ok((id.to_owned(), remote))
    }

    fn subscribe(&mut self, fingerprint: &[u8; 32], streams: &[(Published, Kind)]) -> Result<Remote> {
        let lines = streams.iter().enumerate().map(|(i, (_, kind))| Line {
            mid: i.to_string(),
            kind: *kind,
            ssrc: None,
        });
        let lines: Vec<Line> = lines.collect();
        let sources: Vec<&str> = streams.iter().map(|(id, _)| id.as_str()).collect();
        Ok(self.offer(fingerprint, &lines, &sources)?.1)
    }
}
