//! The limits of size: large tables, large lists, items that are nearly too large.

use std::time::Duration;

use serde_json::json;
use staging_sync_lab::{Fault, Lab, Region};
use staging_sync_runtime::{Event, Tick};
use tokio::time::Instant;

use crate::support::{default_runtime, policy, runtime, stored_ids, targets};

fn staging(number: usize) -> String {
    format!("{:012}", 200_000_000_000 + number)
}

fn tick() -> Tick {
    Tick::of(Event::of("sync_staging_accounts"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_pages_is_read_to_the_last() {
    let mut fleet = targets((0..40).map(|_| (vec![], vec![staging(1)])));
    for item in &mut fleet.targets {
        item.insert("history".into(), "x".repeat(100_000).into());
    }
    let lab = Lab::start(fleet).await.expect("a lab");
    let summary = default_runtime(&lab).await.tick(tick(), |_, _| ()).await.expect("a summary").summary;
    assert_eq!((&summary["totalAccounts"], &summary["accountsUpdated"]), (&json!(40), &json!(40)));
    let scans = lab.calls().iter().filter(|call| call.operation == "Scan").count();
    assert!(scans >= 4, "4 MB in pages of 1 MB, found {scans} scans");
    assert_eq!(stored_ids(&lab), vec![vec![staging(1)]; 40]);
}

/// Time that runs out while the table is read: what was done is in the summary, and that there is more.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_read_to_its_end_in_time() {
    let mut fleet = targets((0..40).map(|_| (vec![], vec![staging(1)])));
    for item in &mut fleet.targets {
        item.insert("history".into(), "x".repeat(100_000).into());
    }
    fleet.faults.push(Fault { operation: Some("Scan".into()), after: 1, ..Fault::hang() });
    let lab = Lab::start(fleet).await.expect("a lab");
    let variables = [("DEADLINE_MARGIN_SECONDS", "2")];
    let runtime = runtime(&lab, &variables, policy().await, Default::default()).await.expect("a runtime");
    let deadline = Some(Instant::now() + Duration::from_secs(4));
    let report = runtime.tick(Tick { deadline, ..tick() }, |_, _| ()).await.expect("a summary");
    let updated = report.counts.updated;
    assert!((5..40).contains(&updated), "the accounts of the first page, found {updated}");
    assert_eq!(report.summary["accountsNotRead"], true, "{:#}", report.summary);
    assert_eq!(report.summary["totalAccounts"], updated);
    assert!(report.metrics.iter().any(|metric| metric.name == "accountsNotRead" && metric.value == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_staging_accounts_of_one_target() {
    let stored: Vec<String> = (0..250).map(staging).collect();
    let named: Vec<String> = (0..500).map(staging).collect();
    let lab = Lab::start(targets([(stored, named.clone())])).await.expect("a lab");
    let runtime = default_runtime(&lab).await;
    let summary = runtime.tick(tick(), |_, _| ()).await.expect("a summary").summary;
    assert_eq!(summary["details"][0]["added"].as_array().map(Vec::len), Some(250));
    assert_eq!(stored_ids(&lab), [named]);
    let second = runtime.tick(tick(), |_, _| ()).await.expect("a summary").summary;
    assert_eq!(
        second["details"][0],
        json!({
            "accountId": "100000000000", "accountName": "Unknown", "status": "unchanged", "stagingAccountCount": 500,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_would_get_too_large_stays_as_it_is_and_the_others_go_on() {
    let mut fleet = targets((0..2).map(|_| (vec![staging(1)], (0..20).map(staging).collect())));
    fleet.targets[0].insert("history".into(), "x".repeat(409_000).into()); // of the 409,600 that DynamoDB takes
    let lab = Lab::start(fleet).await.expect("a lab");
    let runtime = default_runtime(&lab).await;
    let summary = runtime.tick(tick(), |_, _| ()).await.expect("a summary").summary;
    let error = summary["details"][0]["error"].as_str().expect("an error");
    assert!(error.starts_with("AWS: ValidationException: UpdateItem") && error.contains("size"), "{error}");
    assert_eq!(summary["details"][1]["status"], "updated");
    assert_eq!(stored_ids(&lab)[0], [staging(1)]);

    // One that only gets smaller is written, however large it is.
    lab.edit(|fleet| {
        let account = fleet.accounts.get_mut("100000000000").expect("the account");
        account.regions.insert("us-east-1".into(), Region::extended([""; 0]));
    });
    let summary = runtime.tick(tick(), |_, _| ()).await.expect("a summary").summary;
    assert_eq!(summary["details"][0]["removed"], json!([staging(1)]));
}
