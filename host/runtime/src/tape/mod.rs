//! Tapes: the AWS calls of a tick and their answers, as JSON that people read, write and compare.
//!
//! `exchange` is one call with its answer; `record`, `replay` and `in_memory` implement `AwsApi`; `secrets` is what no tape
//! holds, and `anonymize` makes a tape fit for others' eyes.

pub mod anonymize;
mod difference;
mod exchange;
mod in_memory;
mod placeholder;
mod record;
mod replay;
mod secrets;

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_smithy_types::date_time::{DateTime, Format};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::text::unmarked;

pub use difference::differing_leaves;
pub(crate) use exchange::target;
pub use exchange::{Answer, Exchange, Failure, differences};
pub use in_memory::{AccountCalls, CONDITION_FAILED, InMemoryApi, ObservedTick, Writing};
pub use record::Recorder;
pub use replay::{Asked, Matched, Played, ReplayApi};
pub(crate) use secrets::Redaction;

/// The version of the format. One that can't be read as before gets the next number.
pub const VERSION: u32 = 1;

/// How long a line of a tape may be, so that it can be read beside another one.
const LINE: usize = 100;

/// A tick's calls to AWS, and what else decided how it came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tape {
    /// For editors: where the document's schema is.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The format's version.
    pub version: u32,
    /// What situation this is, in one line.
    #[serde(default)]
    pub about: String,
    /// When the tick began.
    pub now: Now,
    /// The event that started it. An `event.json` beside the tape counts instead.
    pub event: Value,
    /// The policy's settings. A `settings.json` beside the tape counts instead.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// The host's settings.
    pub config: HostSettings,
    /// The calls that are about no single account.
    #[serde(default)]
    pub host: Vec<Exchange>,
    /// The calls about each target account, by its id.
    #[serde(default)]
    pub targets: BTreeMap<String, Vec<Exchange>>,
}

/// The host's settings that shape what is asked of AWS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HostSettings {
    /// `TARGET_ACCOUNTS_TABLE`.
    pub table: String,
    /// `DRS_REGIONS`.
    pub regions: Vec<String>,
    /// `MAX_REMOVALS_PERCENT`.
    #[serde(default = "default_percent")]
    pub max_removals_percent: u8,
}

fn default_percent() -> u8 {
    20
}

/// A time to the second, like `2026-02-02T22:45:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Now(SystemTime);

impl Now {
    /// A time without its fraction of a second, which no tape has.
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs()))
    }

    /// The time.
    pub fn time(self) -> SystemTime {
        self.0
    }
}

impl From<Now> for String {
    fn from(now: Now) -> Self {
        DateTime::from(now.0).fmt(Format::DateTime).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Now {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::from_str(&text, Format::DateTime).ok().and_then(|time| SystemTime::try_from(time).ok());
        time.map(Self::of)
            .ok_or_else(|| D::Error::custom(format_args!("expected a time like 2026-02-02T22:45:00Z, found {text:?}")))
    }
}

impl Tape {
    /// Reads a tape. An error names the JSON path and what was expected there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = parse(text)?;
        match value.get("version") {
            Some(version) if *version == VERSION => read(value),
            None if value.is_object() => Err(format!("$.version: expected {VERSION}, found nothing")),
            None => Err("$: expected a tape, an object like {\"version\": 1, ...}".into()),
            Some(other) => Err(format!(
                "$.version: expected {VERSION}, found {other}: record it again, or use the staging-sync that wrote it"
            )),
        }
    }

    /// The tape as files have it.
    pub fn text(&self) -> String {
        pretty(self)
    }

    /// The calls of a target account, or of none.
    pub fn exchanges(&self, target: Option<&str>) -> &[Exchange] {
        match target {
            None => &self.host,
            Some(target) => self.targets.get(target).map(Vec::as_slice).unwrap_or_default(),
        }
    }
}

/// Reads JSON; an error tells a file that is cut off from one that is wrong.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(unmarked(text)).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => format!("ends too early; is it truncated? ({error})"),
        _ => format!("isn't JSON: {error}"),
    })
}

/// Takes a JSON value for a type; an error names the path.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "$".to_owned() } else { format!("$.{path}") };
        format!("{path}: {}", error.into_inner())
    })
}

/// JSON for people: what fits in a line is in one, the rest is indented. Ends with a line break.
pub fn pretty(value: &impl Serialize) -> String {
    let mut text = String::new();
    write(&serde_json::to_value(value).unwrap_or_default(), 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, indent: usize, text: &mut String) {
    let line = in_line(value);
    let (open, close, items): (_, _, Vec<(String, &Value)>) = match value {
        Value::Object(fields) => {
            ('{', '}', fields.iter().map(|(key, value)| (format!("{}: ", Value::from(key.as_str())), value)).collect())
        }
        Value::Array(list) => ('[', ']', list.iter().map(|value| (String::new(), value)).collect()),
        _ => (' ', ' ', Vec::new()),
    };
    if indent + line.len() <= LINE || items.is_empty() {
        text.push_str(&line);
        return;
    }
    text.push(open);
    for (place, (key, value)) in items.iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(indent + 2));
        text.push_str(key);
        write(value, indent + 2, text);
    }
    text.push('\n');
    text.push_str(&" ".repeat(indent));
    text.push(close);
}

fn in_line(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), in_line(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(in_line).collect::<Vec<_>>().join(", ")),
        leaf => leaf.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tape() -> Value {
        json!({
            "version": 1, "about": "x", "now": "2026-02-02T22:45:00Z",
            "event": {"operation": "sync_staging_accounts"}, "settings": {},
            "config": {"table": "targets", "regions": ["us-east-1"], "maxRemovalsPercent": 20},
            "host": [{"service": "dynamodb", "operation": "Scan", "request": {}, "response": {"Items": []}}],
            "targets": {"111122223333": [{
                "service": "sts", "operation": "AssumeRole", "request": {},
                "error": {"code": "AccessDenied", "message": "no", "retryable": false},
            }]},
        })
    }

    fn error(change: impl FnOnce(&mut Value)) -> String {
        let mut value = tape();
        change(&mut value);
        Tape::parse(&value.to_string()).expect_err("a bad tape")
    }

    #[test]
    fn a_tape_is_written_as_it_was_read() {
        let text = pretty(&tape());
        assert_eq!(Tape::parse(&text).expect("a tape").text(), text);
    }

    #[test]
    fn a_bad_tape_is_told_by_its_path_and_what_was_expected() {
        assert!(
            error(|tape| tape["version"] = json!(2)).starts_with("$.version: expected 1, found 2: record it again")
        );
        assert_eq!(
            error(|tape| drop(tape.as_object_mut().map(|tape| tape.remove("version")))),
            "$.version: expected 1, found nothing"
        );
        assert_eq!(
            error(|tape| tape["now"] = json!("today")),
            "$.now: expected a time like 2026-02-02T22:45:00Z, found \"today\""
        );
        let exchange = error(|tape| tape["targets"]["111122223333"][0]["response"] = json!({}));
        assert_eq!(exchange, "$.targets.111122223333[0]: expected either a response or an error, found both");
        let regions = error(|tape| tape["config"]["regions"] = json!([1]));
        assert!(regions.starts_with("$.config.regions[0]: invalid type: integer `1`, expected a string"), "{regions}");
        assert!(error(|tape| tape["hots"] = json!([])).starts_with("$.hots: unknown field `hots`, expected one of"));
    }

    #[test]
    fn a_tape_cut_anywhere_is_an_error() {
        let text = tape().to_string();
        for cut in 0..text.len() {
            let error = Tape::parse(&text[..cut]).expect_err("a cut tape");
            assert!(error.starts_with("ends too early"), "{cut}: {error}");
        }
        assert!(Tape::parse("{]").expect_err("no JSON").starts_with("isn't JSON"));
        assert!(Tape::parse("[]").expect_err("no tape").starts_with("$: expected a tape"));
    }
}
