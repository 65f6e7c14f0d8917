//! What a room is, as its GroupContext says: bound into every epoch's keys, so that no server can change it (C6).
//!
//! ```text
//! extension type 0xF0C1 (private use), TLS presentation language:
//! struct {
//!     uint8  version = 1;
//!     uint16 profile;          // 1 standard (MLS suite 0x0001), 2 fips (0x0002)
//!     uint16 sframe_suite;     // RFC 9605 section 8.1
//!     opaque trust_root[32];   // SHA-256 of the root certificate's DER
//!     uint8  lobby;            // 0 or 1: only a host's leaf may commit an Add
//! } ConclavePolicy;
//! ```

use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, Extension, ExtensionType, Extensions, ExternalSender, GroupContext,
    ProtocolVersion, RequiredCapabilitiesExtension, UnknownExtension,
};
use tls_codec::{DeserializeBytes, Serialize, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

use super::Refusal;
use crate::identity::{CheckedCertificate, PublicKey, TrustRoot, Use, decode_chain, encode_chain};
use crate::time::UnixMillis;

/// The GroupContext extension's type.
pub const POLICY_EXTENSION: u16 = 0xF0C1;
const POLICY_VERSION: u8 = 1;

/// Which algorithms a room uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Profile {
    /// X25519, AES-128-GCM, SHA-256, Ed25519.
    Standard = 1,
    /// P-256, AES-128-GCM, SHA-256, ECDSA: FIPS-approved algorithms only.
    Fips = 2,
}

impl Profile {
    pub const ALL: [Self; 2] = [Self::Standard, Self::Fips];

    pub fn ciphersuite(self) -> Ciphersuite {
        match self {
            Self::Standard => Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            Self::Fips => Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
        }
    }

    /// Whether a signature key is of this profile's scheme.
    pub fn signs_with(self, key: &PublicKey) -> bool {
        match self {
            Self::Standard => matches!(key, PublicKey::Ed25519(_)),
            Self::Fips => matches!(key, PublicKey::P256(_)),
        }
    }

    /// As the API, the store and links say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fips => "fips",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    fn from_wire(value: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| *profile as u16 == value)
    }
}

/// The SFrame suites that a policy may name: tags of 128 bits only.
const SFRAME_SUITES: [(u16, usize); 2] = [(0x0004, 16), (0x0005, 32)];

/// A room's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPolicy {
    profile: Profile,
    sframe_suite: u16,
    trust_root: [u8; 32],
    lobby: bool,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct PolicyWire {
    version: u8,
    profile: u16,
    sframe_suite: u16,
    trust_root: [u8; 32],
    lobby: u8,
}

impl RoomPolicy {
    /// AES-128-GCM frames, no lobby.
    pub fn new(profile: Profile, trust_root: [u8; 32]) -> Self {
        Self {
            profile,
            sframe_suite: 0x0004,
            trust_root,
            lobby: false,
        }
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// RFC 9605 section 8.1.
    pub fn sframe_suite(&self) -> u16 {
        self.sframe_suite
    }

    /// Nk of the SFrame suite, in bytes.
    pub fn sframe_key_len(&self) -> usize {
        SFRAME_SUITES
            .iter()
            .find(|(suite, _)| *suite == self.sframe_suite)
            .map_or(16, |(_, key_len)| *key_len)
    }

    pub fn trust_root(&self) -> &[u8; 32] {
        &self.trust_root
    }

    /// Whether only a host may let people in.
    pub fn lobby(&self) -> bool {
        self.lobby
    }

    fn to_wire(&self) -> Result<Vec<u8>, Refusal> {
        PolicyWire {
            version: POLICY_VERSION,
            profile: self.profile as u16,
            sframe_suite: self.sframe_suite,
            trust_root: self.trust_root,
            lobby: self.lobby.into(),
        }
        .tls_serialize_detached()
        .map_err(|_| Refusal::PolicyMalformed("cannot be encoded"))
    }

    fn from_wire(bytes: &[u8]) -> Result<Self, Refusal> {
        let version = bytes.first().ok_or(Refusal::PolicyMalformed("empty"))?;
        if *version != POLICY_VERSION {
            return Err(Refusal::PolicyMalformed("another version"));
        }
        let wire =
            PolicyWire::tls_deserialize_exact_bytes(bytes).map_err(|_| Refusal::PolicyMalformed("wrong length"))?;
        Ok(Self {
            profile: Profile::from_wire(wire.profile).ok_or(Refusal::PolicyMalformed("unknown profile"))?,
            sframe_suite: SFRAME_SUITES
                .iter()
                .find(|(suite, _)| *suite == wire.sframe_suite)
                .map(|(suite, _)| *suite)
                .ok_or(Refusal::PolicyMalformed("SFrame suite not allowed"))?,
            trust_root: wire.trust_root,
            lobby: match wire.lobby {
                0 => false,
                1 => true,
                _ => return Err(Refusal::PolicyMalformed("lobby is neither 0 nor 1")),
            },
        })
    }
}

/// What a leaf of a room must be able to do.
pub fn capabilities(profile: Profile) -> Capabilities {
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![profile.ciphersuite()])
        .extensions(vec![ExtensionType::Unknown(POLICY_EXTENSION)])
        .credentials(vec![CredentialType::X509])
        .build()
}

fn required_capabilities() -> RequiredCapabilitiesExtension {
    RequiredCapabilitiesExtension::new(
        &[ExtensionType::Unknown(POLICY_EXTENSION)],
        &[],
        &[CredentialType::X509],
    )
}

/// The context of a new group: policy, the service as the one external sender, and what every leaf must support.
pub fn context_extensions<C: AsRef<[u8]>>(
    policy: &RoomPolicy,
    service: &CheckedCertificate,
    service_chain: &[C],
) -> Result<Extensions<GroupContext>, Refusal> {
    let credential = openmls::prelude::Credential::new(CredentialType::X509, encode_chain(service_chain)?);
    let sender = ExternalSender::new(service.key().as_mls_bytes().into(), credential);
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required_capabilities()),
        Extension::ExternalSenders(vec![sender]),
        Extension::Unknown(POLICY_EXTENSION, UnknownExtension(policy.to_wire()?)),
    ])
    .map_err(|e| Refusal::mls("group context")(&e))
}

/// A group's context that was checked against the pinned root: the policy in it and the service it lets propose.
#[derive(Clone, Debug)]
pub struct CheckedContext {
    policy: RoomPolicy,
    service: CheckedCertificate,
    extensions: Extensions<GroupContext>,
}

impl CheckedContext {
    /// ADMT-1 to ADMT-4: exactly the three extensions of this profile, the suite of the profile, the pinned root, and
    /// one external sender whose certificate says delivery service.
    pub fn check(context: &GroupContext, root: &TrustRoot, now: UnixMillis) -> Result<Self, Refusal> {
        let extensions = context.extensions();
        for extension in extensions.iter() {
            let known = matches!(
                extension,
                Extension::RequiredCapabilities(_)
                    | Extension::ExternalSenders(_)
                    | Extension::Unknown(POLICY_EXTENSION, _)
            );
            if !known {
                return Err(Refusal::UnknownContextExtension(extension.extension_type().into()));
            }
        }
        let policy = RoomPolicy::from_wire(&extensions.unknown(POLICY_EXTENSION).ok_or(Refusal::PolicyMissing)?.0)?;
        if context.protocol_version() != ProtocolVersion::Mls10 || context.ciphersuite() != policy.profile.ciphersuite()
        {
            return Err(Refusal::SuiteMismatch);
        }
        if policy.trust_root() != root.hash() {
            return Err(Refusal::OtherTrustRoot);
        }
        if extensions.required_capabilities() != Some(&required_capabilities()) {
            return Err(Refusal::RequiredCapabilities);
        }
        let service = check_external_senders(extensions, root, now)?;
        Ok(Self {
            policy,
            service,
            extensions: extensions.clone(),
        })
    }

    pub fn policy(&self) -> &RoomPolicy {
        &self.policy
    }

    /// The delivery service that this group lets propose.
    pub fn service(&self) -> &CheckedCertificate {
        &self.service
    }

    /// GRUP-9: nothing in the context's extensions changes over a group's life.
    pub(crate) fn check_unchanged(&self, context: &GroupContext) -> Result<(), Refusal> {
        if context.extensions() == &self.extensions && context.ciphersuite() == self.policy.profile.ciphersuite() {
            Ok(())
        } else {
            Err(Refusal::ContextChanged)
        }
    }
}

/// RFC 9420 section 12.1.8.1; OpenMLS keeps the fields to itself, so they are read from the encoding.
#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct ExternalSenderWire {
    signature_key: VLBytes,
    credential_type: u16,
    credential: VLBytes,
}

fn check_external_senders(
    extensions: &Extensions<GroupContext>,
    root: &TrustRoot,
    now: UnixMillis,
) -> Result<CheckedCertificate, Refusal> {
    let [sender] = extensions
        .external_senders()
        .map(Vec::as_slice)
        .ok_or(Refusal::ExternalSenders)?
    else {
        return Err(Refusal::ExternalSenders);
    };
    let bytes = sender.tls_serialize_detached().map_err(|_| Refusal::ExternalSenders)?;
    let wire = ExternalSenderWire::tls_deserialize_exact_bytes(&bytes).map_err(|_| Refusal::ExternalSenders)?;
    if CredentialType::from(wire.credential_type) != CredentialType::X509 {
        return Err(Refusal::CredentialType);
    }
    let chain = decode_chain(wire.credential.as_slice())?;
    let certificate = root.check(&chain, Use::DeliveryService, now)?;
    certificate.check_key(wire.signature_key.as_slice())?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admt_1_a_policy_has_one_encoding_and_all_others_are_refused() {
        let policy = RoomPolicy::new(Profile::Fips, [7; 32]);
        let bytes = policy.to_wire().unwrap();
        assert_eq!(bytes.len(), 38);
        assert_eq!(RoomPolicy::from_wire(&bytes).unwrap(), policy);
        for (at, value) in [(0, 2), (2, 9), (4, 1), (4, 6), (37, 2)] {
            let mut bad = bytes.clone();
            bad[at] = value;
            assert!(matches!(RoomPolicy::from_wire(&bad), Err(Refusal::PolicyMalformed(_))));
        }
        for end in 0..bytes.len() {
            assert!(RoomPolicy::from_wire(&bytes[..end]).is_err());
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(RoomPolicy::from_wire(&longer).is_err());
    }
}
