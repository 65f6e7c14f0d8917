//! Signing and key wrapping behind one trait, for everything on the server that must not leave a token.
//!
//! | backend | what it is | for |
//! |---|---|---|
//! | [`Pkcs11Keystore`] | any PKCS#11 2.40 or 3.x module, SoftHSM2 among them | production and tests |
//! | [`SoftwareKeystore`] | key files in a folder, readable by whoever reads the folder | a first try; it says so at start |
//!
//! Every call blocks (an HSM is a device on a bus or a network): async callers go through `spawn_blocking`.
//! A [`Keystore`] is `Send + Sync` and may be used from as many threads as the token allows sessions.
//!
//! ```no_run
//! use hsm_adapter::{KeyKind, KeyLabel, Keystore, Pkcs11Keystore, softhsm};
//! # fn main() -> Result<(), hsm_adapter::Error> {
//! const ISSUER: KeyLabel = KeyLabel::from_static("root-ca");
//! let config = softhsm::provision(std::path::Path::new("data/token"), "conclave")?;
//! let keystore = Pkcs11Keystore::open(&config)?;
//! let public = keystore.ensure_key(&ISSUER, KeyKind::P256)?;
//! let signature = keystore.sign(&ISSUER, b"to be signed")?;
//! public.verify(b"to be signed", &signature)?;
//! # Ok(()) }
//! ```

mod error;
mod key;
mod keystore;
mod pkcs11;
pub mod softhsm;
mod software;
mod wrapped;

pub use error::{Error, InputError, SetupError, StorageError, TokenError, UseError};
pub use key::{KeyKind, KeyLabel, PublicKey, Signature};
pub use keystore::{Backend, Description, Keystore, open_preferred};
pub use pkcs11::{Pin, PinSource, Pkcs11Config, Pkcs11Keystore};
pub use software::SoftwareKeystore;
