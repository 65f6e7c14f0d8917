//! What a room is, as its GroupContext says: bound into every epoch's keys, so that no server can change it (C6).
//!
//! ```text
//! extension type 0xF0C1 (private use), TLS presentation language:
//! struct {
//!     uint8  version = 1;
//!     uint16 profile;          // 1 standard (MLS suite 0x0001), 2 fips (0x0002), 3 pq (0x004D, experimental)
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
    /// Experimental, by a draft: X-Wing (X25519 and ML-KEM-768), ChaCha20-Poly1305, SHA-256, Ed25519. Who records today's
    /// call cannot open it with a quantum computer of tomorrow; signatures are as in `standard`.
    #[cfg(feature = "pq")]
    Pq = 3,
}

/// The signature scheme of a profile: of leaves, services and handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Ed25519,
    P256,
}

/// Why there is no such profile here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    #[error("there is no such profile: it is standard or fips")]
    Unknown,
    #[error("the profile pq is experimental, and this program was built without it")]
    NotBuilt,
}

/// Number and name of the profile that not every build has.
const PQ: (u16, &str) = (3, "pq");

impl Profile {
    /// All that this build has.
    #[cfg(not(feature = "pq"))]
    pub const ALL: [Self; 2] = [Self::Standard, Self::Fips];
    /// All that this build has, the experimental one included.
    #[cfg(feature = "pq")]
    pub const ALL: [Self; 3] = [Self::Standard, Self::Fips, Self::Pq];

    pub fn ciphersuite(self) -> Ciphersuite {
        match self {
            Self::Standard => Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            Self::Fips => Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
            #[cfg(feature = "pq")]
            Self::Pq => Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519,
        }
    }

    /// Whether a signature key is of this profile's scheme.
    pub fn signs_with(self, key: &PublicKey) -> bool {
        match self.scheme() {
            Scheme::Ed25519 => matches!(key, PublicKey::Ed25519(_)),
            Scheme::P256 => matches!(key, PublicKey::P256(_)),
        }
    }

    pub fn scheme(self) -> Scheme {
        match self {
            Self::Standard => Scheme::Ed25519,
            Self::Fips => Scheme::P256,
            #[cfg(feature = "pq")]
            Self::Pq => Scheme::Ed25519,
        }
    }

    /// Whether its algorithms are a draft's: for trying out, not for what must stay secret.
    pub fn is_experimental(self) -> bool {
        !matches!(self, Self::Standard | Self::Fips)
    }

    /// As the API, the store and links say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fips => "fips",
            #[cfg(feature = "pq")]
            Self::Pq => PQ.1,
        }
    }

    pub fn from_name(name: &str) -> Result<Self, ProfileError> {
        Self::find(|profile| profile.name() == name, name == PQ.1)
    }

    fn from_wire(value: u16) -> Result<Self, ProfileError> {
        Self::find(|profile| profile as u16 == value, value == PQ.0)
    }

    fn find(is: impl Fn(Self) -> bool, is_pq: bool) -> Result<Self, ProfileError> {
        let found = Self::ALL.into_iter().find(|profile| is(*profile));
        found.ok_or(if is_pq {
            ProfileError::NotBuilt
        } else {
            ProfileError::Unknown
        })
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
    /// AES-GCM frames, with the longer key where the profile is about a quantum computer; no lobby.
    pub fn new(profile: Profile, trust_root: [u8; 32]) -> Self {
        let sframe_suite = match profile {
            Profile::Standard | Profile::Fips => 0x0004,
            #[cfg(feature = "pq")]
            Profile::Pq => 0x0005,
        };
        Self {
            profile,
            sframe_suite,
            trust_root,
            lobby: false,
        }
    }

    /// The same room, into which only a host lets people.
    #[must_use]
    pub fn with_lobby(self) -> Self {
        Self { lobby: true, ..self }
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
            profile: Profile::from_wire(wire.profile)?,
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
            let refusal = RoomPolicy::from_wire(&bad).unwrap_err();
            assert!(
                matches!(
                    refusal,
                    Refusal::PolicyMalformed(_) | Refusal::Profile(ProfileError::Unknown)
                ),
                "{refusal}"
            );
        }
        for end in 0..bytes.len() {
            assert!(RoomPolicy::from_wire(&bytes[..end]).is_err());
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(RoomPolicy::from_wire(&longer).is_err());
    }

    /// ADMT-3: a room of the experimental profile is refused in words by whoever was built without it.
    #[test]
    fn admt_3_the_experimental_profile_is_known_or_refused_by_its_name() {
        for profile in Profile::ALL {
            let policy = RoomPolicy::new(profile, [7; 32]);
            assert_eq!(RoomPolicy::from_wire(&policy.to_wire().unwrap()).unwrap(), policy);
            assert_eq!(Profile::from_name(profile.name()), Ok(profile));
        }
        let named = Profile::from_name("pq");
        let mut wire = RoomPolicy::new(Profile::Standard, [7; 32]).to_wire().unwrap();
        wire[2] = 3;
        let in_a_room = RoomPolicy::from_wire(&wire);
        if cfg!(feature = "pq") {
            assert!(named.is_ok_and(Profile::is_experimental));
            assert!(in_a_room.is_ok());
        } else {
            assert_eq!(named, Err(ProfileError::NotBuilt));
            assert_eq!(in_a_room, Err(Refusal::Profile(ProfileError::NotBuilt)));
        }
        assert_eq!(Profile::from_name("quantum"), Err(ProfileError::Unknown));
        assert!(!Profile::Standard.is_experimental() && !Profile::Fips.is_experimental());
    }
}
