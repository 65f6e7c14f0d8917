//! The header extensions the relay knows, by URI. Ids are a matter of each leg.

/// RELY-16: a header extension we negotiate. All others are left out of answers, so browsers do not send them, and stripped if they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// RFC 9143: which m-line a packet belongs to. Sender to relay only.
    Mid,
    /// RFC 8852: which simulcast layer. Sender to relay only.
    Rid,
    /// RFC 8852: which simulcast layer an RTX packet repeats. Sender to relay only.
    RepairedRid,
    /// Transport-wide sequence numbers, per hop.
    TransportCc,
    /// AV1 RTP specification, appendix A: frame boundaries, dependencies, layers. Goes through to those who negotiated it.
    DependencyDescriptor,
}

impl Extension {
    pub fn from_uri(uri: &str) -> Option<Self> {
        Some(match uri {
            "urn:ietf:params:rtp-hdrext:sdes:mid" => Extension::Mid,
            "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" => Extension::Rid,
            "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" => Extension::RepairedRid,
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => Extension::TransportCc,
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension" => {
                Extension::DependencyDescriptor
            }
            _ => return None,
        })
    }

    pub const fn uri(self) -> &'static str {
        match self {
            Extension::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Extension::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Extension::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Extension::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Extension::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }
}

/// The ids one leg uses. Zero: not negotiated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    pub mid: u8,
    pub rid: u8,
    pub repaired_rid: u8,
    pub transport_cc: u8,
    pub dependency_descriptor: u8,
}

impl ExtensionIds {
    pub fn set(&mut self, extension: Extension, id: u8) {
        *match extension {
            Extension::Mid => &mut self.mid,
            Extension::Rid => &mut self.rid,
            Extension::RepairedRid => &mut self.repaired_rid,
            Extension::TransportCc => &mut self.transport_cc,
            Extension::DependencyDescriptor => &mut self.dependency_descriptor,
        } = id;
    }
}
