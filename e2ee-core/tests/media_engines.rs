//! The seam between frames and their AEAD: an engine of the caller's gives the same bytes and the same refusals as this
//! crate's own, whatever happens while a frame is in flight. The caller's engine here is ring, with keys of its own.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use common::{CODECS, FRAME_TYPES, NOW, SUITE, at, camera, epoch, epoch_of, member, noise, open, pair, seal};
use e2ee_core::media::{
    Codec, DropReason, Engines, FrameType, HEADROOM, MediaKeys, MediaKind, OpenJob, Opened, Outcome, Prepared,
    SealError, SealJob, StreamKind, Verified,
};
use e2ee_core::sframe::CipherSuite;
use e2ee_core::time::UnixMillis;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// What a browser's WebCrypto is to the worker.
#[derive(Default)]
struct CallersEngine(HashMap<(u64, u64), LessSafeKey>);

impl CallersEngine {
    fn key(&mut self, keys: &MediaKeys, name: (u64, u64)) -> &LessSafeKey {
        self.0.entry(name).or_insert_with(|| {
            let bytes = keys.key_for_caller(name.0, name.1).unwrap();
            let algorithm = if bytes.expose_key().len() == 16 {
                &AES_128_GCM
            } else {
                &AES_256_GCM
            };
            LessSafeKey::new(UnboundKey::new(algorithm, bytes.expose_key()).unwrap())
        })
    }

    /// Ciphertext and tag.
    fn encrypt(&mut self, keys: &MediaKeys, job: &SealJob, plain: &[u8]) -> Vec<u8> {
        let key = self.key(keys, (job.info().epoch, job.info().key_id));
        let mut text = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(*job.call().nonce());
        key.seal_in_place_append_tag(nonce, Aad::from(job.call().associated_data()), &mut text)
            .unwrap();
        text
    }

    fn decrypt(&mut self, keys: &MediaKeys, job: &OpenJob, frame: &[u8]) -> Option<Vec<u8>> {
        let key = self.key(keys, job.key());
        let mut text = frame[job.text()].to_vec();
        let nonce = Nonce::assume_unique_for_key(*job.call().nonce());
        let plain = key
            .open_in_place(nonce, Aad::from(job.call().associated_data()), &mut text)
            .ok()?;
        Some(plain.to_vec())
    }
}

fn member_with(engines: Engines, number: u64, own_leaf: u32) -> MediaKeys {
    let mut keys = MediaKeys::with_engines(SUITE, engines).unwrap();
    keys.install_epoch(epoch(number, own_leaf), NOW).unwrap();
    keys.switch_sender(number).unwrap();
    keys
}

fn finish(keys: &mut MediaKeys, job: SealJob, text: &[u8], now: UnixMillis) -> Result<Vec<u8>, SealError> {
    let mut frame = [&[0xee; HEADROOM][..], text].concat();
    let (_, start) = keys.finish_seal(job, &mut frame, HEADROOM, now).inspect_err(|_| {
        // Fail closed: nothing is left that could be sent.
    })?;
    Ok(frame.split_off(start))
}

fn seal_by_caller(
    keys: &mut MediaKeys,
    engine: &mut CallersEngine,
    (stream, codec, frame_type): (StreamKind, Codec, FrameType),
    plain: &[u8],
) -> Vec<u8> {
    let job = keys.prepare_seal(stream, codec, frame_type, plain.len(), NOW).unwrap();
    let text = engine.encrypt(keys, &job, plain);
    finish(keys, job, &text, NOW).unwrap()
}

fn ready(
    keys: &mut MediaKeys,
    kind: MediaKind,
    frame: &[u8],
    now: UnixMillis,
) -> Result<(OpenJob, Vec<u8>), DropReason> {
    let mut frame = frame.to_vec();
    match keys.prepare_open(kind, &mut frame, now) {
        Prepared::Ready(job) => Ok((job, frame)),
        Prepared::Dropped(reason) => {
            assert!(frame.is_empty(), "a dropped frame is emptied");
            Err(reason)
        }
        Prepared::Early(ticket) => panic!("the frame waits as {ticket:?}"),
    }
}

fn verified(keys: &MediaKeys, engine: &mut CallersEngine, job: OpenJob, frame: &[u8]) -> (Verified, Vec<u8>) {
    let plain = engine.decrypt(keys, &job, frame).unwrap();
    (job.verified_by_caller(plain.len()).unwrap(), plain)
}

fn open_by_caller(
    keys: &mut MediaKeys,
    engine: &mut CallersEngine,
    kind: MediaKind,
    frame: &[u8],
    now: UnixMillis,
) -> Result<(Opened, Vec<u8>), DropReason> {
    let (job, frame) = ready(keys, kind, frame, now)?;
    match engine.decrypt(keys, &job, &frame) {
        Some(plain) => {
            let verified = job.verified_by_caller(plain.len()).unwrap();
            Ok((keys.accept(verified, now)?, plain))
        }
        None => {
            keys.refuse(job);
            Err(DropReason::NotAuthentic)
        }
    }
}

#[test]
fn sfrm_11_both_engines_make_the_same_frames_and_open_each_others_in_every_shell_from_nothing_up() {
    let (mut here, mut there) = (member(9, 1), member_with(Engines::Caller, 9, 1));
    let (mut bob_here, mut bob_there) = (member(9, 0), member_with(Engines::Caller, 9, 0));
    let (mut sealer, mut opener) = (CallersEngine::default(), CallersEngine::default());
    for (codec, stream) in CODECS {
        for frame_type in FRAME_TYPES {
            for len in (0..40).chain([1_200, 50_000]) {
                let plain = noise(len as u64, len);
                let ours = seal(&mut here, stream, codec, frame_type, &plain);
                let callers = seal_by_caller(&mut there, &mut sealer, (stream, codec, frame_type), &plain);
                assert!(ours == callers, "{codec:?} {frame_type:?}, {len} bytes");
                let kind = stream.media_kind();
                let one = open(&mut bob_here, kind, &callers, NOW).unwrap();
                let other = open_by_caller(&mut bob_there, &mut opener, kind, &ours, NOW).unwrap();
                assert!(one == other && one.1 == plain, "{codec:?} {frame_type:?}, {len} bytes");
            }
        }
    }
    assert_eq!(bob_here.stats(), bob_there.stats());
    assert_eq!(here.stats(), there.stats());
}

#[test]
fn sfrm_11_an_engine_of_the_callers_serves_aes_256_too() {
    let suite = CipherSuite::Aes256GcmSha512_128;
    let [mut alice, mut bob] = [1, 0].map(|leaf| {
        let mut keys = MediaKeys::with_engines(suite, Engines::Either).unwrap();
        let mut epoch = epoch(9, leaf);
        epoch.base_key = e2ee_core::sframe::Secret::new(vec![7; 32]);
        keys.install_epoch(epoch, NOW).unwrap();
        keys.switch_sender(9).unwrap();
        keys
    });
    let kind = (StreamKind::Camera, Codec::Vp9, FrameType::Key);
    let frame = seal_by_caller(&mut alice, &mut CallersEngine::default(), kind, b"picture");
    assert_eq!(open(&mut bob, MediaKind::Video, &frame, NOW).unwrap().1, b"picture");
}

#[test]
fn sfrm_11_both_engines_refuse_every_flipped_bit_and_every_cut_for_the_same_reason() {
    let mut alice = member(9, 1);
    let (mut bob_here, mut bob_there) = (member(9, 0), member_with(Engines::Caller, 9, 0));
    let mut opener = CallersEngine::default();
    for (codec, stream) in CODECS {
        let frame = seal(&mut alice, stream, codec, FrameType::Delta, &noise(4, 9));
        let bits = (0..frame.len() * 8).map(|bit| {
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        });
        let cuts = (0..frame.len()).map(|len| frame[..len].to_vec());
        for changed in bits.chain(cuts).chain([[&frame[..], &[0]].concat()]) {
            let kind = stream.media_kind();
            let here = bob_here.open(kind, &mut changed.clone(), NOW);
            let there = match bob_there.prepare_open(kind, &mut changed.clone(), NOW) {
                Prepared::Early(ticket) => Outcome::Early(ticket),
                Prepared::Dropped(reason) => Outcome::Dropped(reason),
                Prepared::Ready(job) => {
                    let mut stripped = changed.clone();
                    let _ = bob_there.prepare_open(kind, &mut stripped, NOW);
                    assert!(opener.decrypt(&bob_there, &job, &stripped).is_none());
                    bob_there.refuse(job);
                    Outcome::Dropped(DropReason::NotAuthentic)
                }
            };
            assert_eq!(here, there, "{codec:?}");
        }
        assert!(open(&mut bob_here, stream.media_kind(), &frame, NOW).is_ok());
        assert!(open_by_caller(&mut bob_there, &mut opener, stream.media_kind(), &frame, NOW).is_ok());
    }
    assert_eq!(bob_here.stats(), bob_there.stats());
}

#[test]
fn pf_12_of_two_frames_with_one_counter_in_flight_the_second_to_verify_is_refused() {
    let (mut alice, mut bob) = (member(9, 1), member_with(Engines::Either, 9, 0));
    let mut engine = CallersEngine::default();
    let frame = camera(&mut alice, b"once");
    let (one, text) = ready(&mut bob, MediaKind::Video, &frame, NOW).unwrap();
    let (two, again) = ready(&mut bob, MediaKind::Video, &frame, NOW).unwrap();
    let (one, two) = (
        verified(&bob, &mut engine, one, &text).0,
        verified(&bob, &mut engine, two, &again).0,
    );
    assert!(bob.accept(two, NOW).is_ok());
    assert_eq!(bob.accept(one, NOW), Err(DropReason::Replayed));
    // And with this crate's own engine in between.
    let frame = camera(&mut alice, b"once more");
    let (late, text) = ready(&mut bob, MediaKind::Video, &frame, NOW).unwrap();
    assert!(open(&mut bob, MediaKind::Video, &frame, NOW).is_ok());
    let late = verified(&bob, &mut engine, late, &text).0;
    assert_eq!(bob.accept(late, NOW), Err(DropReason::Replayed));
    assert_eq!(bob.stats().opened, 2);
    assert_eq!(bob.stats().dropped(DropReason::Replayed), 2);
}

#[test]
fn epoc_8_nothing_is_marked_before_the_proof_whatever_becomes_of_the_frame_in_flight() {
    let (mut alice, mut bob) = (member(9, 1), member_with(Engines::Either, 9, 0));
    let mut engine = CallersEngine::default();
    let frame = camera(&mut alice, b"real");
    // Never answered, refused, answered with what cannot be: each time the real one still opens.
    let (job, _) = ready(&mut bob, MediaKind::Video, &frame, NOW).unwrap();
    bob.abandon_open(job);
    let (job, _) = ready(&mut bob, MediaKind::Video, &frame, NOW).unwrap();
    bob.refuse(job);
    let (job, _) = ready(&mut bob, MediaKind::Video, &frame, NOW).unwrap();
    for wrong in [0, 3, 5, 400] {
        let (job, _) = ready(&mut bob, MediaKind::Video, &frame, NOW).unwrap();
        assert!(job.verified_by_caller(wrong).is_err(), "{wrong} bytes of a frame of 4");
    }
    drop(job);
    assert_eq!(bob.keys_held(), 0);
    assert!(open_by_caller(&mut bob, &mut engine, MediaKind::Video, &frame, NOW).is_ok());
    assert_eq!(bob.stats().dropped(DropReason::NoAnswer), 1);
    assert_eq!(bob.stats().dropped(DropReason::NotAuthentic), 1);
}

#[test]
fn sfrm_1_a_counter_is_used_once_whatever_becomes_of_the_frame_that_took_it() {
    let mut alice = member_with(Engines::Either, 9, 1);
    let take = |alice: &mut MediaKeys| {
        alice
            .prepare_seal(StreamKind::Camera, Codec::Vp8, FrameType::Delta, 3, NOW)
            .unwrap()
    };
    let (abandoned, dropped, wrong) = (take(&mut alice), take(&mut alice), take(&mut alice));
    assert_eq!([0, 1, 2], [&abandoned, &dropped, &wrong].map(|job| job.info().counter));
    alice.abandon_seal(abandoned);
    drop(dropped);
    let mut frame = vec![0; 3];
    let refused = alice.finish_seal(wrong, &mut frame, 0, NOW);
    assert_eq!(refused, Err(SealError::WrongLength { expected: 19, found: 3 }));
    assert!(frame.is_empty(), "nothing is left that could be sent");
    assert_eq!(take(&mut alice).info().counter, 3);
    // The engines share the counter.
    let mut frame = vec![1];
    let info = alice
        .seal(StreamKind::Camera, Codec::Vp8, FrameType::Delta, &mut frame, NOW)
        .unwrap();
    assert_eq!(info.counter, 4);
    assert_eq!((alice.stats().sealed, alice.stats().refused_to_seal), (1, 2));
}

#[test]
fn pf_25_frames_in_flight_survive_a_switch_of_epochs_in_both_directions() {
    let (mut alice, mut bob) = (member_with(Engines::Caller, 9, 1), member_with(Engines::Caller, 9, 0));
    let (mut sealer, mut opener) = (CallersEngine::default(), CallersEngine::default());
    let job = alice
        .prepare_seal(StreamKind::Camera, Codec::Vp8, FrameType::Delta, 5, NOW)
        .unwrap();
    let text = sealer.encrypt(&alice, &job, b"later");
    alice.install_epoch(epoch(10, 1), at(10)).unwrap();
    alice.switch_sender(10).unwrap();
    let frame = finish(&mut alice, job, &text, at(1_010)).unwrap();

    let (job, stripped) = ready(&mut bob, MediaKind::Video, &frame, at(1_020)).unwrap();
    bob.install_epoch(epoch(10, 0), at(1_030)).unwrap();
    let (verified, plain) = verified(&bob, &mut opener, job, &stripped);
    let opened = bob.accept(verified, at(1_040)).unwrap();
    assert_eq!((opened.epoch, &plain[..]), (9, &b"later"[..]));
}

#[test]
fn epoc_5_c5_a_frame_that_was_in_flight_for_too_long_is_not_sent_in_the_epoch_before() {
    let mut alice = member_with(Engines::Either, 9, 1);
    let mut engine = CallersEngine::default();
    let [inside, outside] = [(); 2].map(|()| {
        alice
            .prepare_seal(StreamKind::Camera, Codec::Vp8, FrameType::Delta, 1, NOW)
            .unwrap()
    });
    let texts = [&inside, &outside].map(|job| engine.encrypt(&alice, job, b"x"));
    // Somebody leaves with epoch 10; 11 to 16 follow and none of them moves the moment.
    for number in 10..17 {
        alice.install_epoch(epoch(number, 1), at(number)).unwrap();
        alice.switch_sender(number).unwrap();
    }
    assert!(finish(&mut alice, inside, &texts[0], at(1_010)).is_ok());
    assert_eq!(
        finish(&mut alice, outside, &texts[1], at(1_011)),
        Err(SealError::Overtaken)
    );
}

#[test]
fn engn_3_keys_end_with_their_epoch_and_so_do_frames_that_are_in_flight_then() {
    let (mut alice, mut bob) = (member(9, 1), member_with(Engines::Either, 9, 0));
    let mut engine = CallersEngine::default();
    let (job, frame) = ready(&mut bob, MediaKind::Video, &camera(&mut alice, b"slow"), NOW).unwrap();
    let (epoch_of_key, kid) = job.key();
    let (proof, _) = verified(&bob, &mut engine, job, &frame);
    bob.install_epoch(epoch(10, 0), NOW).unwrap();
    bob.switch_sender(10).unwrap();
    bob.tick(at(9_999));
    assert!(bob.holds(9) && bob.key_for_caller(epoch_of_key, kid).is_some());
    bob.tick(at(10_000));
    assert!(!bob.holds(9) && bob.key_for_caller(epoch_of_key, kid).is_none());
    assert_eq!(bob.accept(proof, at(10_000)), Err(DropReason::EpochOver));
    assert_eq!(bob.stats().opened, 0);
}

#[test]
fn c5_who_was_removed_is_refused_in_the_next_epoch_by_either_engine() {
    let mut bob = member_with(Engines::Caller, 9, 0);
    bob.install_epoch(epoch_of(10, 0, 4, &[0, 1]), NOW).unwrap();
    let mut removed = MediaKeys::new(SUITE).unwrap();
    removed.install_epoch(epoch(10, 2), NOW).unwrap();
    removed.switch_sender(10).unwrap();
    let refused = ready(&mut bob, MediaKind::Video, &camera(&mut removed, b"still here"), NOW);
    assert_eq!(refused.unwrap_err(), DropReason::NotAMember);
}

#[test]
fn engn_1_where_only_the_callers_engine_may_be_used_this_crate_seals_and_opens_nothing() {
    let (mut alice, mut bob) = (member_with(Engines::Caller, 9, 1), member_with(Engines::Caller, 9, 0));
    let mut frame = b"clear".to_vec();
    let refused = alice.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut frame, NOW);
    assert_eq!(refused, Err(SealError::NotHere));
    assert!(frame.is_empty());
    let sealed = camera(&mut member(9, 1), b"good");
    assert_eq!(
        open(&mut bob, MediaKind::Video, &sealed, NOW),
        Err(DropReason::NoAnswer)
    );
    // Nor does it hand keys out where the caller has no engine.
    let (mut here, _) = pair();
    assert!(here.key_for_caller(9, 0).is_none());
    let refused = here.prepare_seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, 1, NOW);
    assert_eq!(refused.unwrap_err(), SealError::NotHere);
}

#[test]
fn engn_1_frames_that_waited_for_their_epoch_come_out_for_the_callers_engine_in_their_order() {
    let (mut alice, mut bob) = (member(10, 1), member_with(Engines::Caller, 9, 0));
    let mut engine = CallersEngine::default();
    let mut tickets = Vec::new();
    let frames: Vec<_> = (0..4u8).map(|n| camera(&mut alice, &[n])).collect();
    let forged = [&frames[3][..frames[3].len() - 1], &[frames[3][frames[3].len() - 1] ^ 1]].concat();
    for frame in frames.iter().take(3).chain([&forged]) {
        match bob.prepare_open(MediaKind::Video, &mut frame.clone(), NOW) {
            Prepared::Early(ticket) => tickets.push(ticket),
            other => panic!("{other:?}"),
        }
    }
    bob.install_epoch(epoch(10, 0), at(100)).unwrap();
    assert!(bob.take_released().is_empty());
    let released = bob.take_released_jobs();
    assert_eq!(released.iter().map(|one| one.ticket).collect::<Vec<_>>(), tickets);
    let mut opened = Vec::new();
    for one in released {
        match engine.decrypt(&bob, &one.job, &one.frame) {
            Some(plain) => {
                let verified = one.job.verified_by_caller(plain.len()).unwrap();
                bob.accept(verified, at(100)).unwrap();
                opened.extend(plain);
            }
            None => bob.refuse(one.job),
        }
    }
    assert_eq!(opened, [0, 1, 2]);
    assert_eq!(bob.stats().dropped(DropReason::NotAuthentic), 1);
}
