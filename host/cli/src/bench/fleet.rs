//! The fleet of `bench`: in every account all but one of its staging accounts are stored.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use staging_sync_lab::{Account, Fleet, Region, Role};
use staging_sync_runtime::aws::regions;

use super::ticks::Size;

const ROLE: &str = "DRSOrchestrationRole";
/// The most regions there can be: those that AWS offers DRS in.
pub const REGIONS: u8 = 34;

/// The regions of a fleet, by their number.
fn regions(number: u8) -> &'static [&'static str] {
    let all = regions::of_partition("us-east-1").unwrap_or_default();
    &all[..usize::from(number).min(all.len())]
}

/// The id of a target account, by its number.
pub fn id(number: u32) -> String {
    format!("{:012}", 100_000_000_000 + u64::from(number))
}

/// The role of a target account.
pub fn role_arn(id: &str) -> String {
    format!("arn:aws:iam::{id}:role/{ROLE}")
}

/// Target accounts with one staging account in every region; that of the last region isn't stored yet.
pub fn fleet(size: &Size) -> Fleet {
    let regions = regions(size.regions);
    let mut fleet = Fleet {
        regions: regions.iter().map(ToString::to_string).collect(),
        latency_ms: size.latency_ms,
        ..Fleet::default()
    };
    for number in 0..size.accounts {
        let id = id(number);
        let first = 200_000_000_000 + u64::from(number) * 100;
        let staging: Vec<String> = (0..regions.len() as u64).map(|region| format!("{:012}", first + region)).collect();
        let stored: Vec<Value> = staging.iter().take(regions.len() - 1).map(|id| entry(id)).collect();
        let item = json!({
            "accountId": id,
            "accountName": format!("Target {number}"),
            "roleArn": role_arn(&id),
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
        "roleArn": role_arn(id),
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
