//! The blast radius: how many accounts may lose staging accounts in one tick.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use staging_sync_lab::{Fault, Lab};
use staging_sync_runtime::aws::Segment;
use staging_sync_runtime::{Event, Tick};
use tokio::time::Instant;

use crate::support::{patience, policy, runtime, stored_ids, targets};

const ACCOUNTS: usize = 60;

fn staging(number: usize) -> String {
    format!("{:012}", 200_000_000_000 + number)
}

/// Ticks five minutes apart, as many as asked, over accounts that all lose one staging account and gain another.
async fn ticks(percent: &str, count: u64) -> (Lab, Vec<Value>) {
    let lab = Lab::start(targets((0..ACCOUNTS).map(|_| (vec![staging(1)], vec![staging(2)])))).await.expect("a lab");
    let variables = [("MAX_REMOVALS_PERCENT", percent), ("MAX_CONCURRENCY", "7")];
    let runtime = runtime(&lab, &variables, policy().await, patience()).await.expect("a runtime");
    let mut summaries = Vec::new();
    for turn in 0..count {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_072_300 + turn * 300);
        let tick = Tick { now, ..Tick::of(Event::of("sync_staging_accounts")) };
        summaries.push(runtime.tick(tick, |_, _| ()).await.expect("a summary").summary);
    }
    (lab, summaries)
}

fn with(summary: &Value, field: &str) -> usize {
    let details = summary["details"].as_array().into_iter().flatten();
    details.filter(|detail| detail[field].as_array().is_some_and(|list| !list.is_empty())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_of_the_accounts_a_tick_until_all_are_done() {
    let (lab, summaries) = ticks("20", 10).await;
    let first = &summaries[0];
    assert_eq!((with(first, "added"), with(first, "removed"), with(first, "heldRemovals")), (60, 12, 48));
    let held = first["details"].as_array().into_iter().flatten().find(|detail| !detail["heldRemovals"].is_null());
    let reason = held.and_then(|detail| detail["heldReason"].as_str()).expect("a reason");
    assert!(reason.contains("MAX_REMOVALS_PERCENT") && reason.contains("12"), "{reason}");
    assert!(summaries.iter().all(|summary| with(summary, "removed") <= 12));
    let removed: Vec<usize> = summaries.iter().map(|summary| with(summary, "removed")).collect();
    assert_eq!(removed.iter().sum::<usize>(), ACCOUNTS, "{removed:?}");
    assert_eq!(stored_ids(&lab), vec![vec![staging(2)]; ACCOUNTS]);
}

/// Accounts that wait for the table's last page must not keep it from being read.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_pages_in_which_every_account_loses_one() {
    let mut fleet = targets((0..40).map(|_| (vec![staging(1), staging(2)], vec![staging(2)])));
    for item in &mut fleet.targets {
        item.insert("history".into(), "x".repeat(100_000).into());
    }
    let lab = Lab::start(fleet).await.expect("a lab");
    let variables = [("MAX_REMOVALS_PERCENT", "50"), ("MAX_CONCURRENCY", "2")];
    let runtime = runtime(&lab, &variables, policy().await, patience()).await.expect("a runtime");
    let tick = Tick {
        deadline: Some(Instant::now() + Duration::from_secs(120)),
        ..Tick::of(Event::of("sync_staging_accounts"))
    };
    let summary = runtime.tick(tick, |_, _| ()).await.expect("a summary").summary;
    assert_eq!((with(&summary, "removed"), with(&summary, "heldRemovals")), (20, 20), "{summary:#}");
    let stored = stored_ids(&lab);
    let with_both = stored.iter().filter(|ids| **ids == [staging(1), staging(2)]).count();
    assert_eq!((with_both, stored.iter().filter(|ids| **ids == [staging(2)]).count()), (20, 20));
}

/// Who had to wait comes first in one of the next ticks, wherever in the table it stands.
#[tokio::test(flavor = "multi_thread")]
async fn places_go_round_in_a_table_of_many_pages() {
    let mut fleet = targets((0..40).map(|_| (vec![staging(1), staging(2)], vec![staging(2)])));
    for item in &mut fleet.targets {
        item.insert("history".into(), "x".repeat(100_000).into());
    }
    fleet.faults.push(Fault { operation: Some("UpdateItem".into()), ..Fault::error("AccessDeniedException") });
    let lab = Lab::start(fleet).await.expect("a lab");
    let runtime = runtime(&lab, &[], policy().await, patience()).await.expect("a runtime");
    let mut tried = BTreeSet::new();
    for turn in 0..20 {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_072_300 + turn * 300);
        let tick = Tick { now, ..Tick::of(Event::of("sync_staging_accounts")) };
        let summary = runtime.tick(tick, |_, _| ()).await.expect("a summary").summary;
        assert_eq!(summary["totalAccounts"], 40, "each account once, wherever the tick begins: {summary:#}");
        let writes = lab.calls().into_iter().filter(|call| call.operation == "UpdateItem");
        tried.extend(writes.filter_map(|call| call.target));
        lab.clear_calls();
    }
    assert_eq!(tried.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_percent_is_none() {
    let (lab, summaries) = ticks("0", 3).await;
    assert!(summaries.iter().all(|summary| with(summary, "removed") == 0));
    assert_eq!(with(&summaries[2], "heldRemovals"), ACCOUNTS);
    assert_eq!(stored_ids(&lab), vec![vec![staging(1), staging(2)]; ACCOUNTS]);
}

/// However a table is divided, its segments together do no more than one tick would.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_says_nothing_is_not_emptied_by_segments_either() {
    for segments in [1, 2, 3, 5] {
        let lab = Lab::start(targets((0..12).map(|_| (vec![staging(1)], vec![])))).await.expect("a lab");
        let runtime = runtime(&lab, &[], policy().await, patience()).await.expect("a runtime");
        for segment in 0..segments {
            let event =
                Event { segment: Some(Segment { segment, total: segments }), ..Event::of("sync_staging_accounts") };
            runtime.tick(Tick::of(event), |_, _| ()).await.expect("a summary");
        }
        let emptied = stored_ids(&lab).iter().filter(|list| list.is_empty()).count();
        assert!(emptied <= 1, "{segments} segments: {emptied} of 12 accounts were emptied");
    }
}

/// One account that is emptied among others is no sign of anything; it's done in the same tick.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_last_server_goes_is_emptied() {
    let fleet = targets((0..6).map(|number| (vec![staging(1)], if number < 3 { vec![] } else { vec![staging(1)] })));
    let lab = Lab::start(fleet).await.expect("a lab");
    let runtime = runtime(&lab, &[], policy().await, patience()).await.expect("a runtime");
    let report = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a summary");
    assert_eq!((with(&report.summary, "removed"), with(&report.summary, "heldRemovals")), (3, 0));
    assert_eq!(stored_ids(&lab).iter().filter(|list| list.is_empty()).count(), 3);
    let calls = lab.calls().into_iter().filter(|call| call.operation == "ListStagingAccounts").count();
    assert_eq!(calls, 6, "deciding again costs no call");
}

/// More accounts that wait for the others than may be under way at once.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_wait_for_the_others_do_not_keep_them_from_being_decided() {
    let fleet = targets((0..30).map(|number| (vec![staging(1)], if number < 14 { vec![] } else { vec![staging(1)] })));
    let lab = Lab::start(fleet).await.expect("a lab");
    let variables = [("MAX_CONCURRENCY", "2"), ("MAX_REMOVALS_PERCENT", "99")];
    let runtime = runtime(&lab, &variables, policy().await, patience()).await.expect("a runtime");
    let report = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a summary");
    assert_eq!((with(&report.summary, "removed"), report.counts.unchanged), (14, 16));
}
