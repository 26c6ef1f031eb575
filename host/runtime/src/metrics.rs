//! Metrics of a tick, and the format in which CloudWatch reads them from a log line, without a call or an agent.
//!
//! Source: "Specification: Embedded metric format" in the CloudWatch user guide.

use std::sync::LazyLock;
use std::time::SystemTime;

use serde_json::{Map, Value, json};
use tracing::field::DebugValue;

use crate::log::{self, Json};

/// The CloudWatch namespace of the metrics.
pub const NAMESPACE: &str = "StagingSync";

/// Who emits them, so that two functions in one account don't share a metric: the Lambda's name.
static FUNCTION: LazyLock<String> =
    LazyLock::new(|| std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|_| "staging-sync".into()));

/// A number with a name. There's a fixed set of them, so that what CloudWatch charges is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name, as in the log line.
    pub name: &'static str,
    /// The CloudWatch unit.
    pub unit: &'static str,
    /// The value.
    pub value: u64,
}

impl Metric {
    /// A number of things.
    pub fn count(name: &'static str, value: impl TryInto<u64>) -> Self {
        Self { name, unit: "Count", value: value.try_into().unwrap_or(u64::MAX) }
    }
}

/// What the member `metrics` of a log line holds: the metrics by name. In a JSON line they are members of the line.
pub fn values(metrics: &[Metric]) -> DebugValue<Json> {
    Json::of(&Map::from_iter(metrics.iter().map(|metric| (metric.name.to_owned(), metric.value.into()))))
}

/// What the member `_aws` of a log line holds that has these metrics: how CloudWatch shall read them, with the
/// function and the line's members of these other names as their dimensions. None where lines are for people.
pub fn directive(now: SystemTime, dimensions: &[&str], metrics: &[Metric]) -> Option<DebugValue<Json>> {
    if !log::is_json() {
        return None;
    }
    let dimensions: Vec<&str> = ["functionName"].iter().chain(dimensions).copied().collect();
    let metrics: Vec<Value> = metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit})).collect();
    let milliseconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    Some(Json::of(&json!({
        "Timestamp": milliseconds,
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}],
    })))
}

/// What the member `functionName` of a line with metrics holds. None where lines are for people.
pub fn function_name() -> Option<&'static str> {
    log::is_json().then_some(FUNCTION.as_str())
}
