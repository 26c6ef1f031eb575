//! `staging-sync doctor`: all well, and each check failing in turn.

mod policy;

use serde_json::{Map, Value, json};
use staging_sync_lab::{Fleet, Lab};

use crate::staging_sync;

const ID: &str = "111122223333";

/// One target account, with whatever else the fleet has.
async fn lab(more: Value) -> Lab {
    let mut fleet = json!({
        "regions": ["us-east-1"],
        "targets": [
            {"accountId": "100000000000", "accountName": "No role"},
            {"accountId": ID, "roleArn": format!("arn:aws:iam::{ID}:role/Sync"), "externalId": "s3cret-id"},
        ],
        "accounts": {ID: {
            "roles": {"Sync": {"externalId": "s3cret-id"}},
            "regions": {"us-east-1": {"stagingAccounts": ["444455556666"]}},
        }},
    });
    fleet.as_object_mut().expect("a fleet").extend(more.as_object().cloned().unwrap_or_default());
    Lab::start(Fleet::from_json(&fleet.to_string()).expect("a fleet")).await.expect("a lab")
}

/// What the doctor finds: exit code, and each check by its name.
struct Found {
    code: Option<i32>,
    checks: Map<String, Value>,
    text: String,
}

impl Found {
    fn status(&self, name: &str) -> &str {
        self.checks[name]["status"].as_str().unwrap_or_default()
    }

    fn found(&self, name: &str) -> &str {
        self.checks[name]["found"].as_str().unwrap_or_default()
    }

    fn next(&self, name: &str) -> &str {
        self.checks[name]["next"].as_str().unwrap_or_default()
    }

    /// These checks have this status, and with those that aren't checked there are no others but good ones.
    fn only(&self, status: &str, names: &[&str], not_checked: &[&str]) {
        for (name, check) in &self.checks {
            let expected = if names.contains(&name.as_str()) {
                status
            } else if not_checked.contains(&name.as_str()) || name == "schedule" {
                "not-checked"
            } else {
                "ok"
            };
            assert_eq!(check["status"], expected, "{name}: {}", self.text);
            assert_eq!(check["next"].is_null(), expected == "ok", "what isn't well says what to do: {check}");
        }
        assert_eq!(self.code, Some(i32::from(status == "failed" && !names.is_empty())), "{}", self.text);
        assert!(!self.text.contains("s3cret"), "{}", self.text);
    }
}

async fn doctor(lab: &Lab, arguments: &[&str], variables: &[(&str, &str)]) -> Found {
    let before = lab.items().expect("items");
    let mut command = staging_sync();
    command.args(["doctor", "--json"]).args(arguments).envs(lab.env());
    for (name, value) in variables {
        match *value {
            "" => command.env_remove(name),
            value => command.env(name, value),
        };
    }
    let output = command.output().await.expect("the program");
    assert_eq!(lab.items().expect("items"), before, "nothing is changed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, "", "all there is to say is in the checks");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    let list = result["checks"].as_array().expect("checks");
    let name = |check: &Value| check["name"].as_str().unwrap_or_default().to_owned();
    let checks = list.iter().map(|check| (name(check), check.clone())).collect();
    Found { code: output.status.code(), checks, text }
}

const IN_AWS: [&str; 7] = ["table", "role", "region", "permissions", "bucket", "journal", "clock"];

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_it_says_so_and_changes_nothing() {
    let lab = lab(json!({})).await;
    let found = doctor(&lab, &[], &[]).await;
    found.only("failed", &[], &[]);
    assert!(found.found("credentials").contains("arn:aws:iam::999988887777:user/lab in account 999988887777"));
    assert!(found.found("table").contains("key accountId (S), 2 items"), "{}", found.text);
    assert!(found.found("role").contains(&format!("arn:aws:iam::{ID}:role/Sync")), "{}", found.text);
    assert!(found.next("schedule").contains("aws events list-rules"));
    let needed =
        ["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem", "sts:AssumeRole", "drs:ListStagingAccounts"];
    assert!(needed.iter().all(|action| found.found("permissions").contains(action)), "{}", found.text);
    let probe = lab.calls().into_iter().find(|call| call.operation == "UpdateItem").expect("the probe of a write");
    assert_eq!(probe.error.as_deref(), Some("ConditionalCheckFailedException"));
}

/// The probe of a write changes nothing even where an item has its key.
#[tokio::test(flavor = "multi_thread")]
async fn the_probe_of_a_write_changes_no_item_whatever_its_key() {
    let lab = lab(json!({})).await;
    let item = json!({"accountId": "staging-sync-doctor", "updatedAt": "then"});
    lab.put_item(item.as_object().expect("an item")).expect("put");
    doctor(&lab, &[], &[]).await.only("failed", &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_set_is_a_failed_check_that_says_what_to_set() {
    let lab = lab(json!({})).await;
    let found = doctor(&lab, &[], &[("TARGET_ACCOUNTS_TABLE", "")]).await;
    found.only("failed", &["table"], &["role", "region", "permissions"]);
    assert!(found.next("table").contains("set TARGET_ACCOUNTS_TABLE"), "{}", found.text);

    let behind = [&IN_AWS[..], &["credentials", "policy"]].concat();
    for (name, value) in [("MAX_CONCURRENCY", "none"), ("DRS_REGIONS", "Europe"), ("AWS_ENDPOINT_URL", "localhost:1")] {
        let found = doctor(&lab, &[], &[(name, value)]).await;
        assert_eq!((found.status("environment"), found.code), ("failed", Some(1)), "{}", found.text);
        assert!(found.found("environment").contains(name), "{}", found.text);
        assert!(behind.iter().all(|name| found.status(name) == "not-checked"), "{}", found.text);
    }
    let found = doctor(&lab, &[], &[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "")]).await;
    found.only("failed", &["environment"], &behind);
    assert!(found.found("environment").contains("set AWS_REGION"), "{}", found.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_told_and_nothing_behind_them_is_checked() {
    let lab = lab(json!({})).await;
    for (variables, code, next) in [
        (&[("AWS_ACCESS_KEY_ID", "AKIAOTHER")][..], "InvalidClientTokenId", "AWS doesn't know these"),
        (&[("AWS_SECRET_ACCESS_KEY", "another")], "SignatureDoesNotMatch", "see the check of the clock"),
    ] {
        let found = doctor(&lab, &[], variables).await;
        let behind: Vec<&str> = IN_AWS.into_iter().filter(|name| *name != "clock").collect();
        found.only("failed", &["credentials"], &behind); // an error has the time as well
        assert!(
            found.found("credentials").contains(code) && found.next("credentials").contains(next),
            "{}",
            found.text
        );
    }
    let found = doctor(&lab, &[], &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]).await;
    found.only("failed", &["credentials"], &IN_AWS);
    assert!(found.next("credentials").contains("AWS_PROFILE"), "{}", found.text);
    let found = doctor(&lab, &[], &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")]).await;
    found.only("failed", &["credentials"], &IN_AWS);
    assert!(found.next("credentials").contains("AWS_ENDPOINT_URL"), "{}", found.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_trusts_nobody_is_told() {
    let lab = lab(json!({})).await;
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("none.pem");
    std::fs::write(&empty, "").expect("a file");
    let empty = empty.to_str().expect("UTF-8");
    let behind = [&IN_AWS[..], &["credentials"]].concat();
    let none = [
        ("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
        ("SSL_CERT_FILE", empty),
        ("SSL_CERT_DIR", "/nowhere/certificates"),
    ];
    for variables in [&none[..], &[("AWS_CA_BUNDLE", "/nowhere/ca.pem")]] {
        let found = doctor(&lab, &[], variables).await;
        found.only("failed", &["certificates"], &behind);
        assert!(found.next("certificates").contains("AWS_CA_BUNDLE"), "{}", found.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told_whether_requests_are_refused_or_not() {
    let lab = lab(json!({"clockOffsetSeconds": 120})).await;
    let found = doctor(&lab, &[], &[]).await;
    found.only("warning", &["clock"], &[]);
    assert!(found.found("clock").contains("behind"), "{}", found.text);
    lab.edit(|fleet| fleet.clock_offset_seconds = -3600);
    let found = doctor(&lab, &[], &[]).await;
    found.only("failed", &["clock"], &[]);
    assert!(found.found("clock").contains("ahead") && found.next("clock").contains("NTP"), "{}", found.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_cannot_be_read_or_has_another_key_is_told() {
    let healthy = lab(json!({})).await;
    let found = doctor(&healthy, &[], &[("TARGET_ACCOUNTS_TABLE", "another")]).await;
    assert_eq!((found.status("table"), found.status("role"), found.code), ("failed", "not-checked", Some(1)));
    assert!(found.found("table").contains("ResourceNotFoundException"), "{}", found.text);
    assert!(found.next("table").contains("TARGET_ACCOUNTS_TABLE"), "{}", found.text);

    let denied = lab(json!({"faults": [{"operation": "Scan", "error": {"code": "AccessDeniedException"}}]})).await;
    let found = doctor(&denied, &[], &[]).await;
    found_denied(&found, &["table", "permissions"], "dynamodb:Scan");

    let key = json!({"Table": {
        "TableName": "t",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }});
    let other = lab(json!({"faults": [{"operation": "DescribeTable", "body": key.to_string()}]})).await;
    let found = doctor(&other, &[], &[]).await;
    assert_eq!((found.status("table"), found.code), ("failed", Some(1)), "{}", found.text);
    assert!(found.found("table").contains("the key id (N); expected only accountId (S)"), "{}", found.text);

    let unread =
        lab(json!({"faults": [{"operation": "DescribeTable", "error": {"code": "AccessDeniedException"}}]})).await;
    let found = doctor(&unread, &[], &[]).await;
    found.only("failed", &[], &[]);
    assert!(found.found("table").contains("its key couldn't be read"), "a tick needs no DescribeTable: {}", found.text);
}

/// These checks failed, and the permission that is denied is named.
fn found_denied(found: &Found, failed: &[&str], action: &str) {
    assert_eq!(found.code, Some(1), "{}", found.text);
    for (name, check) in &found.checks {
        assert_eq!(check["status"] == "failed", failed.contains(&name.as_str()), "{name}: {}", found.text);
    }
    assert!(found.found("permissions").contains(&format!("denied {action}")), "{}", found.text);
    assert!(!found.text.contains("s3cret"), "{}", found.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_named_with_the_check_that_showed_it() {
    for (operation, code, failed, action) in [
        ("AssumeRole", "AccessDenied", &["role", "permissions"][..], "sts:AssumeRole"),
        ("ListStagingAccounts", "AccessDeniedException", &["region", "permissions"], "drs:ListStagingAccounts"),
        ("UpdateItem", "AccessDeniedException", &["permissions"], "dynamodb:UpdateItem"),
        ("GetItem", "AccessDeniedException", &["permissions"], "dynamodb:GetItem"),
    ] {
        let lab = lab(json!({"faults": [{"operation": operation, "error": {"code": code}}]})).await;
        let found = doctor(&lab, &[], &[]).await;
        found_denied(&found, failed, action);
    }
    // What isn't about permissions is no denial.
    let lab = lab(json!({"faults": [{"operation": "UpdateItem", "error": {"code": "ValidationException"}}]})).await;
    doctor(&lab, &[], &[]).await.only("warning", &["permissions"], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_that_are_named_are_checked() {
    let lab = lab(json!({})).await;
    doctor(&lab, &["--account", ID], &[]).await.only("failed", &[], &[]);
    for (id, said) in [("999999999999", "no target account 999999999999 is stored"), ("100000000000", "no role ARN")] {
        let found = doctor(&lab, &["--account", id], &[]).await;
        assert_eq!((found.status("role"), found.status("region"), found.code), ("failed", "not-checked", Some(1)));
        assert!(found.found("role").contains(said), "{}", found.text);
    }
    let both = staging_sync().args(["doctor", "--account", "111122223333,999999999999"]).envs(lab.env()).output().await;
    let both = both.expect("the program");
    let text = String::from_utf8_lossy(&both.stdout);
    assert_eq!(text.lines().filter(|line| line.split_whitespace().nth(1) == Some("role")).count(), 2, "{text}");
    let output = staging_sync().args(["doctor", "--account", "1"]).output().await.expect("the program");
    assert_eq!(output.status.code(), Some(2), "what can't be run isn't a failed check");
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_that_an_account_does_not_use_are_no_failure() {
    let lab = lab(json!({"regions": ["af-south-1"]})).await;
    let answer = |text: &str| serde_json::from_value::<staging_sync_lab::Region>(json!(text)).expect("a region");
    for (state, said) in [("uninitialized", "isn't initialized"), ("notOptedIn", "isn't opted in")] {
        lab.edit(|fleet| {
            let account = fleet.accounts.get_mut(ID).expect("the account");
            account.regions.insert("af-south-1".into(), answer(state));
        });
        let found = doctor(&lab, &[], &[]).await;
        assert_eq!(found.status("region"), "ok", "{}", found.text);
        assert!(found.found("region").contains(said), "{}", found.text);
    }
}
