//! Invariants that don't apply to a policy's operation, and the reasons: the `verify.json` of its project.
//!
//! They go with the policy: a build puts them in a custom section of the component, which no host reads. The
//! invariants that keep what is stored safe always apply.

use std::collections::BTreeMap;

use serde::Deserialize;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Parser, Payload};

use crate::invariants::Invariant;
use staging_sync_runtime::tape;

/// The file's name in a policy project.
pub const FILE: &str = "verify.json";

/// The custom section's name.
const SECTION: &str = "staging-sync:verify";

/// Invariants that don't apply, each with the reason.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Waived(BTreeMap<Invariant, String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    does_not_apply: BTreeMap<String, String>,
}

impl Waived {
    /// Reads the text of a `verify.json`. An error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = tape::parse(text).and_then(tape::read)?;
        let mut waived = BTreeMap::new();
        for (name, reason) in file.does_not_apply {
            let at = format!("$.doesNotApply.{name}");
            let optional = || Invariant::ALL.into_iter().filter(|invariant| invariant.is_optional());
            let names = || optional().map(Invariant::name).collect::<Vec<_>>().join(", ");
            match Invariant::ALL.into_iter().find(|invariant| invariant.name() == name) {
                Some(invariant) if invariant.is_optional() => drop(waived.insert(invariant, reason)),
                Some(invariant) => {
                    let text = invariant.text();
                    return Err(format!(
                        "{at}: always applies, because it keeps stored data safe: {text}; optional: {}",
                        names()
                    ));
                }
                None => return Err(format!("{at}: expected one of {}", names())),
            }
        }
        if let Some((invariant, _)) = waived.iter().find(|(_, reason)| reason.trim().is_empty()) {
            return Err(format!("$.doesNotApply.{}: expected the reason, found nothing", invariant.name()));
        }
        Ok(Self(waived))
    }

    /// What a component says of itself; nothing where it has no such section.
    pub fn of_component(bytes: &[u8]) -> Result<Self, String> {
        match section(bytes) {
            Some(text) => std::str::from_utf8(text)
                .map_err(|error| error.to_string())
                .and_then(Self::parse)
                .map_err(|error| format!("custom section {SECTION}: {error}")),
            None => Ok(Self::default()),
        }
    }

    /// Why an invariant doesn't apply, if it doesn't.
    pub fn reason(&self, invariant: Invariant) -> Option<&str> {
        self.0.get(&invariant).map(String::as_str)
    }
}

/// A component with the text of a `verify.json` in it. One that has such a section already says so, as an error.
pub fn embed(component: &[u8], text: &str) -> Result<Vec<u8>, String> {
    Waived::parse(text)?;
    if section(component).is_some() {
        return Err(format!("has a custom section {SECTION} already"));
    }
    let mut whole = component.to_vec();
    CustomSection { name: SECTION.into(), data: text.as_bytes().into() }.append_to_component(&mut whole);
    Ok(whole)
}

/// The section's bytes, also those of a core module inside.
fn section(bytes: &[u8]) -> Option<&[u8]> {
    Parser::new(0).parse_all(bytes).map_while(Result::ok).find_map(|payload| match payload {
        Payload::CustomSection(section) if section.name() == SECTION => Some(section.data()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn what_is_embedded_is_read_again_however_long_it_is() {
        for length in [1, 100, 20_000] {
            let text = format!(r#"{{"doesNotApply": {{"outcomes": "{}"}}}}"#, "x".repeat(length));
            let with = embed(EMPTY, &text).expect("a component");
            assert_eq!(Waived::of_component(&with), Waived::parse(&text));
            assert_eq!(
                Waived::of_component(&with).expect("read").reason(Invariant::Outcomes).map(str::len),
                Some(length)
            );
            assert!(embed(&with, &text).is_err());
        }
        assert_eq!(Waived::of_component(EMPTY), Ok(Waived::default()));
    }

    #[test]
    fn the_invariants_of_what_is_stored_always_apply() {
        for safe in ["decides", "removals", "additions", "entries", "others"] {
            let error = Waived::parse(&format!(r#"{{"doesNotApply": {{"{safe}": "no"}}}}"#)).expect_err("an error");
            assert!(error.contains("always applies"), "{error}");
        }
        for (text, says) in [
            (r#"{"doesNotApply": {"colour": "red"}}"#, "expected one of unknown, outcomes, summary, settled"),
            (r#"{"doesNotApply": {"summary": " "}}"#, "expected the reason"),
            (r#"{"applies": []}"#, "unknown field"),
            ("[]", "$"),
        ] {
            let error = Waived::parse(text).expect_err("an error");
            assert!(error.contains(says), "{error}");
        }
    }
}
