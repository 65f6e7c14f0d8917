//! PINs: where they come from, and never in a log.

use std::fmt;
use std::path::PathBuf;

use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::{Error, SetupError, StorageError};

/// A token's PIN. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// From text; surrounding white space (a file's last newline) is not part of a PIN.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    pub(crate) fn to_auth(&self) -> AuthPin {
        AuthPin::from(self.0.as_str())
    }

    /// Same PIN? Compares every byte, whatever differs.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// Where to read the PIN at start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PinSource {
    /// A file that holds the PIN and nothing else.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// Given directly, for example from a secret manager.
    Given(Pin),
}

impl PinSource {
    pub(crate) fn read(&self) -> Result<Pin, Error> {
        let pin = match self {
            Self::File(path) => Pin::new(&Zeroizing::new(
                std::fs::read_to_string(path).map_err(StorageError::io(path))?,
            )),
            Self::Env(name) => {
                Pin::new(&Zeroizing::new(std::env::var(name).map_err(|_| {
                    SetupError::NoPin(format!("the environment variable {name} is not set"))
                })?))
            }
            Self::Given(pin) => pin.clone(),
        };
        if pin.0.is_empty() {
            return Err(SetupError::NoPin("it is empty".to_owned()).into());
        }
        Ok(pin)
    }
}
