//! The Lambda binary, driven as Lambda drives it: events in; answers, log lines and the table out.

mod kill;
mod runtime_api;
mod secret_fleet;
mod secrets;
mod seed;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use runtime_api::{Answer, RuntimeApi};
use seed::seed;
use serde_json::{Value, json};
use staging_sync_lab::{Fault, Lab};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

fn policy() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
    assert!(path.exists(), "{} isn't there: run `make policy` first", path.display());
    path
}

/// A running Lambda and what it has around it.
struct Lambda {
    api: RuntimeApi,
    process: Child,
}

impl Lambda {
    async fn start(lab: &Lab, more: &[(&str, &str)]) -> Self {
        Self::start_in(RuntimeApi::start(Some(Duration::from_secs(60))).await, lab, more).await
    }

    async fn start_in(api: RuntimeApi, lab: &Lab, more: &[(&str, &str)]) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "sync")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("POLICY", policy())
            .envs(lab.env())
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the bootstrap binary");
        Self { api, process }
    }

    async fn summary(&mut self, event: Value) -> Value {
        match self.api.invoke(event).await {
            Answer::Response(summary) => summary,
            Answer::Error(error) => panic!("expected a summary, got {error}"),
        }
    }

    async fn error(&mut self, event: Value) -> (String, String) {
        match self.api.invoke(event).await {
            Answer::Response(summary) => panic!("expected an error, got {summary}"),
            Answer::Error(error) => {
                let text = |name: &str| error[name].as_str().expect("a text").to_owned();
                (text("errorType"), text("errorMessage"))
            }
        }
    }

    /// Ends the process and returns what it logged.
    async fn log(mut self) -> Vec<Value> {
        let stdout = self.process.stdout.take().expect("piped");
        self.process.kill().await.expect("a running process");
        let mut lines = BufReader::new(stdout).lines();
        let mut log = Vec::new();
        while let Some(line) = lines.next_line().await.expect("text") {
            log.push(serde_json::from_str(&line).unwrap_or_else(|_| panic!("expected a JSON line, found {line}")));
        }
        log
    }
}

fn sync_event() -> Value {
    json!({"operation": "sync_staging_accounts"})
}

/// `cargo lambda watch` sends a deadline of ten minutes after 1970.
#[tokio::test]
async fn a_deadline_that_has_passed_when_the_invocation_arrives_is_ignored_with_one_warning() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let mut lambda = Lambda::start_in(RuntimeApi::start(None).await, &lab, &[]).await;
    assert_eq!(lambda.summary(sync_event()).await["accountsUpdated"], 1);
    assert_eq!(lambda.summary(sync_event()).await["accountsFailed"], 0);
    let log = lambda.log().await;
    let warnings = log.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.contains("deadline")));
    assert_eq!(warnings.count(), 1, "{log:#?}");
}

#[tokio::test]
async fn a_failed_invocation_has_one_error_line() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let mut lambda = Lambda::start(&lab, &[]).await;
    let (kind, _) = lambda.error(json!({"operation": "another"})).await;
    assert_eq!(kind, "UnknownOperation");
    let log = lambda.log().await;
    let errors: Vec<&Value> = log.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!((&errors[0]["message"], &errors[0]["errorType"]), (&json!("invocation failed"), &json!(kind)));
}

#[tokio::test]
async fn the_seed_example_field_by_field() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let mut lambda = Lambda::start(&lab, &[]).await;
    let summary = lambda.summary(sync_event()).await;
    let expected = json!({
        "timestamp": summary["timestamp"],
        "totalAccounts": 2,
        "accountsProcessed": 2,
        "accountsUpdated": 1,
        "accountsSkipped": 1,
        "accountsFailed": 0,
        "details": [
            {
                "accountId": "111122223333",
                "accountName": "DEMO_TARGET",
                "status": "updated",
                "added": ["777788889999"],
                "removed": ["444455556666"],
                "totalStaging": 1,
            },
            {
                "accountId": "123456789012",
                "accountName": "Production",
                "status": "unchanged",
                "stagingAccountCount": 2,
            },
        ],
    });
    assert_eq!(serde_json::to_string(&summary).ok(), serde_json::to_string(&expected).ok(), "field order included");

    let items = lab.plain_items().expect("items");
    let added = json!([{
        "accountId": "777788889999",
        "accountName": "Staging Account 777788889999",
        "roleArn": "arn:aws:iam::777788889999:role/DRSOrchestrationRole",
        "externalId": "drs-orchestration-777788889999",
        "addedAt": summary["timestamp"],
        "addedBy": "staging-account-sync",
        "discoveredFrom": "us-east-1",
    }]);
    assert_eq!((&items[0]["stagingAccounts"], &items[0]["updatedAt"]), (&added, &summary["timestamp"]));
    assert_eq!(items[1]["stagingAccounts"][0]["note"], "kept");

    // A second tick in the same execution environment: no write, the roles' sessions are used again, and each account is
    // asked in the region that it uses.
    lab.clear_calls();
    let second = lambda.summary(sync_event()).await;
    assert_eq!((&second["accountsUpdated"], &second["accountsSkipped"]), (&json!(0), &json!(2)));
    let calls = lab.calls();
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!((count("UpdateItem"), count("AssumeRole"), count("ListStagingAccounts")), (0, 0, 2));

    let log = lambda.log().await;
    let line = |message: &str| {
        let found = log.iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("no line {message:?} in {log:?}"))
    };
    line("staging account sync started");
    let updated = line("staging account sync: account updated");
    assert_eq!((&updated["accountId"], &updated["added"]), (&json!("111122223333"), &json!(["777788889999"])));
    let completed = line("staging account sync completed");
    assert_eq!((&completed["accountsUpdated"], &completed["totalAccounts"]), (&json!(1), &json!(2)));
    assert!(!log.iter().any(|line| line["message"] == "staging account sync: account unchanged"));
    let last = log.iter().rfind(|line| line["message"] == "staging account sync completed").expect("a last line");
    let counted = (&last["awsCalls"], &last["awsThrottles"], &last["awsErrors"]);
    assert_eq!(counted, (&json!(calls.len()), &json!(0), &json!(0)));
    let by_service = ["dynamodbCalls", "drsCalls", "stsCalls"].map(|name| last[name].as_u64().expect("a number"));
    assert_eq!((by_service, &last["regionsSkipped"]), ([1, 2, 0], &json!(2)), "{last}");
    for metric in ["policyFuel", "policyTimeUs"] {
        assert!(last[metric].as_u64() > Some(0), "{metric} in {last}");
    }
    // Lines of an invocation can be found by its ids.
    for line in [completed, updated] {
        assert_eq!(line["requestId"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "{line}");
        assert_eq!(line["xrayTraceId"], "Root=1-5759e988-bd862e3fe1be46a994272793", "{line}");
    }
    assert!(updated["durationMs"].is_u64(), "{updated}");
    // CloudWatch reads the last line's numbers as metrics.
    let metrics = &completed["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(
        (&metrics["Namespace"], &metrics["Dimensions"]),
        (&json!("StagingSync"), &json!([["functionName", "operation"]]))
    );
    assert_eq!(
        (&completed["operation"], &completed["functionName"]),
        (&json!("sync_staging_accounts"), &json!("sync"))
    );
    for metric in metrics["Metrics"].as_array().expect("metrics") {
        let name = metric["Name"].as_str().expect("a name");
        assert!(completed[name].is_u64(), "{name} in {completed}");
    }
}

#[tokio::test]
async fn an_invocation_that_cannot_be_a_tick_fails_with_a_stable_error_type() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let mut lambda = Lambda::start(&lab, &[]).await;
    for (event, error_type, says) in [
        (json!({}), "EventInvalid", "missing field `operation`"),
        (json!([1]), "EventInvalid", "event at $: expected an object"),
        (json!({"operation": "sync_staging_accounts", "dryRun": "no"}), "EventInvalid", "event at $.dryRun"),
        (json!({"operation": "get_accounts"}), "UnknownOperation", "this host serves sync_staging_accounts"),
    ] {
        let (found, message) = lambda.error(event.clone()).await;
        assert_eq!(found, error_type, "{event}");
        assert!(message.contains(says), "{event}: {message}");
    }
    assert!(lab.calls().is_empty(), "nothing was asked of AWS");
    // The environment is still good for a tick.
    assert_eq!(lambda.summary(sync_event()).await["accountsUpdated"], 1);
}

#[tokio::test]
async fn a_start_that_fails_is_told_by_every_invocation() {
    let lab = Lab::start(seed()).await.expect("a lab");
    for (variable, error_type, says) in [
        (("POLICY", "/nowhere/policy.wasm"), "PolicyUnavailable", "/nowhere/policy.wasm"),
        (("POLICY_SETTINGS", r#"{"removals": "some"}"#), "SettingsInvalid", "$.removals"),
        (("TARGET_ACCOUNTS_TABLE", ""), "ConfigurationInvalid", "TARGET_ACCOUNTS_TABLE"),
        (("TARGET_ACCOUNTS_TABLE", "another"), "TableUnavailable", "ResourceNotFoundException"),
    ] {
        let mut lambda = Lambda::start(&lab, &[variable]).await;
        for _ in 0..2 {
            let (found, message) = lambda.error(sync_event()).await;
            assert_eq!(found, error_type, "{variable:?}");
            assert!(message.contains(says), "{variable:?}: {message}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let before = lab.items().expect("items");
    let mut lambda = Lambda::start(&lab, &[]).await;
    let event = json!({"operation": "sync_staging_accounts", "dryRun": true, "accountIds": ["111122223333"]});
    let summary = lambda.summary(event).await;
    assert_eq!((&summary["dryRun"], &summary["totalAccounts"]), (&json!(true), &json!(1)));
    assert_eq!(summary["details"][0]["added"], json!(["777788889999"]));
    assert_eq!(lab.items().expect("items"), before);
}

#[tokio::test]
async fn a_policy_is_changed_between_invocations_and_the_log_says_who_decided() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.wasm");
    let good = std::fs::read(policy()).expect("a policy");
    let put = |bytes: &[u8]| {
        let part = folder.path().join("part");
        std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &path)).expect("a file");
    };
    put(&good);
    let mut lambda = Lambda::start(&lab, &[("POLICY", path.to_str().expect("UTF-8"))]).await;
    assert_eq!(lambda.summary(sync_event()).await["accountsUpdated"], 1);
    put(b"no policy at all");
    assert_eq!(lambda.summary(sync_event()).await["accountsFailed"], 0, "the last good policy goes on");

    let log = lambda.log().await;
    let of = |message: &str| -> Vec<&Value> { log.iter().filter(|line| line["message"] == message).collect() };
    let digest = staging_sync_runtime::policy::sha256(&good);
    for message in ["staging account sync completed", "staging account sync: account updated", "policy activated"] {
        for line in of(message) {
            let found = (&line["policy"], &line["policyVersion"], &line["policyDigest"]);
            assert_eq!(found, (&json!("staging-account-sync"), &json!("0.1.0"), &json!(digest)), "{line}");
        }
    }
    assert_eq!(of("staging account sync completed").len(), 2, "a proof's ticks are silent");
    let [rejected] = of("policy rejected")[..] else { panic!("one line in {log:?}") };
    assert_eq!((&rejected["step"], &rejected["reason"]), (&json!("compile"), &json!("isn't WebAssembly")));
    assert_eq!(rejected["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "policyRejected");
    assert_eq!(rejected["policyRejected"], 1);
}

#[tokio::test]
async fn throttling_is_told_by_service_and_costs_nothing_but_time() {
    let mut fleet = seed();
    for (operation, code) in
        [("Scan", "ThrottlingException"), ("AssumeRole", "Throttling"), ("ListStagingAccounts", "ThrottlingException")]
    {
        fleet.faults.push(Fault { operation: Some(operation.into()), times: Some(1), ..Fault::error(code) });
    }
    let lab = Lab::start(fleet).await.expect("a lab");
    let mut lambda = Lambda::start(&lab, &[]).await;
    let summary = lambda.summary(sync_event()).await;
    assert_eq!((&summary["accountsUpdated"], &summary["accountsFailed"]), (&json!(1), &json!(0)));
    let log = lambda.log().await;
    let throttled = log.iter().filter(|line| line["message"] == "AWS throttles: fewer calls at once");
    // Two accounts are under way at once, so the lines of STS and DRS come in any order.
    let mut throttled: Vec<_> =
        throttled.map(|line| (line["service"].as_str(), line["callsAtOnce"].as_u64())).collect();
    throttled.sort_unstable();
    assert_eq!(throttled, [(Some("drs"), Some(64)), (Some("dynamodb"), Some(64)), (Some("sts"), Some(64))]);
}
