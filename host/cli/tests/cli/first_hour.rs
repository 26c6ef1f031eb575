//! What a newcomer does in the first hour: nothing may look well that isn't.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use staging_sync_lab::{Fleet, Lab};

use crate::{policy, run, staging_sync};

/// One account that DRS says something new about.
async fn lab() -> Lab {
    let fleet = json!({
        "regions": ["us-east-1"],
        "targets": [{"accountId": "111122223333", "roleArn": "arn:aws:iam::111122223333:role/Sync"}],
        "accounts": {"111122223333": {
            "roles": {"Sync": {}},
            "regions": {"us-east-1": {"stagingAccounts": ["444455556666"]}},
        }},
    });
    Lab::start(Fleet::from_json(&fleet.to_string()).expect("a fleet")).await.expect("a lab")
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn drift_report() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/drift-report.wasm");
    assert!(path.exists(), "{}: run `make target/drift-report.wasm` first", path.display());
    text(&path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_would_end_the_job_is_not_published_and_the_one_before_it_goes_on() {
    let (lab, folder) = (lab().await, tempfile::tempdir().expect("a folder"));
    let manifest = text(&folder.path().join("policy.json"));
    let (policy, report) = (text(&policy()), drift_report());
    let (code, _, stderr) = run(&lab, &["policy", "publish", &policy, "--to", &manifest], &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    for more in [&[][..], &["--shadow"]] {
        let arguments = [&["policy", "publish", &report, "--to", &manifest], more].concat();
        let (code, _, stderr) = run(&lab, &arguments, &[]).await;
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("doesn't serve sync_staging_accounts") && stderr.contains("--replace"), "{stderr}");
    }
    // Whoever insists is told with every tick, and the sync goes on.
    let (code, ..) = run(&lab, &["policy", "publish", &report, "--to", &manifest, "--replace"], &[]).await;
    assert_eq!(code, Some(0));
    let (_, status, _) = run(&lab, &["policy", "status", &manifest], &[]).await;
    let serves: Vec<_> = status.lines().map(str::trim).filter(|line| line.starts_with("serves ")).collect();
    assert_eq!(serves, ["serves staging_drift_report", "serves sync_staging_accounts"]);
    let (code, stdout, stderr) = run(&lab, &["tick"], &[("POLICY", &manifest)]).await;
    let summary: Value = serde_json::from_str(&stdout).expect("a summary");
    assert_eq!((code, &summary["accountsUpdated"]), (Some(1), &json!(1)), "{stdout} {stderr}");
    let rejected = &summary["policyRejected"];
    assert_eq!(rejected["step"], "operations", "{rejected}");
    assert!(rejected["reason"].as_str().is_some_and(|reason| reason.contains("doesn't serve sync_staging_accounts")));
    assert!(rejected["decidedBy"].as_str().is_some_and(|by| by.starts_with("staging-account-sync ")), "{rejected}");
    assert!(stderr.contains("policy rejected"), "{stderr}");
    // The way back isn't closed, though it ends the report.
    let (code, _, stderr) = run(&lab, &["policy", "rollback", &manifest], &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stdout, _) = run(&lab, &["tick"], &[("POLICY", &manifest)]).await;
    assert!(code == Some(0) && !stdout.contains("policyRejected"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_are_proven_under_the_settings_that_are_published() {
    let (lab, folder) = (lab().await, tempfile::tempdir().expect("a folder"));
    let manifest = text(&folder.path().join("policy.json"));
    // Cases that expect removals, and a policy that is told to make none.
    let cases = folder.path().join("cases");
    let recorded = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases/seed-scenario");
    let case = cases.join("seed-scenario");
    fs::create_dir_all(&case).expect("a folder");
    for file in fs::read_dir(recorded).expect("a case") {
        let file = file.expect("a file");
        fs::copy(file.path(), case.join(file.file_name())).expect("a copy");
    }
    let (policy, cases) = (text(&policy()), text(&cases));
    let publish = ["policy", "publish", &policy, "--to", &manifest, "--cases", &cases];
    let settings = [&publish[..], &["--settings", "removals-none.json"]].concat();
    let (code, _, stderr) = run(&lab, &settings, &[]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("proof: case seed-scenario: the result differs"), "{stderr}");
    assert!(stderr.contains("expected") && stderr.contains("found"), "{stderr}");
    let (code, _, stderr) = run(&lab, &publish, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    // A case that has settings of its own keeps them, and that is said.
    fs::write(case.join("settings.json"), "{}").expect("a file");
    let (code, _, stderr) = run(&lab, &settings, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("case seed-scenario uses its own settings.json"), "{stderr}");
}

/// A wrong path, a bad setting, a policy without a signature, half a policy.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_did_not_run_is_told_where_people_and_pipelines_look() {
    let (lab, folder) = (lab().await, tempfile::tempdir().expect("a folder"));
    // The program with a packaged policy beside it, as it's installed.
    let program = folder.path().join("staging-sync");
    fs::copy(env!("CARGO_BIN_EXE_staging-sync"), &program).expect("a copy");
    fs::copy(policy(), folder.path().join("policy.wasm")).expect("a copy");
    let mine = folder.path().join("mine.wasm");
    fs::copy(policy(), &mine).expect("a copy");
    let half = folder.path().join("half.wasm");
    fs::write(&half, &fs::read(policy()).expect("a policy")[..5_000]).expect("half a policy");
    let (mine, half) = (text(&mine), text(&half));
    let key = "RWTsz9vYNNThwk2Co3q8sLBwE8WIykVhxIvM481eGVLoRvQi0f/6fYvA";
    let run = async |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = tokio::process::Command::new(&program);
        command.args(arguments).env_clear().envs(lab.env()).envs(variables.iter().copied()).kill_on_drop(true);
        let output = command.output().await.expect("the program");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    for (variables, step) in [
        (&[("POLICY", "/nope.wasm")][..], "fetch"),
        (&[("POLICY", &half)], "compile"),
        (&[("POLICY", &mine), ("POLICY_PUBLIC_KEY", key)], "signature"),
    ] {
        let (code, stdout, stderr) = run(&["tick", "--json"], variables).await;
        let summary: Value = serde_json::from_str(&stdout).expect("a summary");
        let rejected = &summary["policyRejected"];
        assert_eq!((code, &rejected["step"]), (Some(1), &json!(step)), "{stdout} {stderr}");
        assert!(rejected["decidedBy"].as_str().is_some_and(|by| by.starts_with("staging-account-sync")), "{rejected}");
        let (code, stdout, _) = run(&["tick", "--table"], variables).await;
        let last = stdout.lines().last().unwrap_or_default();
        assert_eq!(code, Some(1), "{stdout}");
        assert!(last.starts_with("policy rejected: ") && last.contains(step) && last.contains("decided by"), "{last}");
        // Two ways to have no tick then.
        let (code, stdout, stderr) = run(&["tick", "--strict"], variables).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains("no tick was run: policy rejected") || stderr.contains(step), "{stderr}");
        let variables = [variables, &[("POLICY_STAND_IN", "none")]].concat();
        let (code, stdout, stderr) = run(&["tick"], &variables).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains(&format!(": {step}: ")), "{stderr}");
    }
    let (code, stdout, _) = run(&["tick", "--strict"], &[("POLICY", &mine)]).await;
    assert_eq!(code, Some(0), "{stdout}");
    assert!(!stdout.contains("policyRejected"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_of_a_policy_that_is_rejected_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.wasm");
    let wat = r#"(component (import "drs:staging-sync/logging@0.0.9" (instance (export "log" (func)))))"#;
    fs::write(&broken, wat::parse_str(wat).expect("a component")).expect("a file");
    let output = staging_sync().args(["demo", "--policy", &text(&broken)]).output().await.expect("the program");
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("The first tick"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_event_that_is_nearly_a_known_one_is_no_tick() {
    let lab = lab().await;
    let event = r#"{"operation": "sync_staging_accounts", "dryrun": true}"#;
    let (code, _, stderr) = run(&lab, &["tick", "--event", event], &[]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("EventInvalid: event at $.dryrun: unknown key: expected dryRun"), "{stderr}");
    assert!(lab.calls().is_empty());
}

/// What was meant for the lab never reaches what the shell has: its account, endpoints and profiles.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_against_a_lab_and_nothing_of_the_shells_aws() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    fs::write(&config, "[profile real]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:1\n").expect("a profile");
    let variables = [
        ("AWS_PROFILE", "real"),
        ("AWS_CONFIG_FILE", config.to_str().expect("UTF-8")),
        ("AWS_SESSION_TOKEN", "of-a-real-account"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ];
    let program = env!("CARGO_BIN_EXE_staging-sync");
    let mut lab = staging_sync();
    let ran = lab.args(["lab", "--", program, "tick", "--json"]).envs(variables).output().await.expect("a lab");
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(1), "some accounts of the demo's fleet fail: {stderr}");
    let summary: Value = serde_json::from_str(&stdout).expect("the command's output alone");
    assert_eq!(summary["details"][0]["status"], "updated", "{summary}");

    let mut lab = staging_sync();
    let ran = lab.args(["lab", "--tls", "--", "sh", "-c", "env | grep ^AWS_; exit 7"]).envs(variables);
    let ran = ran.env("PATH", "/usr/bin:/bin").output().await.expect("a lab");
    let stdout = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(ran.status.code(), Some(7), "the command's exit code");
    assert!(stdout.contains("AWS_CA_BUNDLE="), "{stdout}");
    for of_the_shell in
        ["AWS_PROFILE=real", "of-a-real-account", config.to_str().expect("UTF-8"), "AWS_USE_FIPS_ENDPOINT=true"]
    {
        assert!(!stdout.contains(of_the_shell), "{stdout}");
    }
    let ran = staging_sync().args(["lab", "--", "/nowhere/command"]).output().await.expect("a lab");
    assert_eq!(ran.status.code(), Some(2));
}
