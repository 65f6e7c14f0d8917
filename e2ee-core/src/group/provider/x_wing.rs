//! X-Wing (draft-connolly-cfrg-xwing-kem): X25519 and ML-KEM-768 in one, secret while either of the two is. For the
//! experimental profile `pq`.
//!
//! By the draft, an X25519 share of small order is taken: the secret then rests on ML-KEM alone, as it does for whoever
//! breaks X25519.

use shake::{ExtendableOutput, Shake256, Update, XofReader};
use x_wing::{Ciphertext, Decapsulate, DecapsulationKey, Decapsulator, EncapsulationKey, KeyExport};
use zeroize::Zeroizing;

use super::kem::{Encapsulated, KemError, KeyPair, SECRET_LEN, Secret};

/// Bytes of randomness that an encapsulation takes.
pub(super) const RANDOMNESS: usize = x_wing::ENCAPSULATION_RANDOMNESS_SIZE;

/// DeriveKeyPair: the private key is a seed.
pub(super) fn derive_key_pair(ikm: &[u8]) -> KeyPair {
    let mut shake = Shake256::default();
    shake.update(ikm);
    let mut private = Secret::default();
    shake.finalize_xof().read(private.as_mut());
    let public = public_of(&private);
    KeyPair { private, public }
}

pub(super) fn public_of(private: &Secret) -> Vec<u8> {
    let key = DecapsulationKey::from(**private);
    key.encapsulation_key().to_bytes().to_vec()
}

/// A public key of another length, or whose ML-KEM part is not in its one encoding (FIPS 203 section 7.2), is refused.
pub(super) fn encap(receiver: &[u8], randomness: &Zeroizing<[u8; RANDOMNESS]>) -> Result<Encapsulated, KemError> {
    let key = EncapsulationKey::try_from(receiver).map_err(|_| KemError::PublicKey)?;
    let (enc, secret) = key.encapsulate_deterministic(&(**randomness).into());
    Ok(Encapsulated {
        enc: enc.to_vec(),
        secret: Zeroizing::new(secret.0),
    })
}

/// A ciphertext that is none of this key's gives a secret that nobody has (FIPS 203's implicit rejection).
pub(super) fn decap(enc: &[u8], private: &Secret) -> Result<Secret, KemError> {
    let enc = Ciphertext::try_from(enc).map_err(|_| KemError::PublicKey)?;
    let secret: [u8; SECRET_LEN] = DecapsulationKey::from(**private).decapsulate(&enc).0;
    Ok(Zeroizing::new(secret))
}
