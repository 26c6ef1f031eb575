//! The project's cases, decided by the policy's pure functions natively: what a tape says of each account goes
//! in, and the account's part of the summary comes out. What the host itself decides isn't compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use staging_sync_policy::types::{
    Account, AccountOutcome, AwsError, Change, Receipt, RegionView, StagingAccount, Tick,
};
use staging_sync_policy::{decide, summary};
use staging_sync_runtime::aws::discovery::Listing;
use staging_sync_runtime::aws::{Access, Aws};
use staging_sync_runtime::case::Case;
use staging_sync_runtime::tape::ReplayApi;
use staging_sync_runtime::target::{RoleError, Target};

use crate::cases::all;

#[tokio::test]
async fn every_case_comes_out_natively_too() {
    let mut compared = 0;
    for case in all() {
        for detail in case.expected.iter().flat_map(|it| it["details"].as_array()).flatten() {
            if let Some(found) = decided(&case, detail).await {
                assert_eq!(&found, detail, "{}", case.name);
                compared += 1;
            }
        }
    }
    assert!(compared >= 40, "{compared} accounts compared");
}

/// An account's part of the summary, unless the host had a say in it.
async fn decided(case: &Case, detail: &Value) -> Option<Value> {
    let id = detail["accountId"].as_str()?;
    let tape = &case.tape;
    let writes =
        tape.exchanges(Some(id)).iter().filter(|it| it.is_write()).map(|it| serde_json::to_value(it).expect("JSON"));
    let by_host =
        detail.to_string().contains("MAX_REMOVALS_PERCENT") || writes.into_iter().any(|it| !it["error"].is_null());
    let player = Arc::new(ReplayApi::new(tape));
    let access = Access { listings: vec![Listing::StagingAccounts], updates: true };
    let aws = Aws::new(player, tape.config.table.clone(), &access);
    let items = if case.event.get("accountIds").is_some() {
        Vec::from_iter(aws.get_item(&staging_sync_runtime::account::AccountId::parse(id)?).await.ok()?)
    } else {
        let segment = case.event.get("segment").map(|_| staging_sync_runtime::aws::Segment { segment: 0, total: 1 });
        let (mut items, mut next) = aws.scan_page(segment, None).await.ok()?;
        while next.is_some() {
            let page;
            (page, next) = aws.scan_page(segment, next).await.ok()?;
            items.extend(page);
        }
        items
    };
    let target = items.iter().filter_map(|item| Target::read(item).ok()).find(|target| target.id.as_str() == id)?;
    if by_host {
        return None;
    }
    let tick = Tick {
        operation: "sync_staging_accounts".into(),
        now: tape.now.into(),
        dry_run: case.event["dryRun"] == true,
        regions: tape.config.regions.clone(),
        settings: Value::Object(case.settings.clone()).to_string(),
    };
    let views = views(&aws, &target, &tick.regions).await;
    let account = account(&target);
    let outcome = decide::decide(&tick, &account, |_| views, |change| receipt(&account, change));
    let outcome = AccountOutcome { account_id: id.into(), account_name: target.name.clone(), outcome };
    let summary: Value = serde_json::from_str(&summary::summarize(&tick, &[outcome])).expect("JSON");
    Some(summary["details"][0].clone())
}

async fn views(aws: &Aws, target: &Target, regions: &[String]) -> Result<Vec<RegionView>, AwsError> {
    let error = |it: staging_sync_runtime::aws::AwsError| AwsError {
        code: it.code,
        message: it.message,
        retryable: it.retryable,
    };
    let none = |code: &str, message: String| AwsError { code: code.into(), message, retryable: false };
    let role = target.role().map_err(|it| match it {
        RoleError::Missing => none("NoRole", String::new()),
        RoleError::Foreign(message) => none("InvalidRole", message),
    })?;
    let answers = aws.discover(&role, Listing::StagingAccounts, regions, &target.regions_in_use(), &|_| false).await;
    let answers = answers.map_err(error)?;
    let view = |answer: staging_sync_runtime::aws::discovery::RegionAnswer| RegionView {
        staging_account_ids: answer.staging_account_ids().into_iter().collect(),
        region: answer.region,
        error: answer.error.map(error),
    };
    Ok(answers.into_iter().map(view).collect())
}

fn account(target: &Target) -> Account {
    let entry = |entry: &staging_sync_runtime::target::StagingAccount| StagingAccount {
        id: entry.id.to_string(),
        name: entry.text("accountName"),
        added_by: entry.text("addedBy"),
        added_at: entry.text("addedAt"),
    };
    Account {
        id: target.id.to_string(),
        name: target.name.clone(),
        is_current: target.is_current,
        role_arn: target.role_arn.clone(),
        staging_accounts: target.staging_accounts.iter().map(entry).collect(),
    }
}

/// What a host answers that holds nothing back.
fn receipt(account: &Account, change: &Change) -> Receipt {
    let stored: BTreeSet<&String> = account.staging_accounts.iter().map(|entry| &entry.id).collect();
    let added: BTreeSet<&String> = change.add.iter().map(|entry| &entry.id).filter(|id| !stored.contains(id)).collect();
    let removed: BTreeSet<&String> = change.remove.iter().filter(|id| stored.contains(id)).collect();
    let kept = account.staging_accounts.iter().filter(|entry| !removed.contains(&entry.id)).count();
    let list = |ids: BTreeSet<&String>| ids.into_iter().cloned().collect::<Vec<_>>();
    Receipt {
        total: (kept + added.len()) as u32,
        added: list(added),
        removed: list(removed),
        held: Vec::new(),
        held_reason: None,
    }
}
