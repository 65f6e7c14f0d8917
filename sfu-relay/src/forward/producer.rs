//! A producer: one source of one participant.

use std::time::Instant;

use relay_token::Source;

use super::consumer::Consumer;
use super::demand::Demand;
use super::layer::Layer;
use crate::arena::Key;
use crate::peer::Peer;
use crate::rtp::extension::ExtensionIds;
use crate::sdp::{Format, OfferedMedia};
use crate::signal::message::{MediaKind, ProducerInfo};

pub(crate) struct Producer {
    pub(crate) id: String,
    pub(crate) peer: Key<Peer>,
    pub(crate) participant: String,
    pub(crate) mid: String,
    pub(crate) source: Source,
    /// From the highest wanted layer's point of view: index 0 is the lowest.
    pub(crate) layers: Vec<Layer>,
    pub(crate) codecs: Vec<ProducedCodec>,
    pub(crate) ids: ExtensionIds,
    pub(crate) consumers: Vec<Key<Consumer>>,
    pub(crate) paused: bool,
    pub(crate) demand: Demand,
}

/// A payload type of the producer's leg.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProducedCodec {
    pub(crate) payload_type: u8,
    pub(crate) rtx: Option<u8>,
    pub(crate) format: Format,
    pub(crate) nack: bool,
}

impl Producer {
    pub(crate) fn new(id: String, peer: Key<Peer>, participant: String, source: Source, media: &OfferedMedia) -> Self {
        let clock_rate = if source.is_audio() { 48_000 } else { 90_000 };
        let mut producer = Producer {
            id,
            peer,
            participant,
            mid: media.mid.clone(),
            source,
            layers: Vec::new(),
            codecs: Vec::new(),
            ids: ExtensionIds::default(),
            consumers: Vec::new(),
            paused: false,
            demand: Demand::new(0),
        };
        if media.rids.is_empty() {
            let mut layer = Layer::new(None, clock_rate);
            layer.ssrc = media.ssrcs.first().copied();
            layer.rtx_ssrc = media.flow_ids.first().map(|(_, rtx)| *rtx);
            producer.layers.push(layer);
        } else {
            producer
                .layers
                .extend(media.rids.iter().map(|rid| Layer::new(Some(rid.clone()), clock_rate)));
        }
        producer.demand = Demand::new(producer.layers.len());
        producer.negotiate(media);
        producer
    }

    /// Takes over what a (new) offer says of the producer's leg.
    pub(crate) fn negotiate(&mut self, media: &OfferedMedia) {
        self.codecs = media
            .codecs
            .iter()
            .map(|codec| ProducedCodec {
                payload_type: codec.payload_type,
                rtx: codec.rtx,
                format: codec.format,
                nack: codec.feedback.contains(&"nack"),
            })
            .collect();
        self.ids = ExtensionIds::default();
        for (id, extension) in &media.extensions {
            self.ids.set(*extension, *id);
        }
    }

    /// How many layers receivers may choose among: streams, or spatial layers inside the one there is.
    pub(crate) fn choices(&self) -> usize {
        match self.layers.as_slice() {
            [only] => only.most_spatial(),
            layers => layers.len(),
        }
    }

    pub(crate) fn kind(&self) -> MediaKind {
        if self.source.is_audio() {
            MediaKind::Audio
        } else {
            MediaKind::Video
        }
    }

    pub(crate) fn info(&self) -> ProducerInfo {
        ProducerInfo {
            producer: self.id.clone(),
            participant: self.participant.clone(),
            source: self.source,
            kind: self.kind(),
        }
    }

    pub(crate) fn codec(&self, payload_type: u8) -> Option<&ProducedCodec> {
        self.codecs.iter().find(|codec| codec.payload_type == payload_type)
    }

    /// The codec that an RTX payload type repeats.
    pub(crate) fn codec_of_rtx(&self, payload_type: u8) -> Option<&ProducedCodec> {
        self.codecs.iter().find(|codec| codec.rtx == Some(payload_type))
    }

    pub(crate) fn layer_of_ssrc(&self, ssrc: u32) -> Option<usize> {
        self.layers.iter().position(|layer| layer.ssrc == Some(ssrc))
    }

    /// The layer somebody should get who accepts up to `max`: the highest that is awake, else the lowest awake one, else the one that
    /// was awake last.
    pub(crate) fn best_layer(&self, max: Option<u8>, now: Instant) -> usize {
        let max = max.map_or(usize::MAX, usize::from);
        let awake = || {
            self.layers
                .iter()
                .enumerate()
                .filter(|(_, layer)| layer.is_awake(now))
                .map(|(i, _)| i)
        };
        awake()
            .rfind(|i| *i <= max)
            .or_else(|| awake().next())
            .or_else(|| (0..self.layers.len()).max_by_key(|i| (self.layers[*i].last_packet(), std::cmp::Reverse(*i))))
            .unwrap_or(0)
    }
}
