//! The event that starts a tick, from EventBridge, `aws lambda invoke` or the command line.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::account::AccountId;
use crate::aws::Segment;
use crate::error::{Error, ErrorKind};

/// A request for one tick. Unknown keys are ignored, because the platform's callers send more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The operation; a policy serves it.
    pub operation: String,
    /// Whether to decide without writing. `None` leaves it to the configuration.
    pub dry_run: Option<bool>,
    /// Only these accounts, if given.
    pub account_ids: Option<BTreeSet<AccountId>>,
    /// Only this slice of the table, if given.
    pub segment: Option<Segment>,
    /// The `s3://` URI to store the segment's outcomes at for the merge, if given.
    pub outcomes_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    operation: String,
    dry_run: Option<bool>,
    account_ids: Option<Vec<AccountId>>,
    segment: Option<u32>,
    total_segments: Option<u32>,
    outcomes_to: Option<String>,
}

impl Event {
    /// An event with an operation and nothing else.
    pub fn of(operation: impl Into<String>) -> Self {
        Self { operation: operation.into(), dry_run: None, account_ids: None, segment: None, outcomes_to: None }
    }

    /// Reads an event. An error names the JSON path and what was expected there.
    pub fn parse(event: &Value) -> Result<Self, Error> {
        let keys = ["operation", "dryRun", "accountIds", "segment", "totalSegments", "outcomesTo"];
        let raw: Raw = read(event, &keys)?;
        let segment = match (raw.segment, raw.total_segments) {
            (None, None) => None,
            (Some(segment), Some(total)) if (1..=1_000_000).contains(&total) && segment < total => {
                Some(Segment { segment, total })
            }
            (Some(_), Some(total)) if (1..=1_000_000).contains(&total) => {
                return Err(invalid("$.segment", &format!("expected a number below totalSegments ({total})")));
            }
            (Some(_), Some(_)) => return Err(invalid("$.totalSegments", "expected a number from 1 to 1000000")),
            (None, Some(_)) => return Err(invalid("$.segment", "expected a number, because totalSegments is given")),
            (Some(_), None) => return Err(invalid("$.totalSegments", "expected a number, because segment is given")),
        };
        let account_ids = raw.account_ids.map(|ids| ids.into_iter().collect::<BTreeSet<_>>());
        if account_ids.is_some() && segment.is_some() {
            return Err(invalid("$.segment", "expected either accountIds or a segment, not both"));
        }
        if raw.outcomes_to.is_some() && segment.is_none() {
            return Err(invalid("$.segment", "expected a number, because outcomesTo is given"));
        }
        Ok(Self { operation: raw.operation, dry_run: raw.dry_run, account_ids, segment, outcomes_to: raw.outcomes_to })
    }
}

impl Event {
    /// The event as JSON, without absent members.
    pub fn json(&self) -> Value {
        let mut event = json!({
            "operation": self.operation,
            "dryRun": self.dry_run,
            "accountIds": self.account_ids,
            "segment": self.segment.map(|slice| slice.segment),
            "totalSegments": self.segment.map(|slice| slice.total),
            "outcomesTo": self.outcomes_to,
        });
        if let Some(members) = event.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        event
    }
}

/// Reads what an event is expected to be, of these keys. An error names the JSON path.
pub(crate) fn read<T: DeserializeOwned>(event: &Value, keys: &[&str]) -> Result<T, Error> {
    let Some(members) = event.as_object() else {
        return Err(invalid("$", "expected an object like {\"operation\": \"sync_staging_accounts\"}"));
    };
    near_misses("$", members, keys)?;
    serde_path_to_error::deserialize(event).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "$".to_owned() } else { format!("$.{path}") };
        invalid(&path, &error.into_inner().to_string())
    })
}

/// Refuses keys that differ from known ones by case, `-` or `_` alone: whoever writes `dryrun` means `dryRun`, and a tick
/// that ignores it writes.
pub(crate) fn near_misses(path: &str, members: &Map<String, Value>, keys: &[&str]) -> Result<(), Error> {
    let plain = |key: &str| key.replace(['-', '_'], "").to_lowercase();
    for key in members.keys().filter(|key| !keys.contains(&key.as_str())) {
        if let Some(meant) = keys.iter().find(|known| plain(known) == plain(key)) {
            return Err(invalid(&format!("{path}.{key}"), &format!("unknown key: expected {meant}")));
        }
    }
    Ok(())
}

/// The error of an event in which something else was expected at a path.
pub(crate) fn invalid(path: &str, message: &str) -> Error {
    Error::new(ErrorKind::EventInvalid, format!("event at {path}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: Value) -> String {
        Event::parse(&event).expect_err("a bad event").message
    }

    #[test]
    fn other_callers_keys_are_ignored() {
        let event = json!({"operation": "sync_staging_accounts", "queryParams": {"dryRun": 3}, "dryRun": null});
        assert_eq!(Event::parse(&event).expect("an event"), Event::of("sync_staging_accounts"));
    }

    #[test]
    fn an_event_is_written_as_it_is_read() {
        for event in [
            json!({"operation": "o"}),
            json!({"operation": "o", "dryRun": true, "accountIds": ["111122223333"]}),
            json!({"operation": "o", "segment": 1, "totalSegments": 4, "outcomesTo": "s3://bucket/0.json"}),
        ] {
            assert_eq!(Event::parse(&event).expect("an event").json(), event);
        }
    }

    #[test]
    fn a_key_that_is_nearly_a_known_one_is_an_error() {
        for key in ["dryrun", "DryRun", "dry_run", "dry-run", "DRY_RUN"] {
            let event = json!({"operation": "o", key: true});
            assert_eq!(message(event), format!("event at $.{key}: unknown key: expected dryRun"));
        }
        assert!(message(json!({"Operation": "o"})).ends_with("expected operation"));
        assert!(message(json!({"operation": "o", "accountIDs": []})).ends_with("expected accountIds"));
    }

    #[test]
    fn errors_name_the_path_and_what_was_expected() {
        assert_eq!(message(json!({})), "event at $: missing field `operation`");
        assert!(message(json!([])).starts_with("event at $: expected an object"));
        assert!(message(json!({"operation": 5})).starts_with("event at $.operation: invalid type: integer `5`"));
        assert!(message(json!({"operation": "o", "dryRun": "yes"})).starts_with("event at $.dryRun: invalid type"));
        let ids = json!({"operation": "o", "accountIds": ["111122223333", "1111"]});
        assert_eq!(message(ids), "event at $.accountIds[1]: expected an AWS account id of 12 digits, found \"1111\"");
        let segment = json!({"operation": "o", "segment": 4, "totalSegments": 4});
        assert_eq!(message(segment), "event at $.segment: expected a number below totalSegments (4)");
        let half = json!({"operation": "o", "segment": 4});
        assert!(message(half).starts_with("event at $.totalSegments: expected a number"));
        let whole = json!({"operation": "o", "outcomesTo": "s3://bucket/fan-out/0.json"});
        assert!(message(whole).starts_with("event at $.segment: expected a number, because outcomesTo"));
    }
}
