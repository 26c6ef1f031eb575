//! The summary of a tick: the policy's document, shortened to fit in an answer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};

/// Lambda's limit for the answer of an invocation is 6 MB; the rest is for the envelope.
pub const MAX_BYTES: usize = 6_000_000;

/// What the merged summary may have of the 256 KiB that a state of Step Functions carries.
pub const MAX_STATE_BYTES: usize = 200_000;

/// Reads the text that the policy made.
pub fn read(text: &str) -> Result<Value, Error> {
    let summary: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        Error::new(
            ErrorKind::PolicyFailed,
            format!("summarize: policy: returned something that isn't a JSON object: {error}"),
        )
    })?;
    Ok(Value::Object(summary))
}

/// Says in the details of these accounts, by their ids, which policy decided them: another than the active one.
pub fn name_deciders(summary: &mut Value, others: &BTreeMap<String, String>) {
    let Some(details) = summary.get_mut("details").and_then(Value::as_array_mut) else { return };
    for detail in details.iter_mut().filter_map(Value::as_object_mut) {
        let id = detail.get("accountId").and_then(Value::as_str).unwrap_or_default();
        if let Some(other) = others.get(id).cloned() {
            detail.insert("decidedBy".into(), other.into());
        }
    }
}

/// Says beside the counts that a configured policy isn't followed: at which step it was rejected and why, and who decided
/// instead.
pub fn policy_rejected(summary: &mut Value, rejected: Value) {
    beside_the_counts(summary, "policyRejected", rejected);
}

/// Says beside the counts that time was out before all accounts were read, so that there are more than these.
pub fn accounts_not_read(summary: &mut Value) {
    beside_the_counts(summary, "accountsNotRead", true.into());
}

/// Says beside the counts how many records the journal misses, and how many accounts are frozen, where some are.
pub fn journal(summary: &mut Value, failed: usize, frozen: usize) {
    for (name, number) in [("journalFailed", failed), ("accountsFrozen", frozen)] {
        if number > 0 {
            beside_the_counts(summary, name, number.into());
        }
    }
}

/// Adds a field of the host's own before the details.
fn beside_the_counts(summary: &mut Value, name: &str, value: Value) {
    let Some(summary) = summary.as_object_mut() else { return };
    let details = summary.remove("details");
    summary.insert(name.into(), value);
    summary.extend(details.map(|details| ("details".to_owned(), details)));
}

/// Shortens `details` until the summary has at most so many bytes: first the unchanged accounts go, then the
/// last ones. `detailsOmitted` says how many; the log has a line for every account that isn't unchanged.
pub fn fit(mut summary: Value, most: usize) -> Value {
    let size = |value: &Value| value.to_string().len();
    if size(&summary) <= most {
        return summary;
    }
    let Some(Value::Array(mut details)) = summary.get_mut("details").map(Value::take) else { return summary };
    let all = details.len();
    details.retain(|detail| detail["status"] != "unchanged");
    let frame = size(&summary) + r#","detailsOmitted":4294967295"#.len();
    let mut room = most.saturating_sub(frame);
    let fitting = details.iter().take_while(|detail| {
        let needed = size(detail) + 1;
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    let kept = fitting.count();
    details.truncate(kept);
    summary["detailsOmitted"] = (all - kept).into();
    summary["details"] = Value::Array(details);
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_detail_names_who_decided_it_where_that_was_another_policy() {
        let detail = |id: &str| json!({"accountId": id, "status": "unchanged"});
        let mut summary = json!({"details": [detail("111122223333"), detail("444455556666"), 7]});
        name_deciders(&mut summary, &[("444455556666".into(), "p 1.0.0 (sha256 0a)".into())].into());
        assert_eq!(summary["details"][0], detail("111122223333"));
        assert_eq!(summary["details"][1]["decidedBy"], "p 1.0.0 (sha256 0a)");
        let mut other = json!({"details": "none"});
        name_deciders(&mut other, &Default::default());
        assert_eq!(other, json!({"details": "none"}));
    }

    #[test]
    fn a_long_summary_loses_unchanged_details_first() {
        let detail = |status: &str| json!({"accountId": "111122223333", "status": status});
        let details: Vec<Value> = ["unchanged", "failed", "unchanged", "updated"].map(detail).to_vec();
        let summary = json!({"totalAccounts": 4, "details": details});
        assert_eq!(fit(summary.clone(), 10_000), summary);
        let two = fit(summary.clone(), 200);
        assert_eq!((two["details"].as_array().map(Vec::len), &two["detailsOmitted"]), (Some(2), &json!(2)));
        let one = fit(summary, 140);
        assert_eq!((&one["details"][0]["status"], &one["detailsOmitted"]), (&json!("failed"), &json!(3)));
        assert!(one.to_string().len() <= 140);
    }
}
