//! `tick --dry-run --out` and `apply`: what is in the file, what is made of it, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use staging_sync_lab::{Fleet, Lab, Mutate};
use tempfile::TempDir;

use crate::run;

const ONE: &str = "111122223333";
const OTHER: &str = "123456789012";

/// Two accounts, each of which gains one staging account and loses one, and what goes wrong.
fn fleet(faults: Value) -> Fleet {
    let target = |id: &str| {
        json!({"accountId": id, "accountName": format!("Account {id}"), "roleArn": format!("arn:aws:iam::{id}:role/Sync"), "stagingAccounts": [
            {"accountId": "444455556666", "accountName": "Old", "externalId": "stored-s3cret"},
            {"accountId": "555566667777", "accountName": "Kept", "externalId": "stored-s3cret", "tags": ["a"], "n": 1},
        ]})
    };
    let account =
        json!({"roles": {"Sync": {}}, "regions": {"us-east-1": {"stagingAccounts": ["555566667777", "777788889999"]}}});
    let fleet = json!({
        "regions": ["us-east-1"],
        "targets": [target(ONE), target(OTHER)],
        "accounts": {ONE: account, OTHER: account},
        "faults": faults,
    });
    Fleet::from_json(&fleet.to_string()).expect("a fleet")
}

/// A lab, and a plan for it.
struct Planned {
    lab: Lab,
    folder: TempDir,
    plan: PathBuf,
}

impl Planned {
    async fn new(faults: Value) -> Self {
        let lab = Lab::start(fleet(faults)).await.expect("a lab");
        let folder = tempfile::tempdir().expect("a folder");
        let plan = folder.path().join("plan.json");
        let planned = Self { lab, folder, plan };
        let (code, _, stderr) = planned.run(&["tick", "--dry-run", "--out", planned.path()], &[]).await;
        assert_eq!(code, Some(0), "{stderr}");
        planned
    }

    fn path(&self) -> &str {
        self.plan.to_str().expect("UTF-8")
    }

    async fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
        run(&self.lab, arguments, variables).await
    }

    /// Exit code, and what became of each account.
    async fn apply(&self, more: &[&str]) -> (Option<i32>, Value) {
        let (code, stdout, stderr) = self.run(&[&["apply", self.path()], more].concat(), &[]).await;
        (code, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
    }

    fn list(&self, id: &str) -> Value {
        let items = self.lab.plain_items().expect("items");
        items.iter().find(|item| item["accountId"] == id).map_or(Value::Null, |item| item["stagingAccounts"].clone())
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|entry| entry["accountId"].as_str()).collect()
}

fn statuses(result: &Value) -> Vec<&str> {
    result["details"].as_array().into_iter().flatten().filter_map(|detail| detail["status"].as_str()).collect()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_reviewed_and_applied_and_a_second_time_there_is_nothing_to_do() {
    let planned = Planned::new(json!([])).await;
    assert!(!planned.lab.calls().iter().any(|call| call.operation == "UpdateItem"), "a plan writes nothing");
    let mode = fs::metadata(&planned.plan).expect("a plan").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it's for its owner alone");
    let only = fs::read_dir(planned.folder.path()).expect("a folder").count();
    assert_eq!(only, 1, "what was written on the way is gone");

    let file = text(&planned.plan);
    assert!(!file.contains("stored-s3cret"), "what is stored isn't repeated");
    let plan: Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!((&plan["format"], &plan["region"]), (&json!(1), &json!("us-east-1")));
    assert_eq!(plan["policy"]["name"], "staging-account-sync");
    assert_eq!(plan["event"], json!({"operation": "sync_staging_accounts", "dryRun": true}));
    let account = &plan["accounts"][0];
    assert_eq!((&account["accountId"], &account["accountName"]), (&json!(ONE), &json!(format!("Account {ONE}"))));
    assert_eq!(account["removed"], json!([{"accountId": "444455556666", "accountName": "Old"}]));
    assert_eq!(account["added"][0]["externalId"], "drs-orchestration-777788889999");
    assert_eq!(account["condition"]["stagingAccounts"], json!(["444455556666", "555566667777"]));

    let kept = planned.list(ONE)[1].clone();
    let (code, result) = planned.apply(&["--dry-run"]).await;
    assert_eq!((code, statuses(&result), &result["dryRun"]), (Some(0), vec!["applied"; 2], &json!(true)));
    assert_eq!(ids(&planned.list(ONE)), ["444455556666", "555566667777"], "a dry run writes nothing");
    let (code, stdout, _) = planned.run(&["apply", planned.path()], &[("DRY_RUN", "true")]).await;
    assert!(code == Some(0) && stdout.contains("\"dryRun\": true"), "{stdout}");
    assert_eq!(ids(&planned.list(ONE)), ["444455556666", "555566667777"], "DRY_RUN counts for apply as well");

    planned.lab.clear_calls();
    let (code, result) = planned.apply(&[]).await;
    assert_eq!((code, statuses(&result)), (Some(0), vec!["applied"; 2]), "{result}");
    let services: Vec<_> = planned.lab.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(services.iter().filter(|operation| *operation == "UpdateItem").count(), 2);
    assert!(services.iter().all(|operation| operation == "UpdateItem" || operation == "GetItem"), "{services:?}");
    let list = planned.list(ONE);
    assert_eq!((ids(&list), &list[0]), (vec!["555566667777", "777788889999"], &kept), "what stays is as it was");
    assert_eq!(list[1], account["added"][0], "what is new is as it was planned");

    let (code, result) = planned.apply(&[]).await;
    assert_eq!((code, statuses(&result)), (Some(0), vec!["already-as-planned"; 2]), "{result}");
    assert_eq!(planned.list(ONE), list);
    let (_, table, _) = planned.run(&["apply", planned.path(), "--table"], &[]).await;
    assert!(table.contains("+777788889999, -444455556666") && table.contains("2 already as planned"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_fits_is_told_and_the_others_go_on() {
    let planned = Planned::new(json!([])).await;
    let mut list = planned.list(ONE);
    list.as_array_mut().expect("a list").push(json!({"accountId": "888899990000"}));
    let key = Some(ONE.to_owned());
    let set = [("stagingAccounts".to_owned(), list.clone())].into_iter().collect();
    planned.lab.update_item(&Mutate { key, set, ..Mutate::default() }).expect("an edit");
    let (code, result) = planned.apply(&[]).await;
    assert_eq!((code, statuses(&result)), (Some(1), vec!["no-longer-fits", "applied"]), "{result}");
    assert_eq!(result["details"][0]["reason"], "the list was edited: 888899990000 was added");
    assert_eq!(planned.list(ONE), list, "the edit is kept");
    assert_eq!(ids(&planned.list(OTHER)), ["555566667777", "777788889999"]);

    planned.lab.delete_item(ONE).expect("deleted");
    let (code, result) = planned.apply(&["--account", ONE]).await;
    assert_eq!((code, statuses(&result)), (Some(1), vec!["no-longer-fits"]), "{result}");
    assert!(result["details"][0]["reason"].as_str().is_some_and(|reason| reason.contains("the item is gone")));
    assert_eq!(planned.list(ONE), Value::Null, "it isn't made again");
}

/// Somebody edits between the read and the write; an answer is lost; a write is denied.
#[tokio::test(flavor = "multi_thread")]
async fn writes_of_a_plan_go_as_those_of_a_tick() {
    let update = |more: Value| {
        let mut fault = json!({"operation": "UpdateItem", "account": ONE, "times": 1});
        fault.as_object_mut().expect("a fault").extend(more.as_object().expect("an effect").clone());
        json!([fault])
    };
    let edit = json!({"mutate": {"set": {"stagingAccounts": [{"accountId": "888899990000"}]}}});
    let planned = Planned::new(update(edit)).await;
    let (code, result) = planned.apply(&[]).await;
    assert_eq!((code, statuses(&result)), (Some(1), vec!["no-longer-fits", "applied"]), "{result}");
    assert_eq!(ids(&planned.list(ONE)), ["888899990000"], "the edit is kept");

    let planned = Planned::new(update(json!({"loseAnswer": true}))).await;
    let (code, result) = planned.apply(&[]).await;
    assert_eq!((code, statuses(&result)), (Some(0), vec!["applied"; 2]), "{result}");

    let planned = Planned::new(update(json!({"error": {"code": "AccessDeniedException"}}))).await;
    let (code, result) = planned.apply(&[]).await;
    assert_eq!((code, statuses(&result)), (Some(1), vec!["failed", "applied"]), "{result}");
    assert!(result["details"][0]["reason"].as_str().is_some_and(|reason| reason.starts_with("AWS: AccessDenied")));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_named_in_a_list_or_by_the_option_more_than_once() {
    let planned = Planned::new(json!([])).await;
    for arguments in [&["--account", "111122223333,123456789012"][..], &["--account", ONE, "--account", OTHER]] {
        let (code, result) = planned.apply(&[&["--dry-run"], arguments].concat()).await;
        assert_eq!((code, statuses(&result)), (Some(0), vec!["applied"; 2]), "{result}");
        let (code, stdout, _) = planned.run(&[&["tick", "--dry-run"], arguments].concat(), &[]).await;
        let summary: Value = serde_json::from_str(&stdout).expect("a summary");
        assert_eq!((code, &summary["totalAccounts"]), (Some(0), &json!(2)), "{summary}");
    }
    let (code, result) = planned.apply(&["--account", OTHER]).await;
    assert_eq!((code, statuses(&result)), (Some(0), vec!["applied"]), "{result}");
    assert_eq!(ids(&planned.list(ONE)), ["444455556666", "555566667777"], "it wasn't named");
    let (code, _, stderr) = planned.run(&["apply", planned.path(), "--account", "999999999999"], &[]).await;
    assert!(code == Some(2) && stderr.contains("999999999999"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_another_table_or_that_was_altered_is_refused() {
    let planned = Planned::new(json!([])).await;
    let file = text(&planned.plan);
    planned.lab.clear_calls();
    for (variable, value, at) in
        [("TARGET_ACCOUNTS_TABLE", "others", "$.table"), ("AWS_REGION", "eu-west-1", "$.region")]
    {
        let (code, stdout, stderr) = planned.run(&["apply", planned.path()], &[(variable, value)]).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains(at) && stderr.contains(value) && stderr.contains(variable), "{stderr}");
    }
    for (from, to, at) in [
        ("\"format\": 1", "\"format\": 2", "$.format"),
        ("\"accountId\": \"777788889999\"", "\"accountId\": \"77778888999\"", "$.accounts[0].added[0].accountId"),
        ("\"accountId\": \"777788889999\"", "\"accountId\": \"111122223333\"", "$.accounts[0].added[0]"),
        ("drs-orchestration-777788889999", "mine", "$.sha256"),
        ("\"removed\"", "\"deleted\"", "$.accounts[0].deleted"),
        ("]", "", "isn't JSON"),
    ] {
        assert!(file.contains(from), "{from}");
        fs::write(&planned.plan, file.replacen(from, to, 1)).expect("a file");
        let (code, stdout, stderr) = planned.run(&["apply", planned.path()], &[]).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains("plan.json") && stderr.contains(at), "{at}: {stderr}");
    }
    let (code, _, stderr) = planned.run(&["apply", "/nowhere/plan.json"], &[]).await;
    assert!(code == Some(2) && stderr.contains("/nowhere/plan.json"), "{stderr}");
    assert!(planned.lab.calls().is_empty(), "nothing is asked of AWS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_writes_leaves_no_plan() {
    let lab = Lab::start(fleet(json!([]))).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let (plan, nowhere) = (folder.path().join("plan.json"), folder.path().join("nowhere/plan.json"));
    let [plan, nowhere] = [&plan, &nowhere].map(|path| path.to_str().expect("UTF-8"));
    let (code, _, stderr) = run(&lab, &["tick", "--out", plan], &[]).await;
    assert!(code == Some(2) && stderr.contains("--out requires --dry-run"), "{stderr}");
    for bad in [nowhere, folder.path().to_str().expect("UTF-8")] {
        let (code, _, stderr) = run(&lab, &["tick", "--dry-run", "--out", bad], &[]).await;
        assert!(code == Some(2) && stderr.contains(bad), "{bad}: {stderr}");
    }
    assert!(lab.calls().is_empty() && fs::read_dir(folder.path()).expect("a folder").next().is_none());
    let (code, _, stderr) = run(&lab, &["tick", "--out", plan], &[("DRY_RUN", "true")]).await;
    assert_eq!(code, Some(0), "{stderr}");
    // What is there is replaced, whoever could read it.
    fs::set_permissions(plan, fs::Permissions::from_mode(0o644)).expect("a mode");
    let (code, ..) = run(&lab, &["tick", "--dry-run", "--account", OTHER, "--out", plan], &[]).await;
    assert_eq!(code, Some(0));
    assert_eq!(fs::metadata(plan).expect("a plan").permissions().mode() & 0o777, 0o600);
    let plan: Value = serde_json::from_str(&text(Path::new(plan))).expect("a plan");
    assert_eq!(plan["accounts"].as_array().map(Vec::len), Some(1));
}

/// A region that can't be read keeps all that is stored, in the plan as well.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_not_read_completely_loses_nothing_by_a_plan() {
    let lab = Lab::start(fleet(
        json!([{"service": "drs", "account": ONE, "region": "eu-west-1", "error": {"code": "InternalServerException"}}]),
    ));
    let lab = lab.await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.json");
    let arguments = ["tick", "--dry-run", "--out", plan.to_str().expect("UTF-8")];
    let (code, _, stderr) = run(&lab, &arguments, &[("DRS_REGIONS", "us-east-1,eu-west-1")]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let plan: Value = serde_json::from_str(&text(&plan)).expect("a plan");
    assert_eq!(plan["accounts"][0]["removed"], json!([]));
    assert_eq!(plan["accounts"][1]["removed"][0]["accountId"], "444455556666");
}
