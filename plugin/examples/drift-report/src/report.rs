//! What is stored beside what DRS says: one account's drift, and the report of all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::types::{Account, AccountOutcome, AwsError, Outcome, RegionError, RegionView, Status, Tick};

/// The drift of one account, in its outcome's `extra`.
pub fn account(
    tick: &Tick,
    account: &Account,
    discover: impl FnOnce(&[String]) -> Result<Vec<RegionView>, AwsError>,
) -> Outcome {
    let mut outcome = Outcome {
        status: Status::Unchanged,
        reason: None,
        error: None,
        added: Vec::new(),
        removed: Vec::new(),
        held_removals: Vec::new(),
        held_reason: None,
        staging_account_count: u32::try_from(account.staging_accounts.len()).unwrap_or(u32::MAX),
        incomplete_regions: Vec::new(),
        extra: None,
    };
    let reason = match &account.role_arn {
        _ if account.is_current => Some("Current account - no staging accounts"),
        None => Some("No role ARN configured"),
        Some(_) => None,
    };
    if let Some(reason) = reason {
        return Outcome { status: Status::Skipped, reason: Some(reason.into()), ..outcome };
    }
    let views = match discover(&[]) {
        Ok(views) => views,
        Err(error) => {
            let error = format!("AWS: {}: {}", error.code, error.message);
            return Outcome { status: Status::Failed, error: Some(error), ..outcome };
        }
    };
    outcome.incomplete_regions = incomplete(tick, &views);
    outcome.extra = Some(drift(account, &views, outcome.incomplete_regions.is_empty()).to_string());
    outcome
}

/// The regions that weren't read to their last page.
fn incomplete(tick: &Tick, views: &[RegionView]) -> Vec<RegionError> {
    let of = |region: &String| {
        let code = match views.iter().find(|view| view.region == *region) {
            Some(RegionView { error: None, .. }) => return None,
            Some(RegionView { error: Some(error), .. }) => error.code.clone(),
            None => "NoAnswer".into(),
        };
        Some(RegionError { region: region.clone(), code })
    };
    tick.regions.iter().filter_map(of).collect()
}

/// `{"wouldAdd": {id: why}, "wouldRemove": {id: why}, "unknown": {id: why}}`
fn drift(account: &Account, views: &[RegionView], complete: bool) -> Value {
    let mut named = BTreeMap::<&str, Vec<&str>>::new();
    for view in views {
        for id in view.staging_account_ids.iter().filter(|id| **id != account.id) {
            named.entry(id).or_default().push(&view.region);
        }
    }
    let stored: BTreeSet<&str> = account.staging_accounts.iter().map(|entry| entry.id.as_str()).collect();
    let add = named.iter().filter(|(id, _)| !stored.contains(**id));
    let add: Map<String, Value> =
        add.map(|(id, regions)| (id.to_string(), format!("named by {}", regions.join(", ")).into())).collect();
    let gone = |why: &str| -> Map<String, Value> {
        stored.iter().filter(|id| !named.contains_key(**id)).map(|id| (id.to_string(), why.into())).collect()
    };
    match complete {
        true => json!({"wouldAdd": add, "wouldRemove": gone("no region names it")}),
        false => json!({"wouldAdd": add, "unknown": gone("not every region could be read")}),
    }
}

/// The report: how many accounts differ, and each of them with what would change.
pub fn summary(tick: &Tick, outcomes: &[AccountOutcome]) -> Value {
    let (mut drifted, mut in_sync, mut unknown, mut skipped, mut failed) = (0, 0, 0, 0, 0);
    let mut details = Vec::new();
    for AccountOutcome { account_id, account_name, outcome } in outcomes {
        let extra = outcome.extra.as_deref().and_then(|extra| serde_json::from_str::<Map<String, Value>>(extra).ok());
        let said = |part: &str| extra.as_ref().and_then(|extra| extra.get(part)).is_some_and(|part| *part != json!({}));
        let differs = said("wouldAdd") || said("wouldRemove");
        let status = match outcome.status {
            Status::Skipped => "skipped",
            Status::Failed => "failed",
            _ if differs => "drifted",
            _ if !outcome.incomplete_regions.is_empty() => "unknown",
            _ => "inSync",
        };
        *match status {
            "skipped" => &mut skipped,
            "failed" => &mut failed,
            "drifted" => &mut drifted,
            "unknown" => &mut unknown,
            _ => &mut in_sync,
        } += 1;
        let mut detail = Map::new();
        detail.insert("accountId".into(), account_id.as_str().into());
        detail.insert("accountName".into(), account_name.as_deref().unwrap_or("Unknown").into());
        detail.insert("status".into(), status.into());
        detail.extend(outcome.reason.as_deref().map(|reason| ("reason".to_owned(), reason.into())));
        detail.extend(outcome.error.as_deref().map(|error| ("error".to_owned(), error.into())));
        if differs || said("unknown") {
            detail.extend(extra.into_iter().flatten());
        }
        if !outcome.incomplete_regions.is_empty() {
            let regions = outcome.incomplete_regions.iter();
            let regions: Vec<Value> = regions.map(|at| json!({"region": at.region, "code": at.code})).collect();
            detail.insert("incompleteRegions".into(), regions.into());
        }
        details.push(Value::Object(detail));
    }
    json!({
        "timestamp": tick.now,
        "totalAccounts": outcomes.len(),
        "accountsDrifted": drifted,
        "accountsInSync": in_sync,
        "accountsUnknown": unknown,
        "accountsSkipped": skipped,
        "accountsFailed": failed,
        "details": details,
    })
}
