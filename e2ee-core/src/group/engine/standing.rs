//! How well a person is known, in four states that a page must tell apart (PF-15).

use serde::Serialize;

use crate::identity::{Fingerprint, Member};

/// What is known of a member beyond a good certificate, which every member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Certified by the organisation. Nobody here compared this person's code yet.
    Certified,
    /// This very certificate's code was compared.
    Compared,
    /// This person's code was compared on this device, but the certificate is another one since: they joined again, or
    /// somebody else got a certificate in their name.
    Renewed,
    /// This person's code was compared on another device.
    OtherDevice,
}

impl Standing {
    pub fn words(self) -> &'static str {
        match self {
            Self::Certified => "Certified by your organisation. You have not compared codes.",
            Self::Compared => "Certified by your organisation, and you compared codes.",
            Self::Renewed => "Certified anew since you compared codes. Compare again if in doubt.",
            Self::OtherDevice => "You compared codes with this person on another device, not on this one.",
        }
    }
}

/// The certificates whose codes were compared in this call.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    compared: Vec<(String, String, Fingerprint)>,
}

impl Comparisons {
    pub(super) fn add(&mut self, member: &Member) {
        let entry = (
            member.person().to_owned(),
            member.device().to_owned(),
            member.fingerprint(),
        );
        if !self.compared.contains(&entry) {
            self.compared.push(entry);
        }
    }

    pub(super) fn standing(&self, member: &Member) -> Standing {
        let of_person = || self.compared.iter().filter(|(person, _, _)| person == member.person());
        if of_person().any(|(_, _, fingerprint)| *fingerprint == member.fingerprint()) {
            Standing::Compared
        } else if of_person().any(|(_, device, _)| device == member.device()) {
            Standing::Renewed
        } else if of_person().next().is_some() {
            Standing::OtherDevice
        } else {
            Standing::Certified
        }
    }
}
