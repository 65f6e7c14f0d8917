//! Making and finding keys in a token.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use sha2::{Digest as _, Sha256};

use super::module::Fault;
use crate::{Error, KeyKind, KeyLabel, PublicKey, TokenError, UseError};

pub(super) type KeyPair = (KeyKind, ObjectHandle, PublicKey);

/// OID prime256v1.
const PARAMS_P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// PrintableString "edwards25519": PKCS#11 3.0 section 2.3.10 allows it beside the OID, and SoftHSM 2.6 knows only this.
const PARAMS_ED25519: [u8; 14] = *b"\x13\x0cedwards25519";

pub(super) fn generate_key_pair(session: &Session, label: &KeyLabel, kind: KeyKind) -> Result<(), Fault> {
    let (mechanism, key_type, params) = match kind {
        KeyKind::P256 => (Mechanism::EccKeyPairGen, KeyType::EC, PARAMS_P256.to_vec()),
        KeyKind::Ed25519 => (
            Mechanism::EccEdwardsKeyPairGen,
            KeyType::EC_EDWARDS,
            PARAMS_ED25519.to_vec(),
        ),
    };
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::KeyType(key_type),
        Attribute::Verify(true),
        Attribute::EcParams(params),
        Attribute::Label(label.as_str().into()),
        Attribute::Id(id(label)),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::KeyType(key_type),
        Attribute::Sign(true),
        Attribute::Label(label.as_str().into()),
        Attribute::Id(id(label)),
    ];
    session.generate_key_pair(&mechanism, &public, &private)?;
    Ok(())
}

pub(super) fn find_key_pair(session: &Session, label: &KeyLabel) -> Result<Option<KeyPair>, Fault> {
    let Some(private) = one(session, label, ObjectClass::PRIVATE_KEY)? else {
        return Ok(None);
    };
    let public = one(session, label, ObjectClass::PUBLIC_KEY)?.ok_or_else(|| malformed("key pair (no public half)"))?;
    let mut kind = None;
    let mut point = Vec::new();
    for attribute in session.get_attributes(public, &[AttributeType::KeyType, AttributeType::EcPoint])? {
        match attribute {
            Attribute::KeyType(KeyType::EC) => kind = Some(KeyKind::P256),
            Attribute::KeyType(KeyType::EC_EDWARDS) => kind = Some(KeyKind::Ed25519),
            Attribute::EcPoint(bytes) => point = bytes,
            _ => {}
        }
    }
    let kind = kind.ok_or_else(|| Error::from(UseError::NoSuchKey(label.clone())))?;
    let point = octet_string(&point).ok_or_else(|| malformed("public key"))?;
    Ok(Some((kind, private, PublicKey::parse(kind, point)?)))
}

pub(super) fn generate_wrapping_key(session: &Session, label: &KeyLabel) -> Result<(), Fault> {
    let template = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::ValueLen(32.into()),
        Attribute::Label(label.as_str().into()),
        Attribute::Id(id(label)),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template)?;
    Ok(())
}

pub(super) fn find_wrapping_key(session: &Session, label: &KeyLabel) -> Result<Option<ObjectHandle>, Fault> {
    one(session, label, ObjectClass::SECRET_KEY)
}

fn one(session: &Session, label: &KeyLabel, class: ObjectClass) -> Result<Option<ObjectHandle>, Fault> {
    let template = [
        Attribute::Token(true),
        Attribute::Class(class),
        Attribute::Label(label.as_str().into()),
    ];
    let found = session.find_objects(&template)?;
    match found[..] {
        [] => Ok(None),
        [handle] => Ok(Some(handle)),
        _ => Err(Error::from(UseError::Ambiguous {
            label: label.clone(),
            count: found.len(),
        })
        .into()),
    }
}

fn malformed(what: &'static str) -> Error {
    TokenError::Malformed(what).into()
}

/// CKA_ID ties the halves of a pair together for other tools.
fn id(label: &KeyLabel) -> Vec<u8> {
    Sha256::digest(label.as_str())[..20].to_vec()
}

/// CKA_EC_POINT is a DER OCTET STRING around the point; of at most 65 bytes here, so the length is one byte.
/// Some devices leave the wrapping out for Edwards keys.
fn octet_string(der: &[u8]) -> Option<&[u8]> {
    match der {
        [0x04, length, rest @ ..] if usize::from(*length) == rest.len() => Some(rest),
        bare if bare.len() == 32 => Some(bare),
        _ => None,
    }
}
