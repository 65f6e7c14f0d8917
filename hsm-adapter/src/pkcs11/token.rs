//! One logged-in token per process, and its sessions.
//!
//! PKCS#11 logs in a whole application, not a session: once one session is logged in, C_Login on another says
//! CKR_USER_ALREADY_LOGGED_IN *without looking at the PIN*. So all keystores on a token share one [`Token`], and the
//! PIN of a second one is compared here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error as Ck, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;

use super::module::{self, Fault};
use crate::{Error, Pin, SetupError, TokenError};

type Key = (PathBuf, String);
static OPEN: LazyLock<Mutex<HashMap<Key, Weak<Token>>>> = LazyLock::new(Mutex::default);

pub(super) struct Token {
    module: Pkcs11,
    label: String,
    pin: Pin,
    max_sessions: usize,
    state: Mutex<Sessions>,
    returned: Condvar,
    /// Held while a key is looked for and made, so that two threads do not make two.
    pub(super) creating: Mutex<()>,
}

struct Sessions {
    slot: Slot,
    /// Never lent out: while it lives, the login lives.
    anchor: Option<Session>,
    idle: Vec<Session>,
    lent: usize,
}

impl Token {
    /// Logs in, or joins the login that this process already has with the same PIN.
    pub(super) fn open(
        module_path: &std::path::Path,
        label: &str,
        pin: Pin,
        max_sessions: usize,
    ) -> Result<Arc<Self>, Error> {
        let module = module::load(module_path)?;
        let key = (module_path.to_owned(), label.to_owned());
        // A token being dropped on another thread is still logged in for a moment.
        for _ in 0..200 {
            {
                let mut open = lock(&OPEN);
                if let Some(token) = open.get(&key).and_then(Weak::upgrade) {
                    return if token.pin.matches(&pin) {
                        Ok(token)
                    } else {
                        Err(SetupError::WrongPin(label.to_owned()).into())
                    };
                }
                let slot = find(&module, module_path, label)?;
                let session = module.open_rw_session(slot).map_err(module::failed)?;
                match session.login(UserType::User, Some(&pin.to_auth())) {
                    Ok(()) => {
                        let state = Sessions {
                            slot,
                            anchor: Some(session),
                            idle: Vec::new(),
                            lent: 0,
                        };
                        let token = Arc::new(Self {
                            module,
                            label: label.to_owned(),
                            pin,
                            max_sessions: max_sessions.max(1),
                            state: Mutex::new(state),
                            returned: Condvar::new(),
                            creating: Mutex::new(()),
                        });
                        open.insert(key, Arc::downgrade(&token));
                        return Ok(token);
                    }
                    Err(Ck::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
                    Err(e) => return Err(module::login_failed(e, label)),
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(TokenError::Driver(
            "another part of this process is logged in to the token, so the PIN cannot be checked".to_owned(),
        )
        .into())
    }

    /// Runs `work` on a session. When session or device turn out to be stale, `forget` is called (handles may be
    /// different now), the token is logged in to again, and `work` runs once more.
    pub(super) fn with_session<T>(
        &self,
        forget: impl FnOnce(),
        work: impl Fn(&Session) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match self.once(&work) {
            Err(fault) if module::is_stale(&fault) => {
                tracing::warn!(token = %self.label, "a PKCS#11 session went stale; logging in again");
                forget();
                self.reconnect()?;
                self.once(&work)
            }
            result => result,
        }
    }

    /// After an error the session may be left with an operation begun, so it is closed instead of going back.
    fn once<T>(&self, work: impl Fn(&Session) -> Result<T, Fault>) -> Result<T, Fault> {
        let session = self.lend()?;
        let mut loan = Loan {
            token: self,
            back: None,
        };
        let value = work(&session)?;
        loan.back = Some(session);
        Ok(value)
    }

    pub(super) fn info(&self) -> Result<(cryptoki::slot::TokenInfo, cryptoki::slot::SlotInfo), Error> {
        let slot = lock(&self.state).slot;
        let token = self.module.get_token_info(slot).map_err(module::failed)?;
        Ok((token, self.module.get_slot_info(slot).map_err(module::failed)?))
    }

    fn lend(&self) -> Result<Session, Error> {
        let mut state = lock(&self.state);
        loop {
            if let Some(session) = state.idle.pop() {
                state.lent += 1;
                return Ok(session);
            }
            if state.lent < self.max_sessions {
                match self.module.open_rw_session(state.slot) {
                    Ok(session) => {
                        state.lent += 1;
                        return Ok(session);
                    }
                    // The device allows fewer than we were told: wait for one of those we have.
                    Err(Ck::Pkcs11(RvError::SessionCount, _)) if state.lent > 0 => {}
                    Err(e) => return Err(module::failed(e)),
                }
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// After a reset of the device: find it again, log in again. Harmless when another thread has just done so.
    fn reconnect(&self) -> Result<(), Error> {
        let mut state = lock(&self.state);
        state.idle.clear();
        let mut slots = self.module.get_slots_with_initialized_token().map_err(module::failed)?;
        slots.retain(|&slot| {
            self.module
                .get_token_info(slot)
                .is_ok_and(|info| info.label() == self.label)
        });
        // As when it was opened: which of several was meant, nobody can tell.
        state.slot = match slots[..] {
            [slot] => slot,
            [] => return Err(TokenError::Driver("the token is gone".to_owned()).into()),
            _ => return Err(TokenError::Driver("there are several tokens of its label by now".to_owned()).into()),
        };
        let session = self.module.open_rw_session(state.slot).map_err(module::failed)?;
        match session.login(UserType::User, Some(&self.pin.to_auth())) {
            Ok(()) | Err(Ck::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(e) => return Err(module::login_failed(e, &self.label)),
        }
        state.anchor = Some(session);
        Ok(())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // Under the registry's lock, so that an open() running now either sees us or finds the token logged out.
        let _open = lock(&OPEN);
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.idle.clear();
        state.anchor = None;
    }
}

/// Counts a lent session down when it ends, however it ends, and takes it back if it is still good.
struct Loan<'a> {
    token: &'a Token,
    back: Option<Session>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.token.state);
        state.lent -= 1;
        state.idle.extend(self.back.take());
        self.token.returned.notify_one();
    }
}

fn find(module: &Pkcs11, path: &std::path::Path, label: &str) -> Result<Slot, Error> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_initialized_token().map_err(module::failed)? {
        if module.get_token_info(slot).map_err(module::failed)?.label() == label {
            found.push(slot);
        }
    }
    match found[..] {
        [slot] => Ok(slot),
        [] => Err(SetupError::TokenNotFound {
            label: label.to_owned(),
            module: path.to_owned(),
        }
        .into()),
        _ => Err(SetupError::TokenAmbiguous {
            label: label.to_owned(),
            count: found.len(),
        }
        .into()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
