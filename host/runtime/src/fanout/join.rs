//! The join of segments' documents into the outcomes of one tick: complete, each account once, or an error.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use crate::bindings::types::Status;
use crate::error::Error;
use crate::event::invalid;
use crate::tick::{FailedSegment, Joined};

/// Puts documents together. They must be all segments of one tick, but for those that failed: a summary must not
/// leave accounts out without a word.
pub fn join(documents: Vec<(String, Document)>, mut failed: Vec<FailedSegment>) -> Result<Joined, Error> {
    let Some((first, (tick, segments))) =
        documents.first().map(|(uri, first)| (uri.clone(), (first.tick.clone(), first.total_segments)))
    else {
        return Err(invalid("$.segments", "expected the outcomes of a segment"));
    };
    let folder = |uri: &str| uri.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let mut missing: BTreeSet<u32> = (0..segments).collect();
    let mut joined = Joined {
        tick,
        outcomes: Vec::new(),
        decided_by: BTreeMap::new(),
        tick_ids: BTreeMap::new(),
        segments,
        not_read: false,
        failed: Vec::new(),
    };
    for (uri, document) in documents {
        let same = (&document.tick.operation, document.tick.dry_run, document.total_segments)
            == (&joined.tick.operation, joined.tick.dry_run, segments);
        if !same || folder(&uri) != folder(&first) {
            let message = format!("expected segments of one tick; those in {first} and in {uri} are of different ones");
            return Err(invalid("$.segments", &message));
        }
        if !missing.remove(&document.segment) {
            let message = format!("{uri} is a duplicate of segment {} of {segments}", document.segment);
            return Err(invalid("$.segments", &message));
        }
        joined.tick.now = joined.tick.now.min(document.tick.now); // ISO 8601 in UTC sorts by time
        joined.not_read |= document.accounts_not_read;
        for one in document.outcomes {
            let id = one.0.account_id.clone();
            let by = document.decided_by.get(&id).unwrap_or(&document.policy).clone();
            if let (Some(tick), Status::Updated) = (&document.tick_id, one.0.outcome.status) {
                joined.tick_ids.insert(id.clone(), tick.clone());
            }
            joined.decided_by.insert(id, by);
            joined.outcomes.push(one.0);
        }
    }
    for one in &failed {
        if !missing.remove(&one.segment) {
            let message = format!("segment {} of {segments} can't have failed: it has outcomes", one.segment);
            return Err(invalid("$.segments", &message));
        }
    }
    if !missing.is_empty() {
        let message = format!("segments {missing:?} of {segments} are missing, and aren't named as failed");
        return Err(invalid("$.segments", &message));
    }
    joined.outcomes.sort_by(|one, other| one.account_id.cmp(&other.account_id));
    failed.sort_by_key(|one| one.segment);
    joined.failed = failed;
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document(change: Value) -> Document {
        let mut text = json!({
            "tick": {"operation": "o", "now": "2026-02-02T22:45:05Z", "dryRun": false},
            "segment": 0, "totalSegments": 2, "policy": "p 1", "decidedBy": {},
            "outcomes": [],
        });
        for (name, value) in change.as_object().into_iter().flatten() {
            text[name] = value.clone();
        }
        Document::parse(text.to_string().as_bytes()).expect("a document")
    }

    fn outcome(id: &str) -> Value {
        let lists = json!({
            "status": "unchanged", "added": [], "removed": [], "heldRemovals": [], "stagingAccountCount": 1,
            "incompleteRegions": [],
        });
        json!({"accountId": id, "outcome": lists})
    }

    fn joined(documents: &[(&str, Value)], failed: Vec<FailedSegment>) -> Result<Joined, String> {
        let documents = documents.iter().map(|(uri, change)| (uri.to_string(), document(change.clone()))).collect();
        join(documents, failed).map_err(|error| error.message)
    }

    #[test]
    fn segments_become_one_tick_as_old_as_its_first() {
        let second = json!({
            "segment": 1, "policy": "p 2", "outcomes": [outcome("2"), outcome("4")], "decidedBy": {"4": "p 0"},
            "tick": {"operation": "o", "now": "2026-02-02T22:45:01Z", "dryRun": false},
        });
        let first = json!({"outcomes": [outcome("1"), outcome("3")]});
        let joined = joined(&[("s3://b/e/0.json", first), ("s3://b/e/1.json", second)], vec![]).expect("one tick");
        let ids: Vec<&str> = joined.outcomes.iter().map(|one| one.account_id.as_str()).collect();
        assert_eq!((joined.tick.now.as_str(), ids), ("2026-02-02T22:45:01Z", vec!["1", "2", "3", "4"]));
        let by: Vec<&str> = joined.decided_by.values().map(String::as_str).collect();
        assert_eq!(by, ["p 1", "p 2", "p 1", "p 0"]);
    }

    #[test]
    fn what_is_not_one_whole_tick_is_refused() {
        let (zero, one) = (("s3://b/e/0.json", json!({})), ("s3://b/e/1.json", json!({"segment": 1})));
        let failed = |segment| vec![FailedSegment { segment, error: "e".into() }];
        let tick = |operation: &str, dry: bool| json!({"operation": operation, "now": "n", "dryRun": dry});
        for (documents, failed, says) in [
            (vec![zero.clone()], vec![], "segments {1} of 2 are missing"),
            (vec![zero.clone(), zero.clone()], vec![], "is a duplicate of segment 0 of 2"),
            (vec![zero.clone(), one.clone()], failed(1), "segment 1 of 2 can't have failed"),
            (vec![zero.clone(), ("s3://b/f/1.json", one.1)], vec![], "different ones"),
            (vec![zero.clone(), ("s3://b/e/1.json", json!({"totalSegments": 3}))], vec![], "different ones"),
            (vec![zero.clone(), ("s3://b/e/1.json", json!({"tick": tick("o", true)}))], vec![], "different ones"),
            (vec![zero.clone(), ("s3://b/e/1.json", json!({"tick": tick("p", false)}))], vec![], "different ones"),
        ] {
            let error = joined(&documents, failed).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
        assert!(joined(&[zero], failed(1)).is_ok());
    }

    #[test]
    fn a_document_with_something_unknown_is_refused_with_its_path() {
        let mut text = serde_json::to_value(document(json!({"outcomes": [outcome("1")]}))).expect("JSON");
        text["outcomes"][0]["outcome"]["more"] = 1.into();
        let error = Document::parse(text.to_string().as_bytes()).expect_err("an unknown field");
        assert!(error.starts_with("outcomes[0]") && error.contains("more"), "{error}");
    }
}
