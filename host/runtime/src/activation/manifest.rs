//! The manifest: a document that names the active policy, the previous one, and the shadow policy.
//!
//! Its schema for other tools is `host/policy-manifest.schema.json`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::bindings::types::PolicyInfo;
use crate::policy;
use crate::tape;

/// The maximum size of a manifest, in bytes: a hundred times what settings usually take.
pub const MAX_BYTES: u64 = 1 << 20;

/// The entry of one policy in a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The policy's name, as its `info` has it.
    pub name: String,
    /// Its version, as its `info` has it.
    pub version: String,
    /// The location of the component (or core module), relative to the manifest.
    pub component: String,
    /// The SHA-256 of that file in hexadecimal digits.
    pub sha256: String,
    /// The policy's settings; without any, those of `POLICY_SETTINGS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
    /// A minisign signature of `statement`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The cases that the policy must pass before it becomes active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cases: Option<Cases>,
    /// What a replay of recorded ticks came to before it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// A replay of recorded ticks, by the policy that was active and by the one that is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// When it was, in UTC.
    pub at: String,
    /// Who published the policy, and so accepted what differs.
    pub by: String,
    /// Since when ticks were replayed, in UTC.
    pub since: String,
    /// The digest of the policy that was active.
    pub against: String,
    /// How many ticks were replayed.
    pub ticks: usize,
    /// How many decisions were compared: one for each account of a tick.
    pub decisions: usize,
    /// How many of them differ.
    pub differing: usize,
    /// The classes of differences that were found and accepted, like `added>0`.
    pub accepted: Vec<String>,
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ticks, decisions, differing, accepted, .. } = self;
        write!(f, "replayed {ticks} recorded ticks: {differing} of {decisions} decisions differ")?;
        if !accepted.is_empty() {
            write!(f, ", accepted as {}", accepted.join(", "))?;
        }
        Ok(())
    }
}

/// A file of cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The location, relative to the manifest.
    pub file: String,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The policy that decides.
    pub active: Entry,
    /// The previous policy, which decides what the active one fails on.
    pub previous: Option<Entry>,
    /// One that decides beside the active one, and whose decisions count for nothing.
    pub shadow: Option<Entry>,
}

/// The readable parts of a broken manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remains {
    /// The active policy.
    pub active: Option<Entry>,
    /// The one before it.
    pub previous: Option<Entry>,
    /// The one in the shadow.
    pub shadow: Option<Entry>,
}

impl Entry {
    /// The entry of a policy that says this of itself, in a file that has its digest for a name.
    pub fn of(info: &PolicyInfo, file: &[u8], settings: Option<Map<String, Value>>) -> Self {
        let sha256 = policy::sha256(file);
        Self {
            name: info.name.clone(),
            version: info.version.clone(),
            component: format!("sha256-{sha256}.wasm"),
            sha256,
            settings,
            signature: None,
            cases: None,
            replay: None,
        }
    }

    /// What a signature is of: all that decides how the policy behaves, in one order and without spaces. Each
    /// entry has its own, so that a rollback needs no key.
    pub fn statement(&self) -> String {
        let mut statement = json!({
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            "settings": self.settings,
            "cases": self.cases.as_ref().map(|cases| &cases.sha256),
        });
        statement.sort_all_objects();
        format!("staging-sync policy\n{statement}")
    }

    /// Whether its digests can be ones.
    fn has_digests(&self) -> Result<(), String> {
        for digest in [&self.sha256].into_iter().chain(self.cases.as_ref().map(|cases| &cases.sha256)) {
            if digest.len() != 64 || !digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("expected a SHA-256 of 64 hexadecimal digits, found {digest:?}"));
            }
        }
        Ok(())
    }

    /// Whether this is the same entry, regardless of what a replay came to before it was published.
    pub fn is_published_as(&self, other: &Self) -> bool {
        let without = |entry: &Self| Self { replay: None, ..entry.clone() };
        without(self) == without(other)
    }

    /// Whether this is the same policy with the same settings, regardless of its location and signature.
    pub fn is_same(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.settings == other.settings
    }
}

impl Manifest {
    /// Reads a manifest. An error names the JSON path and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut value: Value = tape::parse(text)?;
        let object = value.as_object_mut().ok_or("$: expected a manifest, an object like {\"name\": …}")?;
        object.shift_remove("$schema");
        let mut part = |name: &str| {
            let part = object.shift_remove(name).map(tape::read::<Entry>).transpose();
            part.map_err(|error| error.replacen('$', &format!("$.{name}"), 1))
        };
        let (previous, shadow) = (part("previous")?, part("shadow")?);
        let active = tape::read(value).map_err(|error| match error.contains("unknown field") {
            true => format!("{error}, `previous`, `shadow`, `$schema`"),
            false => error,
        })?;
        let manifest = Self { active, previous, shadow };
        for (path, entry) in manifest.entries() {
            entry.has_digests().map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(manifest)
    }

    /// What can be read of a broken manifest: each entry that is whole. An entry with a member that isn't known is none,
    /// because that member may be misspelt settings, without which the policy decides otherwise.
    pub fn remains(text: &str) -> Remains {
        let Ok(Value::Object(mut object)) = tape::parse::<Value>(text) else { return Remains::default() };
        object.shift_remove("$schema");
        let whole = |value: Value| tape::read::<Entry>(value).ok().filter(|entry| entry.has_digests().is_ok());
        let (previous, shadow) = (object.shift_remove("previous"), object.shift_remove("shadow"));
        Remains {
            active: whole(Value::Object(object)),
            previous: previous.and_then(whole),
            shadow: shadow.and_then(whole),
        }
    }

    /// The manifest as files have it.
    pub fn text(&self) -> String {
        tape::pretty(&self.value())
    }

    /// The manifest as JSON.
    pub fn value(&self) -> Value {
        let mut value = json!(self.active);
        for (name, entry) in [("previous", &self.previous), ("shadow", &self.shadow)] {
            if let Some(entry) = entry {
                value[name] = json!(entry);
            }
        }
        value
    }

    /// Each policy that it names, with its JSON path.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &Entry)> {
        let others = [("$.previous", &self.previous), ("$.shadow", &self.shadow)];
        [("$", &self.active)].into_iter().chain(others.into_iter().filter_map(|(path, it)| Some((path, it.as_ref()?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(value: &Value) -> std::collections::BTreeSet<&str> {
        value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn the_schema_knows_what_a_manifest_has() {
        let schema: Value = serde_json::from_str(include_str!("../../policy-manifest.schema.json")).expect("JSON");
        let sha256 = "0a".repeat(32);
        let entry = Entry {
            name: "p".into(),
            version: "1".into(),
            component: "c.wasm".into(),
            sha256: sha256.clone(),
            settings: Some(Map::new()),
            signature: Some("s".into()),
            cases: Some(Cases { file: "f".into(), sha256: sha256.clone() }),
            replay: Some(Replay {
                at: "2026-02-02T22:45:00Z".into(),
                by: "x".into(),
                since: "2026-01-26T22:45:00Z".into(),
                against: sha256,
                ticks: 1,
                decisions: 1,
                differing: 1,
                accepted: vec!["added>0".into()],
            }),
        };
        let full = Manifest { active: entry.clone(), previous: Some(entry.clone()), shadow: Some(entry.clone()) };
        let text = full.text().replacen('{', "{\"$schema\": \"…\", ", 1);
        assert_eq!(Manifest::parse(&text), Ok(full.clone()));
        assert_eq!(keys(&schema["properties"]), keys(&serde_json::from_str(&text).expect("JSON")));
        let (known, written) = (&schema["$defs"]["entry"]["properties"], json!(entry));
        assert_eq!(keys(known), keys(&written));
        assert_eq!(keys(&known["cases"]["properties"]), keys(&written["cases"]));
        assert_eq!(keys(&known["replay"]["properties"]), keys(&written["replay"]));
        let replay = (&known["replay"], "replay");
        for (closed, at) in [(&schema, "$"), (&schema["$defs"]["entry"], "entry"), (&known["cases"], "cases"), replay] {
            assert_eq!(closed["additionalProperties"], false, "{at}");
        }
        let least = Entry { settings: None, signature: None, cases: None, replay: None, ..entry };
        let required = schema["required"].as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
        assert_eq!(required, Some(keys(&json!(least))));
    }

    #[test]
    fn a_signature_is_of_everything_that_decides_how_a_policy_behaves() {
        let text = |settings: &str| {
            format!(
                "{{\"name\": \"p\", \"version\": \"1\", \"component\": \"c\", \"sha256\": \"{}\", \"settings\": {settings}}}",
                "0a".repeat(32)
            )
        };
        let statement = |settings: &str| Manifest::parse(&text(settings)).expect("a manifest").active.statement();
        assert_eq!(statement(r#"{"a": 1, "b": {"c": 1, "d": 2}}"#), statement(r#"{"b": {"d": 2, "c": 1}, "a": 1}"#));
        assert_ne!(statement(r#"{"a": 1}"#), statement(r#"{"a": 2}"#));
        assert_ne!(statement("{}"), statement("null"));
    }
}
