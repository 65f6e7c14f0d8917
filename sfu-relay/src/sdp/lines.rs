//! A session description as sections of `key=value` lines: what all readers need, and no more.

use super::{MAX_MEDIA, MAX_SDP, SdpError};

/// The session part or one media part.
#[derive(Debug, Default)]
pub(super) struct Section<'a> {
    /// The value of the section's `m=` line; empty for the session part.
    pub(super) media: &'a str,
    /// The `o=` line's value, session part only.
    pub(super) origin: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Section<'a> {
    /// The first value of an attribute. A flag has an empty value.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// Splits `text` into the session part and its media parts.
pub(super) fn sections(text: &str) -> Result<(Section<'_>, Vec<Section<'_>>), SdpError> {
    if text.len() > MAX_SDP {
        return Err(SdpError::Oversized);
    }
    let mut session = Section::default();
    let mut media: Vec<Section<'_>> = Vec::new();
    let mut lines = text.lines();
    if lines.next() != Some("v=0") {
        return Err(SdpError::Malformed);
    }
    for line in lines.filter(|line| !line.is_empty()) {
        let (kind, value) = line.split_once('=').ok_or(SdpError::Malformed)?;
        match kind {
            "m" if media.len() >= MAX_MEDIA => return Err(SdpError::Oversized),
            "m" => media.push(Section {
                media: value,
                ..Section::default()
            }),
            "o" => session.origin = value,
            "a" => {
                let section = media.last_mut().unwrap_or(&mut session);
                section.attributes.push(value.split_once(':').unwrap_or((value, "")));
            }
            _ if kind.len() == 1 => {}
            _ => return Err(SdpError::Malformed),
        }
    }
    Ok((session, media))
}
