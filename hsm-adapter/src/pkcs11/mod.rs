//! Any PKCS#11 token. PKCS#11 2.40 and 3.0, with the Edwards curve of 3.0.

pub(crate) mod module;
mod objects;
mod pin;
mod token;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::error::{Error as Ck, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use self::module::Fault;
use self::objects::KeyPair;
pub use self::pin::{Pin, PinSource};
use self::token::Token;
use crate::{
    Backend, Description, Error, InputError, KeyKind, KeyLabel, Keystore, PublicKey, Signature, TokenError, UseError,
    wrapped,
};

/// Which token, and how to log in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pkcs11Config {
    /// The vendor's library.
    pub module: PathBuf,
    /// The token's label (CK_TOKEN_INFO), unique among the module's tokens.
    pub token_label: String,
    /// The user PIN.
    pub pin: PinSource,
    /// Sessions used at the same time at most.
    pub max_sessions: usize,
}

impl Pkcs11Config {
    /// With 16 sessions.
    #[must_use]
    pub fn new(module: PathBuf, token_label: &str, pin: PinSource) -> Self {
        Self {
            module,
            token_label: token_label.to_owned(),
            pin,
            max_sessions: 16,
        }
    }
}

/// Keys in a PKCS#11 token. Private and wrapping keys are made in the token, sensitive and not extractable.
pub struct Pkcs11Keystore {
    token: Arc<Token>,
    found: Mutex<HashMap<KeyLabel, KeyPair>>,
    /// The public halves of all keys that were ever used here: what comes back after a reset is held to them.
    known: Mutex<HashMap<KeyLabel, PublicKey>>,
    description: Description,
}

impl Pkcs11Keystore {
    /// Loads the module, finds the token, logs in.
    pub fn open(config: &Pkcs11Config) -> Result<Self, Error> {
        let token = Token::open(
            &config.module,
            &config.token_label,
            config.pin.read()?,
            config.max_sessions,
        )?;
        let (info, slot) = token.info()?;
        let description = Description {
            backend: Backend::Pkcs11,
            model: format!("{} {}", info.manufacturer_id(), info.model()),
            token_label: info.label().to_owned(),
            serial: info.serial_number().to_owned(),
            is_hardware_boundary: slot.hardware_slot() && !info.model().starts_with("SoftHSM"),
            keys_non_extractable: true,
        };
        Ok(Self {
            token,
            found: Mutex::default(),
            known: Mutex::default(),
            description,
        })
    }

    /// Handle, kind and public half. Handles of token objects are good for every session of the process.
    fn key_pair(&self, session: &Session, label: &KeyLabel) -> Result<KeyPair, Fault> {
        if let Some(found) = self.cache().get(label) {
            return Ok(*found);
        }
        let found = objects::find_key_pair(session, label)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let public = found.map(|(_, _, public)| public);
        if known.get(label).is_some_and(|before| Some(*before) != public) {
            return Err(Error::from(TokenError::AnotherKey(label.clone())).into());
        }
        let found = found.ok_or_else(|| no_such_key(label))?;
        known.insert(label.clone(), found.2);
        self.cache().insert(label.clone(), found);
        Ok(found)
    }

    fn wrapping_key(session: &Session, label: &KeyLabel) -> Result<ObjectHandle, Fault> {
        Ok(objects::find_wrapping_key(session, label)?.ok_or_else(|| no_such_key(label))?)
    }

    fn call<T>(&self, work: impl Fn(&Session) -> Result<T, Fault>) -> Result<T, Fault> {
        self.token.with_session(|| self.cache().clear(), work)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<KeyLabel, KeyPair>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keystore for Pkcs11Keystore {
    fn ensure_key(&self, label: &KeyLabel, kind: KeyKind) -> Result<PublicKey, Error> {
        let _creating = self.token.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, _, public) = self.call(|session| match self.key_pair(session, label) {
            Err(Fault::Ours(Error::Use(UseError::NoSuchKey(_)))) => {
                objects::generate_key_pair(session, label, kind)?;
                tracing::info!(%label, %kind, token = %self.description.token_label, "made a key in the token");
                self.key_pair(session, label)
            }
            result => result,
        })?;
        if found == kind {
            Ok(public)
        } else {
            Err(UseError::WrongKind {
                label: label.clone(),
                expected: kind,
            }
            .into())
        }
    }

    fn public_key(&self, label: &KeyLabel) -> Result<PublicKey, Error> {
        let (_, _, public) = self.call(|session| self.key_pair(session, label))?;
        Ok(public)
    }

    fn sign(&self, label: &KeyLabel, message: &[u8]) -> Result<Signature, Error> {
        let (kind, raw) = self.call(|session| {
            let (kind, key, _) = self.key_pair(session, label)?;
            Ok((kind, sign_with(session, kind, key, message)?))
        })?;
        Signature::parse(kind, &raw)
    }

    fn ensure_wrapping_key(&self, label: &KeyLabel) -> Result<(), Error> {
        let _creating = self.token.creating.lock().unwrap_or_else(PoisonError::into_inner);
        self.call(|session| match objects::find_wrapping_key(session, label)? {
            Some(_) => Ok(()),
            None => objects::generate_wrapping_key(session, label),
        })?;
        Ok(())
    }

    fn wrap(&self, label: &KeyLabel, context: &[u8], data_key: &[u8]) -> Result<Vec<u8>, Error> {
        wrapped::check_size(data_key)?;
        let mut nonce = [0; wrapped::NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let aad = wrapped::aad(label, context);
        let sealed = self.call(|session| {
            let key = Self::wrapping_key(session, label)?;
            let mut iv = nonce;
            Ok(session.encrypt(
                &Mechanism::AesGcm(GcmParams::new(&mut iv, &aad, GCM_TAG_BITS.into())?),
                key,
                data_key,
            )?)
        })?;
        Ok(wrapped::seal(&nonce, &sealed))
    }

    fn unwrap(&self, label: &KeyLabel, context: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (nonce, sealed) = wrapped::open(wrapped)?;
        let aad = wrapped::aad(label, context);
        let opened = self.call(|session| {
            let key = Self::wrapping_key(session, label)?;
            let mut iv = nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, &aad, GCM_TAG_BITS.into())?);
            session
                .decrypt(&mechanism, key, sealed)
                .map(Zeroizing::new)
                .map_err(refused_or_failed)
        })?;
        Ok(opened)
    }

    fn describe(&self) -> Description {
        self.description.clone()
    }
}

const GCM_TAG_BITS: u64 = 8 * wrapped::TAG as u64;

/// Modules differ in what they call a tag that does not verify; SoftHSM 2.6 says CKR_GENERAL_ERROR.
fn refused_or_failed(error: Ck) -> Fault {
    match error {
        Ck::Pkcs11(
            RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::GeneralError
            | RvError::DataInvalid,
            _,
        ) => Error::from(InputError::WrapNotAuthentic).into(),
        other => other.into(),
    }
}

fn no_such_key(label: &KeyLabel) -> Error {
    UseError::NoSuchKey(label.clone()).into()
}

/// CKM_ECDSA over a digest made here rather than CKM_ECDSA_SHA256: SoftHSM 2.6 and many devices have only the former.
fn sign_with(session: &Session, kind: KeyKind, key: ObjectHandle, message: &[u8]) -> Result<Vec<u8>, Ck> {
    match kind {
        KeyKind::P256 => session.sign(&Mechanism::Ecdsa, key, &Sha256::digest(message)),
        KeyKind::Ed25519 => session.sign(
            &Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
            key,
            message,
        ),
    }
}
