//! Section 5.1 from the receiver's side: it follows what verified, goes no further than it said, and forgets.
#![allow(clippy::unwrap_used)]

mod common;

use common::noise;
use e2ee_core::sframe::ratchet::{RatchetError, RatchetKey, RatchetOpenError, RatchetReceiver, Ratcheted, StepBits};
use e2ee_core::sframe::{CipherSuite, FrameKey, Header, HeaderError, OpenError};

const SUITE: CipherSuite = CipherSuite::Aes128GcmSha256_128;

fn bits(count: u32) -> StepBits {
    StepBits::new(count).unwrap()
}

fn sender(generation: u64, step_bits: u32) -> RatchetKey {
    RatchetKey::new(SUITE, generation, bits(step_bits), noise(generation, 16)).unwrap()
}

fn receiver(generation: u64, step_bits: u32, window: u64) -> RatchetReceiver {
    let mut receiver = RatchetReceiver::new(SUITE, bits(step_bits), window);
    receiver.install(generation, noise(generation, 16)).unwrap();
    receiver
}

fn at_step(mut key: RatchetKey, step: u64) -> RatchetKey {
    for _ in 0..step {
        key = key.next();
    }
    key
}

fn sealed(key: &RatchetKey, counter: u64, plain: &[u8]) -> Vec<u8> {
    let mut frame = plain.to_vec();
    let key = FrameKey::new(&key.base_key().derive(key.key_id()));
    key.seal(counter, b"m", &mut frame, 0).unwrap();
    frame
}

fn open(receiver: &mut RatchetReceiver, frame: &[u8]) -> Result<(Ratcheted, Vec<u8>), RatchetOpenError> {
    let mut frame = frame.to_vec();
    let all = 0..frame.len();
    let opened = receiver.open(b"m", &mut frame, all);
    if opened.is_err() {
        assert!(frame.is_empty(), "what is not authentic is emptied");
    }
    opened.map(|opened| (opened, frame))
}

#[test]
fn sfrm_8_a_receiver_follows_a_ratchet_past_every_wrap_of_its_bits() {
    for step_bits in [1, 2, 4, 20] {
        let (mut key, mut receiver) = (sender(7, step_bits), receiver(7, step_bits, 1));
        for step in 0..70 {
            let frame = sealed(&key, step, b"frame");
            let (opened, text) = open(&mut receiver, &frame).unwrap();
            assert_eq!((opened.generation, opened.step, opened.counter), (7, step, step));
            assert_eq!(text, b"frame");
            key = key.next();
        }
    }
}

#[test]
fn sfrm_8_steps_may_be_skipped_and_come_late_inside_the_window_and_not_outside_it() {
    let mut receiver = receiver(1, 5, 4);
    let frame = |step| sealed(&at_step(sender(1, 5), step), 0, b"frame");
    assert_eq!(
        open(&mut receiver, &frame(5)).unwrap_err(),
        RatchetOpenError::OutsideWindow
    );
    assert_eq!(open(&mut receiver, &frame(4)).unwrap().0.step, 4);
    for late in [0, 3, 1, 2, 4] {
        assert_eq!(open(&mut receiver, &frame(late)).unwrap().0.step, late);
    }
    assert_eq!(open(&mut receiver, &frame(8)).unwrap().0.step, 8);
    // What lies further behind than the window is forgotten.
    assert_eq!(
        open(&mut receiver, &frame(3)).unwrap_err(),
        RatchetOpenError::OutsideWindow
    );
    assert_eq!(open(&mut receiver, &frame(4)).unwrap().0.step, 4);
}

#[test]
fn pf_26_a_forged_step_moves_nothing_and_keeps_nothing_true_out() {
    let mut receiver = receiver(1, 5, 8);
    let frame = |step| sealed(&at_step(sender(1, 5), step), 0, b"frame");
    for n in 0..10_000 {
        let header = Header {
            key_id: (1 << 5) | (n % 32),
            counter: n,
        };
        let forged = [header.encode().as_bytes(), &noise(n, 40)].concat();
        let refused = open(&mut receiver, &forged).unwrap_err();
        let expected = match n % 32 {
            0..=8 => RatchetOpenError::Frame(OpenError::NotAuthentic),
            _ => RatchetOpenError::OutsideWindow,
        };
        assert_eq!(refused, expected, "step {}", n % 32);
    }
    // Had a forgery moved it, the first would be behind the window and the last ahead of it.
    assert_eq!(
        open(&mut receiver, &frame(9)).unwrap_err(),
        RatchetOpenError::OutsideWindow
    );
    assert_eq!(open(&mut receiver, &frame(0)).unwrap().0.step, 0);
    assert_eq!(open(&mut receiver, &frame(8)).unwrap().0.step, 8);
}

#[test]
fn sfrm_8_a_new_generation_begins_at_step_0_and_the_last_one_is_kept_for_what_is_late() {
    let mut receiver = receiver(1, 3, 2);
    let of = |generation| sealed(&sender(generation, 3), 0, b"frame");
    receiver.install(2, noise(2, 16)).unwrap();
    for generation in [2, 1, 2] {
        assert_eq!(open(&mut receiver, &of(generation)).unwrap().0.generation, generation);
    }
    receiver.install(9, noise(9, 16)).unwrap();
    assert_eq!(
        open(&mut receiver, &of(1)).unwrap_err(),
        RatchetOpenError::UnknownGeneration(1)
    );
    assert_eq!(
        open(&mut receiver, &of(3)).unwrap_err(),
        RatchetOpenError::UnknownGeneration(3)
    );
    assert!(open(&mut receiver, &of(2)).is_ok() && open(&mut receiver, &of(9)).is_ok());
    for generation in [9, 8, 0] {
        let refused = receiver.install(generation, vec![1; 16]).unwrap_err();
        assert_eq!(refused, RatchetError::NotNewer { generation, newest: 9 });
    }
}

#[test]
fn sfrm_8_a_generation_or_step_that_does_not_fit_is_refused_and_never_cut() {
    for count in [0, 64, 65] {
        assert_eq!(StepBits::new(count), Err(RatchetError::StepBits(count)));
    }
    for (step_bits, largest) in [(1, u64::MAX >> 1), (8, u64::MAX >> 8), (63, 1)] {
        let key = RatchetKey::new(SUITE, largest, bits(step_bits), vec![1; 16]).unwrap();
        assert_eq!(key.key_id(), largest << step_bits);
        let refused = RatchetKey::new(SUITE, largest + 1, bits(step_bits), vec![1; 16]).unwrap_err();
        let generation = largest + 1;
        assert_eq!(refused, RatchetError::Generation { generation, step_bits });
    }
}

#[test]
fn pf_10_a_changed_or_cut_frame_opens_at_no_step() {
    let mut receiver = receiver(1, 4, 3);
    let frame = sealed(&at_step(sender(1, 4), 2), 300, b"nine bytes");
    for bit in 0..frame.len() * 8 {
        let mut changed = frame.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&mut receiver, &changed).is_err(), "bit {bit}");
    }
    for len in 0..frame.len() {
        assert!(open(&mut receiver, &frame[..len]).is_err(), "{len} bytes");
    }
    assert_eq!(
        open(&mut receiver, &[]).unwrap_err(),
        RatchetOpenError::Header(HeaderError::Truncated)
    );
    assert_eq!(open(&mut receiver, &frame).unwrap().1, b"nine bytes");
}
