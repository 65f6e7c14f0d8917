//! Every reason for which a message about the group is not taken.

use super::key_package::MAX_KEY_PACKAGE;
use super::policy::ProfileError;
use crate::identity::CertificateError;
use crate::log::LogError;

/// Why a proposal, commit, Welcome, key package or group was refused. The words are for people; the variants are for
/// machines. All of it is the sender's or the service's doing, never the reader's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("not an MLS message of the kind expected here ({0})")]
    NotThatMessage(&'static str),
    #[error("OpenMLS refuses the {what}: {why}")]
    Mls { what: &'static str, why: String },
    #[error("the message is for another group")]
    OtherGroup,
    #[error("the message is for epoch {got}, the group is at epoch {at}")]
    WrongEpoch { at: u64, got: u64 },

    #[error("somebody's certificate is refused: {0}")]
    Certificate(#[from] CertificateError),
    #[error("the room's profile is refused: {0}")]
    Profile(#[from] ProfileError),
    #[error("a member's credential is not an X.509 chain")]
    CredentialType,
    #[error("the same device of the same person would be in the group twice")]
    DeviceTwice,
    #[error("the log's receipt is refused: {0}")]
    Log(#[from] LogError),
    #[error("the log's receipt for {0} is missing")]
    ReceiptMissing(&'static str),

    #[error("a proposal of type {0} is not allowed")]
    ProposalType(u16),
    #[error("the proposal's sender may not propose this")]
    ProposalSender,
    #[error("the proposal is about leaf {0}, which nobody holds")]
    NoSuchLeaf(u32),
    #[error("the key package is larger than {MAX_KEY_PACKAGE} bytes")]
    KeyPackageTooLarge,
    #[error("the key package is not valid yet")]
    KeyPackageNotYetValid,
    #[error("the key package has expired")]
    KeyPackageExpired,
    #[error("the key package is valid for longer than allowed")]
    KeyPackageLivesTooLong,
    #[error("the key package is for another cipher suite than the room's")]
    KeyPackageSuite,

    #[error("the commit comes from outside the group")]
    ExternalCommit,
    #[error("the commit holds a proposal inline")]
    InlineProposal,
    #[error("the commit refers to a proposal that was never delivered")]
    UnknownProposal,
    #[error("the commit leaves out a pending proposal")]
    ProposalLeftOut,
    #[error("the commit has no update path")]
    PathMissing,
    #[error("a member's credential or signature key would change")]
    CommitterChanged,
    #[error("the commit would change the group's context")]
    ContextChanged,
    #[error("only a host may let people into this room")]
    NotAHost,
    #[error("the tree after the commit is not the one that its proposals make")]
    TreeMismatch,
    #[error("the commit adds members and brings no Welcome for all of them")]
    WelcomeMissing,
    #[error("the Welcome is for somebody whom the commit does not add")]
    WelcomeSurplus,

    #[error("the group has no Conclave policy")]
    PolicyMissing,
    #[error("the group's policy is malformed: {0}")]
    PolicyMalformed(&'static str),
    #[error("the group's cipher suite is not that of its profile")]
    SuiteMismatch,
    #[error("the group is of another profile than the one asked for")]
    OtherProfile,
    #[error("the group's trust root is not the pinned one")]
    OtherTrustRoot,
    #[error("the group's context holds an extension that this profile does not know ({0})")]
    UnknownContextExtension(u16),
    #[error("the group does not require what this profile requires")]
    RequiredCapabilities,
    #[error("the group does not name exactly one external sender")]
    ExternalSenders,
    #[error("the group does not start at epoch 0 with its creator alone")]
    NotAGenesis,
    #[error("the Welcome is for a key package that this device does not hold")]
    NotForThisDevice,
    #[error("the receiver's own leaf in the group is not the one it asked for")]
    NotMyLeaf,
    #[error("the server does not deliver what it speaks of")]
    Withheld,
    #[error("the stored state of the group is unreadable")]
    Snapshot,
}

impl Refusal {
    /// Wraps an OpenMLS error, whose types differ by call.
    pub(crate) fn mls(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Self {
        move |why| Self::Mls {
            what,
            why: why.to_string(),
        }
    }
}
