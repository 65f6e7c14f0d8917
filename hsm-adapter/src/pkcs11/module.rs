//! Loading a PKCS#11 library, once a process, and putting its errors in our words.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Ck, RvError};

use crate::{Error, SetupError, TokenError};

/// C_Initialize belongs to the process, not to a caller: a second one fails, and C_Finalize would end everybody's
/// sessions. So each library is initialised once and stays.
static LOADED: LazyLock<Mutex<HashMap<PathBuf, Pkcs11>>> = LazyLock::new(Mutex::default);

pub(crate) fn load(path: &Path) -> Result<Pkcs11, Error> {
    let unusable = |reason: String| SetupError::ModuleUnusable {
        path: path.to_owned(),
        reason,
    };
    let path = path.canonicalize().map_err(|e| unusable(e.to_string()))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(&path) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(&path).map_err(|e| unusable(e.to_string()))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Somebody else in this process was first, which is as good.
        Ok(()) | Err(Ck::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(e) => return Err(unusable(short(&e)).into()),
    }
    loaded.insert(path, module.clone());
    Ok(module)
}

/// What may happen inside a session: the token's word, kept as it is until it is known whether another try is worth it, or ours.
#[derive(Debug)]
pub(crate) enum Fault {
    Token(Ck),
    Ours(Error),
}

impl From<Ck> for Fault {
    fn from(error: Ck) -> Self {
        Self::Token(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Token(error) => failed(error),
            Fault::Ours(error) => error,
        }
    }
}

pub(crate) fn failed(error: Ck) -> Error {
    match error {
        Ck::Pkcs11(code, call) => TokenError::Call {
            call: format!("C_{call:?}"),
            code: format!("{code:?}"),
        }
        .into(),
        other => TokenError::Driver(other.to_string()).into(),
    }
}

pub(crate) fn login_failed(error: Ck, token: &str) -> Error {
    match error {
        Ck::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
            SetupError::WrongPin(token.to_owned()).into()
        }
        Ck::Pkcs11(RvError::PinLocked | RvError::PinExpired, _) => SetupError::PinLocked(token.to_owned()).into(),
        other => failed(other),
    }
}

/// The session or the device went away: worth one more try with a fresh session.
pub(crate) fn is_stale(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Token(Ck::Pkcs11(
            RvError::SessionClosed
                | RvError::SessionHandleInvalid
                | RvError::UserNotLoggedIn
                | RvError::ObjectHandleInvalid
                | RvError::KeyHandleInvalid
                | RvError::DeviceRemoved,
            _
        ))
    )
}

fn short(error: &Ck) -> String {
    match error {
        Ck::Pkcs11(code, call) => format!("C_{call:?} returned {code:?}"),
        other => other.to_string(),
    }
}
