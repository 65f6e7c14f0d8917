//! The algorithms of the room profiles (RFC 9420 section 17.1: suites 0x0001 and 0x0002; with the feature `pq` also
//! 0x004D of its draft) and no others.
//!
//! AES-GCM is the engine of the frames, so a browser loads one. Signatures are checked by [`PublicKey`], as those of
//! certificates are.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext, HpkeConfig,
    HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use p256::ecdsa::signature::Signer;
use sha2::{Digest, Sha256};
use tls_codec::SecretVLBytes;
use zeroize::{Zeroize, Zeroizing};

use super::aead::Aead;
use super::dh_kem::DhKem;
use super::hpke::Context;
use super::kem::{Encapsulated, Kem, KemError, SECRET_LEN, Secret};
use crate::group::randomness::Randomness;
use crate::identity::PublicKey;

const SUITES: &[Ciphersuite] = &[
    Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    #[cfg(feature = "pq")]
    Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519,
];

/// Stateless but for the randomness of ephemeral keys.
#[derive(Debug)]
pub struct Crypto {
    /// For ephemeral keys. Whoever only follows a group has none and makes none.
    randomness: Option<Randomness>,
}

impl Crypto {
    pub(super) fn with_randomness(randomness: Randomness) -> Self {
        Self {
            randomness: Some(randomness),
        }
    }

    /// For those who verify: sealing and making keys fail with `InsufficientRandomness`.
    pub const fn verifying() -> Self {
        Self { randomness: None }
    }

    /// MLSP-3.
    fn fill(&self, out: &mut [u8]) -> Result<(), KemError> {
        self.randomness.as_ref().ok_or(KemError::Randomness)?.fill(out);
        Ok(())
    }

    /// Key material for one key pair.
    fn ikm(&self) -> Result<Secret, CryptoError> {
        let mut ikm = Secret::default();
        self.fill(ikm.as_mut())
            .map_err(|_| CryptoError::InsufficientRandomness)?;
        Ok(ikm)
    }

    fn encap(&self, kem: Kem, receiver: &[u8]) -> Result<Encapsulated, CryptoError> {
        kem.encap(receiver, |out| self.fill(out)).map_err(|error| match error {
            KemError::Randomness => CryptoError::InsufficientRandomness,
            _ => CryptoError::SenderSetupError,
        })
    }
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, suite: Ciphersuite) -> Result<(), CryptoError> {
        if SUITES.contains(&suite) {
            Ok(())
        } else {
            Err(CryptoError::UnsupportedCiphersuite)
        }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        SUITES.to_vec()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        sha256_only(hash)?;
        let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm);
        let secret = prk.as_slice().into();
        prk.as_mut_slice().zeroize();
        Ok(secret)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        sha256_only(hash)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)?;
        mac.update(message);
        let mut tag = mac.finalize().into_bytes();
        let secret = tag.as_slice().into();
        tag.as_mut_slice().zeroize();
        Ok(secret)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        sha256_only(hash)?;
        let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        let mut okm = Zeroizing::new(vec![0; okm_len]);
        hkdf.expand(info, &mut okm)
            .map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        Ok(okm.as_slice().into())
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        sha256_only(hash)?;
        Ok(Sha256::digest(data).to_vec())
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let nonce = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
        let sealed = aead_of(alg)?.seal(key, nonce, aad, data);
        sealed.ok_or(CryptoError::CryptoLibraryError)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let nonce = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
        let opened = aead_of(alg)?.open(key, nonce, aad, ct_tag);
        opened.ok_or(CryptoError::AeadDecryptionError)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        match alg {
            SignatureScheme::ED25519 => {
                let seed = self.ikm()?;
                let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
                Ok((seed.to_vec(), public.to_bytes().to_vec()))
            }
            SignatureScheme::ECDSA_SECP256R1_SHA256 => {
                // The derivation of HPKE keys gives a uniform scalar of the same group.
                let pair = DhKem::P256.derive_key_pair(self.ikm()?.as_ref());
                let pair = pair.map_err(|_| CryptoError::CryptoLibraryError)?;
                Ok((pair.private.to_vec(), pair.public))
            }
            _ => Err(CryptoError::UnsupportedSignatureScheme),
        }
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let key = match alg {
            SignatureScheme::ED25519 => pk.try_into().map(PublicKey::Ed25519),
            SignatureScheme::ECDSA_SECP256R1_SHA256 => pk.try_into().map(PublicKey::P256),
            _ => return Err(CryptoError::UnsupportedSignatureScheme),
        }
        .map_err(|_| CryptoError::InvalidPublicKey)?;
        if key.verify(data, signature) {
            Ok(())
        } else {
            Err(CryptoError::InvalidSignature)
        }
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match alg {
            SignatureScheme::ED25519 => {
                let key = ed25519_dalek::SigningKey::try_from(key).map_err(|_| CryptoError::SigningError)?;
                Ok(key.sign(data).to_bytes().to_vec())
            }
            SignatureScheme::ECDSA_SECP256R1_SHA256 => {
                // Exactly 32 bytes: `from_slice` would fill up a shorter one.
                let key = <&[u8; 32]>::try_from(key).map_err(|_| CryptoError::SigningError)?;
                let key = p256::ecdsa::SigningKey::from_bytes(key.into()).map_err(|_| CryptoError::SigningError)?;
                let signature: p256::ecdsa::Signature = key.try_sign(data).map_err(|_| CryptoError::SigningError)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            _ => Err(CryptoError::UnsupportedSignatureScheme),
        }
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        let kem = kem_of(&config)?;
        let Encapsulated { enc, secret } = self.encap(kem, pk_r)?;
        let ciphertext = Context::new(kem, &secret, info)
            .and_then(|context| context.seal(aad, ptxt))
            .map_err(|_| CryptoError::HpkeEncryptionError)?;
        Ok(HpkeCiphertext {
            kem_output: enc.into(),
            ciphertext: ciphertext.into(),
        })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let kem = kem_of(&config)?;
        let secret = kem.decap(input.kem_output.as_slice(), &private(sk_r)?);
        let secret = secret.map_err(|_| CryptoError::HpkeDecryptionError)?;
        Context::new(kem, &secret, info)
            .and_then(|context| context.open(aad, input.ciphertext.as_slice()))
            .map_err(|_| CryptoError::HpkeDecryptionError)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        let kem = kem_of(&config)?;
        let Encapsulated { enc, secret } = self.encap(kem, pk_r)?;
        let secret = Context::new(kem, &secret, info)
            .map_err(|_| CryptoError::SenderSetupError)?
            .export(exporter_context, exporter_length)
            .map_err(|_| CryptoError::ExporterError)?;
        Ok((enc, secret.into()))
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        let kem = kem_of(&config)?;
        let secret = kem.decap(enc, &private(sk_r)?);
        let secret = secret.map_err(|_| CryptoError::ReceiverSetupError)?;
        let secret = Context::new(kem, &secret, info)
            .map_err(|_| CryptoError::ReceiverSetupError)?
            .export(exporter_context, exporter_length)
            .map_err(|_| CryptoError::ExporterError)?;
        Ok(secret.into())
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        let pair = kem_of(&config)?
            .derive_key_pair(ikm)
            .map_err(|_| CryptoError::CryptoLibraryError)?;
        Ok(HpkeKeyPair {
            private: pair.private.as_slice().into(),
            public: pair.public,
        })
    }
}

/// MLSP-1.
fn sha256_only(hash: HashType) -> Result<(), CryptoError> {
    match hash {
        HashType::Sha2_256 => Ok(()),
        _ => Err(CryptoError::UnsupportedHashAlgorithm),
    }
}

fn aead_of(alg: AeadType) -> Result<Aead, CryptoError> {
    match alg {
        AeadType::Aes128Gcm => Ok(Aead::Aes128Gcm),
        #[cfg(feature = "pq")]
        AeadType::ChaCha20Poly1305 => Ok(Aead::ChaCha20Poly1305),
        _ => Err(CryptoError::UnsupportedAeadAlgorithm),
    }
}

/// MLSP-1: each KEM with the KDF and the AEAD of its suite.
fn kem_of(config: &HpkeConfig) -> Result<Kem, CryptoError> {
    let kem = match (config.0, config.1) {
        (HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha256) => Kem::Dh(DhKem::X25519),
        (HpkeKemType::DhKemP256, HpkeKdfType::HkdfSha256) => Kem::Dh(DhKem::P256),
        #[cfg(feature = "pq")]
        (HpkeKemType::XWingKemDraft6, HpkeKdfType::HkdfSha256) => Kem::XWing,
        _ => return Err(CryptoError::UnsupportedKdf),
    };
    match (config.2, kem.aead()) {
        (HpkeAeadType::AesGcm128, Aead::Aes128Gcm) => Ok(kem),
        #[cfg(feature = "pq")]
        (HpkeAeadType::ChaCha20Poly1305, Aead::ChaCha20Poly1305) => Ok(kem),
        _ => Err(CryptoError::UnsupportedAeadAlgorithm),
    }
}

fn private(bytes: &[u8]) -> Result<Secret, CryptoError> {
    let bytes: &[u8; SECRET_LEN] = bytes.try_into().map_err(|_| CryptoError::InvalidLength)?;
    Ok(Zeroizing::new(*bytes))
}
