//! Against `p256`'s own verifier, which has the last word on what a signature is.

use p256::NonZeroScalar;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::elliptic_curve::point::DecompressPoint;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use proptest::prelude::*;

use super::*;

/// The order of the curve's group, n.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn bytes(hex: &str) -> [u8; 32] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

fn scalar(hex: &str) -> Scalar {
    Scalar::from_repr(bytes(hex).into()).unwrap()
}

/// n - 1, the greatest there is.
fn greatest() -> Scalar {
    -Scalar::ONE
}

fn reduced(bytes: [u8; 32]) -> Scalar {
    Scalar::reduce_bytes(&bytes.into())
}

fn public(point: ProjectivePoint) -> PublicKey {
    let encoded = point.to_affine().to_encoded_point(false);
    PublicKey::P256(encoded.as_bytes().try_into().unwrap())
}

fn table(key: &PublicKey) -> Multiples {
    Multiples::of_key(key).unwrap()
}

/// What the table says; `p256` must say the same.
fn both(point: ProjectivePoint, hash: &[u8; 32], signature: &Signature) -> bool {
    let theirs = VerifyingKey::from_affine(point.to_affine()).unwrap();
    let theirs = theirs.verify_prehash(hash, signature).is_ok();
    let ours = Multiples::of(point).verify(hash, signature);
    assert_eq!(ours, theirs, "{signature} of {}", hex::encode(hash));
    ours
}

/// A table that was made long ago, and one key that signed with it.
fn used(signer: &SigningKey) -> (Authorities, PublicKey) {
    let (authorities, key) = (Authorities::default(), public_of(signer));
    for _ in 0..BUILD_AFTER {
        authorities.vouched(&key);
    }
    assert!(authorities.table_of(&key).is_some());
    (authorities, key)
}

fn public_of(signer: &SigningKey) -> PublicKey {
    public((*signer.verifying_key().as_affine()).into())
}

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

#[test]
fn the_signatures_of_rfc_6979_a_2_5_are_good() {
    let key = bytes("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let signer = SigningKey::from_bytes(&key.into()).unwrap();
    let (authorities, key) = used(&signer);
    for (message, r, s) in [
        (
            "sample",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            "test",
            "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        ),
    ] {
        let signature = Signature::from_scalars(bytes(r), bytes(s)).unwrap().to_der();
        assert!(authorities.verify(&key, message.as_bytes(), signature.as_bytes()));
        assert!(!authorities.verify(&key, b"another", signature.as_bytes()));
    }
}

#[test]
fn digits_are_those_of_the_scalar() {
    let mut scalars = vec![Scalar::ZERO, Scalar::ONE, greatest(), scalar(&"7f".repeat(32))];
    // Every bit alone, and all bits up to it: each carry, at each place.
    let mut bit = Scalar::ONE;
    for _ in 0..256 {
        scalars.extend([bit, bit - Scalar::ONE, -bit]);
        bit = bit.double();
    }
    for scalar in scalars {
        let mut sum = Scalar::ZERO;
        for digit in digits(&scalar).into_iter().rev() {
            assert!((-31..=32).contains(&digit));
            let absolute = Scalar::from(u64::from(digit.unsigned_abs()));
            sum = sum * Scalar::from(64_u64) + if digit < 0 { -absolute } else { absolute };
        }
        assert_eq!(sum, scalar);
    }
}

/// Sums that are the identity, a point doubled, or nothing at all, on the way and at the end.
#[test]
fn products_are_those_of_p256_in_all_corners() {
    let some = scalar("00000000000000000000000000000000000000000000000000000000deadbeef");
    let corners = [Scalar::ZERO, Scalar::ONE, greatest(), some, -some];
    for factor in [Scalar::ONE, greatest(), some] {
        let point = ProjectivePoint::GENERATOR * factor;
        let table = Multiples::of(point);
        for (a, b) in corners.iter().flat_map(|a| corners.iter().map(move |b| (a, b))) {
            let mut sum = ProjectivePoint::IDENTITY;
            GENERATOR.add_product(a, &mut sum);
            table.add_product(b, &mut sum);
            assert_eq!(sum, ProjectivePoint::GENERATOR * a + point * b);
        }
    }
}

/// FIPS 186-5: what is compared with r is the coordinate modulo n. Here the coordinate is n and something.
#[test]
fn a_coordinate_that_is_no_less_than_the_order_is_reduced() {
    let mut met = 0;
    for beyond in 1..40_u8 {
        // The order ends in 0x51, so there is no carry.
        let mut x = bytes(ORDER);
        x[31] += beyond;
        let Some(point) = Option::<p256::AffinePoint>::from(p256::AffinePoint::decompress(&x.into(), 0.into())) else {
            continue;
        };
        met += 1;
        let (r, s, hash) = (Scalar::from(u64::from(beyond)), reduced([7; 32]), [9; 32]);
        // s R = h G + r Q, solved for the key.
        let key = (ProjectivePoint::from(point) * s - ProjectivePoint::GENERATOR * reduced(hash)) * r.invert().unwrap();
        let signature = Signature::from_scalars(r, s).unwrap();
        assert!(both(key, &hash, &signature));
        let next = Signature::from_scalars(r + Scalar::ONE, s).unwrap();
        assert!(!both(key, &hash, &next));
    }
    assert!(met > 10);
}

#[test]
fn a_sum_that_is_the_identity_is_no_signature() {
    let (r, s, hash) = (reduced([3; 32]), reduced([5; 32]), [11; 32]);
    // h + r d = 0, so u1 G + u2 Q = 0 whatever s is.
    let key = ProjectivePoint::GENERATOR * -(reduced(hash) * r.invert().unwrap());
    for s in [s, Scalar::ONE, greatest()] {
        assert!(!both(key, &hash, &Signature::from_scalars(r, s).unwrap()));
    }
}

#[test]
fn both_forms_of_s_are_taken_as_p256_takes_them() {
    let signer = signer(21);
    let signature: Signature = signer.sign(b"whatever");
    let (r, s) = (*signature.r(), *signature.s());
    let other = Signature::from_scalars(r, -s).unwrap();
    let (hash, point) = (
        Sha256::digest(b"whatever").into(),
        ProjectivePoint::from(*signer.verifying_key().as_affine()),
    );
    assert!(both(point, &hash, &signature) && both(point, &hash, &other));
}

/// SEC 1 section 4.1.4, step 1, and all that is not DER.
#[test]
fn numbers_out_of_range_and_loose_encodings_are_refused() {
    let signer = signer(22);
    let (authorities, key) = used(&signer);
    let good: Signature = signer.sign(b"message");
    let (r, s) = (good.r().to_bytes(), good.s().to_bytes());
    let (zero, n) = ([0; 32], bytes(ORDER));
    for (r, s) in [
        (&zero[..], &s[..]),
        (&r, &zero),
        (&n, &s),
        (&r, &n),
        (&[0xff; 32], &s),
        (&r, &[0xff; 32]),
        (&zero, &zero),
    ] {
        let signature = der(r, s);
        assert!(!authorities.verify(&key, b"message", &signature));
        assert!(!key.verify(b"message", &signature));
    }
    let good = der(&r, &s);
    assert!(
        authorities.verify(&key, b"message", &good),
        "the encoder of this test is right"
    );
    for end in 0..good.len() {
        assert!(!authorities.verify(&key, b"message", &good[..end]));
    }
    assert!(!authorities.verify(&key, b"message", &[&good[..], &[0]].concat()));
}

/// Two INTEGERs in a SEQUENCE, as short as they can be.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
        let sign = if number[start] >= 0x80 { &[0][..] } else { &[] };
        let content = [sign, &number[start..]].concat();
        [&[2, content.len() as u8], &content[..]].concat()
    };
    let content = [integer(r), integer(s)].concat();
    [&[0x30, content.len() as u8], &content[..]].concat()
}

#[test]
fn no_bit_can_be_changed() {
    let signer = signer(23);
    let (authorities, key) = used(&signer);
    let message = b"to be signed";
    let signature: Signature = signer.sign(message);
    let signature = signature.to_der().as_bytes().to_vec();
    assert!(authorities.verify(&key, message, &signature));
    for bit in 0..signature.len() * 8 {
        let mut changed = signature.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!authorities.verify(&key, message, &changed), "signature, bit {bit}");
    }
    for bit in 0..message.len() * 8 {
        let mut changed = *message;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!authorities.verify(&key, &changed, &signature), "message, bit {bit}");
    }
}

#[test]
fn another_key_a_point_beside_the_curve_and_another_algorithm_have_no_say() {
    let (authorities, key) = used(&signer(24));
    let stranger = signer(25);
    let signature: Signature = stranger.sign(b"message");
    let signature = signature.to_der();
    assert!(!authorities.verify(&key, b"message", signature.as_bytes()));
    assert!(authorities.verify(&public_of(&stranger), b"message", signature.as_bytes()));

    let PublicKey::P256(mut beside) = public_of(&stranger) else {
        unreachable!()
    };
    beside[64] ^= 1;
    let (beside, other) = (PublicKey::P256(beside), PublicKey::Ed25519([9; 32]));
    for key in [&beside, &other] {
        for _ in 0..=BUILD_AFTER {
            authorities.vouched(key);
        }
        assert!(authorities.table_of(key).is_none());
        assert!(!authorities.verify(key, b"message", signature.as_bytes()));
    }
}

#[test]
fn a_table_is_made_for_who_signs_often_and_never_for_more_than_a_few() {
    let authorities = Authorities::default();
    let keys: Vec<PublicKey> = (1..=MAX_KEYS as u8 + 1).map(|seed| public_of(&signer(seed))).collect();
    let has_table = |at: usize| authorities.table_of(&keys[at]).is_some();
    for _ in 1..BUILD_AFTER {
        authorities.vouched(&keys[0]);
    }
    assert!(!has_table(0));
    authorities.vouched(&keys[0]);
    assert!(has_table(0));
    for key in &keys[1..] {
        for _ in 0..BUILD_AFTER {
            authorities.vouched(key);
        }
        // The first is in use all the time, so it is not the one that goes.
        authorities.vouched(&keys[0]);
    }
    assert!(has_table(0) && !has_table(1) && has_table(MAX_KEYS));
    assert_eq!(authorities.known().len(), MAX_KEYS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_answer_is_always_that_of_p256(
        secret in any::<[u8; 32]>(),
        message in proptest::collection::vec(any::<u8>(), 0..200),
        other in any::<[u8; 32]>(),
        r in any::<[u8; 32]>(),
        s in any::<[u8; 32]>(),
    ) {
        let Some(secret) = Option::<NonZeroScalar>::from(NonZeroScalar::from_repr(secret.into())) else {
            return Ok(());
        };
        let signer = SigningKey::from(secret);
        let point = ProjectivePoint::from(*signer.verifying_key().as_affine());
        let hash = Sha256::digest(&message).into();
        let signature: Signature = signer.sign(&message);
        prop_assert!(both(point, &hash, &signature));
        prop_assert!(!both(point, &other, &signature));
        if let Ok(random) = Signature::from_scalars(r, s) {
            both(point, &hash, &random);
        }
        // The same r with another s, and the other way round.
        if let Ok(mixed) = Signature::from_scalars(signature.r().to_bytes(), s) {
            both(point, &hash, &mixed);
        }
        if let Ok(mixed) = Signature::from_scalars(r, signature.s().to_bytes()) {
            both(point, &hash, &mixed);
        }
        let authority = table(&public(point));
        prop_assert!(authority.verify(&hash, &signature));
    }
}
