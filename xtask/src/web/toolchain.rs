//! Which compiler makes WebAssembly here: rustup's, where it has the target; else Debian's, which brings no standard
//! library for browsers but its sources, so that cargo builds it along.

use crate::setup::apt::Need;
use crate::{layout, run, say};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TARGET: &str = "wasm32-unknown-unknown";

/// The wasm compiler's own flags, the same for both toolchains. Two generations of getrandom want their backend named.
const FLAGS: &str = r#"--cfg getrandom_backend="wasm_js""#;

/// What nearly every browser with encoded transforms has, and what AES-GCM is several times faster with.
const SIMD: &str = " -Ctarget-feature=+simd128";

/// The oldest Rust that this workspace compiles with (`rust-version` in Cargo.toml).
const OLDEST_RUST: (u32, u32) = (1, 94);

const WHY: &str = "compiles the engine for browsers (rustup has no wasm32 target here)";
pub(crate) const DEBIAN_PACKAGES: [Need; 3] = [
    Need {
        package: "rustc-web",
        why: WHY,
        found_by: &[],
        optional: false,
    },
    Need {
        package: "cargo-web",
        why: WHY,
        found_by: &[],
        optional: false,
    },
    Need {
        package: "rust-web-src",
        why: WHY,
        found_by: &[],
        optional: false,
    },
];

/// A way to compile for browsers.
pub(crate) enum Toolchain {
    /// The cargo we run under knows the target.
    Rustup,
    /// Debian's cargo and rustc, with the linker out of rustup's sysroot (Debian's own lld is too old).
    Debian { linker: PathBuf },
}

pub(crate) fn is_there() -> bool {
    find().is_some()
}

/// Asks rustup for the target, once and not for long: without a network it may never answer.
pub(crate) fn try_rustup() {
    let step = say::step("asking rustup for the wasm32 target - a download of 20 MB, given up after a minute");
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET])
        .env("RUSTUP_MAX_RETRIES", "0")
        .current_dir(layout::root());
    if !run::succeeds_within(&mut add, Duration::from_secs(60)) {
        say::note("rustup cannot get it; Debian's Rust will do");
    }
    step.done();
}

pub(crate) fn find() -> Option<Toolchain> {
    let sysroot = run::quietly(rustc().args(["--print", "sysroot"])).ok()?;
    let rustlib = Path::new(sysroot.trim()).join("lib/rustlib");
    if rustlib.join(TARGET).is_dir() {
        return Some(Toolchain::Rustup);
    }
    let host = run::quietly(rustc().args(["--print", "host-tuple"])).ok()?;
    let linker = rustlib.join(host.trim()).join("bin/rust-lld");
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
    let version = run::quietly(Command::new("/usr/bin/rustc").arg("--version")).ok()?;
    let complete = linker.is_file() && sources.is_file() && Path::new("/usr/bin/cargo").is_file();
    (complete && release(&version)? >= OLDEST_RUST).then_some(Toolchain::Debian { linker })
}

impl Toolchain {
    /// `cargo build` for browsers with or without SIMD, each into its own part of the target folder.
    pub(crate) fn cargo_build(&self, simd: bool) -> Result<Command> {
        let mut command = match self {
            Self::Rustup => {
                let mut command = run::cargo();
                command.arg("build");
                command
            }
            Self::Debian { linker } => {
                // rustup's shims come first on PATH and its variables would turn Debian's programs into its own.
                let mut command = Command::new("/usr/bin/cargo");
                command
                    .current_dir(layout::root())
                    .args(["build", "-Zbuild-std=std,panic_abort"])
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("RUSTC_WRAPPER")
                    .env_remove("LD_LIBRARY_PATH")
                    .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                    .env("RUSTC", "/usr/bin/rustc")
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command
            }
        };
        command
            .args(["--target", TARGET])
            // These would win over the target's own flags, and would be those of the machine's programs.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags(simd)?)
            // Cargo names the library of a path dependency without a hash, so that the plain and the tap build would
            // write one file and each could be taken for the other. With this they have two. (Rust's own build uses it.)
            .env("__CARGO_DEFAULT_LIB_METADATA", "conclave")
            .env("CARGO_TARGET_DIR", target(simd)?);
        Ok(command)
    }

    /// The compiler's version, for the build manifest.
    pub(crate) fn version(&self) -> Result<String> {
        let text = match self {
            Self::Rustup => run::quietly(rustc().arg("--version"))?,
            Self::Debian { .. } => run::quietly(Command::new("/usr/bin/rustc").arg("--version"))?,
        };
        Ok(text.trim().to_owned())
    }
}

/// Where cargo puts what it compiled for browsers with `profile`.
pub(crate) fn output(profile: &str, simd: bool) -> Result<PathBuf> {
    Ok(target(simd)?.join(TARGET).join(profile))
}

fn target(simd: bool) -> Result<PathBuf> {
    Ok(layout::target()?.join(if simd { "wasm" } else { "wasm-baseline" }))
}

fn rustc() -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(layout::root());
    command
}

/// The flags, with this machine's folder of dependencies out of panic messages, so that the same sources give the same
/// bytes anywhere. (Cargo names the workspace's own files relative to it.)
fn flags(simd: bool) -> Result<String> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor a home folder is known")?;
    let simd = if simd { SIMD } else { "" };
    Ok(format!("{FLAGS}{simd} --remap-path-prefix={}=cargo", home.display()))
}

/// `rustc 1.96.0 (…)` as (1, 96).
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split_whitespace().nth(1)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debian_rust_too_old_for_the_workspace_is_not_taken() {
        assert_eq!(
            release("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            Some((1, 96))
        );
        assert!(release("rustc 1.63.0").is_some_and(|found| found < OLDEST_RUST));
        assert_eq!(release("command not found"), None);
    }
}
