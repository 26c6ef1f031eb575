//! The event that requests the merge: the result of each segment, and the location of its outcomes.

use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;
use crate::event::{invalid, near_misses, read};
use crate::tick::FailedSegment;

/// The host's own operation.
const OPERATION: &str = "merge_summaries";

/// A request to make one summary of what segments have left. Unknown keys are ignored, as in every event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Where the outcomes are: an `s3://` URI for each segment that has left some.
    pub outcomes: Vec<String>,
    /// The segments that have left none.
    pub failed_segments: Vec<FailedSegment>,
    /// Where the whole summary is kept, an `s3://` URI, if given.
    pub summary_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    segments: Vec<RawSegment>,
    summary_to: Option<String>,
}

/// Either `outcomes`, or `segment` and `error`.
#[derive(Deserialize)]
struct RawSegment {
    outcomes: Option<String>,
    segment: Option<u32>,
    error: Option<String>,
}

impl Merge {
    /// Whether an event asks for a merge.
    pub fn is_asked(event: &Value) -> bool {
        event.get("operation").and_then(Value::as_str) == Some(OPERATION)
    }

    /// Reads the event. An error names the JSON path and what was expected there.
    pub fn parse(event: &Value) -> Result<Self, Error> {
        for (number, one) in event["segments"].as_array().into_iter().flatten().enumerate() {
            if let Some(members) = one.as_object() {
                near_misses(&format!("$.segments[{number}]"), members, &["outcomes", "segment", "error"])?;
            }
        }
        let raw: Raw = read(event, &["operation", "segments", "summaryTo"])?;
        let mut merge = Self { outcomes: Vec::new(), failed_segments: Vec::new(), summary_to: raw.summary_to };
        for (number, one) in raw.segments.into_iter().enumerate() {
            match (one.outcomes, one.segment, one.error) {
                (Some(uri), None, None) => merge.outcomes.push(uri),
                (None, Some(segment), Some(error)) => merge.failed_segments.push(FailedSegment { segment, error }),
                _ => {
                    let path = format!("$.segments[{number}]");
                    return Err(invalid(&path, "expected either outcomes (a URI), or segment and error"));
                }
            }
        }
        if merge.outcomes.is_empty() {
            let failed = merge.failed_segments.iter().map(|one| format!("{}: {}", one.segment, one.error));
            let failed: Vec<String> = failed.collect();
            let message = format!("expected one that has outcomes, but all failed ({})", failed.join(", "));
            return Err(invalid("$.segments", &message));
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
        let message = |segments: Value| Merge::parse(&json!({"segments": segments})).expect_err("a bad event").message;
        assert!(message(json!([{"outcomes": 1}])).starts_with("event at $.segments[0].outcomes: invalid type"));
        let both = json!([{"outcomes": "s3://b/0.json"}, {"outcomes": "s3://b/1.json", "segment": 1, "error": "e"}]);
        assert!(message(both).starts_with("event at $.segments[1]: expected either"));
        assert!(message(json!([{"segment": 0}])).starts_with("event at $.segments[0]: expected either"));
        assert!(message(json!([{"segment": 0, "error": "TableUnavailable"}])).ends_with("(0: TableUnavailable)"));
    }
}
