//! The event that asks for the merge: where the segments' outcomes are, and which segments failed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::event::{invalid, read};

/// The host's own operation.
const OPERATION: &str = "merge_summaries";

/// A request to make one summary of what segments have left. Unknown keys are ignored, as in every event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Merge {
    /// Where the outcomes are: an `s3://` URI for each segment that has left some.
    pub outcomes: Vec<String>,
    /// The segments that have left none.
    #[serde(default)]
    pub failed_segments: Vec<FailedSegment>,
    /// Where the whole summary is kept, an `s3://` URI, if given.
    pub summary_to: Option<String>,
}

/// A segment whose invocation failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedSegment {
    /// Which one, from 0.
    pub segment: u32,
    /// The error, as Step Functions names it: an `errorType`, or a name like `Lambda.Unknown`.
    pub error: String,
}

impl Merge {
    /// Whether an event asks for a merge.
    pub fn is_asked(event: &Value) -> bool {
        event.get("operation").and_then(Value::as_str) == Some(OPERATION)
    }

    /// Reads the event. An error names the JSON path and what was expected there.
    pub fn parse(event: &Value) -> Result<Self, Error> {
        let merge: Self = read(event)?;
        if merge.outcomes.is_empty() {
            let failed: Vec<String> =
                merge.failed_segments.iter().map(|one| format!("{}: {}", one.segment, one.error)).collect();
            let message = format!("expected the outcomes of a segment; those that failed: {}", failed.join(", "));
            return Err(invalid("$.outcomes", &message));
        }
        Ok(merge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_name_the_path_and_what_was_expected() {
        let message = |event: Value| Merge::parse(&event).expect_err("a bad event").message;
        assert_eq!(message(json!({"operation": OPERATION})), "event at $: missing field `outcomes`");
        let event = json!({"outcomes": ["s3://b/0.json"], "failedSegments": [{"segment": "1", "error": "e"}]});
        assert!(message(event).starts_with("event at $.failedSegments[0].segment: invalid type: string"));
        let event = json!({"outcomes": [], "failedSegments": [{"segment": 0, "error": "TableUnavailable"}]});
        assert!(message(event).ends_with("those that failed: 0: TableUnavailable"));
    }
}
