//! The summary of a tick, from the outcomes of its accounts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::types::{AccountOutcome, Status, Tick};

/// The names of a detail's own fields; `extra` can't change them.
const FIELDS: [&str; 12] = [
    "accountId",
    "accountName",
    "status",
    "added",
    "removed",
    "totalStaging",
    "stagingAccountCount",
    "reason",
    "error",
    "incompleteRegions",
    "heldRemovals",
    "heldReason",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    timestamp: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    total_accounts: usize,
    accounts_processed: usize,
    accounts_updated: usize,
    accounts_skipped: usize,
    accounts_failed: usize,
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail<'a> {
    account_id: &'a str,
    account_name: &'a str,
    status: &'static str,
    #[serde(flatten)]
    result: Fields<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    incomplete_regions: Vec<IncompleteRegion<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    held_removals: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    held_reason: Option<&'a str>,
    #[serde(flatten)]
    extra: BTreeMap<String, Value>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Fields<'a> {
    Updated { added: Vec<&'a String>, removed: Vec<&'a String>, total_staging: u32 },
    Unchanged { staging_account_count: u32 },
    Skipped { reason: &'a str },
    Failed { error: &'a str },
}

#[derive(Serialize)]
struct IncompleteRegion<'a> {
    region: &'a str,
    code: &'a str,
}

/// The summary as a JSON object, its keys in their documented order and its details ordered by account id.
///
/// An account without changes counts as processed and as skipped, so that updated, skipped and failed add
/// up to the total.
pub fn summarize(tick: &Tick, outcomes: &[AccountOutcome]) -> String {
    let count = |status| outcomes.iter().filter(|it| it.outcome.status == status).count();
    let (updated, unchanged) = (count(Status::Updated), count(Status::Unchanged));
    let mut details = outcomes.iter().map(detail).collect::<Vec<_>>();
    details.sort_by_key(|detail| detail.account_id);

    let summary = Summary {
        timestamp: &tick.now,
        dry_run: tick.dry_run,
        total_accounts: outcomes.len(),
        accounts_processed: updated + unchanged,
        accounts_updated: updated,
        accounts_skipped: unchanged + count(Status::Skipped),
        accounts_failed: count(Status::Failed),
        details,
    };
    // Texts, numbers and maps keyed by text can always be written.
    serde_json::to_string(&summary).unwrap_or_default()
}

fn detail(of: &AccountOutcome) -> Detail<'_> {
    let outcome = &of.outcome;
    let (status, result) = match outcome.status {
        Status::Updated => (
            "updated",
            Fields::Updated {
                added: sorted(&outcome.added),
                removed: sorted(&outcome.removed),
                total_staging: outcome.staging_account_count,
            },
        ),
        Status::Unchanged => ("unchanged", Fields::Unchanged { staging_account_count: outcome.staging_account_count }),
        Status::Skipped => {
            ("skipped", Fields::Skipped { reason: outcome.reason.as_deref().unwrap_or("Unknown reason") })
        }
        Status::Failed => ("failed", Fields::Failed { error: outcome.error.as_deref().unwrap_or("Unknown error") }),
    };
    Detail {
        account_id: &of.account_id,
        account_name: of.account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("Unknown"),
        status,
        result,
        incomplete_regions: outcome
            .incomplete_regions
            .iter()
            .map(|it| IncompleteRegion { region: &it.region, code: &it.code })
            .collect(),
        held_removals: &outcome.held_removals,
        held_reason: outcome.held_reason.as_deref().filter(|reason| !reason.is_empty()),
        extra: extra(outcome.extra.as_deref().unwrap_or_default()),
    }
}

fn sorted(ids: &[String]) -> Vec<&String> {
    let mut ids = ids.iter().collect::<Vec<_>>();
    ids.sort();
    ids
}

/// What else there is to report; nothing if it isn't a JSON object.
fn extra(text: &str) -> BTreeMap<String, Value> {
    let mut extra = serde_json::from_str::<BTreeMap<_, _>>(text).unwrap_or_default();
    extra.retain(|key: &String, _| !FIELDS.contains(&key.as_str()));
    extra
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{id, tick};
    use crate::types::{Outcome, RegionError};

    fn of(number: u8, name: Option<&str>, status: Status) -> AccountOutcome {
        let outcome = Outcome {
            status,
            reason: None,
            error: None,
            added: vec![],
            removed: vec![],
            held_removals: vec![],
            held_reason: None,
            staging_account_count: 2,
            incomplete_regions: vec![],
            extra: None,
        };
        AccountOutcome { account_id: id(number), account_name: name.map(Into::into), outcome }
    }

    /// The document's own example, with the keys in its order, and one account of each other kind.
    #[test]
    fn text() {
        let mut updated = of(1, Some("DEMO_TARGET"), Status::Updated);
        updated.outcome.added = vec![id(9), id(8)];
        updated.outcome.removed = vec![id(7)];
        let mut skipped = of(3, None, Status::Skipped);
        skipped.outcome.reason = Some("No role ARN configured".into());
        let mut failed = of(4, Some(""), Status::Failed);
        failed.outcome.error = Some("ThrottlingException in eu-west-1".into());
        failed.outcome.incomplete_regions =
            vec![RegionError { region: "eu-west-1".into(), code: "ThrottlingException".into() }];
        failed.outcome.held_removals = vec![id(5)];
        failed.outcome.held_reason = Some("Incomplete discovery".into());
        failed.outcome.extra = Some(r#"{"z": 1, "kept": ["x"], "status": "updated"}"#.into());
        let mut unchanged = of(2, Some("Production"), Status::Unchanged);
        unchanged.outcome.extra = Some("not JSON".into());

        let text = summarize(&tick("{}"), &[failed, updated, skipped, unchanged]);
        let expected = concat!(
            r#"{"timestamp":"2026-02-02T22:45:00Z","totalAccounts":4,"accountsProcessed":2,"accountsUpdated":1,"#,
            r#""accountsSkipped":2,"accountsFailed":1,"details":["#,
            r#"{"accountId":"000000000001","accountName":"DEMO_TARGET","status":"updated","#,
            r#""added":["000000000008","000000000009"],"removed":["000000000007"],"totalStaging":2},"#,
            r#"{"accountId":"000000000002","accountName":"Production","status":"unchanged","stagingAccountCount":2},"#,
            r#"{"accountId":"000000000003","accountName":"Unknown","status":"skipped","reason":"No role ARN configured"},"#,
            r#"{"accountId":"000000000004","accountName":"Unknown","status":"failed","#,
            r#""error":"ThrottlingException in eu-west-1","#,
            r#""incompleteRegions":[{"region":"eu-west-1","code":"ThrottlingException"}],"#,
            r#""heldRemovals":["000000000005"],"heldReason":"Incomplete discovery","kept":["x"],"z":1}]}"#,
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn dry_run_is_said_only_if_it_is_one() {
        let mut tick = tick("{}");
        tick.dry_run = true;
        assert!(summarize(&tick, &[]).starts_with(r#"{"timestamp":"2026-02-02T22:45:00Z","dryRun":true,"total"#));
    }

    proptest! {
        #[test]
        fn counts_add_up(kinds in prop::collection::vec((0..20u8, 0..4u8), 0..20), junk in ".*") {
            let outcomes = kinds.iter().map(|(number, kind)| {
                let mut of = of(*number, None, match kind {
                    0 => Status::Updated,
                    1 => Status::Unchanged,
                    2 => Status::Skipped,
                    _ => Status::Failed,
                });
                of.outcome.extra = Some(junk.clone());
                of.outcome.error = Some(junk.clone());
                of
            }).collect::<Vec<_>>();
            let summary = serde_json::from_str::<Value>(&summarize(&tick("{}"), &outcomes)).unwrap();

            let count = |key: &str| summary[key].as_u64().unwrap() as usize;
            prop_assert_eq!(
                count("accountsUpdated") + count("accountsSkipped") + count("accountsFailed"),
                count("totalAccounts")
            );
            let details = summary["details"].as_array().unwrap();
            let with = |statuses: &[&str]| {
                details.iter().filter(|it| statuses.contains(&it["status"].as_str().unwrap())).count()
            };
            prop_assert_eq!(details.len(), outcomes.len());
            prop_assert_eq!(count("accountsProcessed"), with(&["updated", "unchanged"]));
            prop_assert_eq!(count("accountsSkipped"), with(&["skipped", "unchanged"]));
            prop_assert!(details.is_sorted_by_key(|it| it["accountId"].as_str().unwrap()));
        }
    }
}
