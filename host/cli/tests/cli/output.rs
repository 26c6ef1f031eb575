//! Output that ends before the program does: a closed pipe is quiet, a full disk is an error, and nothing panics.

use std::process::Command;

use serde_json::{Map, Value, json};
use staging_sync_lab::{Fleet, Lab};

use crate::policy;

/// The exit code of the program in a shell's pipe or redirection, and what the shell has on stderr.
async fn shell(lab: &Lab, script: &str) -> (Option<i32>, String) {
    let mut command = Command::new("bash");
    command.args(["-c", script]).env_clear().envs(lab.env()).env("POLICY", policy());
    command.env("PROGRAM", env!("CARGO_BIN_EXE_staging-sync")).env("PATH", "/usr/bin:/bin");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("bash");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn lab() -> Lab {
    let fleet = r#"{"targets": [{"accountId": "111122223333", "accountName": "One"}]}"#;
    Lab::start(Fleet::from_json(fleet).expect("a fleet")).await.expect("a lab")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_ends_quietly() {
    let lab = lab().await;
    for arguments in
        ["tick --json", "tick --table", "policy inspect $POLICY", "man", "completions bash", "simulate --json"]
    {
        let (code, stderr) = shell(&lab, &format!("$PROGRAM {arguments} | true; exit ${{PIPESTATUS[0]}}")).await;
        assert_eq!((code, stderr.contains("panicked")), (Some(0), false), "{arguments}: {stderr}");
    }
    let (code, stderr) = shell(&lab, "$PROGRAM tick --json 2>&1 | true; exit ${PIPESTATUS[0]}").await;
    assert_eq!(code, Some(0), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error() {
    let lab = lab().await;
    for arguments in ["tick --json", "policy inspect $POLICY", "man", "completions bash"] {
        let (code, stderr) = shell(&lab, &format!("$PROGRAM {arguments} > /dev/full")).await;
        assert_eq!(code, Some(2), "{arguments}: {stderr}");
        let says = ["can't write to stdout", "its changes are made"];
        assert!(says.iter().all(|says| stderr.contains(says)), "{arguments}: {stderr}");
    }
    let (code, stderr) = shell(&lab, "$PROGRAM tick --json 2> /dev/full > /dev/null").await;
    assert_eq!(code, Some(0), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_the_table_does_not_act_on_a_terminal() {
    let fleet =
        r#"{"targets": [{"accountId": "111122223333", "accountName": "Prod\u001b[2J\u202e", "roleArn": "\u001b[1m"}]}"#;
    let lab = Lab::start(Fleet::from_json(fleet).expect("a fleet")).await.expect("a lab");
    let (code, shown) = shell(&lab, "$PROGRAM tick --table 2>&1 | cat >&2").await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Prod\\u{1b}[2J\\u{202e}"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_open_files_make_a_tick_slower_and_fail_no_account() {
    let accounts = (0..40).map(|number| format!("1000000000{number:02}"));
    let regions: Vec<String> = (1..=12).map(|number| format!("eu-west-{number}")).collect();
    let targets: Vec<_> =
        accounts.clone().map(|id| json!({"accountId": id, "roleArn": format!("arn:aws:iam::{id}:role/R")})).collect();
    let roles: Map<String, Value> = accounts.map(|id| (id, json!({"roles": {"R": {}}}))).collect();
    let fleet = json!({"regions": regions, "targets": targets, "accounts": roles}).to_string();
    let lab = Lab::start(Fleet::from_json(&fleet).expect("a fleet")).await.expect("a lab");
    let (code, stderr) = shell(&lab, "ulimit -n 64; $PROGRAM tick --json").await;
    assert_eq!(code, Some(0), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_address_space_is_enough_for_many_accounts() {
    let accounts: Vec<String> = (0..200).map(|number| format!("100000000{number:03}")).collect();
    let targets = accounts.iter().map(|id| json!({"accountId": id, "roleArn": format!("arn:aws:iam::{id}:role/R")}));
    let roles: Map<String, Value> = accounts.iter().map(|id| (id.clone(), json!({"roles": {"R": {}}}))).collect();
    let fleet = json!({"targets": targets.collect::<Vec<_>>(), "accounts": roles, "latencyMs": 20}).to_string();
    let lab = Lab::start(Fleet::from_json(&fleet).expect("a fleet")).await.expect("a lab");
    let (code, stderr) = shell(&lab, "ulimit -v 4000000; $PROGRAM tick --json").await;
    assert_eq!(code, Some(0), "{stderr}");
}
