//! The checks on the machine that builds, each as a test, and random ones besides.

use proptest::prelude::*;
use vector_aes::AesGcm;
use vector_aes_checks::{CHECKS, against_aes_gcm, known_answers, refusals};

macro_rules! tests {
    ($($name:ident: $check:path,)*) => {
        $(#[test] fn $name() { $check() })*

        #[test]
        fn every_check_is_a_test_here() {
            assert_eq!(CHECKS.len(), [$(stringify!($name)),*].len());
        }
    };
}

tests! {
    the_specifications_test_cases_come_out: known_answers::come_out,
    each_opens_what_the_other_sealed_at_every_length: against_aes_gcm::at_every_length,
    each_opens_what_the_other_sealed_around_borders: against_aes_gcm::around_borders,
    each_opens_what_the_other_sealed_with_every_aad: against_aes_gcm::with_every_aad,
    each_opens_what_the_other_sealed_a_million_bytes_long: against_aes_gcm::a_million_bytes,
    each_opens_what_the_other_sealed_under_many_keys: against_aes_gcm::under_many_keys,
    every_flipped_bit_is_refused: refusals::of_every_flipped_bit,
    other_lengths_are_refused: refusals::of_other_lengths,
    guessed_tags_are_refused: refusals::of_guessed_tags,
}

proptest! {
    #[test]
    fn both_agree_on_anything(
        key in prop_oneof![any::<[u8; 16]>().prop_map(Vec::from), any::<[u8; 32]>().prop_map(Vec::from)],
        nonce in any::<[u8; 12]>(),
        aad in prop::collection::vec(any::<u8>(), 0..300),
        plain in prop::collection::vec(any::<u8>(), 0..3_000),
    ) {
        against_aes_gcm::agree(&key, &nonce, &aad, &plain);
    }
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let key = AesGcm::new(&[0xA7; 16]).unwrap();
    assert_eq!(format!("{key:?}"), "AesGcm(secret)");
}

#[test]
fn a_key_of_another_length_is_refused() {
    for length in (0..=64).filter(|length| ![16, 32].contains(length)) {
        assert!(AesGcm::new(&vec![0; length]).is_err());
    }
}
