//! Which keystore the command line asks for, opened; and what the operator must know about it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hsm_adapter::{Keystore, PinSource, Pkcs11Config, Pkcs11Keystore, SoftwareKeystore, open_preferred, softhsm};

use crate::cli::{KeystoreKind, ServiceArgs};

pub(crate) fn open(args: &ServiceArgs) -> Result<Arc<dyn Keystore>> {
    let folder = args.data.join("keys");
    let keystore: Arc<dyn Keystore> = match args.keystore {
        KeystoreKind::Auto => open_preferred(&folder).context("the keystore cannot be opened")?,
        KeystoreKind::Softhsm => {
            let config = softhsm::provision(&folder.join("softhsm"), "conclave")
                .context("the SoftHSM2 token cannot be made or found")?;
            Arc::new(Pkcs11Keystore::open(&config).context("the SoftHSM2 token cannot be opened")?)
        }
        KeystoreKind::Software => Arc::new(
            SoftwareKeystore::open(&folder.join("software")).context("the software keystore cannot be opened")?,
        ),
        KeystoreKind::Pkcs11 => {
            let (Some(module), Some(token), Some(pin)) =
                (&args.pkcs11_module, &args.pkcs11_token, &args.pkcs11_pin_file)
            else {
                bail!("--keystore pkcs11 needs --pkcs11-module, --pkcs11-token and --pkcs11-pin-file");
            };
            let config = Pkcs11Config::new(module.clone(), token, PinSource::File(pin.clone()));
            Arc::new(Pkcs11Keystore::open(&config).context("the HSM's token cannot be opened")?)
        }
    };
    Ok(keystore)
}

/// One line for the start-up banner, and the warning that goes with it, if any.
pub(crate) fn describe(keystore: &dyn Keystore) -> (String, Option<&'static str>) {
    let description = keystore.describe();
    (
        format!("{} (token \"{}\")", description.model, description.token_label),
        description.warning(),
    )
}

/// Deletes the data folder for `--fresh`, unless it does not look like one of ours.
pub(crate) fn clear(data: &Path) -> Result<()> {
    if !data.exists() {
        return Ok(());
    }
    let ours = data.join("keys").is_dir() || data.join("conclave.sqlite").is_file();
    let empty = data
        .read_dir()
        .with_context(|| format!("cannot read {}", data.display()))?
        .next()
        .is_none();
    if !ours && !empty {
        bail!(
            "{} is not a data folder of Conclave (no keys/ in it): not deleting it for --fresh",
            data.display()
        );
    }
    std::fs::remove_dir_all(data).with_context(|| format!("cannot delete {}", data.display()))
}
