//! Signatures of the authorities that sign many certificates: under the pinned root and what it certified.
//!
//! A group of a thousand holds a thousand certificates signed by one key or two. An ECDSA check is `u1 G + u2 Q`, with
//! `G` the curve's base point and `Q` the key, and nearly all of its cost is 256 doublings of each. Where `Q` comes again
//! and again, its multiples are worth a table ([`Multiples`]): then nothing is doubled, and a check is some 86 additions.
//!
//! Everything here is public: keys, certificates, signatures. The time it takes depends on them, so nothing that is secret
//! may ever come here. The arithmetic of the curve and all it can meet (the identity, equal points) is `p256`'s; why the
//! rest is our own is in docs/decisions/0016.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use p256::ecdsa::{Signature, VerifyingKey};
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::group::Group;
use p256::elliptic_curve::ops::{Invert, Reduce};
use p256::elliptic_curve::point::AffineCoordinates;
use p256::{ProjectivePoint, Scalar};
use sha2::{Digest, Sha256};

use super::key::PublicKey;

/// A table costs about as much as six checks without one, so it is made where at least as many came before.
const BUILD_AFTER: u32 = 8;
/// Keys whose use is counted, and tables that are held (132 kB each). An organisation has a root and few others.
const MAX_KEYS: usize = 4;

/// Bits of a digit, in which scalars are written.
const WINDOW: usize = 6;
/// So many hold 256 bits, with room for the last carry.
const DIGITS: usize = 43;
/// A digit is at most so much, or less by one below zero.
const LARGEST: u8 = 1 << (WINDOW - 1);

/// Checks signatures, and remembers of a few keys how often they came.
#[derive(Default)]
pub(super) struct Authorities {
    /// The one used last is the first.
    known: Mutex<Vec<Known>>,
}

struct Known {
    key: PublicKey,
    used: u32,
    table: Option<Arc<Multiples>>,
}

impl Authorities {
    /// The same answer as [`PublicKey::verify`], for any key.
    pub(super) fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match (self.table_of(key), Signature::from_der(signature)) {
            (None, _) => key.verify(message, signature),
            (Some(_), Err(_)) => false,
            (Some(table), Ok(signature)) => table.verify(&Sha256::digest(message).into(), &signature),
        }
    }

    /// A whole chain that ends at the root was good, and this key signed in it. Only then is it counted: what strangers
    /// present neither makes a table nor takes one's place.
    pub(super) fn vouched(&self, key: &PublicKey) {
        if self.count(key)
            && let Some(table) = Multiples::of_key(key).map(Arc::new)
            && let Some(known) = self.known().iter_mut().find(|known| known.key == *key)
        {
            known.table = Some(table);
        }
    }

    /// Whether its table is to be made now.
    fn count(&self, key: &PublicKey) -> bool {
        let mut known = self.known();
        let mut found = match known.iter().position(|known| known.key == *key) {
            Some(at) => known.remove(at),
            None => Known {
                key: key.clone(),
                used: 0,
                table: None,
            },
        };
        found.used = found.used.saturating_add(1);
        let due = found.used == BUILD_AFTER;
        known.insert(0, found);
        known.truncate(MAX_KEYS);
        due
    }

    fn table_of(&self, key: &PublicKey) -> Option<Arc<Multiples>> {
        self.known().iter().find(|known| known.key == *key)?.table.clone()
    }

    /// Every step leaves it whole, so a panic elsewhere does not spoil it.
    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorities")
    }
}

/// Of the base point. Made with the first key's.
static GENERATOR: LazyLock<Multiples> = LazyLock::new(|| Multiples::of(ProjectivePoint::GENERATOR));

/// `d 64^i P` for each digit `d` from 1 to 32 and each place `i`.
///
/// Not as affine points, with which an addition takes a twelfth less: `p256` makes them one by one, each with an inversion,
/// and that costs more than a thousand checks gain.
struct Multiples(Vec<ProjectivePoint>);

impl Multiples {
    fn of_key(key: &PublicKey) -> Option<Self> {
        let PublicKey::P256(bytes) = key else {
            return None;
        };
        // On the curve, and not the identity.
        let key = VerifyingKey::from_sec1_bytes(bytes).ok()?;
        Some(Self::of((*key.as_affine()).into()))
    }

    fn of(point: ProjectivePoint) -> Self {
        let mut all = Vec::with_capacity(DIGITS * usize::from(LARGEST));
        let mut unit = point;
        for _ in 0..DIGITS {
            let mut multiple = unit;
            for _ in 1..LARGEST {
                all.push(multiple);
                multiple += unit;
            }
            all.push(multiple);
            unit = multiple.double();
        }
        Self(all)
    }

    /// Adds the point times `scalar` to `sum`. In variable time.
    fn add_product(&self, scalar: &Scalar, sum: &mut ProjectivePoint) {
        for (digit, place) in digits(scalar)
            .into_iter()
            .zip(self.0.chunks_exact(usize::from(LARGEST)))
        {
            let Some(multiple) = usize::from(digit.unsigned_abs())
                .checked_sub(1)
                .and_then(|at| place.get(at))
            else {
                continue;
            };
            if digit > 0 {
                *sum += multiple;
            } else {
                *sum -= multiple;
            }
        }
    }

    /// FIPS 186-5 section 6.4.2, with this point as the key. That `r` and `s` are between 1 and n - 1 is in the type.
    fn verify(&self, hash: &[u8; 32], signature: &Signature) -> bool {
        let hash = Scalar::reduce_bytes(hash.into());
        let (r, s) = signature.split_scalars();
        let inverse = *s.invert_vartime();
        let mut sum = ProjectivePoint::IDENTITY;
        GENERATOR.add_product(&(hash * inverse), &mut sum);
        self.add_product(&(*r * inverse), &mut sum);
        let sum = sum.to_affine();
        !bool::from(sum.is_identity()) && Scalar::reduce_bytes(&sum.x()) == *r
    }
}

/// The scalar in base 64, lowest first, with digits from -31 to 32.
fn digits(scalar: &Scalar) -> [i8; DIGITS] {
    let bytes = scalar.to_repr();
    let byte = |at: usize| bytes.iter().rev().nth(at).copied().map_or(0, u16::from);
    let mut carry = 0;
    std::array::from_fn(|place| {
        let bit = place * WINDOW;
        let two = byte(bit / 8) | byte(bit / 8 + 1) << 8;
        let digit = (two >> (bit % 8) & ((1 << WINDOW) - 1)) as i8 + carry;
        carry = i8::from(digit > LARGEST as i8);
        digit - (carry << WINDOW)
    })
}

#[cfg(test)]
mod tests;
