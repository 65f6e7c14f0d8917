//! The relay's signalling protocol, version 1: JSON text messages over one WebSocket per participant.
//!
//! The client speaks first (`hello`), the client always offers, the relay always answers. Messages that do not have exactly this form end
//! the connection: there is no half-understood message.
//!
//! Order of events: `hello` -> `ready`, `producers` (all that there are). Then any number of `offer` -> `answer` with the same `id`, one
//! at a time. `producers` comes whenever something changed. See PROTOCOL.md, part RELY.
//!
//! Requirements held here: RELY-6.

use relay_token::Source;
use serde::{Deserialize, Serialize};

/// The version in `hello`.
pub const PROTOCOL: u32 = 1;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClientMessage {
    /// First message, within 5 s. The token says which room and who.
    Hello {
        protocol: u32,
        token: String,
    },
    /// A fresh token for the same participant in the same room, before the one in force has run out.
    Renew {
        token: String,
    },
    /// A complete description of what the client sends and wants. An m-line named in neither list is inactive.
    Offer {
        id: u64,
        sdp: String,
        publish: Vec<Publish>,
        subscribe: Vec<Subscribe>,
    },
    /// "The frame of my producer with this RTP timestamp is a key frame": from the worker that sealed it.
    KeyFrameSent {
        producer: String,
        ssrc: u32,
        rtp_timestamp: u32,
    },
    /// Own producer: the relay asks oneself, by RTCP (Chromium's transform has no `generateKeyFrame`). Another's: asks its sender.
    RequestKeyFrame {
        producer: String,
    },
    /// What the client wants to see of what it consumes. What is not named stays as it is; what is named and not consumed (any more) is
    /// passed over.
    Wishes {
        wishes: Vec<Wish>,
    },
    /// The relay forwards an own producer to nobody. (Of others' one wishes nothing.)
    Pause {
        producer: String,
    },
    Resume {
        producer: String,
    },
    /// Ends an own producer without a new offer.
    CloseProducer {
        producer: String,
    },
    Ping {},
}

impl ClientMessage {
    /// `None`: not a message of this protocol.
    pub fn parse(text: &str) -> Option<Self> {
        // RELY-6: exactly this form. serde would take an array in place of an object.
        text.trim_start()
            .starts_with('{')
            .then(|| serde_json::from_str(text).ok())?
    }
}

/// An m-line the client sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    pub mid: String,
    pub source: Source,
}

/// An m-line on which the client receives a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    pub mid: String,
    pub producer: String,
}

/// How much of a producer a receiver wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    pub producer: String,
    /// The highest simulcast layer wanted, or spatial layer of a producer that sends them in one stream, 0 being the lowest; `null`: no limit.
    pub max_layer: Option<u8>,
    /// Nobody looks at it now.
    pub paused: bool,
    /// It comes before others where there is not room for all.
    pub pinned: bool,
}

/// What the relay says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RelayMessage {
    Ready {
        participant: String,
    },
    Answer {
        id: u64,
        sdp: String,
        /// The producers that the offer's `publish` list made or kept.
        producers: Vec<PublishedProducer>,
    },
    /// All producers of others after `ready`, then each change.
    Producers {
        added: Vec<ProducerInfo>,
        removed: Vec<String>,
    },
    /// Which layers of an own video producer somebody wants, 0 being the lowest: none of the others is forwarded to anybody, so none need be
    /// sent. Of layers inside one stream the highest named counts. Without this message all are. More is asked for at once, less after a while.
    WantedLayers {
        producer: String,
        layers: Vec<u8>,
    },
    /// The line to this client has no room for these of the producers it consumes, all of them after each change: nothing of them comes
    /// until it has.
    Paused {
        producers: Vec<String>,
    },
    Error {
        code: ErrorCode,
        message: String,
        /// The relay closes the connection after this.
        fatal: bool,
    },
    Pong {},
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedProducer {
    pub mid: String,
    pub producer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerInfo {
    pub producer: String,
    pub participant: String,
    pub source: Source,
    pub kind: MediaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaKind {
    Audio,
    Video,
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// Not a message of this protocol, or not now.
    Protocol,
    /// The token is not genuine or not for this relay.
    TokenInvalid,
    /// Get a fresh one.
    TokenExpired,
    /// The token's rights do not cover this.
    NotAllowed,
    /// The offer cannot be answered.
    Offer,
    /// There is no such producer (any more).
    UnknownProducer,
    /// A limit of the relay is reached.
    TooMany,
    /// The same participant connected anew; this connection is over.
    Replaced,
    /// The key server put the participant out.
    Disconnected,
    /// Nothing was heard on the media path for 10 s: make a new RTCPeerConnection and offer again.
    TransportLost,
    /// The relay has no time for another participant now: try again later.
    RelayFull,
    /// The relay is going down.
    ShuttingDown,
}
