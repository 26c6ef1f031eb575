//! Regions that an account doesn't use: not asked in every tick, and never a reason to remove anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab, Region};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::{Event, Runtime, Tick};

use crate::support::{default_runtime, id, patience, policy, runtime, stored_ids, targets};

const REGIONS: [&str; 3] = ["ap-south-1", "eu-west-1", "us-east-1"];

fn staging(number: usize) -> String {
    format!("{:012}", 200_000_000_000 + number)
}

/// Accounts that use us-east-1 alone, each with one staging account that is stored and named there.
fn fleet(accounts: usize) -> Fleet {
    let mut fleet = targets((0..accounts).map(|_| (vec![staging(1)], vec![staging(1)])));
    fleet.regions = REGIONS.map(str::to_owned).to_vec();
    fleet
}

/// A tick's summary, and the regions that it asked.
async fn tick(lab: &Lab, runtime: &Arc<Runtime>, event: Event) -> (Value, Vec<String>) {
    lab.clear_calls();
    let summary = runtime.tick(Tick::of(event), |_, _| ()).await.expect("a summary").summary;
    let calls = lab.calls().into_iter().filter(|call| call.operation == "ListStagingAccounts");
    let mut asked: Vec<String> = calls.map(|call| call.region).collect();
    asked.sort();
    (summary, asked)
}

fn sync() -> Event {
    Event::of("sync_staging_accounts")
}

fn set_region(lab: &Lab, region: &str, named: &[String]) {
    lab.edit(|fleet| {
        let account = fleet.accounts.get_mut(&id(0)).expect("the account");
        account.regions.insert(region.into(), Region::extended(named.iter().cloned()));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_an_account_does_not_use_is_asked_every_twelfth_tick() {
    let lab = Lab::start(fleet(8)).await.expect("a lab");
    let runtime = default_runtime(&lab).await;
    let mut asked = Vec::new();
    for _ in 0..25 {
        asked.push(tick(&lab, &runtime, sync()).await.1.len());
    }
    assert_eq!(asked[0], 24, "a cold start knows nothing");
    // Each of the 8 accounts in the region that it uses, in every tick; and 16 times in 12 ticks in one that it doesn't.
    assert_eq!(asked[13..].iter().sum::<usize>(), 12 * 8 + 16, "{asked:?}");
    assert!(asked[1..].iter().all(|asked| *asked < 24), "accounts take turns: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_1_every_region_is_asked_in_every_tick() {
    let lab = Lab::start(fleet(1)).await.expect("a lab");
    let variables = [("REGION_RECHECK_TICKS", "1")];
    let runtime = runtime(&lab, &variables, policy().await, patience()).await.expect("a runtime");
    for _ in 0..3 {
        assert_eq!(tick(&lab, &runtime, sync()).await.1, REGIONS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_before_every_region_was_read() {
    let lab = Lab::start(fleet(1)).await.expect("a lab");
    let runtime = default_runtime(&lab).await;
    tick(&lab, &runtime, sync()).await;
    // The servers move to a region that wasn't in use a tick ago.
    set_region(&lab, "us-east-1", &[]);
    set_region(&lab, "eu-west-1", &[staging(1)]);
    let (summary, asked) = tick(&lab, &runtime, sync()).await;
    assert_eq!((&summary["details"][0]["status"], asked), (&json!("unchanged"), REGIONS.map(str::to_owned).to_vec()));
    // Then they go.
    set_region(&lab, "eu-west-1", &[]);
    let (summary, asked) = tick(&lab, &runtime, sync()).await;
    assert_eq!(summary["details"][0]["removed"], json!([staging(1)]));
    assert_eq!(asked, REGIONS);
    assert_eq!(stored_ids(&lab), [[""; 0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_was_not_in_use_and_cannot_be_read_holds_removals() {
    let lab = Lab::start(fleet(1)).await.expect("a lab");
    let runtime = default_runtime(&lab).await;
    tick(&lab, &runtime, sync()).await;
    set_region(&lab, "us-east-1", &[]);
    lab.edit(|fleet| {
        fleet.faults.push(Fault { region: Some("ap-south-1".into()), ..Fault::error("AccessDeniedException") });
    });
    let (summary, _) = tick(&lab, &runtime, sync()).await;
    assert_eq!(summary["details"][0]["heldRemovals"], json!([staging(1)]), "{summary:#}");
    assert_eq!(stored_ids(&lab), [[staging(1)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_comes_into_use_is_found_within_twelve_ticks_or_when_the_account_is_named() {
    let lab = Lab::start(fleet(1)).await.expect("a lab");
    let runtime = default_runtime(&lab).await;
    tick(&lab, &runtime, sync()).await;
    set_region(&lab, "eu-west-1", &[staging(2)]);
    let named = AccountId::parse(&id(0)).expect("an id");
    let (summary, asked) = tick(&lab, &runtime, Event { account_ids: Some(BTreeSet::from([named])), ..sync() }).await;
    assert_eq!((&summary["details"][0]["added"], asked), (&json!([staging(2)]), REGIONS.map(str::to_owned).to_vec()));

    set_region(&lab, "ap-south-1", &[staging(3)]);
    let mut ticks = 0;
    while stored_ids(&lab)[0].len() < 3 {
        tick(&lab, &runtime, sync()).await;
        ticks += 1;
        assert!(ticks <= 12, "not found in 12 ticks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_no_region_knows_is_assumed_anew_once_and_then_the_account_fails() {
    let lab = Lab::start(fleet(1)).await.expect("a lab");
    let runtime = default_runtime(&lab).await;
    tick(&lab, &runtime, sync()).await;
    lab.edit(|fleet| {
        fleet.faults.push(Fault {
            operation: Some("ListStagingAccounts".into()),
            ..Fault::error("UnrecognizedClientException")
        })
    });
    let (summary, asked) = tick(&lab, &runtime, sync()).await;
    let error = summary["details"][0]["error"].as_str().expect("an error");
    assert!(error.contains("every region refused the credentials"), "{error}");
    assert_eq!(asked, ["ap-south-1", "eu-west-1", "us-east-1", "us-east-1"]);
    assert_eq!(lab.calls().iter().filter(|call| call.operation == "AssumeRole").count(), 1);
    assert_eq!(stored_ids(&lab), [[staging(1)]]);
}
