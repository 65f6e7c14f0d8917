//! DAVE as `davey` does it: two members of a group that a voice gateway made, which is played here.

use std::hint::black_box;
use std::num::NonZeroU16;

use davey::{Codec, DaveSession, MediaType, ProposalsOperationType};
use e2ee_core::media::{Codec as OurCodec, StreamKind};
use openmls::prelude::tls_codec::{DeserializeBytes, Serialize, VLBytes};
use openmls::prelude::{
    BasicCredential, Ciphersuite, ExternalProposal, ExternalSender, GroupEpoch, GroupId, KeyPackageIn, OpenMlsProvider,
    ProtocolVersion, SenderExtensionIndex,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;

use crate::Sample;
use crate::contender::{Contender, plaintext};

const ALICE: u64 = 1;
const BOB: u64 = 2;
const CHANNEL: u64 = 3;

pub(crate) struct Dave {
    kind: MediaType,
    codec: Codec,
    alice: DaveSession,
    bob: DaveSession,
    plain: Vec<u8>,
    sealed: Vec<Vec<u8>>,
    opened: Vec<u8>,
}

impl Dave {
    pub(crate) fn new(sample: Sample) -> Self {
        let (alice, bob) = group();
        Dave {
            kind: match sample.stream {
                StreamKind::Microphone | StreamKind::ScreenAudio => MediaType::AUDIO,
                StreamKind::Camera | StreamKind::ScreenVideo => MediaType::VIDEO,
            },
            codec: match sample.codec {
                OurCodec::Opus => Codec::OPUS,
                OurCodec::Vp8 => Codec::VP8,
                OurCodec::Vp9 => Codec::VP9,
                OurCodec::Av1 => Codec::AV1,
                OurCodec::H264 => Codec::H264,
                OurCodec::H265 => Codec::H265,
            },
            alice,
            bob,
            plain: plaintext(sample.len),
            sealed: Vec::new(),
            opened: vec![0; sample.len + 256],
        }
    }
}

impl Contender for Dave {
    fn prepare_seal(&mut self, frames: usize) {
        self.sealed.resize_with(frames, Vec::new);
    }

    fn seal(&mut self) {
        for sealed in &mut self.sealed {
            let done = self.alice.encrypt_into(self.kind, self.codec, &self.plain, sealed);
            assert!(done.is_ok());
            black_box(sealed);
        }
    }

    fn prepare_open(&mut self, frames: usize) {
        self.prepare_seal(frames);
        self.seal();
    }

    fn open(&mut self) {
        for sealed in &self.sealed {
            let opened = self.bob.decrypt_into(ALICE, self.kind, sealed, &mut self.opened);
            assert_eq!(opened.ok(), Some(self.plain.len()));
            black_box(&mut self.opened);
        }
    }
}

/// Alice makes a group, the gateway proposes Bob, Alice commits.
fn group() -> (DaveSession, DaveSession) {
    let provider = OpenMlsRustCrypto::default();
    let suite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;
    let gateway = SignatureKeyPair::new(suite.signature_algorithm()).expect("a key is made");
    let sender = ExternalSender::new(gateway.public().into(), BasicCredential::new(vec![9]).into());
    let sender = sender.tls_serialize_detached().expect("a sender has an encoding");

    let session = |user| {
        let version = NonZeroU16::MIN;
        let mut session = DaveSession::new(version, user, CHANNEL, None).expect("a session is made");
        session.set_external_sender(&sender).expect("the gateway is taken");
        session
    };
    let (mut alice, mut bob) = (session(ALICE), session(BOB));

    let package = bob.create_key_package().expect("a key package is made");
    let package = KeyPackageIn::tls_deserialize_exact_bytes(&package)
        .expect("a key package is read")
        .validate(provider.crypto(), ProtocolVersion::Mls10)
        .expect("the key package is good");
    let add = ExternalProposal::new_add::<OpenMlsRustCrypto>(
        package,
        GroupId::from_slice(&CHANNEL.to_be_bytes()),
        GroupEpoch::from(0),
        &gateway,
        SenderExtensionIndex::new(0),
    )
    .expect("the gateway proposes");
    let add = add
        .tls_serialize_detached()
        .and_then(|add| VLBytes::new(add).tls_serialize_detached())
        .expect("a proposal has an encoding");

    let made = alice
        .process_proposals(ProposalsOperationType::APPEND, &add, None)
        .expect("the proposal is good")
        .expect("there is something to commit");
    alice.process_commit(&made.commit).expect("the commit is good");
    let welcome = made.welcome.expect("somebody was added");
    bob.process_welcome(&welcome, None).expect("the Welcome is good");
    for session in [&mut alice, &mut bob] {
        session.prepare_transition(0, 1).expect("the keys are taken into use");
    }
    (alice, bob)
}
