//! The fleet of `bench`: in every account all but one of its staging accounts are stored.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use staging_sync_lab::{Account, Fleet, Region, Role};

use super::ticks::Size;

const ROLE: &str = "DRSOrchestrationRole";
const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-2",
    "ca-central-1",
    "sa-east-1",
];

/// Target accounts with one staging account in every region; that of the last region isn't stored yet.
pub fn fleet(size: &Size) -> Fleet {
    let regions = &REGIONS[..usize::from(size.regions).min(REGIONS.len())];
    let mut fleet = Fleet {
        regions: regions.iter().map(ToString::to_string).collect(),
        latency_ms: size.latency_ms,
        ..Fleet::default()
    };
    for number in 0..u64::from(size.accounts) {
        let id = format!("{:012}", 100_000_000_000 + number);
        let staging: Vec<String> =
            (0..regions.len() as u64).map(|region| format!("{:012}", 200_000_000_000 + number * 10 + region)).collect();
        let stored: Vec<Value> = staging.iter().take(regions.len() - 1).map(|id| entry(id)).collect();
        let item = json!({
            "accountId": id,
            "accountName": format!("Target {number}"),
            "roleArn": format!("arn:aws:iam::{id}:role/{ROLE}"),
            "stagingAccounts": stored,
            "updatedAt": "2026-02-02T22:45:00Z",
        });
        fleet.targets.extend(item.as_object().cloned());
        let account = Account {
            roles: BTreeMap::from([(ROLE.to_owned(), Role::default())]),
            regions: (regions.iter().zip(staging))
                .map(|(region, staging)| (region.to_string(), Region::extended([staging])))
                .collect(),
            page_size: None,
        };
        fleet.accounts.insert(id, account);
    }
    fleet
}

/// An entry as the sync writes it.
fn entry(id: &str) -> Value {
    json!({
        "accountId": id,
        "accountName": format!("Staging Account {id}"),
        "roleArn": format!("arn:aws:iam::{id}:role/{ROLE}"),
        "externalId": format!("drs-orchestration-{id}"),
        "addedAt": "2026-02-02T22:45:00Z",
        "addedBy": "staging-account-sync",
        "discoveredFrom": "us-east-1",
    })
}

/// How many bytes of entries differ between two readings of the table, as DynamoDB JSON.
pub fn changed_bytes(before: &[Value], after: &[Value]) -> usize {
    let entries = |item: &Value| item["stagingAccounts"]["L"].as_array().cloned().unwrap_or_default();
    let only_in = |these: &[Value], those: &[Value]| -> usize {
        these.iter().filter(|entry| !those.contains(entry)).map(|entry| entry.to_string().len()).sum()
    };
    before
        .iter()
        .zip(after)
        .map(|(before, after)| (entries(before), entries(after)))
        .fold(0, |sum, (before, after)| sum + only_in(&before, &after) + only_in(&after, &before))
}
