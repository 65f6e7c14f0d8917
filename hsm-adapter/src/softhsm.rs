//! SoftHSM2 tokens in a folder of ours: real PKCS#11 without a device.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cryptoki::context::Pkcs11;
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use rand::RngCore as _;
use zeroize::Zeroizing;

use crate::pkcs11::module;
use crate::{Error, Pin, PinSource, Pkcs11Config, SetupError, StorageError};

/// Where Debian, Fedora, Alpine, Homebrew and a plain `make install` put it.
const USUAL_PLACES: [&str; 8] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    "/usr/local/opt/softhsm/lib/softhsm/libsofthsm2.so",
];

/// The installed library, if any.
#[must_use]
pub fn find_module() -> Option<PathBuf> {
    USUAL_PLACES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// SoftHSM reads `SOFTHSM2_CONF` at C_Initialize, which happens once a process: the first folder is the only one.
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Makes (or finds again) the token `token_label` in `folder`, and says how to open it.
///
/// In `folder`: `softhsm2.conf`, `tokens/`, and per token a random PIN and security officer PIN, mode 0600. May be
/// called again at every start, also after a crash in the middle of an earlier call.
///
/// Call it early: it may set an environment variable, which is not safe beside threads that read the environment
/// through C at the same moment.
pub fn provision(folder: &Path, token_label: &str) -> Result<Pkcs11Config, Error> {
    let module_path = find_module().ok_or(SetupError::ModuleNotFound)?;
    let tokens = folder.join("tokens");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&tokens)
        .map_err(StorageError::io(&tokens))?;
    let folder = fs::canonicalize(folder).map_err(StorageError::io(folder))?;

    let mut current = FOLDER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    use_folder(&mut current, &folder)?;
    let pin_path = folder.join(format!("{token_label}.pin"));
    // The PINs are on disk before the token exists: a crash in between leaves a PIN too many, never a token that nobody can open.
    let so_pin = ensure_pin(&folder.join(format!("{token_label}.so-pin")))?;
    let pin = ensure_pin(&pin_path)?;
    ensure_token(&module::load(&module_path)?, token_label, &so_pin, &pin)?;

    Ok(Pkcs11Config::new(module_path, token_label, PinSource::File(pin_path)))
}

fn use_folder(current: &mut Option<PathBuf>, folder: &Path) -> Result<(), Error> {
    match current {
        Some(running) if running == folder => return Ok(()),
        Some(running) => {
            return Err(SetupError::SoftHsmFolderFixed {
                running: running.clone(),
                asked: folder.to_owned(),
            }
            .into());
        }
        None => {}
    }
    let conf = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        folder.join("tokens").display()
    );
    fs::write(&conf, text).map_err(StorageError::io(&conf))?;
    set_conf(&conf);
    *current = Some(folder.to_owned());
    Ok(())
}

#[allow(unsafe_code)]
fn set_conf(conf: &Path) {
    // SAFETY: Rust's own readers of the environment are locked out by std. What remains is C code calling getenv on
    // another thread at this very moment; `provision` asks to be called at start-up, before such threads exist, and
    // this runs at most once a process (guarded by FOLDER).
    unsafe { std::env::set_var("SOFTHSM2_CONF", conf) };
}

fn ensure_pin(path: &Path) -> Result<Pin, Error> {
    if !path.exists() {
        let mut bytes = Zeroizing::new([0u8; 16]);
        rand::rng().fill_bytes(&mut *bytes);
        let mut text = Zeroizing::new(String::with_capacity(32));
        for byte in bytes.iter() {
            let _ = write!(text, "{byte:02x}");
        }
        // Beside and renamed: half a PIN would lock us out.
        let beside = path.with_extension("new");
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
            .and_then(|()| fs::rename(&beside, path))
            .map_err(StorageError::io(path))?;
    }
    PinSource::File(path.to_owned()).read()
}

fn ensure_token(module: &Pkcs11, label: &str, so_pin: &Pin, pin: &Pin) -> Result<(), Error> {
    let slot = match find_token(module, label)? {
        Some(slot) => slot,
        None => {
            let free = free_slot(module)?;
            module
                .init_token(free, &so_pin.to_auth(), label)
                .map_err(module::failed)?;
            // SoftHSM gives the new token another slot number.
            find_token(module, label)?.ok_or(SetupError::NoFreeSlot)?
        }
    };
    if !module
        .get_token_info(slot)
        .map_err(module::failed)?
        .user_pin_initialized()
    {
        let session = module.open_rw_session(slot).map_err(module::failed)?;
        session
            .login(UserType::So, Some(&so_pin.to_auth()))
            .map_err(|e| module::login_failed(e, label))?;
        session.init_pin(&pin.to_auth()).map_err(module::failed)?;
        session.logout().map_err(module::failed)?;
    }
    Ok(())
}

fn find_token(module: &Pkcs11, label: &str) -> Result<Option<Slot>, Error> {
    for slot in module.get_slots_with_initialized_token().map_err(module::failed)? {
        if module.get_token_info(slot).map_err(module::failed)?.label() == label {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

fn free_slot(module: &Pkcs11) -> Result<Slot, Error> {
    for slot in module.get_slots_with_token().map_err(module::failed)? {
        if !module.get_token_info(slot).map_err(module::failed)?.token_initialized() {
            return Ok(slot);
        }
    }
    Err(SetupError::NoFreeSlot.into())
}
