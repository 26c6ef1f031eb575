//! The fleet of the summary's example: DEMO_TARGET gains 777788889999 and loses 444455556666; Production stays.

use serde_json::{Value, json};
use staging_sync_lab::Fleet;

pub fn seed() -> Fleet {
    let role = |id: &str| format!("arn:aws:iam::{id}:role/DRSOrchestrationRole");
    let entry = |id: &str| json!({"accountId": id, "roleArn": role(id), "externalId": "x", "note": "kept"});
    let target = |id: &str, name: &str, staging: Value| json!({"accountId": id, "accountName": name, "roleArn": role(id), "stagingAccounts": staging});
    let account = |staging: Value| json!({"roles": {"DRSOrchestrationRole": {}}, "regions": {"us-east-1": {"stagingAccounts": staging}}});
    let fleet = json!({
        "regions": ["us-east-1", "eu-west-1"],
        "targets": [
            target("111122223333", "DEMO_TARGET", json!([entry("444455556666")])),
            target("123456789012", "Production", json!([entry("222233334444"), entry("222233335555")])),
        ],
        "accounts": {
            "111122223333": account(json!(["777788889999"])),
            "123456789012": account(json!(["222233334444", "222233335555"])),
        },
    });
    Fleet::from_json(&fleet.to_string()).expect("a fleet")
}
