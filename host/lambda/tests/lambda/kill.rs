//! A Lambda that is killed in the middle of a tick, as at its time-out: every item is whole, what was removed is in the
//! journal, and the next tick does the rest.

use serde_json::{Value, json};
use staging_sync_lab::{Account, Fleet, Lab, Region, Role};

use crate::{Lambda, sync_event};

const TARGETS: usize = 4;
/// Scan, and for each target AssumeRole, ListStagingAccounts and UpdateItem.
const CALLS: usize = 1 + 3 * TARGETS;

fn id(number: usize) -> String {
    format!("{:012}", 100_000_000_000 + number)
}

/// Targets that each lose one staging account, keep one and gain two.
fn fleet() -> Fleet {
    let mut fleet = Fleet { latency_ms: 3, jitter_ms: 3, ..Fleet::default() };
    for number in 0..TARGETS {
        let role = format!("arn:aws:iam::{}:role/DRSOrchestrationRole", id(number));
        let entry = |id: &str| json!({"accountId": id, "accountName": "by an operator"});
        let staging = json!([entry("222222222222"), entry("333333333333")]);
        let item = json!({"accountId": id(number), "roleArn": role, "stagingAccounts": staging, "updatedAt": "before"});
        fleet.targets.extend(item.as_object().cloned());
        let account = Account {
            roles: [("DRSOrchestrationRole".to_owned(), Role::default())].into(),
            regions: [("us-east-1".to_owned(), Region::extended(["333333333333", "444444444444", "555555555555"]))]
                .into(),
            page_size: None,
        };
        fleet.accounts.insert(id(number), account);
    }
    fleet
}

fn ids(item: &Value) -> Vec<&str> {
    let entries = item["stagingAccounts"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["accountId"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_killed_at_any_call_leaves_every_item_whole() {
    let kill_at = |calls: usize| async move {
        let lab = Lab::start(fleet()).await.expect("a lab");
        let before = lab.plain_items().expect("items");
        let journal = tempfile::tempdir().expect("a folder");
        let variables = [("MAX_REMOVALS_PERCENT", "100"), ("JOURNAL", journal.path().to_str().expect("UTF-8"))];
        let mut lambda = Lambda::start(&lab, &variables).await;
        lambda.api.send(sync_event()).await;
        lab.wait_for_calls(|arrived| arrived.len() >= calls).await;
        lambda.process.kill().await.expect("a running process");

        for (item, before) in lab.plain_items().expect("items").iter().zip(&before) {
            if item["updatedAt"] == "before" {
                assert_eq!(item, before, "untouched, killed at call {calls}");
            } else {
                assert_eq!(
                    ids(item),
                    ["333333333333", "444444444444", "555555555555"],
                    "whole, killed at call {calls}"
                );
                let removed = format!("removed/{}/222222222222.json", item["accountId"].as_str().expect("an id"));
                let removed = std::fs::read_to_string(journal.path().join(removed)).expect("a record, written before");
                let removed: Value = serde_json::from_str(&removed).expect("a whole record");
                assert_eq!(removed["entry"]["M"]["accountName"]["S"], "by an operator", "killed at call {calls}");
            }
        }
        // EventBridge tries again.
        let mut lambda = Lambda::start(&lab, &variables).await;
        assert_eq!(lambda.summary(sync_event()).await["accountsFailed"], 0);
        for item in lab.plain_items().expect("items") {
            assert_eq!(ids(&item), ["333333333333", "444444444444", "555555555555"]);
            assert_eq!(item["stagingAccounts"][0]["accountName"], "by an operator");
        }
    };
    for calls in 1..=CALLS {
        kill_at(calls).await;
    }
}
