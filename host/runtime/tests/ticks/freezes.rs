//! Freezes and vetoes: what operators keep as it is.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use staging_sync_lab::{Fault, Lab};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::journal::Latest;
use staging_sync_runtime::journal::freezes::{ALL, Freeze, Freezes, Time, Veto};
use staging_sync_runtime::{Event, Runtime, Tick};

use crate::journal::{ON_S3, fleet, items, reader, staging, tick};
use crate::support::{id, patience, policy, runtime};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_072_300)
}

fn freeze(account: &str) -> Freeze {
    Freeze {
        account: account.into(),
        until: Some(Time::of(now() + Duration::from_secs(600))),
        author: "an operator".into(),
        comment: "fail-over".into(),
        veto: None,
    }
}

async fn put(lab: &Lab, freeze: Freeze) {
    let change = |all: &mut Vec<Freeze>| all.push(freeze.clone());
    reader(lab, &ON_S3).change_freezes(now(), change).await.expect("a write");
}

async fn tick_at(runtime: &std::sync::Arc<Runtime>, seconds: u64) -> Value {
    let now = now() + Duration::from_secs(seconds);
    let tick = Tick { now, ..Tick::of(Event::of("sync_staging_accounts")) };
    runtime.tick(tick, |_, _| ()).await.expect("a summary").summary
}

fn latest(lab: &Lab) -> Latest {
    serde_json::from_slice(&lab.object("journal/latest.json").expect("an object")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_account_is_skipped_without_a_call_until_the_freeze_ends() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    put(&lab, freeze(&id(0))).await;
    let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    lab.clear_calls();
    let summary = tick_at(&runtime, 0).await;
    let reason = "Frozen until 2026-02-02T22:55:00Z: fail-over";
    assert_eq!(
        (&summary["details"][0]["status"], &summary["details"][0]["reason"]),
        (&json!("skipped"), &json!(reason))
    );
    assert_eq!((&summary["details"][1]["status"], &summary["accountsFrozen"]), (&json!("updated"), &json!(1)));
    assert!(lab.calls().iter().all(|call| call.target.as_deref() != Some(id(0).as_str())));
    assert_eq!((latest(&lab).accounts_frozen, latest(&lab).freezes), (1, vec![freeze(&id(0))]));

    let summary = tick_at(&runtime, 600).await;
    assert_eq!((&summary["details"][0]["status"], summary.get("accountsFrozen")), (&json!("updated"), None));
    assert_eq!((latest(&lab).accounts_frozen, latest(&lab).freezes), (0, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_accounts_can_be_frozen_and_freed_again() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    put(&lab, freeze(ALL)).await;
    let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    assert_eq!(tick_at(&runtime, 0).await["accountsFrozen"], json!(2));
    reader(&lab, &ON_S3).change_freezes(now(), Vec::clear).await.expect("a write");
    assert_eq!(tick_at(&runtime, 300).await["accountsUpdated"], json!(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_veto_blocks_that_very_change_and_is_no_failure() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let ids =
        |numbers: &[usize]| numbers.iter().map(|number| AccountId::parse(&staging(*number)).expect("an id")).collect();
    let veto = Veto { add: ids(&[4]), remove: ids(&[1]) };
    put(&lab, Freeze { veto: Some(veto), until: None, ..freeze(&id(0)) }).await;
    let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    let summary = tick_at(&runtime, 0).await;
    let detail = &summary["details"][0];
    assert_eq!((&detail["status"], &detail["removed"]), (&json!("updated"), &json!([staging(2)])), "{summary:#}");
    assert_eq!((&detail["heldRemovals"], &detail["heldReason"]), (&json!([staging(1)]), &json!("Vetoed: fail-over")));
    let before = items(&lab)[&id(0)].stored_list.clone();
    let summary = tick_at(&runtime, 300).await;
    let detail = &summary["details"][0];
    assert_eq!((&detail["status"], &detail["reason"]), (&json!("skipped"), &json!("Vetoed: fail-over")), "{summary:#}");
    assert_eq!((items(&lab)[&id(0)].stored_list.clone(), &summary["accountsFailed"]), (before, &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_freezes_nothing_is_written_and_a_host_that_knows_them_goes_on() {
    let bad = "{\"format\": 1, \"freezes\": [{}]}";
    let fault = json!({"service": "s3", "operation": "GetObject", "error": {"code": "InternalError"}});
    let fault: Fault = serde_json::from_value(fault).expect("a fault");
    for broken in [true, false] {
        let lab = Lab::start(fleet()).await.expect("a lab");
        let break_it = || match broken {
            true => drop(lab.put_object("journal/freezes.json", bad)),
            false => lab.edit(|fleet| fleet.faults.push(fault.clone())),
        };
        let cold = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
        let warm = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
        put(&lab, freeze(&id(1))).await;
        lab.edit(|fleet| fleet.latency_ms = 0);
        let first = tick_at(&warm, 0).await;
        assert_eq!((&first["accountsUpdated"], &first["accountsFrozen"]), (&json!(1), &json!(1)));
        break_it();
        let summary = tick_at(&cold, 300).await;
        assert_eq!((&summary["accountsFrozen"], &summary["accountsUpdated"]), (&json!(2), &json!(0)), "{summary:#}");
        let reason = summary["details"][0]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.starts_with("Freezes unknown, so nothing is written in this tick: "), "{reason}");
        assert!(reason.contains("freezes.json"), "{reason}");
        let summary = tick_at(&warm, 300).await;
        assert_eq!((&summary["accountsFrozen"], &summary["accountsProcessed"]), (&json!(1), &json!(1)), "{summary:#}");
        assert!(summary["journalFailed"].as_u64() > Some(0), "{summary:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_at_once_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let lab = Lab::start(fleet()).await.expect("a lab");
    for place in ["s3://policies/journal/", folder.path().to_str().expect("UTF-8")] {
        let variables = [("JOURNAL", place)];
        let writers = (0..6).map(|number| {
            let journal = reader(&lab, &variables);
            let freeze = freeze(&id(number));
            tokio::spawn(async move { journal.change_freezes(now(), |all| all.push(freeze.clone())).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no panic").expect("a write");
        }
        let freezes: Freezes = reader(&lab, &variables).read_freezes().await.expect("freezes");
        let mut accounts: Vec<String> = freezes.freezes.into_iter().map(|freeze| freeze.account).collect();
        accounts.sort();
        assert_eq!(accounts, (0..6).map(id).collect::<Vec<_>>(), "{place}");
    }
    // A document that is no good isn't replaced.
    lab.put_object("journal/freezes.json", "[]");
    let error = reader(&lab, &ON_S3).change_freezes(now(), Vec::clear).await.expect_err("a bad document");
    assert!(error.message.contains("freezes.json") && error.message.contains("mend the document"), "{error}");
    // Ticks go on by what they know.
    let runtime = runtime(&lab, &[], policy().await, patience()).await.expect("a runtime");
    assert_eq!(tick(&runtime).await["accountsUpdated"], json!(2));
}
