//! The page: types checked, TypeScript and styles bundled, names given by content, the manifest written.
//!
//! Order matters, since each file holds the name of the next: engine, then worker, then page, then `index.html`.

use super::{Care, Engine, Variant, digest, guard, manifest};
use crate::{layout, run, say};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the bundle's files lie for the browser. Rooms have paths of their own, so nothing may be relative.
const ASSETS: &str = "/assets";

/// The oldest browsers that have encoded transforms in module workers.
const BROWSERS: &str = "chrome129,firefox128,safari17";

pub(super) fn build(variant: Variant, care: Care) -> Result<()> {
    let web = layout::web();
    let dist = variant.dist();
    let inputs = inputs(variant, &web)?;
    let stamp = web.join("dist").join(format!(".{}.inputs", variant.name()));
    if dist.join(manifest::NAME).is_file() && digest::is_current(&stamp, &inputs) {
        return Ok(());
    }

    let step = say::step(&format!("bundling the {} web app", variant.name()));
    if care == Care::Full {
        run::quietly(
            Command::new(tool(&web, "tsc"))
                .args(["--noEmit", "-p", tsconfig(variant)])
                .current_dir(&web),
        )?;
    }

    // Built beside and then put in place, so that a running server never serves half of one.
    let fresh = web.join("dist").join(format!("{}.new", variant.name()));
    remove(&fresh)?;
    let assets = fresh.join(&ASSETS[1..]);
    std::fs::create_dir_all(&assets)?;
    let bundler = Bundler {
        variant,
        web: &web,
        assets: &assets,
    };

    let simd = add_engine(Engine::Simd(variant), &assets)?;
    let baseline = add_engine(Engine::Baseline, &assets)?;
    let engines = [("__WASM_URL__", &*simd), ("__WASM_BASELINE_URL__", &*baseline)];
    let worker = bundler.add("src/worker.ts", &engines)?;
    bundler.add_page(&fresh.join("index.html"), &[("__WORKER_URL__", &worker)])?;
    copy_all(&web.join("public"), &fresh)?;
    if variant == Variant::Plain {
        guard::bundle_has_no_tap(&fresh)?;
    }
    manifest::write(variant, &fresh)?;

    remove(&dist)?;
    std::fs::rename(&fresh, &dist).with_context(|| format!("cannot put {} in place", dist.display()))?;
    if care == Care::Full {
        digest::write_stamp(&stamp, &inputs)?;
    } else if stamp.exists() {
        // What was not checked must not pass for what was.
        std::fs::remove_file(&stamp).context("cannot forget the last bundle's stamp")?;
    }
    step.done();
    Ok(())
}

struct Bundler<'a> {
    variant: Variant,
    web: &'a Path,
    assets: &'a Path,
}

impl Bundler<'_> {
    /// Bundles one entry point and gives back its address. `names` are replaced by strings in the code.
    fn add(&self, entry: &str, names: &[(&str, &str)]) -> Result<String> {
        let metafile = self.assets.join("meta.json");
        let mut esbuild = Command::new(tool(self.web, "esbuild"));
        esbuild
            .current_dir(self.web)
            .args([
                entry,
                "--bundle",
                "--format=esm",
                "--charset=utf8",
                "--log-level=warning",
                "--legal-comments=none",
            ])
            .args([
                "--entry-names=[name]-[hash]",
                "--asset-names=[name]-[hash]",
                "--sourcemap=linked",
            ])
            .args(["--loader:.svg=file", "--loader:.png=file", "--loader:.woff2=file"])
            .arg(format!("--public-path={ASSETS}"))
            .arg(format!("--target={BROWSERS}"))
            .arg(format!("--tsconfig={}", tsconfig(self.variant)))
            .arg(format!("--outdir={}", self.assets.display()))
            .arg(format!("--metafile={}", metafile.display()))
            .arg(format!("--define:__TAP__={}", self.variant == Variant::Tap));
        if self.variant == Variant::Plain {
            esbuild.arg("--minify");
        }
        for (name, value) in names {
            esbuild.arg(format!("--define:{name}={}", serde_json::to_string(value)?));
        }
        run::quietly(&mut esbuild)?;

        let meta: serde_json::Value = serde_json::from_slice(&std::fs::read(&metafile)?)?;
        std::fs::remove_file(&metafile)?;
        let outputs = meta["outputs"].as_object().context("esbuild names no outputs")?;
        let output = outputs
            .iter()
            .find(|(_, facts)| facts["entryPoint"] == entry)
            .with_context(|| format!("esbuild made nothing of {entry}"))?
            .0;
        address(Path::new(output))
    }

    /// Bundles what `index.html` asks for below `/src/` and writes the page with the new addresses.
    fn add_page(&self, to: &Path, names: &[(&str, &str)]) -> Result<()> {
        let source = self.web.join("index.html");
        let mut page = std::fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        while let Some(entry) = source_reference(&page) {
            let address = self.add(&entry[1..], names)?;
            let bytes = std::fs::read(self.assets.join(&address[ASSETS.len() + 1..]))?;
            let digest = base64(&digest::of_bytes(&bytes));
            let entry = format!("\"{entry}\"");
            page = page.replace(
                &entry,
                &format!("\"{address}\" integrity=\"sha256-{digest}\" crossorigin"),
            );
        }
        std::fs::write(to, page).with_context(|| format!("cannot write {}", to.display()))
    }
}

/// The first `"/src/…"` in the page.
fn source_reference(page: &str) -> Option<String> {
    let start = page.find("\"/src/")? + 1;
    let length = page[start..].find('"')?;
    Some(page[start..start + length].to_owned())
}

/// Copies the engine's WebAssembly, with its content's digest in its name, and gives back its address.
fn add_engine(engine: Engine, assets: &Path) -> Result<String> {
    let bytes = std::fs::read(engine.generated().join("conclave_bg.wasm")).context("the engine has not been built")?;
    let kind = if engine == Engine::Baseline { "-baseline" } else { "" };
    let name = format!("conclave{kind}-{}.wasm", &hex::encode(digest::of_bytes(&bytes))[..16]);
    std::fs::write(assets.join(&name), bytes)?;
    Ok(format!("{ASSETS}/{name}"))
}

fn address(output: &Path) -> Result<String> {
    let name = output
        .file_name()
        .and_then(|name| name.to_str())
        .context("a bundle has no UTF-8 name")?;
    Ok(format!("{ASSETS}/{name}"))
}

fn inputs(variant: Variant, web: &Path) -> Result<String> {
    let mut inputs = digest::Inputs::default();
    for path in [
        "src",
        "public",
        "index.html",
        "package-lock.json",
        "tsconfig.json",
        "tsconfig.tap.json",
    ] {
        inputs = inputs.text(path).path(&web.join(path))?;
    }
    // How the bundle is made is an input too.
    Ok(inputs
        .path(&Engine::Simd(variant).generated())?
        .path(&Engine::Baseline.generated())?
        .text(include_str!("bundle.rs"))
        .digest())
}

fn tsconfig(variant: Variant) -> &'static str {
    match variant {
        Variant::Plain => "tsconfig.json",
        Variant::Tap => "tsconfig.tap.json",
    }
}

fn tool(web: &Path, name: &str) -> PathBuf {
    web.join("node_modules/.bin").join(name)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    Ok(())
}

/// Copies what lies below `from`, unchanged. Two files of one name are a mistake.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for file in digest::files_below(from)? {
        let target = to.join(file.strip_prefix(from)?);
        if target.exists() {
            bail!("{} would replace a file of the bundle", file.display());
        }
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(&file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

/// Standard base64, as subresource integrity wants it.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_the_page_asks_for_are_found_and_nothing_else() {
        let page = r#"<link rel="icon" href="/icon.svg"><script type="module" src="/src/main.ts"></script>"#;
        assert_eq!(source_reference(page).as_deref(), Some("/src/main.ts"));
        assert_eq!(source_reference(r#"<script src="/assets/main-AB.js"></script>"#), None);
    }
}
