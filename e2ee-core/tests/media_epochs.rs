//! Epochs: early, late, over, switched to and not.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{NOW, SUITE, at, camera, epoch, epoch_of, member, open, pair, seal, seal_at, state};
use e2ee_core::media::{
    Codec, DropReason, EarlyTicket, EpochError, FrameType, LeafSet, MediaEpoch, MediaKeys, MediaKind, Outcome,
    Released, SealError, StreamKind, SwitchError,
};
use e2ee_core::sframe::Secret;
use e2ee_core::time::UnixMillis;
use proptest::prelude::*;

fn early(keys: &mut MediaKeys, kind: MediaKind, frame: &[u8], now: UnixMillis) -> EarlyTicket {
    let mut frame = frame.to_vec();
    match keys.open(kind, &mut frame, now) {
        Outcome::Early(ticket) => {
            assert!(frame.is_empty(), "the frame is kept inside");
            ticket
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pf_25_nothing_in_flight_is_lost_to_a_new_epoch_in_either_direction() {
    let (mut alice, mut bob) = pair();
    let late = camera(&mut alice, b"sealed in 9, comes after 10");
    alice.install_epoch(epoch(10, 1), NOW).unwrap();
    let still_9 = camera(&mut alice, b"10 is known, not switched to");
    alice.switch_sender(10).unwrap();
    let new = camera(&mut alice, b"sealed in 10");

    // Bob hears of the new epoch after its first frame, and of the old one's last frames after that.
    let ticket = early(&mut bob, MediaKind::Video, &new, NOW);
    bob.install_epoch(epoch(10, 0), at(300)).unwrap();
    let released = bob.take_released();
    assert!(
        matches!(&released[..], [Released { ticket: found, outcome: Ok(opened), frame }]
        if *found == ticket && opened.epoch == 10 && opened.leaf == 1 && frame == b"sealed in 10")
    );
    for (frame, plain) in [
        (&late, &b"sealed in 9, comes after 10"[..]),
        (&still_9, b"10 is known, not switched to"),
    ] {
        let (opened, text) = open(&mut bob, MediaKind::Video, frame, at(400)).unwrap();
        assert_eq!((opened.epoch, &text[..]), (9, plain));
    }
    assert_eq!(bob.stats().dropped_in_all(), 0);
}

#[test]
fn pf_25_a_thousand_epochs_with_reordering_lose_no_frame() {
    let (mut alice, mut bob) = (member(1, 1), member(1, 0));
    let mut in_flight: Vec<(u64, Vec<u8>)> = Vec::new();
    let (mut sent, mut opened) = (0u64, 0u64);
    let mut now = NOW;
    for number in 2..1_002u64 {
        now = now + Duration::from_millis(5_000);
        let mut send = |alice: &mut MediaKeys, sent: &mut u64, delay: u64| {
            in_flight.push((
                now.0 + delay,
                seal_at(alice, StreamKind::Camera, Codec::Av1, FrameType::Delta, b"f", now),
            ));
            *sent += 1;
        };
        send(&mut alice, &mut sent, number * 37 % 900);
        alice.install_epoch(epoch(number, 1), now).unwrap();
        send(&mut alice, &mut sent, number * 53 % 900);
        alice.switch_sender(number).unwrap();
        send(&mut alice, &mut sent, number * 71 % 900);
        // Bob learns of the epoch somewhere in the middle of its frames.
        let learns = now.0 + number * 97 % 900;
        in_flight.sort();
        let mut learned = false;
        for (when, mut frame) in in_flight.drain(..) {
            if when >= learns && !learned {
                bob.install_epoch(epoch(number, 0), UnixMillis(learns)).unwrap();
                learned = true;
            }
            if matches!(
                bob.open(MediaKind::Video, &mut frame, UnixMillis(when)),
                Outcome::Opened(_)
            ) {
                opened += 1;
            }
        }
        if !learned {
            bob.install_epoch(epoch(number, 0), UnixMillis(learns)).unwrap();
        }
        opened += bob
            .take_released()
            .iter()
            .filter(|released| released.outcome.is_ok())
            .count() as u64;
    }
    assert_eq!(opened, sent);
    assert_eq!(bob.stats().dropped_in_all(), 0);
    assert!(bob.keys_held() <= 3);
}

#[test]
fn epoc_2_old_keys_live_ten_seconds_and_not_a_moment_longer() {
    let (mut alice, mut bob) = pair();
    let frames: Vec<_> = (0..3).map(|_| camera(&mut alice, b"late")).collect();
    assert!(open(&mut bob, MediaKind::Video, &frames[0], NOW).is_ok());
    bob.install_epoch(epoch(10, 0), at(1_000)).unwrap();
    assert!(open(&mut bob, MediaKind::Video, &frames[1], at(10_999)).is_ok());
    assert_eq!(bob.keys_held(), 1);
    assert_eq!(
        open(&mut bob, MediaKind::Video, &frames[2], at(11_000)).unwrap_err(),
        DropReason::EpochOver
    );
    assert_eq!(bob.keys_held(), 0, "the key itself is gone");
}

#[test]
fn epoc_2_keys_are_wiped_by_time_where_no_frame_comes() {
    let (mut alice, mut bob) = pair();
    assert!(open(&mut bob, MediaKind::Video, &camera(&mut alice, b"x"), NOW).is_ok());
    bob.install_epoch(epoch(10, 0), NOW).unwrap();
    bob.tick(at(9_999));
    assert_eq!(bob.keys_held(), 1);
    bob.tick(at(10_000));
    assert_eq!(bob.keys_held(), 0);
}

#[test]
fn epoc_2_at_most_three_epochs_are_alive() {
    let mut bob = member(9, 0);
    let mut senders: Vec<_> = (9..14).map(|number| member(number, 1)).collect();
    for number in 10..14 {
        bob.install_epoch(epoch(number, 0), at(number)).unwrap();
    }
    for sender in &mut senders {
        let number = sender.newest_epoch().unwrap();
        let outcome = open(&mut bob, MediaKind::Video, &camera(sender, b"x"), at(20));
        assert_eq!(
            outcome.map(|(opened, _)| opened.epoch).ok(),
            (number >= 11).then_some(number)
        );
    }
    assert_eq!(bob.stats().dropped(DropReason::EpochOver), 2);
}

#[test]
fn pf_11_two_epochs_with_the_same_bits_are_never_alive_together() {
    // 9 and 25 share their low four bits. A member that jumps from one to the other forgets the first at once.
    let (mut old, mut new) = (member(9, 1), member(25, 1));
    let mut bob = member(9, 0);
    bob.install_epoch(epoch(25, 0), at(1)).unwrap();
    assert_eq!(
        open(&mut bob, MediaKind::Video, &camera(&mut old, b"old"), at(2)).unwrap_err(),
        DropReason::NotAuthentic
    );
    assert_eq!(
        open(&mut bob, MediaKind::Video, &camera(&mut new, b"new"), at(2))
            .unwrap()
            .0
            .epoch,
        25
    );
}

#[test]
fn pf_32_bits_ahead_mean_early_and_bits_behind_mean_over() {
    for number in [9u64, 15, 16, 1 << 40] {
        let mut bob = member(number, 0);
        for ahead in 1..=7 {
            let frame = camera(&mut member(number + ahead, 1), b"ahead");
            early(&mut bob, MediaKind::Video, &frame, NOW);
        }
        for behind in 1..=8 {
            let frame = camera(&mut member(number - behind, 1), b"behind");
            assert_eq!(
                open(&mut bob, MediaKind::Video, &frame, NOW).unwrap_err(),
                DropReason::EpochOver
            );
        }
    }
}

#[test]
fn before_the_first_epoch_frames_wait() {
    let mut bob = MediaKeys::new(SUITE).unwrap();
    let mut alice = member(9, 1);
    let picture = seal(&mut alice, StreamKind::Camera, Codec::H264, FrameType::Key, &[0; 500]);
    let sound = seal(
        &mut alice,
        StreamKind::Microphone,
        Codec::Opus,
        FrameType::Key,
        b"hello",
    );
    let tickets = [
        early(&mut bob, MediaKind::Video, &picture, NOW),
        early(&mut bob, MediaKind::Audio, &sound, at(5)),
    ];
    bob.install_epoch(epoch(9, 0), at(100)).unwrap();
    let released = bob.take_released();
    assert_eq!(released.iter().map(|r| r.ticket).collect::<Vec<_>>(), tickets);
    assert_eq!(
        (&released[0].frame[..], &released[1].frame[..]),
        (&[0; 500][..], &b"hello"[..])
    );
    assert!(bob.take_released().is_empty());
}

#[test]
fn epoc_7_early_frames_come_out_in_their_order_and_only_when_their_epoch_comes() {
    let (_, mut bob) = pair();
    let (mut ten, mut eleven) = (member(10, 1), member(11, 1));
    let mut tickets = Vec::new();
    for n in 0u8..6 {
        let sender = if n % 2 == 0 { &mut ten } else { &mut eleven };
        tickets.push(early(&mut bob, MediaKind::Video, &camera(sender, &[n]), at(n.into())));
    }
    bob.install_epoch(epoch(10, 0), at(50)).unwrap();
    let order = |released: Vec<Released>| released.into_iter().map(|r| (r.ticket, r.frame)).collect::<Vec<_>>();
    assert_eq!(
        order(bob.take_released()),
        [(tickets[0], vec![0]), (tickets[2], vec![2]), (tickets[4], vec![4])]
    );
    assert_eq!(bob.waiting().0, 3);
    bob.install_epoch(epoch(11, 0), at(60)).unwrap();
    assert_eq!(
        order(bob.take_released()),
        [(tickets[1], vec![1]), (tickets[3], vec![3]), (tickets[5], vec![5])]
    );
    assert_eq!(bob.waiting(), (0, 0));
}

#[test]
fn epoc_7_the_early_buffer_is_bounded_by_count_bytes_and_age() {
    // By count.
    let mut bob = member(9, 0);
    let mut alice = member(10, 1);
    for n in 0..1_100 {
        let mut frame = camera(&mut alice, b"");
        let outcome = bob.open(MediaKind::Video, &mut frame, NOW);
        assert_eq!(
            outcome == Outcome::Dropped(DropReason::EarlyBufferFull),
            n >= 1_024,
            "{n}: {outcome:?}"
        );
    }
    // By bytes.
    let mut bob = member(9, 0);
    let mut alice = member(10, 1);
    for n in 0..10 {
        let mut frame = camera(&mut alice, &vec![0; 1 << 20]);
        let outcome = bob.open(MediaKind::Video, &mut frame, NOW);
        assert_eq!(
            outcome == Outcome::Dropped(DropReason::EarlyBufferFull),
            n >= 3,
            "{n}: {outcome:?}"
        );
    }
    assert!(bob.waiting().1 <= 4 << 20);
    // By age; and what is given up is told, so that the client can let go of it.
    let held = bob.waiting().0;
    bob.tick(at(2_000));
    assert_eq!(bob.waiting().0, held);
    bob.tick(at(2_001));
    assert_eq!(bob.waiting(), (0, 0));
    let released = bob.take_released();
    assert_eq!(released.len(), held);
    assert!(
        released
            .iter()
            .all(|r| r.outcome == Err(DropReason::EarlyTooLong) && r.frame.is_empty())
    );
    // Then there is room again.
    early(&mut bob, MediaKind::Video, &camera(&mut alice, b"new"), at(2_002));
}

#[test]
fn pf_12_an_early_frame_that_came_twice_opens_once() {
    let (_, mut bob) = pair();
    let frame = camera(&mut member(10, 1), b"twice");
    early(&mut bob, MediaKind::Video, &frame, NOW);
    early(&mut bob, MediaKind::Video, &frame, NOW);
    bob.install_epoch(epoch(10, 0), NOW).unwrap();
    let outcomes: Vec<_> = bob
        .take_released()
        .into_iter()
        .map(|r| r.outcome.map(|o| o.counter))
        .collect();
    assert_eq!(outcomes, [Ok(0), Err(DropReason::Replayed)]);
}

#[test]
fn pf_26_a_forged_early_frame_is_dropped_when_its_epoch_comes() {
    let (_, mut bob) = pair();
    let mut frame = camera(&mut member(10, 1), b"forged");
    *frame.last_mut().unwrap() ^= 1;
    early(&mut bob, MediaKind::Video, &frame, NOW);
    bob.install_epoch(epoch(10, 0), NOW).unwrap();
    let released = bob.take_released();
    assert!(
        matches!(&released[..], [Released { outcome: Err(DropReason::NotAuthentic), frame, .. }] if frame.is_empty())
    );
    assert_eq!(bob.keys_held(), 0);
}

#[test]
fn c5_who_was_removed_opens_nothing_of_the_next_epoch_and_is_not_opened_in_it() {
    let (mut alice, mut bob) = pair();
    let mut removed = member(9, 2);
    for (keys, own) in [(&mut alice, 1), (&mut bob, 0)] {
        keys.install_epoch(epoch_of(10, own, 4, &[0, 1]), NOW).unwrap();
        keys.switch_sender(10).unwrap();
    }
    // The removed one has no key of epoch 10; the frame waits in vain.
    let frame = camera(&mut alice, b"without you");
    early(&mut removed, MediaKind::Video, &frame, NOW);
    removed.tick(at(5_000));
    assert_eq!(removed.take_released()[0].outcome, Err(DropReason::EarlyTooLong));
    // What he seals in epoch 9 is late at first, and over after ten seconds.
    let late = camera(&mut removed, b"was in flight");
    assert!(open(&mut bob, MediaKind::Video, &late, at(100)).is_ok());
    let after = camera(&mut removed, b"still here");
    assert_eq!(
        open(&mut bob, MediaKind::Video, &after, at(10_000)).unwrap_err(),
        DropReason::EpochOver
    );
}

#[test]
fn c5_a_second_after_a_newer_epoch_the_older_one_is_not_sent_in_however_late_the_timer_is() {
    let (mut alice, _) = pair();
    alice.install_epoch(epoch(10, 1), at(0)).unwrap();
    let seal_at = |alice: &mut MediaKeys, now| {
        let sealed = alice.seal(
            StreamKind::Camera,
            Codec::Vp8,
            FrameType::Key,
            &mut b"frame".to_vec(),
            now,
        );
        sealed.map(|info| (info.epoch, info.counter))
    };
    assert_eq!(seal_at(&mut alice, at(1_000)), Ok((9, 0)));
    // Another epoch does not win the old one another second.
    alice.install_epoch(epoch(11, 1), at(1_000)).unwrap();
    assert_eq!(seal_at(&mut alice, at(1_001)), Ok((10, 0)));
    assert_eq!(alice.sending_epoch(), Some(10));
    assert_eq!(seal_at(&mut alice, at(2_000)), Ok((10, 1)));
    assert_eq!(seal_at(&mut alice, at(2_001)), Ok((11, 0)));
    // The timer's word comes late and starts nothing again.
    alice.switch_sender(11).unwrap();
    assert_eq!(seal_at(&mut alice, at(2_002)), Ok((11, 1)));
    assert_eq!(
        alice.switch_sender(10),
        Err(SwitchError::NotInstalled {
            epoch: 10,
            sending: Some(11)
        })
    );
}

#[test]
fn c2_the_first_epoch_is_never_switched_to_by_itself() {
    let mut alice = MediaKeys::new(SUITE).unwrap();
    for number in 9..12 {
        alice.install_epoch(epoch(number, 1), at(number)).unwrap();
    }
    let refused = alice.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut vec![1], at(60_000));
    assert_eq!(refused, Err(SealError::NoEpoch));
}

#[test]
fn c5_many_epochs_that_are_not_switched_to_do_not_move_the_deadline() {
    let (mut alice, _) = pair();
    for number in 10..30 {
        alice.install_epoch(epoch(number, 1), at((number - 10) * 50)).unwrap();
    }
    let sealed = alice.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut vec![1], at(1_001));
    assert!(sealed.unwrap().epoch > 9);
}

#[test]
fn epoc_1_an_epoch_is_installed_once_and_only_forward() {
    let mut bob = member(9, 0);
    let before = state(&bob);
    for number in [9, 8, 0] {
        let refused = bob.install_epoch(epoch(number, 0), NOW).unwrap_err();
        assert_eq!(
            refused,
            EpochError::NotNewer {
                epoch: number,
                newest: 9
            }
        );
    }
    assert_eq!(state(&bob), before);
}

#[test]
fn epoc_1_switching_goes_forward_only_and_twice_is_once() {
    let mut alice = member(9, 1);
    let counter = |alice: &mut MediaKeys| {
        alice
            .seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut vec![1], NOW)
            .unwrap()
            .counter
    };
    assert_eq!((counter(&mut alice), counter(&mut alice)), (0, 1));
    alice.switch_sender(9).unwrap();
    assert_eq!(counter(&mut alice), 2, "no counter starts again");
    assert_eq!(
        alice.switch_sender(10),
        Err(SwitchError::NotInstalled {
            epoch: 10,
            sending: Some(9)
        })
    );
    alice.install_epoch(epoch(10, 1), NOW).unwrap();
    alice.switch_sender(10).unwrap();
    assert_eq!(
        alice.switch_sender(9),
        Err(SwitchError::NotInstalled {
            epoch: 9,
            sending: Some(10)
        })
    );
    assert_eq!(counter(&mut alice), 0, "a new key, a new counter");
    assert_eq!(alice.sending_epoch(), Some(10));
}

#[test]
fn an_epoch_that_contradicts_itself_is_not_installed() {
    let mut keys = MediaKeys::new(SUITE).unwrap();
    let cases = [
        (
            MediaEpoch {
                own_leaf: 3,
                ..epoch(9, 0)
            },
            EpochError::OwnLeafMissing(3),
        ),
        (
            MediaEpoch {
                leaf_count: 2,
                ..epoch(9, 0)
            },
            EpochError::LeafOutsideTree(2),
        ),
        (
            MediaEpoch {
                members: LeafSet::default(),
                ..epoch(9, 0)
            },
            EpochError::OwnLeafMissing(0),
        ),
        (
            MediaEpoch {
                base_key: Secret::new(vec![0; 32]),
                ..epoch(9, 0)
            },
            EpochError::WrongKeyLength {
                expected: 16,
                found: 32,
            },
        ),
    ];
    for (epoch, refused) in cases {
        assert_eq!(keys.install_epoch(epoch, NOW), Err(refused));
    }
    assert_eq!(keys.newest_epoch(), None);
}

#[test]
fn the_tree_may_grow_between_epochs_and_its_leaves_keep_their_names() {
    // S changes from 1 to 10 bits while both epochs are alive.
    let all: Vec<u32> = (0..1_000).collect();
    let keys = |own| {
        let mut keys = MediaKeys::new(SUITE).unwrap();
        keys.install_epoch(epoch_of(9, own, 2, &[0, 1]), NOW).unwrap();
        keys.switch_sender(9).unwrap();
        keys
    };
    let (mut alice, mut bob) = (keys(1), keys(0));
    let small = camera(&mut alice, b"small");
    bob.install_epoch(epoch_of(10, 0, 1_000, &all), NOW).unwrap();
    let mut last = MediaKeys::new(SUITE).unwrap();
    last.install_epoch(epoch_of(10, 999, 1_000, &all), NOW).unwrap();
    last.switch_sender(10).unwrap();
    assert_eq!(
        open(&mut bob, MediaKind::Video, &camera(&mut last, b"x"), NOW)
            .unwrap()
            .0
            .leaf,
        999
    );
    assert_eq!(open(&mut bob, MediaKind::Video, &small, NOW).unwrap().0.leaf, 1);
}

#[test]
fn a_clock_that_goes_back_keeps_keys_and_frames_no_longer_than_it_should() {
    let (mut alice, mut bob) = pair();
    bob.install_epoch(epoch(10, 0), at(5_000)).unwrap();
    assert!(open(&mut bob, MediaKind::Video, &camera(&mut alice, b"x"), NOW).is_ok());
    bob.tick(at(15_000));
    assert_eq!(
        open(&mut bob, MediaKind::Video, &camera(&mut alice, b"x"), NOW).unwrap_err(),
        DropReason::EpochOver
    );
}

proptest! {
    /// Whatever is called in whatever order, only what was sealed is opened, and nothing twice.
    #[test]
    fn no_order_of_calls_opens_a_frame_twice_or_loses_the_bounds(
        calls in prop::collection::vec((0u8..6, any::<u16>()), 1..200),
    ) {
        let (mut alice, mut bob) = (member(1, 1), member(1, 0));
        let (mut sent, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        let mut now = NOW;
        for (call, number) in calls {
            let number = u64::from(number);
            match call {
                0 => {
                    let plain = (sent.len() as u32).to_be_bytes();
                    let mut frame = plain.to_vec();
                    if alice.seal(StreamKind::Camera, Codec::H264, FrameType::Delta, &mut frame, now).is_ok() {
                        sent.push(frame);
                    }
                }
                1 => {
                    let next = alice.newest_epoch().unwrap() + 1 + number % 3;
                    alice.install_epoch(epoch(next, 1), now).unwrap();
                }
                2 => {
                    let newest = alice.newest_epoch().unwrap();
                    alice.switch_sender(newest).unwrap();
                }
                3 => {
                    let newest = alice.newest_epoch().unwrap();
                    let _ = bob.install_epoch(epoch(newest, 0), now);
                }
                4 if !sent.is_empty() => {
                    let mut frame = sent[number as usize % sent.len()].clone();
                    if let Outcome::Opened(_) = bob.open(MediaKind::Video, &mut frame, now) {
                        prop_assert!(seen.insert(frame));
                    }
                }
                _ => {
                    now = now + Duration::from_millis(number % 3_000);
                    bob.tick(now);
                }
            }
            for released in bob.take_released() {
                if released.outcome.is_ok() {
                    prop_assert!(seen.insert(released.frame));
                }
            }
            prop_assert!(bob.keys_held() <= 3);
        }
    }
}

#[test]
fn epoc_13_an_epoch_of_ten_minutes_is_not_sealed_in_any_more_until_there_is_another() {
    let mut alice = member(1, 1);
    let sealed = |alice: &mut MediaKeys, ms: u64| {
        let mut frame = b"frame".to_vec();
        let sealed = alice.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut frame, at(ms));
        (sealed.map(|info| info.epoch), frame.is_empty())
    };
    assert_eq!(sealed(&mut alice, 600_000), (Ok(1), false));
    assert!(!alice.is_stale(at(600_000)));
    assert_eq!(sealed(&mut alice, 600_001), (Err(SealError::EpochTooOld), true));
    assert!(alice.is_stale(at(600_001)));
    alice.install_epoch(epoch(2, 1), at(700_000)).unwrap();
    alice.switch_sender(2).unwrap();
    assert_eq!(sealed(&mut alice, 700_001), (Ok(2), false));
    assert_eq!(sealed(&mut alice, 1_300_001), (Err(SealError::EpochTooOld), true));
}

#[test]
fn heal_3_a_group_that_was_given_up_is_not_sealed_in_and_heard_for_ten_seconds_only() {
    let (mut alice, mut bob) = pair();
    let (soon, late) = (camera(&mut alice, b"soon"), camera(&mut alice, b"late"));
    bob.give_up(NOW);
    let mut frame = b"frame".to_vec();
    let sealed = bob.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut frame, NOW);
    assert_eq!(
        (sealed.map(|info| info.epoch), frame.is_empty()),
        (Err(SealError::NoEpoch), true)
    );
    assert_eq!(open(&mut bob, MediaKind::Video, &soon, at(9_999)).unwrap().1, b"soon");
    bob.give_up(at(9_999));
    let mut frame = late.clone();
    let outcome = bob.open(MediaKind::Video, &mut frame, at(10_000));
    assert!(
        !matches!(outcome, Outcome::Opened(_)),
        "said twice, it is over no later"
    );
    assert!(frame.is_empty());
}
