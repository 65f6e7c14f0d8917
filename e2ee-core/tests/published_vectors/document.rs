//! One file of vectors: groups of cases, a case a line.

use e2ee_core::sframe::CipherSuite;
use serde_json::{Map, Value, json};

pub(crate) const FORMAT: &str = "conclave-vectors/1";

pub(crate) struct Document {
    pub(crate) name: &'static str,
    /// Groups in their order, each a list of cases.
    pub(crate) groups: Vec<(&'static str, Vec<Value>)>,
}

impl Document {
    /// The file's one writing.
    pub(crate) fn text(&self) -> String {
        let groups = self.groups.iter().map(|(name, cases)| {
            let cases: Vec<String> = cases.iter().map(|case| format!("    {case}")).collect();
            format!("  \"{name}\": [\n{}\n  ]", cases.join(",\n"))
        });
        let fields: Vec<String> = std::iter::once(format!("  \"format\": \"{FORMAT}\""))
            .chain(groups)
            .collect();
        format!("{{\n{}\n}}\n", fields.join(",\n"))
    }

    pub(crate) fn published(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }

    pub(crate) fn parsed(&self) -> Value {
        let value: Value = serde_json::from_str(&self.published()).unwrap();
        assert_eq!(value["format"], FORMAT);
        value
    }

    #[expect(clippy::disallowed_methods, reason = "this is the command that makes the files")]
    pub(crate) fn write(&self) {
        std::fs::write(self.path(), self.text()).unwrap();
    }

    fn path(&self) -> String {
        format!("{}/../docs/vectors/{}", env!("CARGO_MANIFEST_DIR"), self.name)
    }
}

pub(crate) fn writing() -> bool {
    std::env::var_os("CONCLAVE_WRITE_VECTORS").is_some_and(|value| value == "1")
}

/// Numbers that JSON readers may not hold exactly are decimal strings.
pub(crate) fn big(number: u64) -> Value {
    json!(number.to_string())
}

pub(crate) fn hex(bytes: &[u8]) -> Value {
    json!(hex::encode(bytes))
}

/// `fields` and then `more`, for what several groups have in common.
pub(crate) fn with(fields: Value, more: Value) -> Value {
    let mut all: Map<String, Value> = fields.as_object().unwrap().clone();
    all.extend(more.as_object().unwrap().clone());
    Value::Object(all)
}

pub(crate) fn cases<'a>(document: &'a Value, group: &str) -> &'a [Value] {
    let cases = document[group].as_array().unwrap();
    assert!(!cases.is_empty(), "{group}");
    cases
}

pub(crate) fn bytes(case: &Value, name: &str) -> Vec<u8> {
    hex::decode(text(case, name)).unwrap()
}

pub(crate) fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_else(|| panic!("{name} in {case}"))
}

pub(crate) fn number(case: &Value, name: &str) -> u64 {
    case[name].as_u64().unwrap_or_else(|| text(case, name).parse().unwrap())
}

pub(crate) fn small(case: &Value, name: &str) -> u32 {
    u32::try_from(number(case, name)).unwrap()
}

pub(crate) fn suite(case: &Value) -> CipherSuite {
    CipherSuite::from_number(u16::try_from(number(case, "suite")).unwrap()).unwrap()
}
