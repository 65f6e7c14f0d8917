//! The documents and the code agree: every requirement of PROTOCOL.md is cited where it is checked or tested, and every row of SECURITY.md's table of past
//! failures has tests that carry its number.

use std::path::{Path, PathBuf};
use std::{fs, io};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of all our Rust, TypeScript and JavaScript files: those of tests, and all.
struct Sources {
    all: String,
    tests: String,
}

fn sources() -> io::Result<Sources> {
    let mut found = Sources {
        all: String::new(),
        tests: String::new(),
    };
    for room in [
        "e2ee-core",
        "wasm-client",
        "sfu-relay",
        "relay-token",
        "callers",
        "key-server",
        "hsm-adapter",
        "audits",
        "conclave",
        "fuzz",
        "tests",
        "xtask",
    ] {
        read(&root().join(room), &mut found)?;
    }
    Ok(found)
}

fn read(folder: &Path, found: &mut Sources) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["node_modules", "dist", "generated", "target"].contains(&name.as_str()) {
                read(&path, found)?;
            }
        } else if [".rs", ".ts", ".tsx", ".js"].iter().any(|end| name.ends_with(end)) && name != "requirements.rs" {
            let text = fs::read_to_string(&path)?;
            if text.contains("#[test]") || text.contains("tokio::test") || name.contains(".test.") {
                found.tests.push_str(&text);
            }
            found.all.push_str(&text);
        }
    }
    Ok(())
}

/// First cells of the document's table rows that look like `ABCD-12`.
fn ids(document: &str, prefixes: &[&str]) -> Vec<String> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|row| row.split(" |").next())
        .filter(|cell| {
            prefixes
                .iter()
                .any(|p| cell.strip_prefix(p).is_some_and(|n| n.parse::<u32>().is_ok()))
        })
        .map(str::to_owned)
        .collect()
}

/// `SFRM-7` in a comment or a title, or `sfrm_7_` at the start of a test's name.
fn cited(text: &str, id: &str) -> bool {
    let name = id.to_lowercase().replace('-', "_");
    let ends = |after: Option<char>| !after.is_some_and(|c| c.is_ascii_digit());
    text.match_indices(id)
        .any(|(at, _)| ends(text[at + id.len()..].chars().next()))
        || text
            .match_indices(&name)
            .any(|(at, _)| text[at + name.len()..].starts_with('_'))
}

#[test]
fn every_requirement_of_the_protocol_is_cited_in_the_code() {
    let protocol = fs::read_to_string(root().join("PROTOCOL.md")).expect("PROTOCOL.md is there");
    let prefixes = [
        "SFRM-", "SHEL-", "EPOC-", "ENGN-", "IDEN-", "LOGV-", "ADMT-", "GRUP-", "COMM-", "HEAL-", "DLVR-", "TLOG-",
        "RELY-", "CLNT-", "AUDT-",
    ];
    let ids = ids(&protocol, &prefixes);
    assert!(ids.len() > 100, "the tables were not read: {} ids", ids.len());
    let sources = sources().expect("the sources can be read");
    let missing: Vec<_> = ids.iter().filter(|id| !cited(&sources.all, id)).collect();
    assert!(
        missing.is_empty(),
        "in PROTOCOL.md, but nowhere in the code: {missing:?}"
    );
}

#[test]
fn every_past_failure_has_a_test_that_carries_its_number() {
    let security = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md is there");
    let rows = ids(&security, &["PF-"]);
    assert_eq!(rows.len(), 39, "the table was not read");
    let sources = sources().expect("the sources can be read");
    let missing: Vec<_> = rows.iter().filter(|id| !cited(&sources.tests, id)).collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
}

#[test]
fn every_test_that_the_table_of_past_failures_names_is_there() {
    let security = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md is there");
    let rows = security.lines().filter(|line| line.starts_with("| PF-"));
    let named: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 50, "the table was not read: {} names", named.len());
    let sources = sources().expect("the sources can be read");
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !sources.tests.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "named, but not there: {missing:?}");
}

#[test]
fn an_id_is_found_whole_or_not_at_all() {
    assert!(cited("// SFRM-1: a counter", "SFRM-1"));
    assert!(cited("fn sfrm_1_a_counter()", "SFRM-1"));
    assert!(!cited("// SFRM-11", "SFRM-1"));
    assert!(!cited("fn sfrm_11_a()", "SFRM-1"));
}
