//! A bundle of cases in one file, which a manifest names and a policy must pass before it becomes active.
//!
//! `{"cases": {"<name>": {"tape": …, "summary": …, "event": …, "settings": …}}}`, the last two where they're other
//! than the tape's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Case;
use crate::tape::{self, Tape};
use crate::text;

/// How large such a file may be, in bytes: some hundred cases, or a few of a large fleet.
pub const MAX_BYTES: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    cases: BTreeMap<String, One>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    tape: Tape,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Map<String, Value>>,
    summary: Value,
}

/// The file of some cases. Fails for one that doesn't say what must come out.
pub fn text(cases: &[Case]) -> Result<String, String> {
    let mut bundle = Bundle { cases: BTreeMap::new() };
    for case in cases {
        let summary = case.expected.clone().ok_or_else(|| format!("{}: has no summary.json", case.dir.display()))?;
        let one = One {
            event: (case.event != case.tape.event).then(|| case.event.clone()),
            settings: case.pins_settings.then(|| case.settings.clone()),
            tape: case.tape.clone(),
            summary,
        };
        bundle.cases.insert(case.name.clone(), one);
    }
    Ok(json!(bundle).to_string())
}

/// Reads the cases of a file. An error names the JSON path and what was expected there.
pub fn read(bytes: &[u8]) -> Result<Vec<Case>, String> {
    let text = text::decode(bytes)?;
    let bundle: Bundle = tape::parse(&text).and_then(tape::read)?;
    let cases = bundle.cases.into_iter().map(|(name, One { tape, event, settings, summary })| {
        let case = Case {
            dir: PathBuf::from(&name),
            event: event.unwrap_or_else(|| tape.event.clone()),
            pins_settings: settings.is_some(),
            settings: settings.unwrap_or_else(|| tape.settings.clone()),
            tape,
            expected: Some(summary),
            name,
        };
        case.config().map_err(|error| format!("$.cases.{}.tape.config: {error}", case.name))?;
        Ok(case)
    });
    cases.collect()
}
