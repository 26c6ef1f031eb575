//! What a new policy fails on, the last good one decides in the same tick.

use staging_sync_lab::Lab;

use crate::guest::{ADDED, Guest, SUMMARY, TEXT};
use crate::support::{id, stored_ids, targets};
use crate::{entry, folder, publish, service, tick, trapping, version};

const SYNC: &str = "sync_staging_accounts";

async fn lab(accounts: usize) -> Lab {
    Lab::start(targets((0..accounts).map(|_| (vec![], vec![])))).await.expect("a lab")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_a_new_policy_traps_on_is_decided_by_the_last_good_one() {
    let (lab, folder) = (lab(10).await, folder());
    let path = publish(folder.path(), &trapping("2.0.0"), Some(&version("1.0.0")), None);
    let service = service(&lab, &path, &[]);
    let summary = tick(&service).await;
    assert_eq!(stored_ids(&lab), vec![[ADDED]; 10], "every account is decided");
    assert_eq!(summary[id(1)], 0, "and none failed: {summary}");
    let calls = lab.calls();
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!((count("AssumeRole"), count("ListStagingAccounts")), (10, 10), "on the same observations");
    let release = service.release(SYNC).await.expect("a release");
    assert_eq!(release.policy().info().version, "2.0.0", "one account isn't too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_fails_too_often_is_demoted_until_another_is_published() {
    let (lab, folder) = (lab(30).await, folder());
    let path = publish(folder.path(), &trapping("2.0.0"), Some(&version("1.0.0")), None);
    let service = service(&lab, &path, &[("RESCUE_LIMIT", "2")]);
    tick(&service).await;
    assert_eq!(stored_ids(&lab), vec![[ADDED]; 30]);
    let version_now = async || service.release(SYNC).await.expect("a release").policy().info().version.clone();
    assert_eq!(version_now().await, "1.0.0");
    assert_eq!(version_now().await, "1.0.0", "and it stays so");
    // The same component again, in another manifest: no.
    publish(folder.path(), &trapping("2.0.0"), Some(&version("1.0.0")), Some(&version("4.0.0")));
    assert_eq!(version_now().await, "1.0.0");
    publish(folder.path(), &version("3.0.0"), Some(&version("1.0.0")), None);
    assert_eq!(version_now().await, "3.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_host_refuses_is_rescued_as_well() {
    let entry = format!("(call $update (i32.const 0) (i32.const 0) (i32.const {TEXT}) (i32.const 1) (i32.const 624))");
    for (name, sync) in [
        ("a limit", "(loop $for_ever (br $for_ever))".to_owned()),
        ("an invariant", entry), // removes what isn't an account id
        ("an untrue outcome", "(return (i32.const 672))".to_owned()),
    ] {
        let (lab, folder) = (lab(2).await, folder());
        let guest = Guest { version: "2.0.0", sync, texts: vec!["no id".into()], ..Guest::default() };
        let path = publish(folder.path(), &guest, Some(&version("1.0.0")), None);
        let summary = tick(&service(&lab, &path, &[("POLICY_FUEL", "20000000")])).await;
        assert_eq!((&summary[id(0)], &summary[id(1)]), (&0.into(), &0.into()), "{name}: {summary}");
        assert_eq!(stored_ids(&lab), vec![[ADDED]; 2], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_last_good_policy_fails_too_the_account_fails_and_no_other() {
    let (lab, folder) = (lab(3).await, folder());
    let path = publish(folder.path(), &trapping("2.0.0"), Some(&trapping("1.0.0")), None);
    let summary = tick(&service(&lab, &path, &[])).await;
    assert!(summary[id(1)].as_str().is_some_and(|error| error.starts_with("policy: trapped")), "{summary}");
    assert_eq!(stored_ids(&lab), vec![vec![ADDED], vec![], vec![ADDED]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_a_new_policy_cannot_make_is_made_by_the_last_good_one() {
    let (lab, folder) = (lab(3).await, folder());
    // It passes the proof, whose summaries are of one or two accounts.
    let guest = Guest {
        version: "2.0.0",
        summarize: format!(
            "(if (i32.gt_u (local.get $left) (i32.const 2)) (then (unreachable))) (i32.store (i32.const {SUMMARY}) (i32.const 0))"
        ),
        ..Guest::default()
    };
    let path = publish(folder.path(), &guest, Some(&version("1.0.0")), None);
    let service = service(&lab, &path, &[]);
    let summary = tick(&service).await;
    assert_eq!(summary.as_object().map(serde_json::Map::len), Some(3), "{summary}");
    let release = service.release(SYNC).await.expect("a release");
    assert_eq!(release.policy().info().version, "1.0.0", "it's demoted at once: every tick needs a summary");
}

/// Only success is kept: a last good policy that can't be had in one tick is looked for again in the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_last_good_policy_that_could_not_be_loaded_is_tried_again_in_the_next_tick() {
    let (lab, folder) = (lab(10).await, folder());
    let path = publish(folder.path(), &trapping("2.0.0"), Some(&version("1.0.0")), None);
    let component = folder.path().join(entry(folder.path(), &version("1.0.0")).component);
    let away = folder.path().join("away");
    std::fs::rename(&component, &away).expect("a file");
    let service = service(&lab, &path, &[]);
    tick(&service).await;
    let missing = || stored_ids(&lab).iter().filter(|list| list.is_empty()).count();
    assert_eq!(missing(), 1, "nobody decides the account that the policy traps on");
    std::fs::rename(&away, &component).expect("a file");
    tick(&service).await;
    assert_eq!(missing(), 0);
}

/// What is known of an account's regions is one knowledge, whoever decides the account: an unused region is asked again
/// also where the account is rescued in every tick.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_rescued_in_every_tick_sees_a_region_come_into_use() {
    let mut fleet = targets((0..2).map(|_| (vec![], vec![ADDED.to_owned()])));
    fleet.regions = ["ap-south-1", "us-east-1"].map(str::to_owned).to_vec();
    let (lab, folder) = (Lab::start(fleet).await.expect("a lab"), folder());
    let path = publish(folder.path(), &trapping("2.0.0"), Some(&version("1.0.0")), None);
    let service = service(&lab, &path, &[("RESCUE_LIMIT", "1000")]);
    let mut asked = Vec::new();
    for _ in 0..14 {
        lab.clear_calls();
        tick(&service).await;
        let calls = lab.calls().into_iter().filter(|call| call.account.as_deref() == Some(&*id(1)));
        asked.push(calls.filter(|call| call.region == "ap-south-1").count());
    }
    assert_eq!(asked[0], 1, "a cold start knows nothing");
    assert!(asked[1..].iter().sum::<usize>() >= 1, "asked again within 12 ticks: {asked:?}");
    assert!(asked[1..].contains(&0), "and not in every tick: {asked:?}");
}
