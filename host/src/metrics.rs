//! Metrics: what makes CloudWatch read a log line's numbers, without a call and without an agent.
//!
//! Source: "Specification: Embedded metric format" in the CloudWatch user guide.

use std::time::SystemTime;

use serde_json::{Value, json};
use tracing::field::DebugValue;

use crate::log::{self, Json};

/// Where the metrics are in CloudWatch.
pub const NAMESPACE: &str = "StagingSync";

/// The `_aws` member of a log line whose members of these names are metrics, with the line's members of these
/// other names as their dimensions. None where lines are for people.
pub fn directive(now: SystemTime, dimensions: &[&str], metrics: &[(&str, &str)]) -> Option<DebugValue<Json>> {
    if !log::is_json() {
        return None;
    }
    let metrics: Vec<Value> = metrics.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
    let milliseconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    Some(Json::of(&json!({
        "Timestamp": milliseconds,
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}],
    })))
}
